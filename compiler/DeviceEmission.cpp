//===- DeviceEmission.cpp - from kernels in the LLVM dialect to PTX -------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/DeviceEmission.h"

#include "compiler/Optimize.h"

#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

constexpr const char *kTriple = "nvptx64-nvidia-cuda";

struct Architecture {
  StringLiteral name;
  /// The oldest version of PTX that has what the kernels use: drivers of CUDA
  /// 12.0 know 8.0, those of 12.7 8.6.
  StringLiteral features;
};

constexpr Architecture kArchitectures[] = {
    {"sm_80", "+ptx80"},
    {"sm_90a", "+ptx80"},
    {"sm_100a", "+ptx86"},
};

std::unique_ptr<llvm::TargetMachine> createTargetMachine(Location loc,
                                                         StringRef arch) {
  static const bool initialized = [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    return true;
  }();
  (void)initialized;
  const Architecture *known = llvm::find_if(
      kArchitectures, [&](const Architecture &a) { return a.name == arch; });
  if (known == std::end(kArchitectures)) {
    emitError(loc) << "expected an architecture of "
                   << llvm::join(getDeviceArchitectures(), ", ") << ", got '"
                   << arch << "'";
    return nullptr;
  }
  std::string error;
  llvm::Triple triple(kTriple);
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target) {
    emitError(loc) << "expected an LLVM with the NVPTX target: " << error;
    return nullptr;
  }
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, arch, known->features, llvm::TargetOptions(), std::nullopt,
      std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

/// Everything but kernels is local; functions that nobody defines would only be
/// missed when the code is loaded.
LogicalResult closeModule(Location loc, llvm::Module &module) {
  for (llvm::Function &function : module) {
    if (function.isDeclaration()) {
      if (!function.isIntrinsic() && !function.use_empty())
        return emitError(loc) << "expected code for devices, got a call of '"
                              << function.getName() << "'";
      continue;
    }
    function.addFnAttr(llvm::Attribute::NoUnwind);
    if (function.getCallingConv() != llvm::CallingConv::PTX_Kernel)
      function.setLinkage(llvm::GlobalValue::InternalLinkage);
  }
  return success();
}

} // namespace

ArrayRef<StringRef> moe::getDeviceArchitectures() {
  static const SmallVector<StringRef> names = llvm::map_to_vector(
      kArchitectures,
      [](const Architecture &a) -> StringRef { return a.name; });
  return names;
}

LogicalResult moe::emitPTX(ModuleOp kernels, DeviceCode &code) {
  Location loc = kernels.getLoc();
  registerBuiltinDialectTranslation(*kernels.getContext());
  registerLLVMDialectTranslation(*kernels.getContext());
  registerNVVMDialectTranslation(*kernels.getContext());
  std::unique_ptr<llvm::TargetMachine> machine =
      createTargetMachine(loc, code.arch);
  if (!machine)
    return failure();
  // Accesses are aligned as this target aligns types.
  kernels->setAttr(
      LLVM::LLVMDialect::getDataLayoutAttrName(),
      StringAttr::get(kernels.getContext(),
                      machine->createDataLayout().getStringRepresentation()));
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module =
      translateModuleToLLVMIR(kernels, context, "kernels");
  if (!module)
    return emitError(loc) << "translation of kernels to LLVM IR failed";
  module->setTargetTriple(machine->getTargetTriple());
  module->setDataLayout(machine->createDataLayout());
  if (failed(closeModule(loc, *module)))
    return failure();
  optimizeModule(*module, *machine, /*sanitize=*/false);

  SmallString<0> text;
  llvm::raw_svector_ostream stream(text);
  llvm::legacy::PassManager manager;
  if (machine->addPassesToEmitFile(manager, stream, nullptr,
                                   llvm::CodeGenFileType::AssemblyFile))
    return emitError(loc) << "the target cannot emit PTX";
  manager.run(*module);
  code.ptx = text.str().str();
  return success();
}
