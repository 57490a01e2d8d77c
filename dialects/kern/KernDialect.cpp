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
QuantizedAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError,
                      Type numbers, int64_t group, Type scales, Type rows) {
  auto integer = dyn_cast<IntegerType>(numbers);
  bool isKnown =
      integer
          ? !integer.isSigned() &&
                llvm::is_contained({4u, 8u}, integer.getWidth())
          : isa<Float4E2M1FNType, Float8E4M3FNType, Float8E5M2Type>(numbers);
  if (!isKnown)
    return emitError() << "expected numbers i4, i8, ui4, ui8, f4E2M1FN, "
                          "f8E4M3FN or f8E5M2, got "
                       << numbers;
  if (group <= 0 || group > 256 || group % 8 != 0)
    return emitError() << "expected groups of a multiple of 8 up to 256 rows, "
                          "got "
                       << group;
  if (!scales.isF32() && !scales.isF16() && !scales.isBF16())
    return emitError() << "expected scales of f32, f16 or bf16, got " << scales;
  if (rows && (!rows.isSignlessInteger(8) || !integer))
    return emitError() << "expected rows of i8 and numbers that are integers, "
                          "got rows of "
                       << rows << " and numbers of " << numbers;
  return success();
}

int64_t QuantizedAttr::getColumnBytes() const {
  return getGroup() * getNumbers().getIntOrFloatBitWidth() / 8 +
         getScales().getIntOrFloatBitWidth() / 8 + hasZeroPoints();
}

LogicalResult
PackedAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError,
                   int64_t columns, int64_t depth, QuantizedAttr quantized) {
  if (columns <= 0 || depth <= 0)
    return emitError() << "expected positive columns and depth, got " << columns
                       << " and " << depth;
  if (quantized &&
      depth != (quantized.getNumbers().getIntOrFloatBitWidth() == 4 ? 8 : 1))
    return emitError() << "expected depth 8 for quantised numbers of 4 bits "
                          "and 1 for those of 8 bits, got "
                       << depth;
  return success();
}

PackedAttr PackedAttr::getFor(Type element) {
  return get(element.getContext(), /*columns=*/16,
             /*depth=*/element.isBF16() ? 2 : 1);
}

PackedAttr PackedAttr::getFor(QuantizedAttr quantized) {
  bool isHalfByte = quantized.getNumbers().getIntOrFloatBitWidth() == 4;
  return get(quantized.getContext(), /*columns=*/16,
             /*depth=*/isHalfByte ? 8 : 1, quantized);
}

int64_t PackedAttr::getUnitRows() const {
  return getQuantized() ? getQuantized().getGroup() : getDepth();
}

int64_t PackedAttr::getUnitSize() const {
  return getQuantized() ? getQuantized().getColumnBytes() : getDepth();
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
  shape.push_back(divide(source[source.size() - 2], getUnitRows()));
  shape.append({getColumns(), getUnitSize()});
  return shape;
}

void KernDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/kern/KernAttributes.cpp.inc"
      >();
}
