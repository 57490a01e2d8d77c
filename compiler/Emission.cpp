//===- Emission.cpp - from the LLVM dialect to a shared object --------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Emission.h"

#include "compiler/InstructionSetLevel.h"

#include "compiler/Optimize.h"

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

#include <mutex>

LLD_HAS_DRIVER(elf)

using namespace mlir;

namespace {

constexpr const char *kTriple = "x86_64-unknown-linux-gnu";

/// What a code object exports; everything else is local to it.
constexpr StringRef kVersionScript =
    "{ global: moert_main; moert_host; moert_weights; moert_device; local: *; "
    "};\n";

std::unique_ptr<llvm::TargetMachine> createTargetMachine(Location loc,
                                                         StringRef isa) {
  moe::InstructionSetLevel level = moe::getInstructionSetLevel(isa);
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
      triple, level.processor, level.features, llvm::TargetOptions(),
      llvm::Reloc::PIC_, std::nullopt, llvm::CodeGenOptLevel::Default));
}

/// Lets LLVM use the whole width of the registers that `isa` has.
void setAttributes(llvm::Module &module, StringRef isa, bool sanitize) {
  StringRef width = moe::getInstructionSetLevel(isa).vectorBits;
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
                                         "--undefined-version",
                                         "--build-id=none",
                                         "--strip-debug",
                                         "-z",
                                         "now",
                                         "-o",
                                         target.c_str(),
                                         input.c_str()};
  std::string messages;
  llvm::raw_string_ostream stream(messages);
  // The linker has global state.
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  lld::Result result = lld::lldMain(arguments, llvm::nulls(), stream,
                                    {{lld::Gnu, &lld::elf::link}});
  if (result.retCode != 0)
    return emitError(loc) << "linking the code object failed: " << messages;
  return success();
}

} // namespace

void moe::optimizeModule(llvm::Module &module, llvm::TargetMachine &machine,
                         bool sanitize) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  // Straight-line code is vectorised before it comes here.
  llvm::PipelineTuningOptions tuning;
  tuning.SLPVectorization = false;
  llvm::PassBuilder builder(&machine, tuning);
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

struct moe::CodeEmission::State {
  Location loc;
  bool sanitize;
  llvm::LLVMContext context;
  std::unique_ptr<llvm::TargetMachine> machine;
  std::unique_ptr<llvm::Module> code;
};

moe::CodeEmission::CodeEmission() = default;
moe::CodeEmission::CodeEmission(CodeEmission &&) = default;
moe::CodeEmission::~CodeEmission() = default;

LogicalResult moe::CodeEmission::translate(ModuleOp module, StringRef isa,
                                           bool sanitize) {
  Location loc = module.getLoc();
  registerBuiltinDialectTranslation(*module.getContext());
  registerLLVMDialectTranslation(*module.getContext());
  state.reset(new State{loc, sanitize, {}, createTargetMachine(loc, isa), {}});
  if (!state->machine)
    return failure();
  state->code = translateModuleToLLVMIR(module, state->context);
  if (!state->code)
    return emitError(loc) << "translation to LLVM IR failed";
  state->code->setTargetTriple(state->machine->getTargetTriple());
  state->code->setDataLayout(state->machine->createDataLayout());
  setAttributes(*state->code, isa, sanitize);
  return success();
}

LogicalResult moe::CodeEmission::emit(std::vector<char> &object) {
  Location loc = state->loc;
  optimizeModule(*state->code, *state->machine, state->sanitize);
  TemporaryFile objectFile("o"), scriptFile("ver"), sharedFile("so");
  std::error_code error;
  {
    llvm::raw_fd_ostream script(scriptFile.getPath(), error);
    script << kVersionScript;
  }
  if (error || failed(writeObject(loc, *state->code, *state->machine,
                                  objectFile.getPath())))
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
