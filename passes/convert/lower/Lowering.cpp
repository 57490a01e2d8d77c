//===- Lowering.cpp - how the lowering of one operator is written -----------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Lowering.h"

#include "passes/convert/lower/NarrowTypes.h"

using namespace mlir;
using namespace mlir::moe;

/// Shape computations are short; longer vectors are data.
static constexpr int64_t kMaxElements = 64;
static constexpr unsigned kMaxDepth = 64;

Type moe::getPlainType(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return type;
  return RankedTensorType::get(tensor.getShape(),
                               getStoredType(tensor.getElementType()));
}

bool moe::areCompatible(Type a, Type b) {
  auto left = dyn_cast<RankedTensorType>(getPlainType(a));
  auto right = dyn_cast<RankedTensorType>(getPlainType(b));
  return left && right && left.getElementType() == right.getElementType() &&
         succeeded(verifyCompatibleShape(left, right));
}

Value Lowering::get(Value value) const {
  return has(value) ? mapping.lookupOrNull(value) : Value();
}

void Lowering::set(Value result, Value lowered) {
  if (!has(result))
    return;
  auto type = cast<RankedTensorType>(getPlainType(result.getType()));
  if (!areCompatible(type, lowered.getType())) {
    if (!isWrong)
      error() << "expected a result of type " << result.getType() << ", got "
              << lowered.getType();
    isWrong = true;
    // Something of the right type, so that the rest can be looked at.
    SmallVector<int64_t> shape =
        llvm::map_to_vector(type.getShape(), [](int64_t extent) {
          return ShapedType::isDynamic(extent) ? 0 : extent;
        });
    lowered = tensors.empty(getAsIndexOpFoldResult(op->getContext(), shape),
                            type.getElementType());
  }
  // What a file states about shapes may be wrong; a cast must not be.
  for (auto [i, extent] : llvm::zip(
           llvm::seq<int64_t>(0, getType(lowered).getRank()), type.getShape()))
    if (!ShapedType::isDynamic(extent) && getType(lowered).isDynamicDim(i))
      tensors.checkEqual(tensors.size(lowered, i),
                         tensors.builder.getIndexAttr(extent),
                         "a tensor has another shape than the model states");
  mapping.map(result, tensors.retype(lowered, type));
}

FailureOr<int64_t> Lowering::getAxis(int64_t axis, int64_t rank) const {
  int64_t position = axis < 0 ? axis + rank : axis;
  if (position < 0 || position >= std::max<int64_t>(rank, 1))
    return error() << "expected an axis in [" << -rank << ", " << rank - 1
                   << "], got " << axis;
  return position;
}

/// The constant behind `value`, through casts.
static DenseElementsAttr getConstant(Value value) {
  while (value) {
    Operation *producer = value.getDefiningOp();
    if (auto constant = dyn_cast_or_null<onnx::ConstantOp>(producer))
      return dyn_cast<DenseElementsAttr>(constant.getValue());
    if (isa_and_nonnull<onnx::IdentityOp>(producer))
      value = producer->getOperand(0);
    else
      return {};
  }
  return {};
}

std::optional<double> Lowering::getConstantNumber(Value value) {
  DenseElementsAttr constant = getConstant(value);
  if (!constant || constant.getNumElements() != 1)
    return std::nullopt;
  if (isa<FloatType>(constant.getElementType()))
    return (*constant.value_begin<APFloat>()).convertToDouble();
  return (*constant.value_begin<APInt>()).getSExtValue();
}

std::optional<Sizes> Lowering::foldElements(Value value, unsigned depth) {
  OpBuilder &builder = tensors.builder;
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || depth > kMaxDepth || type.getRank() > 1 ||
      (type.hasStaticShape() && type.getNumElements() > kMaxElements) ||
      !isa<IntegerType>(type.getElementType()) ||
      type.getElementType().isInteger(1))
    return std::nullopt;
  if (DenseElementsAttr constant = getConstant(value)) {
    Sizes result;
    bool isUnsigned = type.getElementType().isUnsignedInteger();
    for (const APInt &element : constant.getValues<APInt>())
      result.push_back(builder.getIndexAttr(
          isUnsigned ? element.getZExtValue() : element.getSExtValue()));
    return result;
  }
  Operation *producer = value.getDefiningOp();
  if (!producer)
    return std::nullopt;
  auto fold = [&](unsigned i) {
    return foldElements(producer->getOperand(i), depth + 1);
  };
  // The elements of both operands, a single one repeated.
  auto foldBinary = [&](auto combine) -> std::optional<Sizes> {
    std::optional<Sizes> left = fold(0), right = fold(1);
    if (!left || !right)
      return std::nullopt;
    size_t count = std::max(left->size(), right->size());
    Sizes result;
    for (size_t i = 0; i < count; ++i)
      result.push_back(combine((*left)[left->size() == 1 ? 0 : i],
                               (*right)[right->size() == 1 ? 0 : i]));
    return result;
  };
  if (auto shape = dyn_cast<onnx::ShapeOp>(producer)) {
    Sizes sizes = tensors.sizes(get(shape.getData()));
    int64_t rank = sizes.size();
    auto clamp = [&](int64_t i) {
      return std::clamp<int64_t>(i < 0 ? i + rank : i, 0, rank);
    };
    int64_t start = clamp(shape.getStart());
    int64_t end = clamp(shape.getEnd().value_or(rank));
    return start < end ? Sizes(ArrayRef(sizes).slice(start, end - start))
                       : Sizes();
  }
  if (isa<onnx::SqueezeOp, onnx::UnsqueezeOp, onnx::ReshapeOp, onnx::IdentityOp,
          onnx::CastOp>(producer))
    return fold(0);
  if (auto fill = dyn_cast<onnx::ConstantOfShapeOp>(producer)) {
    std::optional<Sizes> count = fold(0);
    if (!count || count->size() != 1)
      return std::nullopt;
    std::optional<int64_t> length = getConstantIntValue(count->front());
    if (!length || *length < 0 || *length > kMaxElements)
      return std::nullopt;
    auto element = dyn_cast_or_null<DenseElementsAttr>(fill.getValueAttr());
    int64_t number =
        element ? (*element.value_begin<APInt>()).getSExtValue() : 0;
    return Sizes(*length, builder.getIndexAttr(number));
  }
  if (isa<onnx::ConcatOp>(producer)) {
    Sizes result;
    for (unsigned i = 0; i < producer->getNumOperands(); ++i) {
      std::optional<Sizes> part = fold(i);
      if (!part)
        return std::nullopt;
      result.append(*part);
    }
    return result;
  }
  if (isa<onnx::GatherOp>(producer)) {
    std::optional<Sizes> data = fold(0), indices = fold(1);
    if (!data || !indices)
      return std::nullopt;
    Sizes result;
    for (OpFoldResult index : *indices) {
      std::optional<int64_t> i = getConstantIntValue(index);
      int64_t position = i ? (*i < 0 ? *i + int64_t(data->size()) : *i) : -1;
      if (position < 0 || position >= int64_t(data->size()))
        return std::nullopt;
      result.push_back((*data)[position]);
    }
    return result;
  }
  if (auto slice = dyn_cast<onnx::SliceOp>(producer)) {
    std::optional<Sizes> data = fold(0), starts = fold(1), ends = fold(2);
    std::optional<Sizes> steps;
    if (has(slice.getSteps()))
      steps = fold(4);
    if (!data || !starts || !ends || (has(slice.getSteps()) && !steps))
      return std::nullopt;
    std::optional<int64_t> start = getConstantIntValue(starts->front());
    std::optional<int64_t> end = getConstantIntValue(ends->front());
    if (!start || !end || (steps && !isConstantIntValue(steps->front(), 1)))
      return std::nullopt;
    int64_t count = data->size();
    auto clamp = [&](int64_t i) {
      return std::clamp<int64_t>(i < 0 ? i + count : i, 0, count);
    };
    int64_t from = clamp(*start), to = std::max(from, clamp(*end));
    return Sizes(ArrayRef(*data).slice(from, to - from));
  }
  if (isa<onnx::AddOp>(producer))
    return foldBinary(
        [&](OpFoldResult a, OpFoldResult b) { return tensors.addSizes(a, b); });
  if (isa<onnx::SubOp>(producer))
    return foldBinary(
        [&](OpFoldResult a, OpFoldResult b) { return tensors.subSizes(a, b); });
  if (isa<onnx::MulOp>(producer))
    return foldBinary(
        [&](OpFoldResult a, OpFoldResult b) { return tensors.mulSizes(a, b); });
  if (isa<onnx::DivOp>(producer))
    return foldBinary(
        [&](OpFoldResult a, OpFoldResult b) { return tensors.divSizes(a, b); });
  return std::nullopt;
}

FailureOr<Sizes> Lowering::getElements(Value value,
                                       std::optional<int64_t> length) {
  if (std::optional<Sizes> folded = foldElements(value, 0))
    if (!length || static_cast<int64_t>(folded->size()) == *length)
      return *folded;
  RankedTensorType type = getType(value);
  if (type.hasStaticShape()) {
    if (length && type.getNumElements() != *length)
      return error() << "expected " << *length << " elements, got "
                     << type.getNumElements();
    length = type.getNumElements();
  }
  if (type.getRank() > 1 || !length)
    return error() << "expected a vector of known length, got " << type;
  Value lowered = get(value);
  if (!type.hasStaticShape())
    tensors.checkEqual(tensors.size(lowered, 0),
                       tensors.builder.getIndexAttr(*length),
                       "expected a vector of " + Twine(*length) + " elements");
  Sizes result;
  for (int64_t i = 0; i < *length; ++i) {
    SmallVector<Value> position;
    if (type.getRank() == 1)
      position.push_back(tensors.index(i));
    result.push_back(tensors.convert(tensors.extract(lowered, position),
                                     tensors.builder.getIndexType()));
  }
  return result;
}

FailureOr<SmallVector<int64_t>> Lowering::getConstants(Value value,
                                                       StringRef what) {
  FailureOr<Sizes> elements = getElements(value);
  if (failed(elements))
    return failure();
  SmallVector<int64_t> result;
  for (OpFoldResult element : *elements) {
    std::optional<int64_t> constant = getConstantIntValue(element);
    if (!constant)
      return error() << "expected constant " << what
                     << ", got values known at run time only";
    result.push_back(*constant);
  }
  return result;
}

FailureOr<SmallVector<Value>> Lowering::lowerBody(Block &body) {
  for (Operation &nested : body.without_terminator())
    if (failed(lowerOperation(&nested, tensors.builder, mapping)))
      return failure();
  SmallVector<Value> values;
  for (Value value : body.getTerminator()->getOperands()) {
    if (!has(value))
      return error() << "expected a body that yields tensors";
    values.push_back(get(value));
  }
  return values;
}

Sizes Lowering::refine(Value result, ArrayRef<OpFoldResult> sizes) {
  Sizes refined(sizes);
  RankedTensorType type = getType(result);
  for (int64_t i = 0; i < type.getRank(); ++i)
    if (!type.isDynamicDim(i))
      refined[i] = tensors.builder.getIndexAttr(type.getDimSize(i));
  return refined;
}

SmallVector<int64_t> Lowering::getUncertainDims(ValueRange values) {
  int64_t rank = 0;
  for (Value value : values)
    rank = std::max(rank, getType(value).getRank());
  SmallVector<int64_t> uncertain;
  for (int64_t i = 0; i < rank; ++i) {
    std::optional<StringAttr> symbol;
    bool dynamic = false, constant = false, differ = false;
    for (Value value : values) {
      RankedTensorType type = getType(value);
      int64_t dim = i - (rank - type.getRank());
      if (dim < 0 || type.getDimSize(dim) == 1)
        continue;
      if (!type.isDynamicDim(dim)) {
        constant = true;
        continue;
      }
      auto dims = dyn_cast_or_null<onnx::DimsAttr>(type.getEncoding());
      StringAttr own = dims ? dims.getSymbols()[dim] : StringAttr();
      if (dynamic && (!own || own.empty() || own != symbol))
        differ = true;
      symbol = own;
      dynamic = true;
    }
    if (dynamic && (constant || differ))
      uncertain.push_back(i);
  }
  return uncertain;
}
