//===- Gates.cpp - mixing weights with zeros --------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/Gates.h"

#include "passes/convert/raise/ExpertForms.h"
#include "passes/convert/raise/Products.h"

using namespace mlir;
using namespace mlir::moe;

void Choice::renameSlot(const Tracer &tracer, int label) {
  if (slot == Digit::kNone || label == Digit::kNone)
    return;
  Digit digit{label, 0, 1, tracer.getExtent(label)};
  ids.replace(slot, digit);
  for (GateFactor &factor : factors)
    factor.value.replace(slot, digit);
  for (GateFactor &factor : outer)
    factor.value.replace(slot, digit);
  slot = label;
}

bool Choice::isSameButExpert(const Choice &other) const {
  return ids == other.ids && slot == other.slot && factors == other.factors &&
         normalized == other.normalized && clamped == other.clamped &&
         epsilon == other.epsilon && outer == other.outer;
}

namespace {

class ChoiceMatcher {
public:
  ChoiceMatcher(Tracer &tracer, int expert) : tracer(tracer), expert(expert) {}

  Choice choice;
  SmallVector<int> summed;

  /// Adds a factor; fails if it cannot be one of a choice.
  bool addFactor(const IndexedValue &value) {
    IndexedValue traced = tracer.trace(value);
    if (getNumber(traced.value) == 1.0)
      return true;
    if (addOneHot(traced) || addScatter(traced) || addProduct(traced) ||
        addWhere(traced) || addMasked(traced) || addQuotient(traced))
      return true;
    if (failed)
      return false;
    choice.factors.push_back({traced});
    return true;
  }

  bool failed = false;

private:
  /// Takes over what `part` found; true if it found a choice.
  bool merge(ChoiceMatcher &part) {
    if (part.failed || !part.choice.ids)
      return false;
    if (choice.ids && !(choice.ids == part.choice.ids)) {
      failed = true;
      return false;
    }
    Choice &found = part.choice;
    if (found.normalized) {
      if (choice.normalized || choice.ids)
        return false;
      choice.outer.append(choice.factors);
      choice.factors = found.factors;
      choice.normalized = true;
      choice.clamped = found.clamped;
      choice.epsilon = found.epsilon;
      choice.outer.append(found.outer);
    } else {
      choice.factors.append(found.factors);
    }
    choice.ids = found.ids;
    if (found.expert)
      choice.expert = found.expert;
    summed.append(part.summed);
    return true;
  }

  /// Reads `values` together; they count only if they choose.
  bool addAll(ArrayRef<IndexedValue> values, ArrayRef<int> labels) {
    ChoiceMatcher part(tracer, expert);
    part.summed.append(labels.begin(), labels.end());
    for (const IndexedValue &value : values)
      if (!part.addFactor(value))
        return false;
    return merge(part);
  }

  bool addOneHot(const IndexedValue &traced) {
    std::optional<OneHotMatch> hot = matchOneHot(tracer, traced, expert);
    if (!hot || (!hot->expert && expert == Digit::kNone))
      return false;
    // The whole of an encoding, or its entry for one expert of a list.
    if (hot->expert && expert != Digit::kNone)
      return false;
    if (choice.ids &&
        (!(choice.ids == hot->ids) || choice.expert != hot->expert)) {
      failed = true;
      return false;
    }
    choice.ids = hot->ids;
    choice.expert = hot->expert;
    return true;
  }

  /// The axis of `value` that counts experts, or nothing.
  std::optional<int64_t> getExpertAxis(const IndexedValue &value) {
    for (int64_t i = 0, e = value.axes.size(); i < e; ++i)
      if (value.getLabel(i) == expert && expert != Digit::kNone)
        return i;
    return std::nullopt;
  }

  /// Chosen values scattered over the experts; the others hold `fill`.
  struct Scattered {
    IndexedValue ids, values;
    int slot;
  };
  std::optional<Scattered> matchScatter(const IndexedValue &traced,
                                        double fill) {
    auto scatter = traced.value.getDefiningOp<onnx::ScatterElementsOp>();
    std::optional<int64_t> dim = getExpertAxis(traced);
    int64_t rank = traced.axes.size();
    if (!scatter || !dim || getAxisFromFront(scatter.getAxis(), rank) != *dim ||
        !isFilledWith(scatter.getData(), fill) ||
        (scatter.getReduction() != "none" &&
         (scatter.getReduction() != "add" || fill != 0)))
      return std::nullopt;
    int64_t count = getTensorType(scatter.getIndices()).getDimSize(*dim);
    int slot = tracer.addLabel(count);
    Axis axis = count == 1 ? Axis() : tracer.getWhole(slot);
    Scattered result{{scatter.getIndices(), traced.axes},
                     {scatter.getUpdates(), traced.axes},
                     slot};
    result.ids.axes[*dim] = result.values.axes[*dim] = axis;
    result.ids = traceIds(tracer, result.ids);
    // Ids that occur twice would not add up.
    if (scatter.getReduction() == "none" && !areDistinct(result.ids.value))
      return std::nullopt;
    return result;
  }

  static bool areDistinct(Value ids) {
    auto topK = ids.getDefiningOp<onnx::TopKOp>();
    return (topK && topK.getIndices() == ids) ||
           ids.getDefiningOp<onnx::ArgMaxOp>() ||
           getTensorType(ids).getShape().back() == 1;
  }

  bool addScatter(const IndexedValue &traced) {
    std::optional<Scattered> scattered = matchScatter(traced, 0);
    if (!scattered)
      return false;
    if (choice.ids) {
      // A second weight of the same choice: the same ids under other labels.
      IndexedValue ids = scattered->ids;
      for (int label : choice.ids.getLabels())
        if (!ids.dependsOn(label)) {
          Digit digit{label, 0, 1, tracer.getExtent(label)};
          ids.replace(scattered->slot, digit);
          scattered->values.replace(scattered->slot, digit);
        }
      if (!(ids == choice.ids)) {
        failed = true;
        return false;
      }
    } else {
      choice.ids = scattered->ids;
      summed.push_back(scattered->slot);
    }
    IndexedValue values = tracer.trace(scattered->values);
    if (!isFilledWith(values.value, 1))
      choice.factors.push_back({values});
    return true;
  }

  bool addProduct(const IndexedValue &traced) {
    std::optional<Product> product = getProduct(tracer, traced);
    return product && addAll(product->factors, product->summed);
  }

  /// where(mask, value, 0), with a mask that chooses.
  bool addWhere(const IndexedValue &traced) {
    auto where = traced.value.getDefiningOp<onnx::WhereOp>();
    if (!where)
      return false;
    std::optional<IndexedValue> mask, value;
    if (matchMask(where, traced, 0, mask, value))
      return addAll({*mask, *value}, {});
    return false;
  }

  /// The mask and the value of a selection whose other side holds `fill`.
  bool matchMask(onnx::WhereOp where, const IndexedValue &traced, double fill,
                 std::optional<IndexedValue> &mask,
                 std::optional<IndexedValue> &value) {
    Value condition = skipReshapes(where.getCondition());
    bool inverted = false;
    if (auto no = condition.getDefiningOp<onnx::NotOp>()) {
      inverted = true;
      condition = no.getX();
    }
    Value kept = inverted ? where.getY() : where.getX();
    Value other = inverted ? where.getX() : where.getY();
    if (!isFilledWith(other, fill))
      return false;
    IndexedValue whole = traced;
    if (inverted) {
      // The operand of the negation has the shape of the condition.
      std::optional<IndexedValue> negated =
          tracer.getOperand(where.getCondition(), traced);
      if (!negated)
        return false;
      *negated = tracer.trace(*negated);
      if (negated->value.getDefiningOp<onnx::NotOp>())
        negated->value = negated->value.getDefiningOp()->getOperand(0);
      mask = *negated;
    } else {
      mask = tracer.getOperand(where.getCondition(), traced);
    }
    value = tracer.getOperand(kept, traced);
    return mask && value;
  }

  /// A score of logits that are -inf where an expert was not chosen.
  bool addMasked(const IndexedValue &traced) {
    Operation *op = traced.value.getDefiningOp();
    std::optional<int64_t> dim = getExpertAxis(traced);
    if (!dim || !isa_and_nonnull<onnx::SoftmaxOp, onnx::SigmoidOp>(op))
      return false;
    int64_t rank = traced.axes.size();
    if (auto softmax = dyn_cast<onnx::SoftmaxOp>(op))
      if (getAxisFromFront(softmax.getAxis(), rank) != *dim)
        return false;
    GateFactor::Kind kind = isa<onnx::SoftmaxOp>(op)
                                ? GateFactor::SoftmaxOfChosen
                                : GateFactor::SigmoidOfChosen;
    IndexedValue logits = tracer.trace({op->getOperand(0), traced.axes});
    if (choice.ids)
      return false;
    if (auto scattered = matchScatter(logits, -HUGE_VAL)) {
      choice.ids = scattered->ids;
      summed.push_back(scattered->slot);
      choice.factors.push_back({tracer.trace(scattered->values), kind});
      return true;
    }
    auto where = logits.value.getDefiningOp<onnx::WhereOp>();
    std::optional<IndexedValue> mask, value;
    if (!where || !matchMask(where, logits, -HUGE_VAL, mask, value))
      return false;
    ChoiceMatcher part(tracer, expert);
    if (!part.addFactor(*mask) || !part.choice.ids ||
        !part.choice.factors.empty())
      return false;
    part.choice.factors.push_back({tracer.trace(*value), kind});
    return merge(part);
  }

  /// Weights divided by their sum, or by something that all experts share.
  bool addQuotient(const IndexedValue &traced) {
    auto div = traced.value.getDefiningOp<onnx::DivOp>();
    if (!div)
      return false;
    std::optional<IndexedValue> above = tracer.getOperand(div.getA(), traced);
    std::optional<IndexedValue> below = tracer.getOperand(div.getB(), traced);
    if (!above || !below)
      return false;
    ChoiceMatcher part(tracer, expert);
    if (!part.addFactor(*above) || !part.choice.ids)
      return false;
    if (!part.choice.normalized && part.choice.outer.empty() &&
        matchSum(*below, tracer.trace(*above), part.choice))
      part.choice.normalized = true;
    else
      (part.choice.normalized ? part.choice.outer : part.choice.factors)
          .push_back({tracer.trace(*below), GateFactor::Inverse});
    return merge(part);
  }

  /// Whether `below` is the sum of `above` over the experts.
  bool matchSum(const IndexedValue &below, const IndexedValue &above,
                Choice &found) {
    IndexedValue sum = tracer.trace(below);
    double epsilon = 0;
    bool clamped = false;
    auto readBound = [&](Value number, Value rest, bool clamps) {
      std::optional<double> bound = getNumber(number);
      std::optional<IndexedValue> operand = tracer.getOperand(rest, sum);
      if (!bound || !operand)
        return false;
      epsilon = *bound;
      clamped = clamps;
      sum = tracer.trace(*operand);
      return true;
    };
    if (auto add = sum.value.getDefiningOp<onnx::AddOp>()) {
      if (!readBound(add.getB(), add.getA(), false) &&
          !readBound(add.getA(), add.getB(), false))
        return false;
    } else if (auto max = sum.value.getDefiningOp<onnx::MaxOp>();
               max && max->getNumOperands() == 2) {
      if (!readBound(max->getOperand(1), max->getOperand(0), true) &&
          !readBound(max->getOperand(0), max->getOperand(1), true))
        return false;
    } else if (auto clip = sum.value.getDefiningOp<onnx::ClipOp>()) {
      if (isPresent(clip.getMax()) || !isPresent(clip.getMin()) ||
          !readBound(clip.getMin(), clip.getInput(), true))
        return false;
    }
    std::optional<Product> product =
        sum.value.getDefiningOp<onnx::ReduceSumOp>() ? getProduct(tracer, sum)
                                                     : std::nullopt;
    if (!product || product->summed.size() != 1)
      return false;
    IndexedValue summand = tracer.trace(product->factors[0]);
    int label = product->summed[0];
    summand.replace(label, Digit{expert, 0, 1, tracer.getExtent(label)});
    if (!(summand == above))
      return false;
    found.epsilon = epsilon;
    found.clamped = clamped;
    return true;
  }

  Tracer &tracer;
  int expert;
};

} // namespace

/// w * (w > 0) is w, where w is not negative.
static void dropImpliedMasks(Tracer &tracer, Choice &choice) {
  llvm::erase_if(choice.factors, [&](const GateFactor &factor) {
    auto greater = factor.value.value.getDefiningOp<onnx::GreaterOp>();
    if (!greater || factor.kind != GateFactor::Plain ||
        getNumber(greater.getB()) != 0.0)
      return false;
    std::optional<IndexedValue> weight =
        tracer.getOperand(greater.getA(), factor.value);
    if (!weight)
      return false;
    *weight = tracer.trace(*weight);
    return isa_and_nonnull<onnx::SoftmaxOp, onnx::SigmoidOp, onnx::ReluOp>(
               weight->value.getDefiningOp()) &&
           llvm::any_of(choice.factors, [&](const GateFactor &other) {
             return other.kind == GateFactor::Plain && other.value == *weight;
           });
  });
}

/// Where a token has one expert, (id == e) * not (id == f) is id == e.
static void dropExcludedMasks(Tracer &tracer, Choice &choice,
                              ArrayRef<int> summed) {
  if (!choice.ids || !choice.expert || llvm::any_of(summed, [&](int label) {
        return choice.ids.dependsOn(label) && tracer.getExtent(label) != 1;
      }))
    return;
  llvm::erase_if(choice.factors, [&](const GateFactor &factor) {
    auto no = factor.value.value.getDefiningOp<onnx::NotOp>();
    if (!no || factor.kind != GateFactor::Plain)
      return false;
    std::optional<OneHotMatch> hot =
        matchOneHot(tracer, {no.getX(), factor.value.axes}, Digit::kNone);
    return hot && hot->expert && *hot->expert != *choice.expert &&
           hot->ids == choice.ids;
  });
}

std::optional<Choice> moe::matchChoice(Tracer &tracer,
                                       ArrayRef<IndexedValue> gates,
                                       ArrayRef<int> summed, int expert) {
  ChoiceMatcher matcher(tracer, expert);
  for (int label : summed)
    if (label != expert)
      matcher.summed.push_back(label);
  for (const IndexedValue &gate : gates)
    if (!matcher.addFactor(gate))
      return std::nullopt;
  Choice &choice = matcher.choice;
  dropImpliedMasks(tracer, choice);
  dropExcludedMasks(tracer, choice, matcher.summed);
  if (!choice.ids)
    return choice;
  for (int label : matcher.summed) {
    if (tracer.getExtent(label) == 1)
      continue;
    // A factor of its own may be summed by itself.
    if (!choice.ids.dependsOn(label)) {
      GateFactor *owner = nullptr;
      for (GateFactor &factor : choice.factors) {
        if (!factor.value.dependsOn(label))
          continue;
        if (owner || factor.kind != GateFactor::Plain ||
            factor.value.dependsOn(expert))
          return std::nullopt;
        owner = &factor;
      }
      if (!owner)
        return std::nullopt;
      owner->kind = GateFactor::SumOverLabel;
      owner->label = label;
      continue;
    }
    // One index counts the slots, and the ids depend on it.
    if (choice.slot != Digit::kNone || !choice.ids.dependsOn(label))
      return std::nullopt;
    choice.slot = label;
  }
  return choice;
}
