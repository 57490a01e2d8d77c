//===- KernDialect.cpp - the kern dialect -----------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/kern/KernDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::kern;

#include "dialects/kern/KernDialect.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/kern/KernAttributes.cpp.inc"

void KernDialect::initialize() {
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "dialects/kern/KernOps.cpp.inc"
      >();
}

LogicalResult
PackedAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError,
                   int64_t columns, int64_t depth) {
  if (columns <= 0 || depth <= 0)
    return emitError() << "expected positive columns and depth, got " << columns
                       << " and " << depth;
  return success();
}

PackedAttr PackedAttr::getFor(Type element) {
  return get(element.getContext(), /*columns=*/16,
             /*depth=*/element.isBF16() ? 2 : 1);
}

SmallVector<int64_t> PackedAttr::getPackedShape(ArrayRef<int64_t> source,
                                                int64_t sources) const {
  auto divide = [](int64_t extent, int64_t size) {
    return ShapedType::isDynamic(extent) ? extent
                                         : llvm::divideCeilSigned(extent, size);
  };
  SmallVector<int64_t> shape(source.drop_back(2));
  int64_t panels = divide(source.back(), getColumns());
  shape.push_back(ShapedType::isDynamic(panels) ? panels : panels * sources);
  shape.push_back(divide(source[source.size() - 2], getDepth()));
  shape.append({getColumns(), getDepth()});
  return shape;
}

void KernDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/kern/KernAttributes.cpp.inc"
      >();
}
