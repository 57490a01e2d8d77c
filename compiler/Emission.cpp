//===- Emission.cpp - from the LLVM dialect to a shared object --------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Emission.h"

#include "lld/Common/Driver.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Instrumentation/AddressSanitizer.h"

LLD_HAS_DRIVER(elf)

using namespace mlir;

namespace {

constexpr const char *kTriple = "x86_64-unknown-linux-gnu";

/// What a code object exports; everything else is local to it.
constexpr StringRef kVersionScript =
    "{ global: moert_main; moert_host; moert_weights; local: *; };\n";

std::unique_ptr<llvm::TargetMachine> createTargetMachine(Location loc,
                                                         StringRef isa) {
  static const bool initialized = [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    return true;
  }();
  (void)initialized;
  std::string error;
  llvm::Triple triple(kTriple);
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target) {
    emitError(loc) << "expected an LLVM with the x86 target: " << error;
    return nullptr;
  }
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, isa, /*Features=*/"", llvm::TargetOptions(), llvm::Reloc::PIC_,
      std::nullopt, llvm::CodeGenOptLevel::Default));
}

/// Lets LLVM use the whole width of the registers that `isa` has.
void setAttributes(llvm::Module &module, StringRef isa, bool sanitize) {
  StringRef width = isa == "x86-64-v4" ? "512" : "256";
  for (llvm::Function &function : module) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("prefer-vector-width", width);
    function.addFnAttr("min-legal-vector-width", width);
    function.addFnAttr(llvm::Attribute::NoUnwind);
    if (sanitize)
      function.addFnAttr(llvm::Attribute::SanitizeAddress);
  }
}

void optimize(llvm::Module &module, llvm::TargetMachine &machine,
              bool sanitize) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  if (sanitize)
    builder.registerOptimizerLastEPCallback([](llvm::ModulePassManager &passes,
                                               llvm::OptimizationLevel,
                                               llvm::ThinOrFullLTOPhase) {
      passes.addPass(
          llvm::AddressSanitizerPass(llvm::AddressSanitizerOptions()));
    });
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2)
      .run(module, modules);
}

/// A temporary file that is removed when the object goes away.
class TemporaryFile {
public:
  TemporaryFile(StringRef suffix) {
    if (!llvm::sys::fs::createTemporaryFile("moec", suffix, path))
      remover.setFile(path);
  }
  StringRef getPath() const { return path; }

private:
  SmallString<128> path;
  llvm::FileRemover remover;
};

LogicalResult writeObject(Location loc, llvm::Module &module,
                          llvm::TargetMachine &machine, StringRef path) {
  std::error_code code;
  llvm::raw_fd_ostream stream(path, code);
  if (code)
    return emitError(loc) << "cannot write '" << path
                          << "': " << code.message();
  llvm::legacy::PassManager manager;
  if (machine.addPassesToEmitFile(manager, stream, nullptr,
                                  llvm::CodeGenFileType::ObjectFile))
    return emitError(loc) << "the target cannot emit object files";
  manager.run(module);
  stream.close();
  if (stream.has_error()) {
    code = stream.error();
    stream.clear_error();
    return emitError(loc) << "cannot write '" << path
                          << "': " << code.message();
  }
  return success();
}

LogicalResult link(Location loc, StringRef object, StringRef script,
                   StringRef output) {
  std::string versionScript = ("--version-script=" + script).str();
  std::string input = object.str(), target = output.str();
  SmallVector<const char *> arguments = {"ld.lld",
                                         "-shared",
                                         versionScript.c_str(),
                                         "--build-id=none",
                                         "--strip-debug",
                                         "-z",
                                         "now",
                                         "-o",
                                         target.c_str(),
                                         input.c_str()};
  std::string messages;
  llvm::raw_string_ostream stream(messages);
  lld::Result result = lld::lldMain(arguments, llvm::nulls(), stream,
                                    {{lld::Gnu, &lld::elf::link}});
  if (result.retCode != 0)
    return emitError(loc) << "linking the code object failed: " << messages;
  return success();
}

} // namespace

LogicalResult moe::emitSharedObject(ModuleOp module, StringRef isa,
                                    bool sanitize, std::vector<char> &object) {
  Location loc = module.getLoc();
  registerBuiltinDialectTranslation(*module.getContext());
  registerLLVMDialectTranslation(*module.getContext());
  std::unique_ptr<llvm::TargetMachine> machine = createTargetMachine(loc, isa);
  if (!machine)
    return failure();
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code = translateModuleToLLVMIR(module, context);
  if (!code)
    return emitError(loc) << "translation to LLVM IR failed";
  code->setTargetTriple(machine->getTargetTriple());
  code->setDataLayout(machine->createDataLayout());
  setAttributes(*code, isa, sanitize);
  optimize(*code, *machine, sanitize);

  TemporaryFile objectFile("o"), scriptFile("ver"), sharedFile("so");
  std::error_code error;
  {
    llvm::raw_fd_ostream script(scriptFile.getPath(), error);
    script << kVersionScript;
  }
  if (error || failed(writeObject(loc, *code, *machine, objectFile.getPath())))
    return failure();
  if (failed(link(loc, objectFile.getPath(), scriptFile.getPath(),
                  sharedFile.getPath())))
    return failure();
  auto bytes = llvm::MemoryBuffer::getFile(sharedFile.getPath());
  if (!bytes)
    return emitError(loc) << "cannot read the linked code object: "
                          << bytes.getError().message();
  object.assign((*bytes)->getBufferStart(), (*bytes)->getBufferEnd());
  return success();
}
