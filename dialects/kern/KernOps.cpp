//===- KernOps.cpp - verifiers of kern operations ---------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/kern/KernDialect.h"

using namespace mlir;
using namespace mlir::kern;

#define GET_OP_CLASSES
#include "dialects/kern/KernOps.cpp.inc"

/// Reads of the inputs and writes of the destination, where they are buffers.
static void
getDestinationEffects(DestinationStyleOpInterface op, bool readsInit,
                      SmallVectorImpl<MemoryEffects::EffectInstance> &effects) {
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isa<MemRefType>(operand.get().getType()))
      continue;
    bool isInit = op.isDpsInit(&operand);
    if (!isInit || readsInit)
      effects.emplace_back(MemoryEffects::Read::get(), &operand);
    if (isInit)
      effects.emplace_back(MemoryEffects::Write::get(), &operand);
  }
}

static LogicalResult checkEqual(Operation *op, int64_t left, int64_t right,
                                StringRef what) {
  if (left == right || ShapedType::isDynamic(left) ||
      ShapedType::isDynamic(right))
    return success();
  return op->emitOpError() << "expected equal " << what << ", got " << left
                           << " and " << right;
}

/// Checks that panels are bytes if and only if they are quantised.
static LogicalResult checkElement(Operation *op, ShapedType panels,
                                  QuantizedAttr quantized) {
  if (panels.getElementType().isInteger(8) == static_cast<bool>(quantized))
    return success();
  return op->emitOpError()
         << "expected panels of i8 if they are quantised, and "
            "no others of i8, got "
         << panels;
}

/// Checks that `panels` holds `sources` packed `depth x columns` matrices.
static LogicalResult checkPanels(Operation *op, ShapedType panels,
                                 QuantizedAttr quantized, int64_t depth,
                                 int64_t columns, int64_t sources) {
  if (failed(checkElement(op, panels, quantized)))
    return failure();
  ArrayRef<int64_t> shape = panels.getShape().take_back(4);
  auto layout = quantized ? PackedAttr::getFor(quantized)
                          : PackedAttr::getFor(panels.getElementType());
  if (shape[2] != layout.getColumns() || shape[3] != layout.getUnitSize())
    return op->emitOpError() << "expected panels of " << layout.getColumns()
                             << " columns and depth " << layout.getUnitSize()
                             << ", got " << shape[2] << " and " << shape[3];
  if (!ShapedType::isDynamic(depth))
    depth = llvm::divideCeilSigned(depth, layout.getUnitRows());
  if (failed(checkEqual(op, depth, shape[1],
                        "inner extents in units of the depth")))
    return failure();
  if (ShapedType::isDynamic(columns))
    return success();
  return checkEqual(
      op, llvm::divideCeilSigned(columns, layout.getColumns()) * sources,
      shape[0], "numbers of panels");
}

/// Checks the operands that both halves of the experts have.
template <typename OpTy>
static LogicalResult checkExperts(OpTy op, Value left, int64_t sources) {
  auto panels = cast<ShapedType>(op.getPanels().getType());
  auto init = cast<ShapedType>(op.getInit().getType());
  auto input = cast<ShapedType>(left.getType());
  auto offsets = cast<ShapedType>(op.getOffsets().getType());
  if (panels.getRank() != 5)
    return op.emitOpError()
           << "expected a stack of packed matrices, got " << panels;
  if (!offsets.isDynamicDim(0) && !panels.isDynamicDim(0) &&
      failed(checkEqual(op, offsets.getDimSize(0), panels.getDimSize(0) + 1,
                        "numbers of experts, plus 1")))
    return failure();
  return checkPanels(op, panels, op.getQuantizedAttr(), input.getDimSize(1),
                     init.getDimSize(1), sources);
}

/// Checks a bias of `E x N` for a result of N columns.
static LogicalResult checkBias(Operation *op, Value bias, Value panels,
                               Value init) {
  if (!bias)
    return success();
  auto type = cast<ShapedType>(bias.getType());
  return success(
      succeeded(checkEqual(op, type.getDimSize(0),
                           cast<ShapedType>(panels.getType()).getDimSize(0),
                           "numbers of experts")) &&
      succeeded(checkEqual(op, type.getDimSize(1),
                           cast<ShapedType>(init.getType()).getDimSize(1),
                           "widths of bias and result")));
}

//===----------------------------------------------------------------------===//
// Segments
//===----------------------------------------------------------------------===//

LogicalResult SegmentOp::verify() {
  if (getOffset() % 64 != 0)
    return emitOpError() << "expected an offset that is a multiple of 64, got "
                         << static_cast<int64_t>(getOffset());
  auto source = dyn_cast<RankedTensorType>(getSourceType());
  auto type = dyn_cast<RankedTensorType>(getType());
  if (!source || !type || !source.hasStaticShape() || !type.hasStaticShape())
    return emitOpError() << "expected static tensors, got " << getSourceType()
                         << " and " << getType();
  int64_t sources = getSources().size();
  SmallVector<int64_t> shape(source.getShape());
  if (std::optional<PackedAttr> packed = getPacked()) {
    if (source.getRank() != 2 && source.getRank() != 3)
      return emitOpError() << "expected a source of rank 2 or 3, got "
                           << source;
    shape = packed->getPackedShape(source.getShape(), sources);
    if (failed(checkElement(*this, type, packed->getQuantized())))
      return failure();
  } else if (sources > 1) {
    return emitOpError() << "expected one source without packing, got "
                         << sources;
  }
  if (type.getShape() != ArrayRef(shape))
    return emitOpError() << "expected " << type.clone(shape) << ", got "
                         << type;
  return success();
}

//===----------------------------------------------------------------------===//
// PackOp
//===----------------------------------------------------------------------===//

void PackOp::getEffects(
    SmallVectorImpl<MemoryEffects::EffectInstance> &effects) {
  getDestinationEffects(*this, /*readsInit=*/false, effects);
}

LogicalResult PackOp::verify() {
  if (getSources().empty())
    return emitOpError("expected at least one source");
  auto first = cast<ShapedType>(getSources().front().getType());
  auto init = cast<ShapedType>(getInit().getType());
  for (Value source : getSources()) {
    auto type = cast<ShapedType>(source.getType());
    if (type.getShape() != first.getShape() ||
        type.getElementType() != first.getElementType())
      return emitOpError() << "expected sources of equal types, got " << first
                           << " and " << type << " for " << init;
  }
  if (failed(checkElement(*this, init, getLayout().getQuantized())))
    return failure();
  SmallVector<int64_t> shape =
      getLayout().getPackedShape(first.getShape(), getSources().size());
  if (failed(verifyCompatibleShape(shape, init.getShape())))
    return emitOpError() << "expected " << init.clone(shape) << ", got "
                         << init;
  return success();
}

//===----------------------------------------------------------------------===//
// PanelGemmOp
//===----------------------------------------------------------------------===//

void PanelGemmOp::getEffects(
    SmallVectorImpl<MemoryEffects::EffectInstance> &effects) {
  getDestinationEffects(*this, getAccumulate(), effects);
}

LogicalResult PanelGemmOp::verify() {
  auto a = cast<ShapedType>(getA().getType());
  auto b = cast<ShapedType>(getB().getType());
  auto c = cast<ShapedType>(getInit().getType());
  int64_t rank = a.getRank();
  if (c.getRank() != rank || b.getRank() != rank + 2)
    return emitOpError() << "expected ranks n, n + 2 and n, got " << rank
                         << ", " << b.getRank() << " and " << c.getRank();
  if (rank == 3 && (failed(checkEqual(*this, a.getDimSize(0), b.getDimSize(0),
                                      "leading extents")) ||
                    failed(checkEqual(*this, a.getDimSize(0), c.getDimSize(0),
                                      "leading extents"))))
    return failure();
  if (failed(checkEqual(*this, a.getDimSize(rank - 2), c.getDimSize(rank - 2),
                        "numbers of rows")))
    return failure();
  return checkPanels(*this, b, getQuantizedAttr(), a.getDimSize(rank - 1),
                     c.getDimSize(rank - 1), /*sources=*/1);
}

//===----------------------------------------------------------------------===//
// Experts
//===----------------------------------------------------------------------===//

void ExpertsHiddenOp::getEffects(
    SmallVectorImpl<MemoryEffects::EffectInstance> &effects) {
  getDestinationEffects(*this, /*readsInit=*/false, effects);
}

LogicalResult ExpertsHiddenOp::verify() {
  if (getGateBias() && !getGated())
    return emitOpError("expected gated for a gate bias");
  return success(
      succeeded(checkExperts(*this, getX(), getGated() ? 2 : 1)) &&
      succeeded(checkBias(*this, getGateBias(), getPanels(), getInit())) &&
      succeeded(checkBias(*this, getUpBias(), getPanels(), getInit())));
}

void ExpertsCombineOp::getEffects(
    SmallVectorImpl<MemoryEffects::EffectInstance> &effects) {
  getDestinationEffects(*this, /*readsInit=*/false, effects);
}

LogicalResult ExpertsCombineOp::verify() {
  return success(
      succeeded(checkExperts(*this, getH(), /*sources=*/1)) &&
      succeeded(checkBias(*this, getBias(), getPanels(), getInit())));
}
