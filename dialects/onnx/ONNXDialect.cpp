//===- ONNXDialect.cpp - the onnx dialect ---------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/onnx/ONNXDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::onnx;

#include "dialects/onnx/ONNXDialect.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/onnx/ONNXAttributes.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/onnx/ONNXTypes.cpp.inc"

void ONNXDialect::initialize() {
  registerAttributes();
  registerTypes();
  registerONNXDialectOperations(this);
}

void ONNXDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/onnx/ONNXAttributes.cpp.inc"
      >();
}

void ONNXDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/onnx/ONNXTypes.cpp.inc"
      >();
}

LogicalResult
DimsAttr::verifyEncoding(ArrayRef<int64_t> shape, Type,
                         function_ref<InFlightDiagnostic()> emitError) const {
  if (getSymbols().size() != shape.size())
    return emitError() << "expected one symbol for each of the " << shape.size()
                       << " dimensions, got " << getSymbols().size();
  return success();
}

OpFoldResult NoValueOp::fold(FoldAdaptor) {
  return UnitAttr::get(getContext());
}
