//===- ReferenceRouting.cpp - one loop nest for a router --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/common/Reference.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Builds the loops of one `moe.route_permute`. The buffers of a token live
/// outside the token loop.
class RoutingBuilder {
public:
  explicit RoutingBuilder(RoutePermuteOp op)
      : op(op), b(op.getLoc(), op), logits(op.getLogits()),
        experts(cast<RankedTensorType>(logits.getType()).getDimSize(1)),
        slots(op.getTopK()) {}

  SmallVector<Value> build();

private:
  using State = LoopBuilder::State;

  Value number(double value) { return b.f32(value); }
  Value exp(Value x) { return math::ExpOp::create(b, x); }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, x, y); }
  Value div(Value x, Value y) { return arith::DivFOp::create(b, x, y); }
  Value sigmoid(Value x) {
    Value negated = arith::NegFOp::create(b, x);
    return div(number(1), add(number(1), exp(negated)));
  }
  Value forExperts(Value state, function_ref<Value(Value, Value)> body) {
    return b.loop(b.index(0), b.index(experts), state, body);
  }
  Value forSlots(Value state, function_ref<Value(Value, Value)> body) {
    return b.loop(b.index(0), b.index(slots), state, body);
  }

  Value loadLogit(Value token, Value expert);
  Value buildScores(Value token, Value scores);
  Value buildChoice(Value scores, Value choice);
  Value maskGroups(Value choice);
  State chooseExperts(Value token, Value choice, State state);
  Value sparseMixerWeight(Value choice, Value taken, Value best);
  Value buildWeights(Value token, Value scores, Value ids, Value weights);
  Value applyCapacity(Value ids, Value weights);

  RoutePermuteOp op;
  LoopBuilder b;
  Value logits;
  int64_t experts, slots;
};

Value RoutingBuilder::loadLogit(Value token, Value expert) {
  Value z = b.load(logits, {token, expert});
  if (std::optional<APFloat> cap = op.getSoftcap()) {
    Value limit = number(cap->convertToDouble());
    z = mul(limit, math::TanhOp::create(b, div(z, limit)));
  }
  return z;
}

/// scores[e] = score(z)[e]; the logits themselves if scores come later.
Value RoutingBuilder::buildScores(Value token, Value scores) {
  bool later = op.getOrder() == RouteOrder::SelectThenScore;
  Score score = later ? Score::Identity : op.getScore();
  if (score != Score::Softmax)
    return forExperts(scores, [&](Value e, Value state) {
      Value z = loadLogit(token, e);
      if (score == Score::Sigmoid)
        z = sigmoid(z);
      else if (score == Score::SqrtSoftplus)
        z = math::SqrtOp::create(
            b,
            add(arith::MaximumFOp::create(b, z, number(0)),
                math::Log1pOp::create(b, exp(arith::NegFOp::create(
                                             b, math::AbsFOp::create(b, z))))));
      return b.store(z, state, e);
    });
  Value greatest = forExperts(number(-HUGE_VAL), [&](Value e, Value state) {
    return arith::MaximumFOp::create(b, state, loadLogit(token, e)).getResult();
  });
  State sums =
      b.loop(b.index(0), b.index(experts), {scores, number(0)},
             [&](Value e, ValueRange state) {
               Value power = exp(sub(loadLogit(token, e), greatest));
               return State{b.store(power, state[0], e), add(state[1], power)};
             });
  return forExperts(sums[0], [&](Value e, Value state) {
    return b.store(div(b.load(state, e), sums[1]), state, e);
  });
}

/// What the choice is made by: the scores with the selection bias, without the
/// groups that are not kept.
Value RoutingBuilder::buildChoice(Value scores, Value choice) {
  choice = forExperts(choice, [&](Value e, Value state) {
    Value score = b.load(scores, e);
    if (Value bias = op.getSelectBias())
      score = add(score, b.load(bias, e));
    return b.store(score, state, e);
  });
  return op.getGroups() ? maskGroups(choice) : choice;
}

Value RoutingBuilder::maskGroups(Value choice) {
  GroupsAttr groups = *op.getGroups();
  int64_t count = groups.getCount(), width = experts / count;
  bool sumOfTwo = groups.getScore() == GroupScore::Top2Sum;
  Value zero = b.index(0), groupCount = b.index(count);
  Value lowest = number(-HUGE_VAL);
  // The score of each group: its best, or its two best added up.
  Value groupScores = b.loop(
      zero, groupCount, b.filled(groupCount, lowest),
      [&](Value g, Value state) {
        Value first = arith::MulIOp::create(b, g, b.index(width));
        State best = b.loop(
            zero, b.index(width), {lowest, lowest},
            [&](Value i, ValueRange top) {
              Value c =
                  b.load(choice, Value(arith::AddIOp::create(b, first, i)));
              Value isFirst = b.isGreater(c, top[0]);
              Value isSecond = b.isGreater(c, top[1]);
              Value second =
                  b.select(isFirst, top[0], b.select(isSecond, c, top[1]));
              return State{b.select(isFirst, c, top[0]), second};
            });
        return b.store(sumOfTwo ? add(best[0], best[1]) : best[0], state, g);
      });
  // A group stays if fewer than `keep` groups are better, or equal and earlier.
  Value masked = number(groups.getMask() == GroupMask::Zero ? 0.0 : -HUGE_VAL);
  return forExperts(choice, [&](Value e, Value state) {
    Value mine = arith::DivUIOp::create(b, e, b.index(width));
    Value score = b.load(groupScores, mine);
    Value better = b.loop(zero, groupCount, zero, [&](Value g, Value sum) {
      Value other = b.load(groupScores, g);
      Value equal =
          arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, other, score);
      Value earlier =
          arith::CmpIOp::create(b, arith::CmpIPredicate::ult, g, mine);
      Value wins = b.either(b.isGreater(other, score), b.both(equal, earlier));
      Value next = arith::AddIOp::create(b, sum, b.index(1));
      return b.select(wins, next, sum);
    });
    Value stays = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, better,
                                        b.index(groups.getKeep()));
    return b.store(b.select(stays, b.load(state, e), masked), state, e);
  });
}

/// 1 / sum of exp(z - m) over the untaken experts within the threshold of
/// sparse mixing, where m is the best of them.
Value RoutingBuilder::sparseMixerWeight(Value choice, Value taken, Value best) {
  Value greatest = b.load(choice, best);
  Value limit = number(2 * op.getJitter().convertToDouble());
  Value sum = forExperts(number(0), [&](Value e, Value state) {
    Value z = b.load(choice, e);
    Value scale =
        arith::MaximumFOp::create(b, math::AbsFOp::create(b, z), greatest);
    Value distance = div(sub(greatest, z), scale);
    Value near =
        arith::CmpFOp::create(b, arith::CmpFPredicate::OLE, distance, limit);
    Value counts = b.both(near, b.negate(b.load(taken, e)));
    return b.select(counts, add(state, exp(sub(z, greatest))), state);
  });
  return div(number(1), sum);
}

/// K times the best untaken expert: ids are distinct and in range whatever the
/// bits of the scores are. State: ids, weights, taken, counts.
RoutingBuilder::State RoutingBuilder::chooseExperts(Value token, Value choice,
                                                    State state) {
  Value no = arith::ConstantIntOp::create(b, 0, 1);
  Value yes = arith::ConstantIntOp::create(b, 1, 1);
  state[2] = forExperts(
      state[2], [&](Value e, Value taken) { return b.store(no, taken, e); });
  return b.loop(
      b.index(0), b.index(slots), state, [&](Value slot, ValueRange carried) {
        Value taken = carried[2];
        Value none = b.index(experts);
        Value best = forExperts(none, [&](Value e, Value current) {
          Value isFirst =
              arith::CmpIOp::create(b, arith::CmpIPredicate::eq, current, none);
          Value safe = b.select(isFirst, b.index(0), current);
          Value mine = b.load(choice, e), theirs = b.load(choice, safe);
          Value beatsNaN = b.both(b.isNaN(theirs), b.negate(b.isNaN(mine)));
          Value wins =
              b.either(isFirst, b.either(beatsNaN, b.isGreater(mine, theirs)));
          Value free = b.negate(b.load(taken, e));
          return b.select(b.both(free, wins), e, current);
        });
        Value weights = carried[1];
        if (op.getScore() == Score::SparseMixer)
          weights = b.store(sparseMixerWeight(choice, taken, best), weights,
                            {token, slot});
        Value id = b.toI32(best);
        Value next = arith::AddIOp::create(b, best, b.index(1));
        Value count =
            arith::AddIOp::create(b, b.load(carried[3], next), b.i32(1));
        return State{b.store(id, carried[0], {token, slot}), weights,
                     b.store(yes, taken, best),
                     b.store(count, carried[3], next)};
      });
}

Value RoutingBuilder::buildWeights(Value token, Value scores, Value ids,
                                   Value weights) {
  bool later = op.getOrder() == RouteOrder::SelectThenScore;
  auto loadId = [&](Value slot) {
    return b.toIndex(b.load(ids, {token, slot}));
  };
  if (op.getScore() != Score::SparseMixer)
    weights = forSlots(weights, [&](Value slot, Value state) {
      Value score = b.load(scores, loadId(slot));
      if (later && op.getScore() == Score::Sigmoid)
        score = sigmoid(score);
      return b.store(score, state, {token, slot});
    });
  if (later && op.getScore() == Score::Softmax) {
    Value greatest = forSlots(number(-HUGE_VAL), [&](Value slot, Value state) {
      return arith::MaximumFOp::create(b, state, b.load(weights, {token, slot}))
          .getResult();
    });
    State sums = b.loop(b.index(0), b.index(slots), {weights, number(0)},
                        [&](Value slot, ValueRange state) {
                          Value power = exp(
                              sub(b.load(state[0], {token, slot}), greatest));
                          return State{b.store(power, state[0], {token, slot}),
                                       add(state[1], power)};
                        });
    weights = forSlots(sums[0], [&](Value slot, Value state) {
      Value share = div(b.load(state, {token, slot}), sums[1]);
      return b.store(share, state, {token, slot});
    });
  }
  Normalize normalize = op.getNormalize();
  Value divisor;
  if (normalize != Normalize::None) {
    bool square = normalize == Normalize::Norm2;
    Value sum = forSlots(number(0), [&](Value slot, Value state) {
      Value w = b.load(weights, {token, slot});
      if (square)
        w = mul(w, w);
      else if (normalize == Normalize::Norm1)
        w = math::AbsFOp::create(b, w);
      return add(state, w);
    });
    Value epsilon = number(op.getNormalizeEpsilon().convertToDouble());
    divisor = normalize == Normalize::Sum ? add(sum, epsilon)
              : normalize == Normalize::ClampedSum
                  ? arith::MaximumFOp::create(b, sum, epsilon).getResult()
              : square ? math::SqrtOp::create(b, sum).getResult()
                       : sum;
  }
  double scale = op.getScale().convertToDouble();
  return forSlots(weights, [&](Value slot, Value state) {
    Value w = b.load(state, {token, slot});
    if (divisor)
      w = div(w, divisor);
    if (scale != 1.0)
      w = mul(w, number(scale));
    if (Value expertScale = op.getExpertScale())
      w = mul(w, b.load(expertScale, loadId(slot)));
    return b.store(w, state, {token, slot});
  });
}

/// Weights beyond the capacity of an expert become 0.
Value RoutingBuilder::applyCapacity(Value ids, Value weights) {
  CapacityAttr capacity = *op.getCapacity();
  Value zero = b.index(0), tokens = b.size(ids, 0);
  Value group = capacity.getGroup() > 0
                    ? b.index(capacity.getGroup())
                    : arith::MaxSIOp::create(b, tokens, b.index(1)).getResult();
  Value groups = arith::CeilDivUIOp::create(b, tokens, group);
  Value seen = b.filled(b.index(experts), b.i32(0));
  auto visit = [&](Value token, Value slot, ValueRange state) {
    Value id = b.toIndex(b.load(ids, {token, slot}));
    Value place = b.load(state[1], id);
    Value fits = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, place,
                                       b.i32(capacity.getPlaces()));
    Value weight = b.select(fits, b.load(state[0], {token, slot}), number(0));
    Value next = arith::AddIOp::create(b, place, b.i32(1));
    return State{b.store(weight, state[0], {token, slot}),
                 b.store(next, state[1], id)};
  };
  return b
      .loop(zero, groups, {weights, seen},
            [&](Value g, ValueRange state) {
              Value first = arith::MulIOp::create(b, g, group);
              Value last = arith::MinSIOp::create(
                  b, Value(arith::AddIOp::create(b, first, group)), tokens);
              Value cleared = forExperts(state[1], [&](Value e, Value s) {
                return b.store(b.i32(0), s, e);
              });
              State start = {state[0], cleared};
              if (capacity.getOrder() == CapacityOrder::Token)
                return b.loop(first, last, start, [&](Value t, ValueRange s) {
                  return b.loop(zero, b.index(slots), s,
                                [&](Value j, ValueRange inner) {
                                  return visit(t, j, inner);
                                });
                });
              return b.loop(zero, b.index(slots), start,
                            [&](Value j, ValueRange s) {
                              return b.loop(first, last, s,
                                            [&](Value t, ValueRange inner) {
                                              return visit(t, j, inner);
                                            });
                            });
            })
      .front();
}

SmallVector<Value> RoutingBuilder::build() {
  Value tokens = b.size(logits, 0), expertCount = b.index(experts);
  Type weightType =
      cast<RankedTensorType>(op.getWeights().getType()).getElementType();
  Value ids = b.empty({tokens, b.index(slots)}, b.getI32Type());
  Value weights = b.empty({tokens, b.index(slots)}, weightType);
  Value counts = b.filled(b.index(experts + 1), b.i32(0));
  Value scores = b.empty(expertCount, b.getF32Type());
  Value choice = b.empty(expertCount, b.getF32Type());
  Value taken = b.empty(expertCount, b.getI1Type());
  State state =
      b.loop(b.index(0), tokens, {ids, weights, taken, counts, scores, choice},
             [&](Value token, ValueRange carried) {
               Value s = buildScores(token, carried[4]);
               Value c = buildChoice(s, carried[5]);
               State next = chooseExperts(
                   token, c, {carried[0], carried[1], carried[2], carried[3]});
               next[1] = buildWeights(token, s, next[0], next[1]);
               next.append({s, c});
               return next;
             });
  weights = state[1];
  if (op.getCapacity())
    weights = applyCapacity(state[0], weights);
  SmallVector<Value> permutation = buildPermutation(b, state[0], state[3]);
  return {state[0], weights, permutation[0], permutation[1]};
}

} // namespace

SmallVector<Value> moe::lowerRoutePermute(RoutePermuteOp op) {
  return RoutingBuilder(op).build();
}
