//===- WeightLocator.h - where the numbers of a tensor lie in files ---------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FRONTENDS_ONNX_WEIGHTLOCATOR_H
#define FRONTENDS_ONNX_WEIGHTLOCATOR_H

#include "mlir/IR/Location.h"
#include "mlir/Support/LLVM.h"
#include "onnx/onnx_pb.h"
#include "llvm/ADT/StringMap.h"

#include <optional>
#include <string>

namespace mlir::onnx {

/// A run of little-endian numbers in a file.
struct WeightPlace {
  /// Relative to the folder of the model.
  std::string file;
  int64_t offset;
};

/// Finds tensors in the model file itself and in its external data files.
class WeightLocator {
public:
  /// `path` is the model. Scans it for the places of embedded tensors, which
  /// the parsed protobuf does not know.
  LogicalResult scan(StringRef path, Location location);

  /// The place of `tensor`, an initialiser or the value of a `Constant` node
  /// known as `name`; none if its numbers are not stored as plain bytes. Fails
  /// if external data are missing, too short or outside the model's folder.
  FailureOr<std::optional<WeightPlace>>
  locate(const ::onnx::TensorProto &tensor, StringRef name, Location location);

private:
  FailureOr<std::optional<WeightPlace>>
  locateExternal(const ::onnx::TensorProto &tensor, StringRef name,
                 Location location);

  std::string folder, modelFile;
  llvm::StringMap<int64_t> embedded;
};

/// Bits that one element of `tensor` takes in a file, 0 for types without a
/// fixed size.
int64_t getElementBits(const ::onnx::TensorProto &tensor);

/// The number of elements; fails if a dimension is negative or the product
/// overflows.
FailureOr<int64_t> getElementCount(const ::onnx::TensorProto &tensor,
                                   Location location);

} // namespace mlir::onnx

#endif // FRONTENDS_ONNX_WEIGHTLOCATOR_H
