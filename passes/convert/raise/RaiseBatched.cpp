//===- RaiseBatched.cpp - experts as one batched product --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   rows = repeat(x, K)                         one row for each assignment
//   h    = act(rows * W1[ids] + b1[ids])        W1[ids]: gathered matrices
//   y    = h * W2[ids] + b2[ids]
//   out  = sum over the K slots of weights * y
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/ExpertBody.h"
#include "passes/convert/raise/ExpertForms.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Numbers of experts, gathered by the ids of the assignments.
struct Gathered {
  Value source;
  Value ids;
};

/// `source[ids]` along the first dimension.
std::optional<Gathered> matchGathered(Value value) {
  value = skipReshapes(value);
  if (auto gather = value.getDefiningOp<onnx::GatherNDOp>()) {
    if (gather.getBatchDims() == 0 &&
        getTensorType(gather.getIndices()).getShape().back() == 1)
      return Gathered{gather.getData(), skipCasts(gather.getIndices())};
  } else if (auto gather = value.getDefiningOp<onnx::GatherOp>()) {
    if (gather.getAxis() == 0)
      return Gathered{gather.getData(), skipCasts(gather.getIndices())};
  }
  return std::nullopt;
}

struct BatchedLinear {
  ExpertLinear linear;
  Value ids;
};

/// A product with gathered matrices, the row on either side.
std::optional<BatchedLinear> matchProduct(Value value) {
  auto matmul = getProducer<onnx::MatMulOp>(value);
  if (!matmul)
    return std::nullopt;
  for (bool weightsFirst : {false, true}) {
    Value matrix = weightsFirst ? matmul.getA() : matmul.getB();
    Value row = weightsFirst ? matmul.getB() : matmul.getA();
    bool transposed = weightsFirst;
    // The exporter may transpose the gathered matrices.
    if (auto transpose = matrix.getDefiningOp<onnx::TransposeOp>()) {
      std::optional<ArrayRef<int64_t>> perm = transpose.getPerm();
      int64_t rank = getTensorType(matrix).getRank();
      if (!perm || (*perm)[rank - 1] != rank - 2 ||
          (*perm)[rank - 2] != rank - 1)
        continue;
      matrix = transpose.getData();
      transposed = !transposed;
    }
    std::optional<Gathered> gathered = matchGathered(matrix);
    std::optional<WeightView> weights =
        gathered ? WeightView::get(gathered->source) : std::nullopt;
    if (!weights || weights->getRank() != 3)
      continue;
    if (transposed)
      weights = weights->transpose({0, 2, 1});
    if (!weights)
      continue;
    // A single row: the other dimension of the operand is 1.
    RankedTensorType rowType = getTensorType(row);
    if (rowType.getRank() < 2 ||
        rowType.getDimSize(rowType.getRank() - (weightsFirst ? 1 : 2)) != 1)
      continue;
    return BatchedLinear{{skipReshapes(row), *weights, Value()}, gathered->ids};
  }
  return std::nullopt;
}

std::optional<BatchedLinear> matchLinear(Value value) {
  auto add = getProducer<onnx::AddOp>(value);
  if (!add)
    return matchProduct(value);
  for (unsigned i = 0; i < 2; ++i) {
    std::optional<BatchedLinear> product = matchProduct(add->getOperand(i));
    std::optional<Gathered> bias = matchGathered(add->getOperand(1 - i));
    if (!product || !bias || bias->ids != product->ids ||
        getTensorType(bias->source).getRank() != 2)
      continue;
    product->linear.bias = bias->source;
    return product;
  }
  return std::nullopt;
}

/// `x` such that `rows` holds each of its rows `slots` times.
Value matchRepeat(Value rows, int64_t slots) {
  rows = skipReshapes(rows);
  Operation *op = rows.getDefiningOp();
  if (!isa_and_nonnull<onnx::ExpandOp, onnx::TileOp>(op))
    return {};
  RankedTensorType from = getTensorType(op->getOperand(0));
  RankedTensorType to = getTensorType(rows);
  int64_t rank = to.getRank();
  if (from.getRank() != rank || rank < 3 || from.getDimSize(rank - 2) != 1)
    return {};
  // What a tile repeats is an operand; its type may not know the extents.
  if (isa<onnx::TileOp>(op)) {
    SmallVector<int64_t> expected(rank, 1);
    expected[rank - 2] = slots;
    if (getIntegers(op->getOperand(1)) != expected)
      return {};
    return skipReshapes(op->getOperand(0));
  }
  if (to.getDimSize(rank - 2) != slots)
    return {};
  for (int64_t i = 0; i < rank; ++i)
    if (i != rank - 2 && from.getDimSize(i) != to.getDimSize(i))
      return {};
  return skipReshapes(op->getOperand(0));
}

} // namespace

bool moe::raiseBatched(onnx::ReduceSumOp op, std::optional<Miss> &miss) {
  auto weighted = getProducer<onnx::MulOp>(op.getData());
  if (!weighted)
    return false;
  std::optional<BatchedLinear> down;
  Value weights;
  for (unsigned i = 0; i < 2 && !down; ++i) {
    down = matchLinear(weighted->getOperand(i));
    weights = skipReshapes(weighted->getOperand(1 - i));
  }
  if (!down)
    return false;
  auto missed = [&](const Twine &reason) {
    miss = Miss{"batched experts", reason.str()};
    return false;
  };

  // The sum runs over the slots.
  RankedTensorType summed = getTensorType(op.getData());
  std::optional<SmallVector<int64_t>> axes =
      isPresent(op.getAxes()) ? getIntegers(op.getAxes()) : std::nullopt;
  int64_t slots = getTensorType(down->ids).getShape().back();
  int64_t slotDim = summed.getRank() - 2;
  if (!axes || axes->size() != 1 || slotDim < 1 ||
      (axes->front() + summed.getRank()) % summed.getRank() != slotDim ||
      summed.getDimSize(slotDim) != slots || op.getKeepdims())
    return missed("expected a sum over the " + Twine(slots) +
                  " chosen experts of a token");

  std::optional<ActivationMatch> activation = matchActivation(down->linear.x);
  if (!activation)
    return missed("the activation between the two products is not known");
  OpBuilder builder(op);
  Value first;
  auto matchCut = [&](Value value) -> std::optional<ExpertLinear> {
    LastDimSlice slice = getLastDimSlice(value);
    std::optional<BatchedLinear> linear = matchLinear(slice.source);
    if (!linear || linear->ids != down->ids)
      return std::nullopt;
    if (!first)
      first = linear->linear.x;
    if (linear->linear.x != first)
      return std::nullopt;
    return cutOutputs(builder, linear->linear, slice);
  };
  ExpertsMatch match;
  match.activation = activation->activation;
  if (activation->gate) {
    match.gate = matchCut(activation->gate);
    if (!match.gate)
      return missed("the gate is no product with gathered matrices");
  }
  std::optional<ExpertLinear> up = matchCut(activation->up);
  if (!up)
    return missed("the up projection is no product with gathered matrices");
  match.up = *up;
  match.down = down->linear;
  match.ids = down->ids;
  match.weights = weights;
  match.x = matchRepeat(first, slots);
  if (!match.x &&
      getTensorType(first).getShape().back() == match.up.weights.shape[1] &&
      getTensorType(match.ids).getRank() == getTensorType(first).getRank())
    match.x = first; // Broadcast over the slots by the product.
  if (!match.x)
    return missed("expected each token repeated " + Twine(slots) + " times");
  if (getTensorType(weights).getRank() < 2 ||
      getTensorType(weights).getShape().back() != slots)
    return missed("expected " + Twine(slots) + " mixing weights for a token");
  if (failed(buildExperts(op.getReduced(), match)))
    return missed("the shape of the result cannot be restored");
  return true;
}
