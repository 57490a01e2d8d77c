//===- Assemble.cpp - runs the assembler for devices ----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/DeviceEmission.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/Regex.h"

using namespace mlir;
using namespace mlir::moe;

/// The path of the assembler, or "" if there is none.
static std::string findAssembler() {
  if (std::optional<std::string> path = llvm::sys::Process::GetEnv("MOE_PTXAS"))
    return *path;
  if (std::optional<std::string> home =
          llvm::sys::Process::GetEnv("CUDA_HOME")) {
    SmallString<128> path(*home);
    llvm::sys::path::append(path, "bin", "ptxas");
    if (llvm::sys::fs::can_execute(path))
      return path.str().str();
  }
  if (auto path = llvm::sys::findProgramByName("ptxas"))
    return *path;
  constexpr StringLiteral kToolkit = "/usr/local/cuda/bin/ptxas";
  return llvm::sys::fs::can_execute(kToolkit) ? kToolkit.str() : "";
}

/// Reads what `ptxas -v` prints for each kernel.
static std::vector<KernelFigures> parseFigures(StringRef text) {
  llvm::Regex entry("Compiling entry function '([^']*)'");
  llvm::Regex stack("([0-9]+) bytes stack frame, ([0-9]+) bytes spill stores");
  llvm::Regex registers("Used ([0-9]+) registers");
  llvm::Regex shared("([0-9]+) bytes smem");
  std::vector<KernelFigures> kernels;
  SmallVector<StringRef> lines, match;
  text.split(lines, '\n');
  auto number = [&](unsigned i) {
    int64_t value = 0;
    match[i].getAsInteger(10, value);
    return value;
  };
  for (StringRef line : lines) {
    if (entry.match(line, &match)) {
      kernels.emplace_back();
      kernels.back().name = match[1].str();
    }
    if (kernels.empty())
      continue;
    if (stack.match(line, &match)) {
      kernels.back().stack = number(1);
      kernels.back().spilled = number(2);
    }
    if (registers.match(line, &match))
      kernels.back().registers = number(1);
    if (shared.match(line, &match))
      kernels.back().shared = number(1);
  }
  return kernels;
}

LogicalResult moe::assemble(Location loc, DeviceCode &code) {
  std::string assembler = findAssembler();
  if (assembler.empty())
    return success();
  SmallString<128> input, output, log;
  if (llvm::sys::fs::createTemporaryFile("moec", "ptx", input) ||
      llvm::sys::fs::createTemporaryFile("moec", "cubin", output) ||
      llvm::sys::fs::createTemporaryFile("moec", "log", log))
    return emitError(loc) << "cannot create a temporary file";
  llvm::FileRemover removeInput(input), removeOutput(output), removeLog(log);
  std::error_code error;
  {
    llvm::raw_fd_ostream stream(input, error);
    if (!error)
      stream << code.ptx;
  }
  if (error)
    return emitError(loc) << "cannot write '" << input
                          << "': " << error.message();
  std::string arch = "-arch=" + code.arch;
  StringRef arguments[] = {assembler, "-v", "-O3", arch, input, "-o", output};
  std::optional<StringRef> redirects[] = {StringRef(""), StringRef(log),
                                          StringRef(log)};
  std::string message;
  int status = llvm::sys::ExecuteAndWait(assembler, arguments, std::nullopt,
                                         redirects, /*SecondsToWait=*/0,
                                         /*MemoryLimit=*/0, &message);
  auto text = llvm::MemoryBuffer::getFile(log);
  StringRef printed = text ? (*text)->getBuffer() : StringRef();
  if (status != 0) {
    // An assembler that is older than the architecture is none.
    if (printed.contains("is not defined for option 'gpu-name'") ||
        printed.contains("Unsupported .version"))
      return success();
    return emitError(loc) << "'" << assembler << "' failed: "
                          << (message.empty() ? printed.trim()
                                              : StringRef(message));
  }
  auto bytes = llvm::MemoryBuffer::getFile(output);
  if (!bytes)
    return emitError(loc) << "cannot read what '" << assembler
                          << "' wrote: " << bytes.getError().message();
  code.cubin.assign((*bytes)->getBufferStart(), (*bytes)->getBufferEnd());
  code.kernels = parseFigures(printed);
  SmallVector<StringRef> lines;
  printed.split(lines, '\n');
  for (StringRef line : lines)
    if (line.contains("Potential Performance Loss"))
      emitWarning(loc) << code.arch << ": " << line.trim();
  return success();
}
