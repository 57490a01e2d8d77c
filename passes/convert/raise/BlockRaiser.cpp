//===- BlockRaiser.cpp - experts behind one result --------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   result[t, h] = sum over terms of gates * FFN(x[t])[h]
//
// The experts of a term are chosen by ids (gathered matrices, sorted rows),
// counted by a label (stacked matrices), or fixed (one lane for each expert;
// the lanes of a layer are stacked). Where all experts see all tokens, rows
// that were not chosen are no longer computed: the results differ only where
// such a row would be infinite or no number.
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/BlockRaiser.h"

#include "passes/convert/raise/Dispatch.h"
#include "passes/convert/raise/ExpertBody.h"
#include "passes/convert/raise/Gates.h"
#include "passes/convert/raise/RowSpaces.h"
#include "passes/convert/raise/Terms.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

/// One expert with weights of its own.
struct Lane {
  size_t term;
  FeedForward network;
  ApplyWeight apply;
  Choice choice;
  /// Weights as a column of a matrix: the label that stands for the column.
  int expertLabel = Digit::kNone;
};

class BlockRaiser {
public:
  BlockRaiser(Value result, bool ungated, SmallVectorImpl<RaisedBlock> &raised,
              SmallVectorImpl<MissedBlock> &missed)
      : result(result), ungated(ungated), builder(result.getContext()),
        loc(result.getLoc()), raised(raised), missed(missed) {
    builder.setInsertionPointAfterValue(result);
  }

  bool run();

private:
  bool readTerm(size_t i);
  bool raiseTerm(size_t i, FeedForward network);
  bool raiseLanes(MutableArrayRef<Lane> lanes);
  bool readLane(size_t i, const FeedForward &network);
  bool finish();

  bool build(const FeedForward &network, ArrayRef<Choice> choices, int expert,
             ApplyWeight apply, const ExpertsMatch &stacks, StringRef form);
  std::optional<moe::ExpertLinear> getStack(const LinearMatch &linear);
  std::optional<moe::ExpertLinear>
  getStack(ArrayRef<const LinearMatch *> lanes);
  Value getBias(const LinearMatch &linear);
  SmallVector<SmallVector<IndexedValue>>
  splitSlots(ArrayRef<IndexedValue> gates);
  Value join(ArrayRef<Value> parts);
  void dropIdsFrom(int64_t count, ChoiceValues &values);

  bool miss(const Twine &reason) {
    missed.push_back({Miss{form.str(), reason.str()}, product});
    return false;
  }

  Value result;
  bool ungated;
  OpBuilder builder;
  Location loc;
  SmallVectorImpl<RaisedBlock> &raised;
  SmallVectorImpl<MissedBlock> &missed;
  Tracer tracer;
  SmallVector<int> tokens;
  int out = Digit::kNone;
  std::vector<Term> terms;
  SmallVector<bool> isRaised;
  std::vector<Lane> lanes;
  /// The results of raised blocks, tokens x width.
  SmallVector<Value> parts;
  Value shapeSource;
  /// What is being matched: its form and the last product of its experts.
  StringRef form;
  Operation *product = nullptr;
  /// Some ids stand for no expert.
  bool isPartial = false;
};

} // namespace

bool BlockRaiser::run() {
  RankedTensorType type = getTensorType(result);
  if (type.getRank() < 2 || ShapedType::isDynamic(type.getShape().back()) ||
      type.getShape().back() == 1 || !isa<FloatType>(type.getElementType()))
    return false;
  IndexedValue indexed = tracer.addLabels(result);
  out = indexed.getLabel(type.getRank() - 1);
  for (int label : indexed.getLabels())
    if (label != out)
      tokens.push_back(label);
  terms = findTerms(tracer, indexed, out);
  isRaised.resize(terms.size());
  for (size_t i = 0; i < terms.size(); ++i)
    readTerm(i);
  // Lanes of one layer share what chooses them.
  while (!lanes.empty()) {
    auto end = std::stable_partition(
        lanes.begin() + 1, lanes.end(), [&](const Lane &lane) {
          const Lane &first = lanes.front();
          return lane.expertLabel == first.expertLabel &&
                 lane.apply == first.apply &&
                 lane.choice.isSameButExpert(first.choice);
        });
    raiseLanes(MutableArrayRef(lanes.data(), end - lanes.begin()));
    lanes.erase(lanes.begin(), end);
  }
  return !parts.empty() && finish();
}

bool BlockRaiser::readTerm(size_t i) {
  std::string reason;
  std::optional<FeedForward> network =
      matchFeedForward(tracer, terms[i].main, out, reason);
  if (!network) {
    // Any product ends in a matrix; one of several is what experts have.
    if (reason.empty())
      return false;
    std::optional<LinearMatch> down = matchLinear(tracer, terms[i].main, out);
    if (!down)
      return false;
    // Gathered matrices, or weights for each expert, are what experts have.
    int expert = down->matrix.expert;
    SmallVector<IndexedValue> gates(terms[i].gates);
    gates.append(down->gates);
    bool isExperts =
        down->matrix.ids || llvm::any_of(gates, [&](const IndexedValue &gate) {
          return expert != Digit::kNone && gate.dependsOn(expert);
        });
    if (expert == Digit::kNone && !gates.empty()) {
      std::optional<Choice> choice =
          matchChoice(tracer, gates, terms[i].summed, Digit::kNone);
      isExperts = choice && choice->ids && choice->expert;
    }
    if (isExperts)
      missed.push_back(
          {Miss{down->matrix.ids ? "batched experts" : "dense experts", reason},
           terms[i].main.value.getDefiningOp()});
    return false;
  }
  network->outputGates.append(terms[i].gates);
  bool stacked = network->down.matrix.expert != Digit::kNone;
  if (stacked != (network->up.matrix.expert != Digit::kNone) ||
      (stacked && terms[i].condition))
    return false;
  return stacked ? raiseTerm(i, *network) : readLane(i, *network);
}

bool BlockRaiser::raiseTerm(size_t i, FeedForward network) {
  product = terms[i].main.value.getDefiningOp();
  const ExpertMatrix &up = network.up.matrix, &down = network.down.matrix;
  bool gathered = static_cast<bool>(down.ids);
  bool sorted = network.up.x.value && gathered &&
                llvm::any_of(network.up.x.getLabels(), [&](int label) {
                  return tracer.getRows(label) != nullptr;
                });
  form = sorted     ? "grouped experts"
         : gathered ? "batched experts"
                    : "dense experts";
  auto haveSameExperts = [&](const ExpertMatrix &matrix) {
    return gathered ? matrix.ids == down.ids : matrix.expert == down.expert;
  };
  if (!haveSameExperts(up) ||
      (network.gate && !haveSameExperts(network.gate->matrix)))
    return miss("the projections do not belong to the same experts");
  ApplyWeight apply = ApplyWeight::Output;
  SmallVector<IndexedValue> gates(network.outputGates);
  if (!network.inputGates.empty()) {
    if (!gates.empty())
      return miss("both inputs and outputs are weighted");
    apply = ApplyWeight::Input;
    gates.assign(network.inputGates);
  }
  SmallVector<int> summed(terms[i].summed);
  summed.append(network.down.summed);
  ExpertsMatch stacks;
  std::optional<moe::ExpertLinear> upStack = getStack(network.up);
  std::optional<moe::ExpertLinear> downStack = getStack(network.down);
  if (network.gate)
    stacks.gate = getStack(*network.gate);
  if (!upStack || !downStack || (network.gate && !stacks.gate))
    return miss("the weights of the experts are no views");
  stacks.up = *upStack;
  stacks.down = *downStack;
  std::vector<Choice> choices;
  int expert = Digit::kNone;
  if (gathered) {
    if (gates.empty() && !ungated)
      return false;
    Choice &choice = choices.emplace_back();
    choice.ids = down.ids;
    for (const IndexedValue &gate : gates)
      choice.factors.push_back({tracer.trace(gate)});
    for (int label : summed) {
      if (tracer.getExtent(label) == 1)
        continue;
      if (choice.slot != Digit::kNone || !choice.ids.dependsOn(label))
        return miss("expected one sum over the chosen experts of a token");
      choice.slot = label;
    }
  } else {
    if (!llvm::is_contained(summed, down.expert))
      return false;
    bool hasPlaces = matchDispatch(tracer, network, gates, tokens, down.expert);
    auto readChoices = [&](ArrayRef<SmallVector<IndexedValue>> slots) {
      choices.clear();
      for (ArrayRef<IndexedValue> slot : slots) {
        std::optional<Choice> found =
            matchChoice(tracer, slot, summed, down.expert);
        if (!found || (!found->ids && (hasPlaces || slots.size() > 1)))
          return false;
        choices.push_back(std::move(*found));
      }
      return true;
    };
    // Slots that were added up are chosen one by one.
    if (!readChoices(splitSlots(gates)) &&
        !readChoices(SmallVector<IndexedValue>(gates)))
      return miss("what chooses the experts is not known");
    if (hasPlaces)
      form = "experts with a capacity";
    const Choice &choice = choices.front();
    expert = down.expert;
    if (apply == ApplyWeight::Input &&
        (!choice.ids || network.up.bias || network.down.bias ||
         (network.gate && network.gate->bias)))
      return miss("experts that were not chosen have an output");
    if (!choice.ids && gates.empty())
      return false; // No mixture: a product in two steps.
    if (!choice.ids)
      form = "dense mixture";
  }
  if (!build(network, choices, expert, apply, stacks, form))
    return false;
  isRaised[i] = true;
  return true;
}

bool BlockRaiser::readLane(size_t i, const FeedForward &network) {
  ApplyWeight apply = ApplyWeight::Output;
  SmallVector<IndexedValue> gates(network.outputGates);
  if (!network.inputGates.empty()) {
    if (!gates.empty() || network.up.bias || network.down.bias ||
        (network.gate && network.gate->bias))
      return false;
    apply = ApplyWeight::Input;
    gates.assign(network.inputGates);
  }
  if (gates.empty())
    return false;
  std::optional<Choice> choice =
      matchChoice(tracer, gates, terms[i].summed, Digit::kNone);
  if (!choice)
    return false;
  // What was left out must have no weight.
  if (Value condition = terms[i].condition) {
    std::optional<OneHotMatch> hot =
        matchOneHot(tracer, tracer.addLabels(condition), Digit::kNone);
    if (!hot || !choice->ids || hot->expert != choice->expert ||
        hot->ids.value != choice->ids.value)
      return false;
  }
  Lane lane{i, network, apply, std::move(*choice)};
  if (!lane.choice.ids) {
    // The weights of one expert are a column of a matrix.
    for (GateFactor &factor : lane.choice.factors)
      for (Axis &axis : factor.value.axes) {
        if (axis.size() != 1 || !axis[0].isConstant() || axis[0].radix < 2)
          continue;
        if (lane.choice.expert && *lane.choice.expert != axis[0].offset)
          return false;
        lane.choice.expert = axis[0].offset;
        if (lanes.empty() || lanes.back().expertLabel == Digit::kNone ||
            tracer.getExtent(lanes.back().expertLabel) != axis[0].radix)
          lane.expertLabel = lane.expertLabel == Digit::kNone
                                 ? tracer.addLabel(axis[0].radix)
                                 : lane.expertLabel;
        else
          lane.expertLabel = lanes.back().expertLabel;
        axis = tracer.getWhole(lane.expertLabel);
      }
    if (!lane.choice.expert)
      return false;
  } else if (!lane.choice.expert) {
    return false;
  }
  if (!lanes.empty())
    lane.choice.renameSlot(tracer, lanes.front().choice.slot);
  lanes.push_back(std::move(lane));
  return true;
}

bool BlockRaiser::raiseLanes(MutableArrayRef<Lane> group) {
  form = "dense experts";
  isPartial = false;
  int64_t count = group.size();
  const Lane &first = group.front();
  product = terms[first.term].main.value.getDefiningOp();
  const FeedForward &network = first.network;
  // One lane alone is all there is only if the choice is among one expert.
  if (count < 2) {
    auto topK = first.choice.ids
                    ? first.choice.ids.value.getDefiningOp<onnx::TopKOp>()
                    : onnx::TopKOp();
    if (!topK || getTensorType(topK.getX()).getShape().back() != 1)
      return false;
  }
  SmallVector<const Lane *> ordered(count);
  for (const Lane &lane : group) {
    int64_t e = *lane.choice.expert;
    if (e < 0 || e >= count || ordered[e])
      return miss("expected experts 0 to " + Twine(count - 1) +
                  " once each, got expert " + Twine(e));
    ordered[e] = &lane;
  }
  auto select = [&](auto get) {
    return llvm::map_to_vector(
        ordered, [&](const Lane *lane) { return get(lane->network); });
  };
  for (const Lane *lane : ordered) {
    const FeedForward &other = lane->network;
    IndexedValue x = other.x;
    x.replace(other.up.in,
              Digit{network.up.in, 0, 1, tracer.getExtent(network.up.in)});
    if (other.activation != network.activation ||
        other.gate.has_value() != network.gate.has_value())
      return miss("expert " + Twine(*lane->choice.expert) +
                  " is of another form than expert 0");
    if (!(x == network.x))
      return miss("expert " + Twine(*lane->choice.expert) +
                  " sees other rows than expert 0");
  }
  ExpertsMatch stacks;
  auto up = getStack(select([](const FeedForward &f) { return &f.up; }));
  auto down = getStack(select([](const FeedForward &f) { return &f.down; }));
  if (network.gate)
    stacks.gate =
        getStack(select([](const FeedForward &f) { return &*f.gate; }));
  if (!up || !down || (network.gate && !stacks.gate))
    return miss("the weights of the experts differ in shape");
  stacks.up = *up;
  stacks.down = *down;
  Choice choice = first.choice;
  int expert = first.expertLabel;
  if (expert != Digit::kNone) {
    if (tracer.getExtent(expert) != count)
      return miss("there are weights for " + Twine(tracer.getExtent(expert)) +
                  " experts, but there are " + Twine(count));
    SmallVector<IndexedValue> gates;
    for (const GateFactor &factor : choice.factors)
      gates.push_back(factor.value);
    std::optional<Choice> found = matchChoice(tracer, gates, {}, expert);
    if (!found)
      return miss("what chooses the experts is not known");
    choice = *found;
    if (first.apply == ApplyWeight::Input && !choice.ids)
      return miss("experts that were not chosen have an output");
    if (!choice.ids)
      form = "dense mixture";
  } else if (auto topK = choice.ids.value.getDefiningOp<onnx::TopKOp>()) {
    // Experts beyond the last one compute nothing.
    int64_t width = getTensorType(topK.getX()).getShape().back();
    if (ShapedType::isDynamic(width) || width < count)
      return miss("the ids choose among " + Twine(width) +
                  " experts, but there are " + Twine(count));
    isPartial = width > count;
  }
  if (!build(network, choice, expert, first.apply, stacks, form))
    return false;
  for (const Lane &lane : group)
    isRaised[lane.term] = true;
  return true;
}

/// E x out, or null.
Value BlockRaiser::getBias(const LinearMatch &linear) {
  if (!linear.bias)
    return {};
  std::optional<WeightView> view = WeightView::get(linear.bias.value);
  if (!view)
    return buildMatrix(builder, loc, tracer, linear.bias,
                       {linear.matrix.expert}, linear.out);
  auto labelled = getLabelledView(tracer, *view, linear.bias.axes);
  if (!labelled)
    return {};
  std::optional<WeightView> ordered = getOrdered(
      {labelled->first, labelled->second}, {linear.matrix.expert, linear.out});
  return ordered ? ordered->build(builder, loc) : Value();
}

std::optional<moe::ExpertLinear>
BlockRaiser::getStack(const LinearMatch &linear) {
  const ExpertMatrix &matrix = linear.matrix;
  std::optional<WeightView> view =
      getOrdered(matrix, {matrix.expert, linear.in, linear.out});
  Value bias = getBias(linear);
  if (!view || (linear.bias && !bias))
    return std::nullopt;
  return moe::ExpertLinear{Value(), *view, bias};
}

std::optional<moe::ExpertLinear>
BlockRaiser::getStack(ArrayRef<const LinearMatch *> lanes) {
  SmallVector<WeightView> views, biases;
  SmallVector<Value> biasValues;
  for (const LinearMatch *linear : lanes) {
    std::optional<WeightView> view =
        getOrdered(linear->matrix, {linear->in, linear->out});
    if (!view || static_cast<bool>(linear->bias) !=
                     static_cast<bool>(lanes.front()->bias))
      return std::nullopt;
    views.push_back(*view);
    if (!linear->bias)
      continue;
    std::optional<WeightView> bias = WeightView::get(linear->bias.value);
    auto labelled =
        bias ? getLabelledView(tracer, *bias, linear->bias.axes) : std::nullopt;
    if (labelled && labelled->second.size() == 1)
      biases.push_back(labelled->first);
    Value row =
        buildMatrix(builder, loc, tracer, linear->bias, {}, linear->out);
    if (!row)
      return std::nullopt;
    biasValues.push_back(row);
  }
  std::optional<WeightView> stack = WeightView::stack(views);
  if (!stack)
    return std::nullopt;
  moe::ExpertLinear result{Value(), *stack, Value()};
  if (biasValues.empty())
    return result;
  std::optional<WeightView> biasStack;
  if (biases.size() == lanes.size())
    biasStack = WeightView::stack(biases);
  if (biasStack) {
    result.bias = biasStack->build(builder, loc);
    return result;
  }
  RankedTensorType type = getTensorType(biasValues.front());
  result.bias = onnx::ConcatOp::create(
      builder, loc,
      RankedTensorType::get(
          {static_cast<int64_t>(lanes.size()), type.getShape().back()},
          type.getElementType()),
      biasValues, builder.getI64IntegerAttr(0));
  return result;
}

bool BlockRaiser::build(const FeedForward &network, ArrayRef<Choice> choices,
                        int expert, ApplyWeight apply,
                        const ExpertsMatch &stacks, StringRef form) {
  Type element = getTensorType(result).getElementType();
  // Scores may be more precise than what they weight.
  Type scores = element;
  for (const GateFactor &factor : choices.front().factors)
    if (!factor.value.getLabels().empty())
      if (auto own = dyn_cast<FloatType>(
              getTensorType(factor.value.value).getElementType());
          own && own.getWidth() > scores.getIntOrFloatBitWidth() &&
          own.getWidth() <= 32)
        scores = own;
  ExpertsMatch match = stacks;
  match.x = buildMatrix(builder, loc, tracer, network.x, tokens, network.up.in);
  if (!match.x)
    return miss("the rows of the experts are not the tokens");
  if (getTensorType(match.x).getElementType() != element)
    match.x = buildCast(builder, loc, match.x, element);
  std::string reason;
  SmallVector<Value> ids, weights;
  for (const Choice &choice : choices) {
    std::optional<ChoiceValues> slot = buildChoice(
        builder, loc, tracer, choice, tokens, expert, scores, reason);
    if (!slot)
      return miss(reason);
    ids.push_back(slot->ids);
    weights.push_back(slot->weights);
  }
  ChoiceValues joined{join(ids), join(weights)};
  ChoiceValues *values = &joined;
  if (isPartial)
    dropIdsFrom(match.up.weights.shape[0], *values);
  match.ids = values->ids;
  match.weights = values->weights;
  match.apply = apply;
  match.activation = network.activation;
  FailureOr<Value> experts = createExperts(builder, loc, match, element);
  if (failed(experts))
    return miss("the number of chosen experts is not known or too large");
  parts.push_back(*experts);
  // A value with the leading dimensions of the result.
  if (network.x.axes.size() ==
      static_cast<size_t>(getTensorType(result).getRank()))
    shapeSource = network.x.value;
  raised.push_back({loc, form, match.up.weights.shape[0],
                    getTensorType(match.ids).getDimSize(1),
                    network.activation});
  return true;
}

/// Weights that are a sum, as one list of factors for each summand.
SmallVector<SmallVector<IndexedValue>>
BlockRaiser::splitSlots(ArrayRef<IndexedValue> gates) {
  if (gates.size() == 1) {
    IndexedValue sum = tracer.trace(gates.front());
    if (auto add = sum.value.getDefiningOp<onnx::AddOp>()) {
      std::optional<IndexedValue> a = tracer.getOperand(add.getA(), sum);
      std::optional<IndexedValue> b = tracer.getOperand(add.getB(), sum);
      // A number that is added is no slot.
      if (a && b && !getNumber(add.getA()) && !getNumber(add.getB())) {
        SmallVector<SmallVector<IndexedValue>> slots = splitSlots(*a);
        slots.append(splitSlots(*b));
        return slots;
      }
    }
  }
  return {SmallVector<IndexedValue>(gates)};
}

/// Matrices of rows for the same tokens, side by side.
Value BlockRaiser::join(ArrayRef<Value> parts) {
  if (parts.size() == 1)
    return parts.front();
  RankedTensorType type = getTensorType(parts.front());
  int64_t width = 0;
  for (Value part : parts)
    width += getTensorType(part).getDimSize(1);
  return onnx::ConcatOp::create(
      builder, loc,
      RankedTensorType::get({type.getDimSize(0), width}, type.getElementType()),
      parts, builder.getI64IntegerAttr(1));
}

/// Ids from `count` on become expert 0 without a weight.
void BlockRaiser::dropIdsFrom(int64_t count, ChoiceValues &values) {
  auto buildScalar = [&](Type element, TypedAttr number) -> Value {
    auto type = RankedTensorType::get({}, element);
    return onnx::ConstantOp::create(builder, loc, type,
                                    DenseElementsAttr::get(type, number));
  };
  Type idType = getTensorType(values.ids).getElementType();
  Type weightType = getTensorType(values.weights).getElementType();
  Value limit = buildScalar(idType, builder.getIntegerAttr(idType, count));
  Value noId = buildScalar(idType, builder.getIntegerAttr(idType, 0));
  Value noWeight = buildScalar(weightType, builder.getFloatAttr(weightType, 0));
  Type maskType = RankedTensorType::get(getTensorType(values.ids).getShape(),
                                        builder.getI1Type());
  Value stays = onnx::LessOp::create(builder, loc, maskType, values.ids, limit);
  values.ids = onnx::WhereOp::create(builder, loc, values.ids.getType(), stays,
                                     values.ids, noId);
  values.weights = onnx::WhereOp::create(builder, loc, values.weights.getType(),
                                         stays, values.weights, noWeight);
}

/// Adds up the blocks and the other summands.
bool BlockRaiser::finish() {
  RankedTensorType type = getTensorType(result);
  SmallVector<Value> rest;
  SmallVector<int> labels(tokens);
  labels.push_back(out);
  for (auto [i, term] : llvm::enumerate(terms)) {
    if (isRaised[i])
      continue;
    if (!term.whole) {
      raised.clear();
      return false;
    }
    RankedTensorType own = getTensorType(term.whole.value);
    if (own.getRank() == type.getRank() &&
        own.getElementType() == type.getElementType() &&
        llvm::all_of(llvm::seq<int64_t>(0, type.getRank()),
                     [&](int64_t d) {
                       return own.getDimSize(d) == 1 ||
                              own.getDimSize(d) == type.getDimSize(d);
                     }) &&
        term.whole.getLabels() == labels) {
      rest.push_back(term.whole.value);
      continue;
    }
    Value matrix = buildMatrix(builder, loc, tracer, term.whole, tokens, out);
    if (!matrix ||
        getTensorType(matrix).getElementType() != type.getElementType()) {
      raised.clear();
      return false;
    }
    parts.push_back(matrix);
  }
  auto addAll = [&](ArrayRef<Value> values, RankedTensorType type) {
    Value sum = values.front();
    for (Value value : values.drop_front())
      sum = onnx::AddOp::create(builder, loc, type, sum, value);
    return sum;
  };
  RankedTensorType matrixType = getTensorType(parts.front());
  Value sum = addAll(parts, matrixType);
  // With several dynamic leading dimensions their extents come from elsewhere.
  if (type.getRank() != 2 &&
      llvm::count_if(type.getShape(), ShapedType::isDynamic) > 1) {
    for (Value value : rest)
      if (getTensorType(value).getShape() == type.getShape())
        shapeSource = value;
    if (!shapeSource) {
      raised.clear();
      return false;
    }
  }
  sum = restoreShape(builder, loc, sum, result, shapeSource);
  rest.push_back(sum);
  Value total = addAll(rest, type);
  result.replaceAllUsesWith(total);
  return true;
}

bool moe::raiseBlocks(Value result, bool ungated,
                      SmallVectorImpl<RaisedBlock> &raised,
                      SmallVectorImpl<MissedBlock> &missed) {
  return BlockRaiser(result, ungated, raised, missed).run();
}
