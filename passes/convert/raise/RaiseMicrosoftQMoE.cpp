//===- RaiseMicrosoftQMoE.cpp - quantised experts as one node ---------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The numbers, scales and zero points of the weights become views; the weight
// packer computes with them.
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/MicrosoftLayer.h"
#include "passes/convert/raise/QuantizedView.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

/// The operands of one projection.
struct Projection {
  StringRef name;
  Value weights, scales, bias, zeroPoints;
  /// One more scale for each expert.
  Value globalScale;
};

/// Reads the projections of a node.
class ProjectionReader {
public:
  explicit ProjectionReader(onnx::MicrosoftQMoEOp op) : op(op) {}

  /// E x `inputs` x out, or nothing with a reason.
  std::optional<ExpertLinear> read(const Projection &projection,
                                   int64_t inputs);

  std::string reason;

private:
  std::optional<ExpertLinear> fail(const Twine &text) {
    reason = text.str();
    return std::nullopt;
  }
  Type getStoredType();
  std::optional<WeightView> readNumbers(const Projection &projection,
                                        Type stored, int64_t inputs);

  onnx::MicrosoftQMoEOp op;
};

} // namespace

/// How a weight is stored; null for what is not known.
Type ProjectionReader::getStoredType() {
  MLIRContext *context = op.getContext();
  StringRef type = op.getQuantType();
  if (type == "fp4")
    return Float4E2M1FNType::get(context);
  if (type == "fp8")
    return Float8E4M3FNType::get(context);
  uint64_t bits = op.getExpertWeightBits();
  if (type != "int" || (bits != 2 && bits != 4 && bits != 8))
    return {};
  return IntegerType::get(context, bits, IntegerType::Unsigned);
}

/// The stored numbers as E x out x in.
std::optional<WeightView>
ProjectionReader::readNumbers(const Projection &projection, Type stored,
                              int64_t inputs) {
  std::optional<WeightView> bytes = getStoredView(projection.weights);
  if (!bytes || bytes->getRank() != 3)
    return std::nullopt;
  // Four-bit floats may share bytes along the outputs, as E x in x out / 2.
  bool isFloat4 = isa<Float4E2M1FNType>(stored);
  if (isFloat4 && bytes->shape[1] == inputs) {
    std::optional<WeightView> numbers = unpackBytes(*bytes, stored);
    return numbers ? numbers->transpose({0, 2, 1}) : numbers;
  }
  return unpackBytes(*bytes, stored);
}

/// The scales of blocks of four-bit floats are powers of two, which some models
/// store as plain bytes.
static std::optional<WeightView> getExponents(Value value) {
  std::optional<WeightView> table = getStoredView(value);
  if (!table)
    return std::nullopt;
  for (ViewAttr &view : table->views) {
    if (view.isQuantized() || !view.getBlocks().empty())
      return std::nullopt;
    view = ViewAttr::get(view.getContext(), view.getFile(), view.getOffset(),
                         Float8E8M0FNUType::get(view.getContext()),
                         view.getStrides());
  }
  return table;
}

std::optional<ExpertLinear> ProjectionReader::read(const Projection &projection,
                                                   int64_t inputs) {
  Type stored = getStoredType();
  if (!stored)
    return fail("quant_type '" + op.getQuantType() + "' with " +
                Twine(op.getExpertWeightBits()) + " bits is not supported");
  std::optional<WeightView> numbers = readNumbers(projection, stored, inputs);
  if (!numbers)
    return fail(projection.name + "_experts_weights is no initialiser of rank "
                                  "3 that could be read as it is stored");
  if (numbers->shape[2] != inputs)
    return fail("expected " + projection.name + "_experts_weights with " +
                Twine(inputs) + " inputs, got " + Twine(numbers->shape[2]));
  int64_t experts = numbers->shape[0], outputs = numbers->shape[1];
  int64_t block = op.getBlockSize();
  StringRef type = op.getQuantType();
  if (isa<Float4E2M1FNType>(stored))
    block = 32;
  bool isSquare = type == "fp8" && block > 0;

  /// Gives scales and zero points E x out x in.
  auto layout = [&](const WeightView &table) -> std::optional<WeightView> {
    std::optional<WeightView> result = table;
    if (table.getRank() == 2) {
      // One for each output, which may share bytes; block_size is not used.
      if (table.shape[1] > outputs)
        result = table.slice(1, 0, outputs);
      if (result)
        result = result->reshape({experts, outputs, 1});
    }
    if (!result || result->getRank() != 3)
      return std::nullopt;
    int64_t own = table.getRank() == 2 || block < 1 ? 1 : block;
    // Without a block size, one scale in a row is for the whole row.
    return repeatBlocks(*result, {1, isSquare ? block : 1, own});
  };
  auto layoutGlobal = [&](const WeightView &table) {
    std::optional<WeightView> result = table.reshape({experts, 1, 1});
    return result ? repeatBlocks(*result, {1, 1, 1}) : result;
  };
  QuantizationViews views;
  if (isPresent(projection.scales)) {
    bool areBytes = getElementTypeOrSelf(projection.scales).isInteger(8);
    if (isa<Float4E2M1FNType>(stored) && areBytes) {
      std::optional<WeightView> table = getExponents(projection.scales);
      if (table)
        table = layout(*table);
      if (!table)
        return fail(projection.name + "_scales is no initialiser");
      views.scales.push_back(*table);
    } else if (failed(views.addScales(projection.scales, layout))) {
      return fail(projection.name + "_scales is no initialiser");
    }
  }
  if (projection.globalScale && isPresent(projection.globalScale) &&
      failed(views.addScales(projection.globalScale, layoutGlobal)))
    return fail(projection.name + "_global_scale is no initialiser with one "
                                  "number for each expert");
  if (auto integer = dyn_cast<IntegerType>(stored)) {
    unsigned bits = integer.getWidth();
    views.zeroPoint = int64_t(1) << (bits - 1);
    if (isPresent(projection.zeroPoints) &&
        failed(views.setZeroPoints(projection.zeroPoints, bits, layout)))
      return fail(projection.name + "_zero_points is no initialiser");
    if (views.zeroPoints)
      views.zeroPoint = 0;
  }
  std::optional<WeightView> weights =
      views.apply(*numbers, getElementTypeOrSelf(op.getInput()));
  if (weights)
    weights->allowsByteRows =
        static_cast<int64_t>(op.getAccuracyLevel()) == kByteAccuracy;
  if (weights)
    weights = weights->transpose({0, 2, 1});
  if (!weights)
    return fail(projection.name + ": scales and weights do not fit");
  Value bias = isPresent(projection.bias) ? projection.bias : Value();
  return ExpertLinear{Value(), *weights, bias};
}

LogicalResult moe::raiseMicrosoftQMoE(onnx::MicrosoftQMoEOp op,
                                      std::optional<Miss> &miss) {
  MicrosoftLayer layer = MicrosoftLayer::get(op);
  // Chosen weights are normalised, unless they come from elsewhere.
  if (isPresent(op.getRouterWeights()))
    layer.routerWeights = op.getRouterWeights();
  else
    layer.normalize = true;
  auto missed = [&](const Twine &reason) {
    miss = Miss{"com.microsoft.QMoE", reason.str()};
    return success();
  };
  if (op.getQuantType() == "int" && op.getWeightsPrepacked() == 1)
    return missed("the weights are packed for another device; export them "
                  "with qmoe_weights_prepacked=0");

  if (isPresent(op.getFc1ActScale()) || isPresent(op.getFc2ActScale()))
    return missed("activations with scales of their own are not supported");

  ProjectionReader reader(op);
  int64_t hidden = getTensorType(op.getInput()).getShape().back();
  Projection first = {"fc1",
                      op.getFc1ExpertsWeights(),
                      op.getFc1Scales(),
                      op.getFc1ExpertsBias(),
                      op.getFc1ZeroPoints(),
                      op.getFc1GlobalScale()};
  std::optional<ExpertLinear> fc1 = reader.read(first, hidden);
  if (!fc1)
    return missed(reader.reason);
  int64_t inner = fc1->weights.shape[2] / (layer.fusion != 0 ? 2 : 1);
  Projection second = {"fc2",
                       op.getFc2ExpertsWeights(),
                       op.getFc2Scales(),
                       op.getFc2ExpertsBias(),
                       op.getFc2ZeroPoints(),
                       op.getFc2GlobalScale()};
  std::optional<ExpertLinear> fc2 = reader.read(second, inner);
  if (!fc2)
    return missed(reader.reason);
  if (isPresent(op.getFc3ExpertsWeights())) {
    Projection third = {"fc3",
                        op.getFc3ExpertsWeights(),
                        op.getFc3Scales(),
                        op.getFc3ExpertsBias(),
                        op.getFc3ZeroPoints(),
                        Value()};
    layer.fc3 = reader.read(third, hidden);
    if (!layer.fc3)
      return missed(reader.reason);
  }
  layer.fc1 = *fc1;
  layer.fc2 = *fc2;
  auto getShape = [](const ExpertLinear &linear) {
    ArrayRef<int64_t> shape = linear.weights.shape;
    return SmallVector<int64_t>{shape[0], shape[2], shape[1]};
  };
  if (failed(layer.checkShapes(getShape(*fc1), getShape(*fc2))))
    return failure();
  layer.raise(miss);
  return success();
}
