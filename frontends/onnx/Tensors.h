//===- Tensors.h - ONNX types and tensors as MLIR types and attributes ------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FRONTENDS_ONNX_TENSORS_H
#define FRONTENDS_ONNX_TENSORS_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Location.h"
#include "onnx/onnx_pb.h"

namespace mlir::onnx {

/// The element type for a TensorProto::DataType; null if there is none.
Type getElementType(int32_t dataType, MLIRContext *context);

/// Numbers of `bits` (4 or 2) that share bytes, the low bits first, as one byte
/// each.
std::string unpackBits(StringRef packed, unsigned bits, int64_t count);

/// The tensor type of `type`, with `#onnx.dims` where dimensions have names;
/// null if it is no tensor, or its rank is unknown.
RankedTensorType getTensorType(const ::onnx::TypeProto &type,
                               MLIRContext *context);

/// The same for sequences and optional values too.
Type getValueType(const ::onnx::TypeProto &type, MLIRContext *context);

/// The static type of `tensor`; fails for types that MLIR lacks.
FailureOr<RankedTensorType> getTensorType(const ::onnx::TensorProto &tensor,
                                          Location location);

/// The numbers of `tensor`, stored in the model or, below `folder`, outside.
FailureOr<DenseElementsAttr> readTensor(const ::onnx::TensorProto &tensor,
                                        StringRef folder, Location location);

} // namespace mlir::onnx

#endif // FRONTENDS_ONNX_TENSORS_H
