//===- Importer.h - from an ONNX file to the onnx dialect -------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The importer changes nothing that a later pass could change: one node becomes
// one operation. See the description of the onnx dialect for what it
// guarantees.
//
//===----------------------------------------------------------------------===//

#ifndef FRONTENDS_ONNX_IMPORTER_H
#define FRONTENDS_ONNX_IMPORTER_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace mlir::onnx {

struct ImportOptions {
  /// Initialisers with more elements than this stay in the file as
  /// `moe.weight`, if they are floating-point numbers.
  int64_t maxConstantElements = 8;
  /// The same for integers and booleans, which are mostly shapes and indices.
  int64_t maxIntegerConstantElements = 4096;
  /// Vectors up to this length whose elements are all equal are constants.
  int64_t maxUniformElements = 65536;
  /// How many tensors the inputs hold that are sequences, by name.
  std::map<std::string, int64_t> sequenceLengths;
  /// Asked for the ranks of the tensors in other sequences, by their place
  /// among the inputs of the graph; may be null and may not know.
  std::function<std::optional<std::vector<int64_t>>(unsigned index)>
      getSequenceRanks;
};

/// Imports the model at `path`: an ONNX protobuf, or ONNX text if the name ends
/// in `.onnxtxt`. Errors become diagnostics of `context`; the result is then
/// null.
OwningOpRef<ModuleOp> importModel(StringRef path, MLIRContext &context,
                                  const ImportOptions &options);

} // namespace mlir::onnx

#endif // FRONTENDS_ONNX_IMPORTER_H
