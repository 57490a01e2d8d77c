//===- ArtifactWriter.h - writes a compiled model to a file ---------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_ARTIFACT_ARTIFACTWRITER_H
#define COMPILER_ARTIFACT_ARTIFACTWRITER_H

#include "compiler/DeviceEmission.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/JSON.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace mlir::moe {

/// Native code for one instruction set level.
struct CodeObject {
  std::string isa;
  /// An ELF shared object, see runtime/core/HostInterface.h.
  std::vector<char> bytes;
};

/// Code for one device architecture.
struct DeviceVariant {
  DeviceCode code;
  /// An ELF shared object, see runtime/core/DeviceInterface.h.
  std::vector<char> host;
};

struct ArtifactOptions {
  /// The file that was compiled; the manifest states its name and hash.
  std::string modelPath;
  /// The folder of relative files in views; empty: the folder of the model.
  std::string baseDir;
  std::vector<CodeObject> codeObjects;
  std::vector<DeviceVariant> devices;
  /// One line for each decision to fuse; shown by `moec inspect`.
  std::vector<std::string> fusedBlocks;
  /// Names and values of the options that shaped the code, for the manifest.
  std::vector<std::pair<std::string, std::string>> compileOptions;
  /// Entries of the manifest on the ranks that run the program together; empty
  /// for one rank.
  llvm::json::Object layout;
  /// The expert layers, as `moec plan` reads them, with their placement.
  llvm::json::Object experts;
  /// Text for people, such as IR; left out if empty.
  std::string text;
  /// Called with the bytes of weights that are written and the number of all.
  std::function<void(uint64_t written, uint64_t total)> onProgress;
};

/// Writes the artifact of `module`: the signature of its function `main`
/// (attributes `moe.name` and `moe.dims`), the code objects and the weights
/// that its `kern.segment` operations describe. Weights are streamed from their
/// files in bounded memory. Emits an error and leaves `path` as it was on
/// failure.
LogicalResult writeArtifact(ModuleOp module, const ArtifactOptions &options,
                            StringRef path);

} // namespace mlir::moe

#endif // COMPILER_ARTIFACT_ARTIFACTWRITER_H
