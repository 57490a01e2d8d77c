//===- RaiseDense.cpp - experts that all see all tokens ---------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   out = 0 + FFN_0(x) * m_0 + FFN_1(x) * m_1 + ...
//   m_e = sum over the K slots of weights * (ids == e)
//
// A token that did not choose an expert has m_e = 0, so that its row need not
// be computed. The results differ only where a row that was not chosen would
// be infinite or no number.
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/ExpertBody.h"
#include "passes/convert/raise/ExpertForms.h"

#include "llvm/ADT/DenseMap.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

/// A linear map of one expert, cut to a part of its outputs.
struct LaneLinear {
  Value x;
  /// in x out.
  WeightView weights;
  Value bias;
  LastDimSlice part;
};

std::optional<LaneLinear> matchProduct(Value value) {
  Operation *op = skipReshapes(value).getDefiningOp();
  if (auto matmul = dyn_cast_or_null<onnx::MatMulOp>(op)) {
    std::optional<WeightView> weights = WeightView::get(matmul.getB());
    if (weights && weights->getRank() == 2)
      return LaneLinear{matmul.getA(), *weights, Value(), {}};
  }
  auto gemm = dyn_cast_or_null<onnx::GemmOp>(op);
  std::optional<WeightView> weights =
      gemm ? WeightView::get(gemm.getB()) : std::nullopt;
  if (!weights || gemm.getTransA() || !gemm.getAlpha().isExactlyValue(1.0) ||
      !gemm.getBeta().isExactlyValue(1.0))
    return std::nullopt;
  if (gemm.getTransB())
    weights = weights->transpose({1, 0});
  if (!weights)
    return std::nullopt;
  Value bias = isPresent(gemm.getC()) ? gemm.getC() : Value();
  return LaneLinear{gemm.getA(), *weights, bias, {}};
}

bool isBias(Value value, const LaneLinear &linear) {
  RankedTensorType type = getTensorType(value);
  return type.getRank() == 1 && type.getDimSize(0) == linear.weights.shape[1];
}

std::optional<LaneLinear> matchLinear(Value value) {
  LastDimSlice part = getLastDimSlice(value);
  std::optional<LaneLinear> linear = matchProduct(part.source);
  if (auto add = getProducer<onnx::AddOp>(part.source))
    for (unsigned i = 0; i < 2 && !linear; ++i) {
      linear = matchProduct(add->getOperand(i));
      if (linear && (linear->bias || !isBias(add->getOperand(1 - i), *linear)))
        linear = std::nullopt;
      else if (linear)
        linear->bias = add->getOperand(1 - i);
    }
  if (linear && linear->bias && !isBias(linear->bias, *linear))
    return std::nullopt;
  if (linear)
    linear->part = part;
  return linear;
}

/// The weight of one expert for each token.
bool matchMask(Value value, DenseLane &lane) {
  auto sum = getProducer<onnx::ReduceSumOp>(value);
  std::optional<SmallVector<int64_t>> axes = sum && isPresent(sum.getAxes())
                                                 ? getIntegers(sum.getAxes())
                                                 : std::nullopt;
  if (!axes || axes->size() != 1)
    return false;
  int64_t rank = getTensorType(sum.getData()).getRank();
  if (axes->front() != -1 && axes->front() != rank - 1)
    return false;
  auto masked = sum.getData().getDefiningOp<onnx::MulOp>();
  if (!masked)
    return false;
  for (unsigned i = 0; i < 2; ++i) {
    auto cast = masked->getOperand(i).getDefiningOp<onnx::CastOp>();
    auto equal =
        cast ? cast.getInput().getDefiningOp<onnx::EqualOp>() : onnx::EqualOp();
    if (!equal)
      continue;
    for (unsigned j = 0; j < 2; ++j)
      if (std::optional<double> expert = getNumber(equal->getOperand(j))) {
        lane.expert = *expert;
        lane.ids = equal->getOperand(1 - j);
        lane.weights = masked->getOperand(1 - i);
        return getTensorType(lane.ids).getShape() ==
               getTensorType(lane.weights).getShape();
      }
  }
  return false;
}

std::optional<DenseLane> matchLane(Value value) {
  auto mul = getProducer<onnx::MulOp>(value);
  DenseLane lane;
  for (unsigned i = 0; mul && i < 2; ++i)
    if (matchMask(mul->getOperand(i), lane)) {
      lane.output = mul->getOperand(1 - i);
      return lane;
    }
  return std::nullopt;
}

/// Whether every element of `value` is zero.
bool isZero(Value value) {
  if (auto expand = value.getDefiningOp<onnx::ExpandOp>())
    return isZero(expand.getInput());
  if (auto fill = value.getDefiningOp<onnx::ConstantOfShapeOp>())
    return !fill.getValue();
  return getNumber(value) == 0.0;
}

/// The linear maps of all experts as one; fails if they differ in form.
std::optional<ExpertLinear> stackLanes(OpBuilder &builder, Location loc,
                                       ArrayRef<LaneLinear> lanes) {
  const LaneLinear &first = lanes.front();
  SmallVector<WeightView> weights, biases;
  SmallVector<Value> biasValues;
  for (const LaneLinear &lane : lanes) {
    if (lane.weights.shape != first.weights.shape ||
        lane.weights.element != first.weights.element ||
        !lane.bias != !first.bias || lane.part.start != first.part.start ||
        lane.part.count != first.part.count ||
        lane.part.step != first.part.step)
      return std::nullopt;
    weights.push_back(lane.weights);
    if (!lane.bias)
      continue;
    biasValues.push_back(lane.bias);
    if (std::optional<WeightView> view = WeightView::get(lane.bias))
      biases.push_back(*view);
  }
  std::optional<WeightView> stack = WeightView::stack(weights);
  if (!stack)
    return std::nullopt;
  ExpertLinear result{first.x, *stack, Value()};
  if (first.bias) {
    std::optional<WeightView> biasStack;
    if (biases.size() == lanes.size())
      biasStack = WeightView::stack(biases);
    result.bias = biasStack ? biasStack->build(builder, loc)
                            : stackVectors(builder, loc, biasValues);
  }
  return cutOutputs(builder, result, first.part);
}

} // namespace

SmallVector<DenseSum> moe::findDenseSums(Operation *root) {
  SmallVector<DenseSum> sums;
  llvm::DenseMap<Value, unsigned> ends;
  root->walk([&](onnx::AddOp op) {
    for (unsigned i = 0; i < 2; ++i) {
      std::optional<DenseLane> lane = matchLane(op->getOperand(i));
      if (!lane)
        continue;
      Value before = op->getOperand(1 - i);
      auto known = ends.find(before);
      unsigned index = sums.size();
      if (known != ends.end() && before.hasOneUse()) {
        index = known->second;
      } else if (std::optional<DenseLane> start = matchLane(before)) {
        sums.push_back({{}, {*start}});
      } else if (isZero(before)) {
        sums.emplace_back();
      } else {
        continue;
      }
      sums[index].lanes.push_back(*lane);
      sums[index].result = op.getC();
      ends[op.getC()] = index;
      return;
    }
  });
  return sums;
}

bool moe::raiseDense(const DenseSum &sum, std::optional<Miss> &miss) {
  auto missed = [&](const Twine &reason) {
    miss = Miss{"dense experts", reason.str()};
    return false;
  };
  int64_t experts = sum.lanes.size();
  const DenseLane &first = sum.lanes.front();
  SmallVector<const DenseLane *> ordered(experts);
  for (const DenseLane &lane : sum.lanes) {
    if (lane.ids != first.ids || lane.weights != first.weights)
      return missed("the experts do not share ids and weights");
    if (lane.expert < 0 || lane.expert >= experts || ordered[lane.expert])
      return missed("expected experts 0 to " + Twine(experts - 1) +
                    " once each, got expert " + Twine(lane.expert));
    ordered[lane.expert] = &lane;
  }
  if (auto choice = skipCasts(first.ids).getDefiningOp<onnx::TopKOp>())
    if (int64_t width = getTensorType(choice.getX()).getShape().back();
        width != experts)
      return missed("the ids choose among " + Twine(width) +
                    " experts, but there are " + Twine(experts));

  SmallVector<LaneLinear> gates, ups, downs;
  ActivationAttr activation;
  Value x;
  for (const DenseLane *lane : ordered) {
    auto laneMissed = [&](StringRef reason) {
      return missed("expert " + Twine(lane->expert) + ": " + reason);
    };
    std::optional<LaneLinear> down = matchLinear(lane->output);
    if (!down)
      return laneMissed("the down projection is no product with a weight");
    std::optional<ActivationMatch> body = matchActivation(down->x);
    if (!body || (activation && body->activation != activation))
      return laneMissed("the activation is not known or differs");
    activation = body->activation;
    std::optional<LaneLinear> up = matchLinear(body->up);
    std::optional<LaneLinear> gate;
    if (body->gate)
      gate = matchLinear(body->gate);
    if (!up || (body->gate && !gate))
      return laneMissed("the first projection is no product with a weight");
    if (!x)
      x = up->x;
    if (up->x != x || (gate && gate->x != x))
      return laneMissed("the experts do not see the same tokens");
    ups.push_back(*up);
    downs.push_back(*down);
    if (gate)
      gates.push_back(*gate);
  }
  if (!gates.empty() && gates.size() != ups.size())
    return missed("only some experts have a gate");

  OpBuilder builder(sum.result.getDefiningOp());
  Location loc = sum.result.getLoc();
  std::optional<ExpertLinear> up = stackLanes(builder, loc, ups);
  std::optional<ExpertLinear> down = stackLanes(builder, loc, downs);
  std::optional<ExpertLinear> gate;
  if (!gates.empty())
    gate = stackLanes(builder, loc, gates);
  if (!up || !down || (!gates.empty() && !gate))
    return missed("the weights of the experts differ in shape");
  ExpertsMatch match{x, first.ids, first.weights, activation, gate, *up, *down};
  if (failed(buildExperts(sum.result, match)))
    return missed("the shape of the result cannot be restored");
  return true;
}
