//===- EvaluateMovement.cpp - data movement on constants ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/ConstantEvaluation.h"

#include "dialects/onnx/ONNXDialect.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

using Result = std::optional<Elements>;

ShapedType getResultType(Operation *op, unsigned number = 0) {
  return cast<ShapedType>(op->getResult(number).getType());
}

/// Brings a possibly negative axis into [0, rank); nothing if it lies outside.
std::optional<int64_t> normalizeAxis(int64_t axis, int64_t rank) {
  if (axis < 0)
    axis += rank;
  if (axis < 0 || axis >= rank)
    return std::nullopt;
  return axis;
}

/// Fills the result from the element of `input` that `pick` names for each
/// position in the result, which has `rank` axes.
Result collect(ShapedType result, int64_t rank, const Elements &input,
               function_ref<int64_t(ArrayRef<int64_t>)> pick) {
  if (result.getRank() != rank)
    return std::nullopt;
  SmallVector<int64_t> strides = computeStrides(result.getShape());
  Elements elements;
  for (int64_t i = 0, e = result.getNumElements(); i < e; ++i) {
    int64_t from = pick(delinearize(i, strides));
    if (from < 0 || from >= int64_t(input.size()))
      return std::nullopt;
    elements.push_back(input[from]);
  }
  return elements;
}

Result evaluateShape(onnx::ShapeOp op) {
  auto type = cast<ShapedType>(op.getData().getType());
  auto clamp = [&](int64_t index) {
    return std::clamp<int64_t>(index < 0 ? index + type.getRank() : index, 0,
                               type.getRank());
  };
  int64_t start = clamp(op.getStart());
  int64_t end = op.getEnd() ? clamp(*op.getEnd()) : type.getRank();
  Elements elements;
  for (int64_t axis = start; axis < end; ++axis) {
    if (type.isDynamicDim(axis))
      return std::nullopt;
    elements.push_back(IntegerAttr::get(getResultType(op).getElementType(),
                                        type.getDimSize(axis)));
  }
  return elements;
}

Result evaluateRange(onnx::RangeOp op, ConstantOperands operands) {
  auto start = getIntegers(operands[0]), delta = getIntegers(operands[2]);
  if (!start || !delta || start->size() != 1 || delta->size() != 1)
    return std::nullopt;
  Elements elements;
  for (int64_t i = 0, e = getResultType(op).getNumElements(); i < e; ++i)
    elements.push_back(IntegerAttr::get(getResultType(op).getElementType(),
                                        start->front() + i * delta->front()));
  return elements;
}

Result evaluateConstantOfShape(onnx::ConstantOfShapeOp op) {
  Attribute value =
      Builder(op.getContext()).getZeroAttr(getResultType(op).getElementType());
  if (auto given =
          dyn_cast_or_null<DenseElementsAttr>(op.getValue().value_or(nullptr)))
    value = *given.getValues<Attribute>().begin();
  return Elements(getResultType(op).getNumElements(), value);
}

Result evaluateOneHot(onnx::OneHotOp op, ConstantOperands operands) {
  ShapedType type = getResultType(op);
  auto indices = dyn_cast<DenseIntElementsAttr>(operands[0]);
  auto axis = normalizeAxis(op.getAxis(), type.getRank());
  if (!indices || !axis || operands[2].getNumElements() != 2)
    return std::nullopt;
  // Along the new axis, one of the two values; the rest counts the indices.
  int64_t depth = type.getDimSize(*axis);
  int64_t inner = computeProduct(type.getShape().drop_front(*axis + 1));
  SmallVector<APInt> positions(indices.getValues<APInt>());
  auto values = operands[2].getValues<Attribute>();
  Elements elements;
  for (int64_t i = 0, e = type.getNumElements(); i < e; ++i) {
    int64_t place = i / inner % depth;
    int64_t wanted =
        positions[i / inner / depth * inner + i % inner].getSExtValue();
    bool isHot = (wanted < 0 ? wanted + depth : wanted) == place;
    elements.push_back(values[isHot]);
  }
  return elements;
}

Result evaluateConcat(onnx::ConcatOp op, ConstantOperands operands) {
  auto axis = normalizeAxis(op.getAxis(), getResultType(op).getRank());
  if (!axis)
    return std::nullopt;
  ArrayRef<int64_t> shape = getResultType(op).getShape();
  int64_t outer = computeProduct(shape.take_front(*axis));
  Elements elements;
  for (int64_t i = 0; i < outer; ++i)
    for (DenseElementsAttr operand : operands) {
      int64_t chunk = operand.getNumElements() / outer;
      auto values = operand.getValues<Attribute>();
      for (int64_t j = 0; j < chunk; ++j)
        elements.push_back(values[i * chunk + j]);
    }
  return elements;
}

Result evaluateGather(onnx::GatherOp op, ConstantOperands operands) {
  ArrayRef<int64_t> data = operands[0].getType().getShape();
  auto axis = normalizeAxis(op.getAxis(), data.size());
  auto indices = getIntegers(operands[1]);
  if (!axis || !indices)
    return std::nullopt;
  int64_t inner = computeProduct(data.drop_front(*axis + 1));
  auto values = operands[0].getValues<Attribute>();
  Elements elements;
  for (int64_t i = 0, e = computeProduct(data.take_front(*axis)); i < e; ++i)
    for (int64_t index : *indices) {
      auto row = normalizeAxis(index, data[*axis]);
      if (!row)
        return std::nullopt;
      for (int64_t j = 0; j < inner; ++j)
        elements.push_back(values[(i * data[*axis] + *row) * inner + j]);
    }
  return elements;
}

Result evaluateTranspose(onnx::TransposeOp op, const Elements &input,
                         ShapedType type) {
  SmallVector<int64_t> permutation;
  if (op.getPerm())
    permutation.assign(op.getPerm()->begin(), op.getPerm()->end());
  else
    for (int64_t axis = type.getRank() - 1; axis >= 0; --axis)
      permutation.push_back(axis);
  if (int64_t(permutation.size()) != type.getRank() ||
      !isPermutationVector(permutation))
    return std::nullopt;
  SmallVector<int64_t> strides = computeStrides(type.getShape());
  return collect(
      getResultType(op), type.getRank(), input, [&](ArrayRef<int64_t> at) {
        int64_t from = 0;
        for (auto [position, axis] : llvm::zip_equal(at, permutation))
          from += position * strides[axis];
        return from;
      });
}

Result evaluateSlice(onnx::SliceOp op, ConstantOperands operands) {
  ShapedType type = operands[0].getType();
  auto starts = getIntegers(operands[1]);
  auto axes = getIntegers(operands[3]), steps = getIntegers(operands[4]);
  bool hasAxes = !isa<NoneType>(op.getAxes().getType());
  bool hasSteps = !isa<NoneType>(op.getSteps().getType());
  if (!starts || (hasAxes && !axes) || (hasSteps && !steps))
    return std::nullopt;
  SmallVector<int64_t> first(type.getRank(), 0), step(type.getRank(), 1);
  for (auto [i, start] : llvm::enumerate(*starts)) {
    if ((hasAxes && i >= axes->size()) || (hasSteps && i >= steps->size()))
      return std::nullopt;
    auto axis = normalizeAxis(hasAxes ? (*axes)[i] : i, type.getRank());
    if (!axis)
      return std::nullopt;
    int64_t extent = type.getDimSize(*axis);
    step[*axis] = hasSteps ? (*steps)[i] : 1;
    first[*axis] = std::clamp<int64_t>(
        start < 0 ? start + extent : start, 0,
        step[*axis] < 0 ? std::max<int64_t>(extent - 1, 0) : extent);
  }
  SmallVector<int64_t> strides = computeStrides(type.getShape());
  Elements input = llvm::to_vector(operands[0].getValues<Attribute>());
  return collect(
      getResultType(op), type.getRank(), input, [&](ArrayRef<int64_t> at) {
        int64_t from = 0;
        for (auto [axis, position] : llvm::enumerate(at))
          from += (first[axis] + position * step[axis]) * strides[axis];
        return from;
      });
}

/// Expand broadcasts; Tile repeats: positions wrap around.
Result evaluateRepeat(Operation *op, const Elements &input, ShapedType type) {
  ShapedType result = getResultType(op);
  if (isa<onnx::ExpandOp>(op) && type.getRank() <= result.getRank())
    return collect(result, result.getRank(), input, [&](ArrayRef<int64_t> at) {
      return broadcastIndex(linearize(at, computeStrides(result.getShape())),
                            result.getShape(), type.getShape());
    });
  SmallVector<int64_t> strides = computeStrides(type.getShape());
  return collect(result, type.getRank(), input, [&](ArrayRef<int64_t> at) {
    int64_t from = 0;
    for (auto [axis, position] : llvm::enumerate(at))
      from += position % type.getDimSize(axis) * strides[axis];
    return from;
  });
}

std::optional<SmallVector<Elements>> evaluateSplit(onnx::SplitOp op,
                                                   DenseElementsAttr input) {
  ShapedType type = input.getType();
  auto axis = normalizeAxis(op.getAxis(), type.getRank());
  if (!axis)
    return std::nullopt;
  SmallVector<int64_t> strides = computeStrides(type.getShape());
  Elements elements = llvm::to_vector(input.getValues<Attribute>());
  SmallVector<Elements> results;
  int64_t offset = 0;
  for (unsigned number = 0; number < op->getNumResults(); ++number) {
    ShapedType part = getResultType(op, number);
    Result values =
        collect(part, type.getRank(), elements, [&](ArrayRef<int64_t> at) {
          return linearize(at, strides) + offset * strides[*axis];
        });
    if (!values)
      return std::nullopt;
    results.push_back(std::move(*values));
    offset += part.getDimSize(*axis);
  }
  return results;
}

/// Sums and products of whole integer vectors, as in numbers of elements.
Result evaluateReduction(Operation *op, DenseElementsAttr input) {
  auto values = getIntegers(input);
  if (!values || getResultType(op).getNumElements() != 1)
    return std::nullopt;
  bool isProduct = isa<onnx::ReduceProdOp>(op);
  uint64_t result = isProduct;
  for (int64_t value : *values)
    result = isProduct ? result * uint64_t(value) : result + uint64_t(value);
  Type type = getResultType(op).getElementType();
  APInt bits(64, result);
  return Elements{
      IntegerAttr::get(type, bits.trunc(type.getIntOrFloatBitWidth()))};
}

} // namespace

std::optional<SmallVector<Elements>>
moe::evaluateMovement(Operation *op, ConstantOperands operands) {
  if (auto shape = dyn_cast<onnx::ShapeOp>(op)) {
    Result elements = evaluateShape(shape);
    return elements ? std::optional(SmallVector<Elements>{*elements})
                    : std::nullopt;
  }
  for (auto [value, constant] : llvm::zip_equal(op->getOperands(), operands))
    if (!constant && !isa<NoneType>(value.getType()))
      return std::nullopt;
  if (operands.empty())
    return std::nullopt;
  if (auto split = dyn_cast<onnx::SplitOp>(op))
    return evaluateSplit(split, operands[0]);

  Elements input;
  if (operands[0])
    input = llvm::to_vector(operands[0].getValues<Attribute>());
  Result elements =
      TypeSwitch<Operation *, Result>(op)
          .Case<onnx::ReshapeOp, onnx::FlattenOp, onnx::SqueezeOp,
                onnx::UnsqueezeOp>([&](auto) { return input; })
          .Case([&](onnx::RangeOp range) {
            return evaluateRange(range, operands);
          })
          .Case([&](onnx::ConstantOfShapeOp constant) {
            return evaluateConstantOfShape(constant);
          })
          .Case([&](onnx::ConcatOp concat) {
            return evaluateConcat(concat, operands);
          })
          .Case([&](onnx::OneHotOp oneHot) {
            return evaluateOneHot(oneHot, operands);
          })
          .Case([&](onnx::GatherOp gather) {
            return evaluateGather(gather, operands);
          })
          .Case([&](onnx::TransposeOp transpose) {
            return evaluateTranspose(transpose, input, operands[0].getType());
          })
          .Case([&](onnx::SliceOp slice) {
            return evaluateSlice(slice, operands);
          })
          .Case<onnx::TileOp, onnx::ExpandOp>([&](auto repeat) {
            return evaluateRepeat(repeat, input, operands[0].getType());
          })
          .Case<onnx::ReduceSumOp, onnx::ReduceProdOp>([&](auto reduction) {
            return evaluateReduction(reduction, operands[0]);
          })
          .Default([](Operation *) { return std::nullopt; });
  if (!elements ||
      int64_t(elements->size()) != getResultType(op).getNumElements())
    return std::nullopt;
  return SmallVector<Elements>{std::move(*elements)};
}
