//===- MicrosoftLayer.cpp - what com.microsoft's layers of experts share ----===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/MicrosoftLayer.h"

#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace mlir::moe;

LogicalResult MicrosoftLayer::checkShapes(ArrayRef<int64_t> fc1Shape,
                                          ArrayRef<int64_t> fc2Shape) const {
  int64_t experts = fc1Shape[0];
  int64_t scored = getTensorType(logits).getShape().back();
  if (fc2Shape[0] != experts || scored != experts)
    return op->emitError() << "expected one number of experts, got " << experts
                           << " in fc1_experts_weights, " << fc2Shape[0]
                           << " in fc2_experts_weights and " << scored
                           << " in router_probs";
  if (k < 1 || k > experts)
    return op->emitError() << "expected attribute 'k' in [1, " << experts
                           << "], got " << k;
  int64_t hidden = getTensorType(input).getShape().back();
  if (fc1Shape[2] != hidden || fc2Shape[1] != hidden)
    return op->emitError() << "expected the width " << hidden
                           << " of the input in both weights, got "
                           << fc1Shape[2] << " in fc1_experts_weights and "
                           << fc2Shape[1] << " in fc2_experts_weights";
  int64_t inner = fc2Shape[2];
  int64_t expected = fusion != 0 ? 2 * inner : inner;
  if (fc1Shape[1] != expected)
    return op->emitError() << "expected " << expected
                           << " outputs in fc1_experts_weights for the inner "
                              "width "
                           << inner << ", got " << fc1Shape[1];
  return success();
}

/// The activation, without its parameters.
static std::optional<ActivationKind> getKind(StringRef type) {
  return llvm::StringSwitch<std::optional<ActivationKind>>(type)
      .Cases({"silu", "swiglu"}, ActivationKind::Silu)
      .Cases({"gelu", "geglu"}, ActivationKind::GeluTanh)
      .Case("relu", ActivationKind::Relu)
      .Case("relu2", ActivationKind::Relu2)
      .Case("identity", ActivationKind::Identity)
      .Default(std::nullopt);
}

/// Fills in the projections; returns what is wrong with them.
static std::string addProjections(const MicrosoftLayer &layer,
                                  OpBuilder &builder, ExpertsMatch &match) {
  std::optional<ActivationKind> kind = getKind(layer.activation);
  if (!kind)
    return ("activation_type '" + layer.activation + "' is not known").str();
  match.down = layer.fc2;
  double alpha = 1.0, limit = HUGE_VAL, offset = 0.0;
  bool isGated = layer.fusion != 0 || layer.fc3;
  // Only SwiGLU has parameters.
  if (isGated && layer.activation == "swiglu") {
    alpha = layer.alpha;
    offset = layer.beta;
    if (layer.limit)
      limit = layer.limit->convertToDouble();
  }
  match.activation =
      ActivationAttr::get(builder.getContext(), *kind, alpha, limit, offset);
  if (layer.fusion == 0) {
    match.up = layer.fc3 ? *layer.fc3 : layer.fc1;
    if (layer.fc3)
      match.gate = layer.fc1;
    return {};
  }
  int64_t inner = layer.fc1.weights.shape[2] / 2;
  bool interleaved = layer.fusion == 1;
  int64_t step = interleaved ? 2 : 1;
  match.gate = cutOutputs(builder, layer.fc1, {Value(), 0, inner, step});
  std::optional<ExpertLinear> up = cutOutputs(
      builder, layer.fc1, {Value(), interleaved ? 1 : inner, inner, step});
  if (!match.gate || !up)
    return "the fused weights cannot be cut";
  match.up = *up;
  return {};
}

/// The chosen ids and weights where one tensor decides and another weighs.
static void chooseByLogits(const MicrosoftLayer &layer, OpBuilder &builder,
                           ExpertsMatch &match) {
  Location loc = layer.op->getLoc();
  Value logits = asMatrix(builder, loc, layer.logits);
  Value weights = asMatrix(builder, loc, layer.routerWeights);
  int64_t tokens = getTensorType(logits).getDimSize(0), k = layer.k;
  Type element = getTensorType(weights).getElementType();
  auto chosen = RankedTensorType::get({tokens, k}, element);
  auto getVector = [&](int64_t value) -> Value {
    auto type = RankedTensorType::get({1}, builder.getI64Type());
    return onnx::ConstantOp::create(builder, loc, type,
                                    DenseIntElementsAttr::get(type, value));
  };
  NamedAttribute lastAxis =
      builder.getNamedAttr("axis", builder.getI64IntegerAttr(-1));
  auto best = onnx::TopKOp::create(
      builder, loc,
      TypeRange{RankedTensorType::get({tokens, k},
                                      getTensorType(logits).getElementType()),
                RankedTensorType::get({tokens, k}, builder.getI64Type())},
      ValueRange{logits, getVector(k)}, lastAxis);
  match.ids = best.getIndices();
  match.weights =
      onnx::GatherElementsOp::create(builder, loc, TypeRange{chosen},
                                     ValueRange{weights, match.ids}, lastAxis);
  if (!layer.normalize)
    return;
  Value sum = onnx::ReduceSumOp::create(
      builder, loc, TypeRange{RankedTensorType::get({tokens, 1}, element)},
      ValueRange{match.weights, getVector(-1)}, ArrayRef<NamedAttribute>());
  match.weights = onnx::DivOp::create(builder, loc, chosen, match.weights, sum);
}

/// The routing by a softmax or by sparse mixing.
static RouteOp buildRoute(const MicrosoftLayer &layer, OpBuilder &builder) {
  Location loc = layer.op->getLoc();
  MLIRContext *context = builder.getContext();
  Value logits = asMatrix(builder, loc, layer.logits);
  RankedTensorType type = getTensorType(logits);
  auto routing = RoutingType::get(context, type.getDimSize(0), layer.k,
                                  type.getDimSize(1));
  OperationState state(loc, RouteOp::getOperationName());
  RouteOp::build(
      builder, state, routing, logits, /*select_bias=*/Value(),
      /*expert_scale=*/Value(), builder.getI64IntegerAttr(layer.k),
      ScoreAttr::get(context,
                     layer.sparseMixer ? Score::SparseMixer : Score::Softmax),
      RouteOrderAttr::get(context, RouteOrder::ScoreThenSelect),
      NormalizeAttr::get(context, layer.normalize && !layer.sparseMixer
                                      ? Normalize::Sum
                                      : Normalize::None),
      builder.getF64FloatAttr(0), builder.getF64FloatAttr(1), FloatAttr(),
      GroupsAttr(), CapacityAttr(), builder.getF64FloatAttr(0.01));
  return cast<RouteOp>(builder.create(state));
}

void MicrosoftLayer::raise(std::optional<Miss> &miss) const {
  std::string form = op->getName().stripDialect().str();
  OpBuilder builder(op);
  ExpertsMatch match;
  match.x = input;
  if (std::string reason = addProjections(*this, builder, match);
      !reason.empty()) {
    miss = Miss{form, reason};
    return;
  }
  RouteOp route;
  UnpackOp pair;
  if (routerWeights) {
    chooseByLogits(*this, builder, match);
  } else {
    route = buildRoute(*this, builder);
    RankedTensorType type = getTensorType(route.getLogits());
    int64_t tokens = type.getDimSize(0);
    pair = UnpackOp::create(
        builder, op->getLoc(),
        RankedTensorType::get({tokens, k}, builder.getI32Type()),
        RankedTensorType::get({tokens, k}, type.getElementType()), route);
    match.ids = pair.getIds();
    match.weights = pair.getWeights();
  }
  if (failed(buildExperts(op->getResult(0), match))) {
    miss = Miss{form, "the shape of the result cannot be restored"};
    return;
  }
  if (pair) {
    // The routing is used as it is, not taken apart and put together again.
    for (Operation *user : llvm::make_early_inc_range(pair.getIds().getUsers()))
      if (auto assign = dyn_cast<AssignOp>(user)) {
        assign.replaceAllUsesWith(route.getResult());
        assign.erase();
      }
    if (pair.use_empty())
      pair.erase();
  }
  op->erase();
}
