//===- RefineShapes.cpp - extents that constants tell -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/onnx/ONNXDialect.h"
#include "passes/convert/Passes.h"
#include "passes/convert/raise/DataFlow.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/TypeSwitch.h"

namespace mlir::moe {
#define GEN_PASS_DEF_REFINESHAPES
#include "passes/convert/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

using Shape = SmallVector<int64_t>;

ArrayRef<int64_t> getShape(Value value) {
  return getTensorType(value).getShape();
}

/// `axis` counted from the front, if there is such an axis.
std::optional<int64_t> getAxis(int64_t axis, int64_t rank) {
  int64_t place = getAxisFromFront(axis, rank);
  return place >= 0 && place < rank ? std::optional<int64_t>(place)
                                    : std::nullopt;
}

/// Which of `rank` axes `axes` names; nothing if one is named twice or is not
/// there.
std::optional<SmallVector<bool>> markAxes(ArrayRef<int64_t> axes,
                                          int64_t rank) {
  SmallVector<bool> marked(rank);
  for (int64_t axis : axes) {
    std::optional<int64_t> place = getAxis(axis, rank);
    if (!place || marked[*place])
      return std::nullopt;
    marked[*place] = true;
  }
  return marked;
}

/// What a Slice leaves of an extent.
std::optional<Shape> inferSlice(onnx::SliceOp op) {
  Shape shape(getShape(op.getData()));
  auto starts = getIntegers(op.getStarts()), ends = getIntegers(op.getEnds());
  std::optional<Shape> axes, steps;
  if (isPresent(op.getAxes()))
    axes = getIntegers(op.getAxes());
  if (isPresent(op.getSteps()))
    steps = getIntegers(op.getSteps());
  if (isPresent(op.getAxes()) && !axes)
    return std::nullopt;
  bool isKnown = starts && ends && (!isPresent(op.getSteps()) || steps);
  size_t count = axes ? axes->size() : starts ? starts->size() : shape.size();
  if ((starts && starts->size() != count) || (ends && ends->size() != count) ||
      (steps && steps->size() != count) || count > shape.size())
    return std::nullopt;
  for (size_t i = 0; i < count; ++i) {
    int64_t axis = axes ? getAxisFromFront((*axes)[i], shape.size()) : i;
    if (axis < 0 || axis >= static_cast<int64_t>(shape.size()))
      return std::nullopt;
    int64_t &extent = shape[axis];
    int64_t step = steps ? (*steps)[i] : 1;
    if (!isKnown || step < 1 || ShapedType::isDynamic(extent)) {
      extent = ShapedType::kDynamic;
      continue;
    }
    auto clamp = [&](int64_t place) {
      return std::clamp<int64_t>(place < 0 ? place + extent : place, 0, extent);
    };
    int64_t length = clamp((*ends)[i]) - clamp((*starts)[i]);
    extent = length <= 0 ? 0 : llvm::divideCeil(length, step);
  }
  return shape;
}

std::optional<Shape> broadcast(ArrayRef<int64_t> a, ArrayRef<int64_t> b) {
  if (a.size() < b.size())
    std::swap(a, b);
  Shape shape(a);
  size_t lead = a.size() - b.size();
  for (auto [i, extent] : llvm::enumerate(b)) {
    int64_t &mine = shape[lead + i];
    if (mine == 1)
      mine = extent;
    else if (ShapedType::isDynamic(mine) && extent != 1)
      mine = extent;
  }
  return shape;
}

/// Extents on which all operands agree: one that a single operand claims may be
/// a mistake of the exporter.
std::optional<Shape> broadcastAll(Operation *op) {
  Shape shape;
  for (Value operand : op->getOperands())
    shape = *broadcast(shape, getShape(operand));
  for (Value operand : op->getOperands()) {
    ArrayRef<int64_t> own = getShape(operand);
    for (size_t i = 0; i < own.size(); ++i)
      if (ShapedType::isDynamic(own[i]))
        shape[shape.size() - own.size() + i] = ShapedType::kDynamic;
  }
  return shape;
}

std::optional<Shape> inferTile(onnx::TileOp op) {
  auto repeats = getIntegers(op.getRepeats());
  Shape shape(getShape(op.getInput()));
  if (!repeats || repeats->size() != shape.size())
    return std::nullopt;
  for (auto [extent, times] : llvm::zip_equal(shape, *repeats))
    if (!ShapedType::isDynamic(extent)) {
      if (llvm::MulOverflow(extent, times, extent))
        return std::nullopt;
    } else if (times == 0)
      extent = 0;
  return shape;
}

std::optional<Shape> inferExpand(onnx::ExpandOp op) {
  auto target = getIntegers(op.getShape());
  return target ? broadcast(getShape(op.getInput()), *target) : std::nullopt;
}

/// A Reshape to a constant shape: one extent may follow from the others.
std::optional<Shape> inferReshape(onnx::ReshapeOp op) {
  auto target = getIntegers(op.getShape());
  if (!target)
    return std::nullopt;
  ArrayRef<int64_t> from = getShape(op.getData());
  Shape shape;
  for (auto [i, extent] : llvm::enumerate(*target)) {
    if (extent == 0 && !op.getAllowzero() && i < from.size())
      shape.push_back(from[i]);
    else
      shape.push_back(extent < 0 ? ShapedType::kDynamic : extent);
  }
  if (ShapedType::isDynamicShape(from) ||
      llvm::count_if(shape, ShapedType::isDynamic) != 1)
    return shape;
  int64_t total = 1, known = 1;
  for (int64_t extent : from)
    if (llvm::MulOverflow(total, extent, total))
      return shape;
  for (int64_t extent : shape)
    if (!ShapedType::isDynamic(extent) &&
        llvm::MulOverflow(known, extent, known))
      return shape;
  if (known > 0 && total % known == 0)
    for (int64_t &extent : shape)
      extent = ShapedType::isDynamic(extent) ? total / known : extent;
  return shape;
}

std::optional<Shape> inferTranspose(onnx::TransposeOp op) {
  ArrayRef<int64_t> from = getShape(op.getData());
  Shape shape;
  std::optional<ArrayRef<int64_t>> perm = op.getPerm();
  if (perm && (perm->size() != from.size() || !markAxes(*perm, from.size())))
    return std::nullopt;
  for (size_t i = 0; i < from.size(); ++i)
    shape.push_back(from[perm ? getAxisFromFront((*perm)[i], from.size())
                              : from.size() - 1 - i]);
  return shape;
}

std::optional<Shape> inferUnsqueeze(onnx::UnsqueezeOp op) {
  auto axes = getIntegers(op.getAxes());
  if (!axes)
    return std::nullopt;
  ArrayRef<int64_t> from = getShape(op.getData());
  int64_t rank = from.size() + axes->size();
  std::optional<SmallVector<bool>> inserted = markAxes(*axes, rank);
  if (!inserted)
    return std::nullopt;
  Shape shape;
  for (bool isNew : *inserted) {
    shape.push_back(isNew ? 1 : from.front());
    from = from.drop_front(isNew ? 0 : 1);
  }
  return shape;
}

std::optional<Shape> inferSqueeze(onnx::SqueezeOp op) {
  auto axes =
      isPresent(op.getAxes()) ? getIntegers(op.getAxes()) : std::nullopt;
  if (!axes)
    return std::nullopt;
  ArrayRef<int64_t> from = getShape(op.getData());
  std::optional<SmallVector<bool>> dropped = markAxes(*axes, from.size());
  if (!dropped)
    return std::nullopt;
  Shape shape;
  for (size_t i = 0; i < from.size(); ++i)
    if (!(*dropped)[i])
      shape.push_back(from[i]);
  return shape;
}

std::optional<Shape> inferGather(onnx::GatherOp op) {
  ArrayRef<int64_t> data = getShape(op.getData());
  ArrayRef<int64_t> indices = getShape(op.getIndices());
  std::optional<int64_t> axis = getAxis(op.getAxis(), data.size());
  if (!axis)
    return std::nullopt;
  Shape shape(data.take_front(*axis));
  shape.append(indices.begin(), indices.end());
  shape.append(data.begin() + *axis + 1, data.end());
  return shape;
}

std::optional<Shape> inferMatMul(onnx::MatMulOp op) {
  ArrayRef<int64_t> a = getShape(op.getA()), b = getShape(op.getB());
  if (a.size() < 2 || b.size() < 2)
    return std::nullopt;
  std::optional<Shape> shape = broadcast(a.drop_back(2), b.drop_back(2));
  shape->push_back(a[a.size() - 2]);
  shape->push_back(b.back());
  return shape;
}

std::optional<Shape> inferConcat(onnx::ConcatOp op) {
  if (op.getInputs().empty())
    return std::nullopt;
  Shape shape(getShape(op.getInputs().front()));
  int64_t axis = getAxisFromFront(op.getAxis(), shape.size());
  for (Value operand : op.getInputs().drop_front()) {
    if (getShape(operand).size() != shape.size())
      return std::nullopt;
    for (auto [i, extent] : llvm::enumerate(getShape(operand))) {
      int64_t &mine = shape[i];
      if (static_cast<int64_t>(i) != axis)
        mine = ShapedType::isDynamic(mine) ? extent : mine;
      else if (ShapedType::isDynamic(mine) || ShapedType::isDynamic(extent))
        mine = ShapedType::kDynamic;
      else
        mine += extent;
    }
  }
  return shape;
}

std::optional<Shape> infer(Operation *op) {
  return llvm::TypeSwitch<Operation *, std::optional<Shape>>(op)
      .Case([](onnx::SliceOp op) { return inferSlice(op); })
      .Case([](onnx::TileOp op) { return inferTile(op); })
      .Case([](onnx::ExpandOp op) { return inferExpand(op); })
      .Case([](onnx::ReshapeOp op) { return inferReshape(op); })
      .Case([](onnx::TransposeOp op) { return inferTranspose(op); })
      .Case([](onnx::UnsqueezeOp op) { return inferUnsqueeze(op); })
      .Case([](onnx::SqueezeOp op) { return inferSqueeze(op); })
      .Case([](onnx::GatherOp op) { return inferGather(op); })
      .Case([](onnx::MatMulOp op) { return inferMatMul(op); })
      .Case([](onnx::ConcatOp op) { return inferConcat(op); })
      .Case(
          [](onnx::ConstantOfShapeOp op) { return getIntegers(op.getInput()); })
      .Case<onnx::AddOp, onnx::SubOp, onnx::MulOp, onnx::DivOp, onnx::EqualOp,
            onnx::LessOp, onnx::GreaterOp, onnx::WhereOp, onnx::AndOp>(
          [](Operation *op) { return broadcastAll(op); })
      .Case<onnx::SigmoidOp, onnx::SoftmaxOp, onnx::CastOp, onnx::ReluOp,
            onnx::TanhOp, onnx::ErfOp, onnx::GeluOp, onnx::SwishOp,
            onnx::ClipOp, onnx::NegOp, onnx::ExpOp, onnx::SqrtOp,
            onnx::IdentityOp, onnx::NotOp, onnx::CastLikeOp>(
          [](Operation *op) { return Shape(getShape(op->getOperand(0))); })
      .Default([](Operation *) { return std::nullopt; });
}

/// Whether the type of `value` is written down elsewhere, too.
bool hasFixedType(Value value) {
  return llvm::any_of(value.getUsers(), [](Operation *user) {
    return user->hasTrait<OpTrait::IsTerminator>() || user->getNumRegions() > 0;
  });
}

struct RefineShapes : public moe::impl::RefineShapesBase<RefineShapes> {
  void runOnOperation() override {
    getOperation()->walk([](Operation *op) {
      if (!isa<onnx::ONNXDialect>(op->getDialect()) || op->getNumResults() != 1)
        return;
      auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
      if (!type || type.hasStaticShape() || hasFixedType(op->getResult(0)) ||
          op->getNumOperands() == 0 ||
          !isa<RankedTensorType>(op->getOperand(0).getType()) ||
          !llvm::all_of(op->getOperandTypes(), [](Type operand) {
            return isa<NoneType, RankedTensorType>(operand);
          }))
        return;
      std::optional<Shape> shape = infer(op);
      if (!shape || shape->size() != type.getShape().size())
        return;
      refine(op->getResult(0), type, *shape);
    });
  }

  static void refine(Value value, RankedTensorType type,
                     ArrayRef<int64_t> inferred) {
    Shape shape(type.getShape());
    SmallVector<StringAttr> symbols;
    if (auto dims = dyn_cast_or_null<onnx::DimsAttr>(type.getEncoding()))
      symbols.assign(dims.getSymbols().begin(), dims.getSymbols().end());
    bool changed = false;
    for (auto [i, extent] : llvm::enumerate(inferred)) {
      if (!ShapedType::isDynamic(shape[i]) || extent < 0)
        continue;
      shape[i] = extent;
      if (!symbols.empty())
        symbols[i] = StringAttr::get(value.getContext(), "");
      changed = true;
    }
    if (!changed)
      return;
    Attribute encoding;
    if (llvm::any_of(symbols, [](StringAttr s) { return !s.empty(); }))
      encoding = onnx::DimsAttr::get(value.getContext(), symbols);
    value.setType(
        RankedTensorType::get(shape, type.getElementType(), encoding));
  }
};

} // namespace
