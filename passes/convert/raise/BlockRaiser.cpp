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
// the lanes of a layer are stacked). What chooses the experts of lanes need not
// be known: their weights are columns of a matrix. Where all experts see all
// tokens, rows without a weight are no longer computed: the results differ only
// where such a row would be infinite or no number.
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/BlockRaiser.h"

#include "passes/convert/raise/Dispatch.h"
#include "passes/convert/raise/ExpertStacks.h"
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
  /// The factors of the weight as they are in the graph.
  SmallVector<IndexedValue> gates;
};

/// Remembers what was built, so that a failure leaves nothing behind.
struct Builds : public OpBuilder::Listener {
  void notifyOperationInserted(Operation *op, OpBuilder::InsertPoint) override {
    built.push_back(op);
  }
  void undo() {
    for (Operation *op : llvm::reverse(built))
      if (op->use_empty())
        op->erase();
  }
  SmallVector<Operation *> built;
};

class BlockRaiser {
public:
  BlockRaiser(Value result, bool ungated, SmallVectorImpl<RaisedBlock> &raised,
              SmallVectorImpl<MissedBlock> &missed)
      : result(result), ungated(ungated), builder(result.getContext()),
        loc(result.getLoc()), raised(raised), missed(missed) {
    builder.setInsertionPointAfterValue(result);
    builder.setListener(&builds);
  }

  /// Replaces the result; a failure changes nothing. With `distribute`, sums
  /// and selections that are weighted are split, too.
  bool run(bool distribute) {
    if (raise(distribute))
      return true;
    builds.undo();
    raised.clear();
    return false;
  }

private:
  bool raise(bool distribute);
  bool readTerm(size_t i);
  std::optional<FeedForward> readLinear(size_t i);
  bool raiseTerm(size_t i, FeedForward network);
  bool raiseLanes(MutableArrayRef<Lane> lanes);
  bool raiseMixture(ArrayRef<Lane> lanes);
  bool readLane(size_t i, FeedForward network);
  bool readChoice(Lane &lane);
  bool haveSameForm(const FeedForward &a, const FeedForward &b);
  bool seeSameRows(const FeedForward &a, const FeedForward &b);
  bool finish();
  Value buildRest(const Term &term);

  bool build(const FeedForward &network, ArrayRef<Choice> choices, int expert,
             ApplyWeight apply, const ExpertsMatch &stacks, StringRef form);
  bool emit(const FeedForward &network, const ChoiceValues &values,
            ApplyWeight apply, const ExpertsMatch &stacks, StringRef form,
            bool drops);
  SmallVector<SmallVector<IndexedValue>>
  splitSlots(ArrayRef<IndexedValue> gates);
  Value join(ArrayRef<Value> parts);
  Value buildScalar(Type element, TypedAttr number);
  void dropWhere(Value mask, ChoiceValues &values);
  void dropIdsFrom(int64_t count, ChoiceValues &values);
  void dropUnweighted(ChoiceValues &values);

  bool miss(const Twine &reason) {
    missed.push_back({Miss{form.str(), reason.str()}, product});
    return false;
  }

  Value result;
  bool ungated;
  Builds builds;
  OpBuilder builder;
  Location loc;
  SmallVectorImpl<RaisedBlock> &raised;
  SmallVectorImpl<MissedBlock> &missed;
  Tracer tracer;
  SmallVector<int> tokens;
  int out = Digit::kNone;
  std::vector<Term> terms;
  SmallVector<bool> isRaised;
  /// Lanes with a known choice, and the others.
  std::vector<Lane> lanes, unknown;
  std::optional<RowBuilder> rows;
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

bool BlockRaiser::raise(bool distribute) {
  RankedTensorType type = getTensorType(result);
  if (type.getRank() < 2 || ShapedType::isDynamic(type.getShape().back()) ||
      type.getShape().back() == 1 || !isa<FloatType>(type.getElementType()))
    return false;
  IndexedValue indexed = tracer.addLabels(result);
  out = indexed.getLabel(type.getRank() - 1);
  for (int label : indexed.getLabels())
    if (label != out)
      tokens.push_back(label);
  rows.emplace(builder, loc, tracer, tokens);
  terms = findTerms(tracer, indexed, out, distribute ? &builder : nullptr);
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
    if (!raiseLanes(MutableArrayRef(lanes.data(), end - lanes.begin())))
      unknown.insert(unknown.end(), lanes.begin(), end);
    lanes.erase(lanes.begin(), end);
  }
  while (!unknown.empty()) {
    auto end = std::stable_partition(
        unknown.begin() + 1, unknown.end(), [&](const Lane &lane) {
          return lane.apply == unknown.front().apply &&
                 haveSameForm(lane.network, unknown.front().network) &&
                 seeSameRows(lane.network, unknown.front().network);
        });
    raiseMixture(ArrayRef(unknown.data(), end - unknown.begin()));
    unknown.erase(unknown.begin(), end);
  }
  return !parts.empty() && finish();
}

/// Whether `value` is computed, number by number, from a product with matrices
/// that are gathered or stacked.
static bool followsExperts(Value value) {
  SmallVector<Value> work = {value};
  auto isOfExperts = [](Value operand) {
    while (Operation *op = operand.getDefiningOp()) {
      if (isa<WeightOp>(op))
        return getTensorType(operand).getRank() > 2;
      if (isa<onnx::GatherOp, onnx::GatherNDOp>(op))
        return op->getOperand(0).getDefiningOp<WeightOp>() != nullptr;
      if (!isa<onnx::TransposeOp, onnx::CastOp, onnx::ReshapeOp,
               onnx::SqueezeOp, onnx::UnsqueezeOp>(op))
        break;
      operand = op->getOperand(0);
    }
    return false;
  };
  for (unsigned count = 0; !work.empty() && count < 64; ++count) {
    Operation *op = work.pop_back_val().getDefiningOp();
    if (!op)
      continue;
    if (!isa<onnx::MatMulOp, onnx::GemmOp, onnx::EinsumOp>(op))
      work.append(op->operand_begin(), op->operand_end());
    else if (llvm::any_of(op->getOperands(), isOfExperts))
      return true;
  }
  return false;
}

/// Experts of a single product that see the tokens themselves, or places for
/// them.
std::optional<FeedForward> BlockRaiser::readLinear(size_t i) {
  std::optional<FeedForward> network =
      matchLinearExpert(tracer, terms[i].main, out);
  if (!network)
    return std::nullopt;
  SmallVector<IndexedValue> gates(network->outputGates);
  gates.append(terms[i].gates);
  auto seesTokens = [&](const FeedForward &network) {
    return llvm::all_of(network.x.getLabels(), [&](int label) {
      return label == network.up.in || llvm::is_contained(tokens, label);
    });
  };
  FeedForward dispatched = *network;
  int expert = network->down.matrix.expert;
  if (gates.empty() ||
      !(seesTokens(*network) ||
        (expert != Digit::kNone &&
         matchDispatch(tracer, dispatched, gates, tokens, expert) &&
         seesTokens(dispatched))))
    return std::nullopt;
  return network;
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
    // Two products with gathered or stacked matrices, or weights that choose,
    // are what experts have.
    int expert = down->matrix.expert;
    SmallVector<IndexedValue> gates(terms[i].gates);
    gates.append(down->gates);
    bool isExperts =
        expert != Digit::kNone && followsExperts(down->x.value) &&
        (down->matrix.ids || llvm::any_of(gates, [&](const IndexedValue &gate) {
           return gate.dependsOn(expert);
         }));
    if (expert == Digit::kNone && !gates.empty()) {
      std::optional<Choice> choice =
          matchChoice(tracer, gates, terms[i].summed, Digit::kNone);
      isExperts = choice && choice->ids && choice->expert;
    }
    network = readLinear(i);
    if (!network) {
      if (isExperts)
        missed.push_back(
            {Miss{down->matrix.ids ? "batched experts" : "dense experts",
                  reason},
             terms[i].main.value.getDefiningOp()});
      return false;
    }
  }
  network->outputGates.append(terms[i].gates);
  bool stacked = network->down.matrix.expert != Digit::kNone;
  if (stacked != (network->up.matrix.expert != Digit::kNone) ||
      (stacked && terms[i].condition))
    return false;
  return stacked ? raiseTerm(i, *network) : readLane(i, *network);
}

/// Whether a row of zeros gives zeros.
static bool isZeroAtZero(const FeedForward &network) {
  bool hasBias = network.up.bias || network.down.bias ||
                 (network.gate && network.gate->bias);
  bool isShifted =
      !network.gate && network.activation.getKind() == ActivationKind::Sigmoid;
  return !hasBias && !isShifted;
}

/// Where outputs are weighted, what weights the inputs is a part of them.
static void keepInputGates(FeedForward &network) {
  network.inputGates.clear();
  network.x = network.up.x;
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
  if (!gates.empty()) {
    keepInputGates(network);
  } else if (!network.inputGates.empty()) {
    apply = ApplyWeight::Input;
    gates.assign(network.inputGates);
  }
  SmallVector<int> summed(terms[i].summed);
  summed.append(network.down.summed);
  std::optional<ExpertsMatch> stacks =
      StackBuilder(builder, loc, tracer).build(network);
  if (!stacks)
    return miss("the weights of the experts are no views");
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
    if (apply == ApplyWeight::Input && choice.ids && !isZeroAtZero(network))
      return miss("experts that were not chosen have an output");
    if (!choice.ids && gates.empty())
      return false; // No mixture: a product in two steps.
    if (!choice.ids)
      form = "dense mixture";
  }
  if (!build(network, choices, expert, apply, *stacks, form))
    return false;
  isRaised[i] = true;
  return true;
}

bool BlockRaiser::readLane(size_t i, FeedForward network) {
  ApplyWeight apply = ApplyWeight::Output;
  SmallVector<IndexedValue> gates(network.outputGates);
  if (!gates.empty()) {
    keepInputGates(network);
  } else if (!network.inputGates.empty()) {
    if (terms[i].condition && !isZeroAtZero(network))
      return false;
    apply = ApplyWeight::Input;
    gates.assign(network.inputGates);
  }
  if (gates.empty())
    return false;
  Lane lane{i, network, apply, Choice(), Digit::kNone, gates};
  std::optional<Choice> choice =
      matchChoice(tracer, gates, terms[i].summed, Digit::kNone);
  if (choice)
    lane.choice = std::move(*choice);
  // What was left out must have no weight.
  if (Value condition = terms[i].condition) {
    std::optional<OneHotMatch> hot =
        matchOneHot(tracer, tracer.addLabels(condition), Digit::kNone);
    if (!hot || !lane.choice.ids || hot->expert != lane.choice.expert ||
        hot->ids.value != lane.choice.ids.value)
      return false;
  }
  if (!choice || !readChoice(lane)) {
    if (apply == ApplyWeight::Output)
      unknown.push_back(std::move(lane));
    return apply == ApplyWeight::Output;
  }
  if (!lanes.empty())
    lane.choice.renameSlot(tracer, lanes.front().choice.slot);
  lanes.push_back(std::move(lane));
  return true;
}

/// Finds which expert the weights of a lane are for.
bool BlockRaiser::readChoice(Lane &lane) {
  if (lane.choice.ids)
    return lane.choice.expert.has_value();
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
  return lane.choice.expert.has_value();
}

/// Whether two experts differ in nothing but their numbers.
bool BlockRaiser::haveSameForm(const FeedForward &a, const FeedForward &b) {
  auto haveSameExtents = [&](const LinearMatch &a, const LinearMatch &b) {
    return tracer.getExtent(a.in) == tracer.getExtent(b.in) &&
           tracer.getExtent(a.out) == tracer.getExtent(b.out) &&
           static_cast<bool>(a.bias) == static_cast<bool>(b.bias);
  };
  return a.activation == b.activation &&
         a.gate.has_value() == b.gate.has_value() && a.isLinear == b.isLinear &&
         haveSameExtents(a.up, b.up) && haveSameExtents(a.down, b.down) &&
         (!a.gate || haveSameExtents(*a.gate, *b.gate));
}

bool BlockRaiser::seeSameRows(const FeedForward &a, const FeedForward &b) {
  IndexedValue x = a.x;
  x.replace(a.up.in, Digit{b.up.in, 0, 1, tracer.getExtent(b.up.in)});
  return x == b.x;
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
  SmallVector<const FeedForward *> networks;
  for (const Lane *lane : ordered) {
    networks.push_back(&lane->network);
    if (!haveSameForm(lane->network, network))
      return miss("expert " + Twine(*lane->choice.expert) +
                  " is of another form than expert 0");
    if (!seeSameRows(lane->network, network))
      return miss("expert " + Twine(*lane->choice.expert) +
                  " sees other rows than expert 0");
  }
  std::optional<ExpertsMatch> stacks =
      StackBuilder(builder, loc, tracer).build(networks);
  if (!stacks)
    return miss("the weights of the experts are no views");
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
  if (first.apply == ApplyWeight::Input && choice.ids && !isZeroAtZero(network))
    return miss("experts that were not chosen have an output");
  if (!build(network, choice, expert, first.apply, *stacks, form))
    return false;
  for (const Lane &lane : group)
    isRaised[lane.term] = true;
  return true;
}

/// Experts with weights that anything may have computed: all of them are mixed,
/// but those without a weight are dropped.
bool BlockRaiser::raiseMixture(ArrayRef<Lane> group) {
  form = "dense mixture";
  isPartial = false;
  product = terms[group.front().term].main.value.getDefiningOp();
  // Two weighted products are more often a gate than experts.
  if (group.size() < (group.front().network.isLinear ? 3 : 2))
    return false;
  SmallVector<const FeedForward *> networks;
  SmallVector<Value> weights;
  Type element = getTensorType(result).getElementType();
  rows->learnExtents(group.front().network.x);
  for (const Lane &lane : group) {
    networks.push_back(&lane.network);
    Value weight = buildWeight(builder, loc, tracer, lane.gates,
                               terms[lane.term].summed, *rows, element);
    if (!weight)
      return miss("the mixing weights are no matrix of tokens and experts");
    weights.push_back(weight);
  }
  std::optional<ExpertsMatch> stacks =
      StackBuilder(builder, loc, tracer).build(networks);
  if (!stacks)
    return miss("the weights of the experts are no views");
  ChoiceValues values = buildMixture(builder, loc, join(weights));
  // An input of zero may have an output.
  ApplyWeight apply = group.front().apply;
  bool drops = apply == ApplyWeight::Output && !group.front().network.isLinear;
  if (drops)
    dropUnweighted(values);
  if (!emit(group.front().network, values, apply, *stacks, form, drops))
    return false;
  for (const Lane &lane : group)
    isRaised[lane.term] = true;
  return true;
}

/// Whether a token may have no weight for some experts.
static bool mayBeZero(const Choice &choice) {
  return llvm::any_of(choice.factors, [](const GateFactor &factor) {
    return !isa_and_nonnull<onnx::SoftmaxOp, onnx::SigmoidOp>(
        factor.value.value.getDefiningOp());
  });
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
  rows->learnExtents(network.x);
  std::string reason;
  SmallVector<Value> ids, weights;
  for (const Choice &choice : choices) {
    std::optional<ChoiceValues> slot = buildChoice(
        builder, loc, tracer, choice, *rows, expert, scores, reason);
    if (!slot)
      return miss(reason);
    ids.push_back(slot->ids);
    weights.push_back(slot->weights);
  }
  ChoiceValues values{join(ids), join(weights)};
  bool drops = isPartial || form == "experts with a capacity" ||
               (!choices.front().ids && apply == ApplyWeight::Output &&
                mayBeZero(choices.front()));
  // Rows that are never computed could not be combined.
  if (drops && network.isLinear) {
    if (isPartial)
      return miss("some ids stand for no expert");
    drops = false;
  }
  if (isPartial)
    dropIdsFrom(stacks.up.weights.shape[0], values);
  else if (drops)
    dropUnweighted(values);
  return emit(network, values, apply, stacks, form, drops);
}

bool BlockRaiser::emit(const FeedForward &network, const ChoiceValues &values,
                       ApplyWeight apply, const ExpertsMatch &stacks,
                       StringRef form, bool drops) {
  Type element = getTensorType(result).getElementType();
  ExpertsMatch match = stacks;
  match.x = rows->build(network.x, network.up.in);
  if (!match.x)
    return miss("the rows of the experts are not the tokens");
  if (getTensorType(match.x).getElementType() != element)
    match.x = buildCast(builder, loc, match.x, element);
  match.drops = drops;
  match.isLinear = network.isLinear;
  match.ids = values.ids;
  match.weights = values.weights;
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

Value BlockRaiser::buildScalar(Type element, TypedAttr number) {
  auto type = RankedTensorType::get({}, element);
  return onnx::ConstantOp::create(builder, loc, type,
                                  DenseElementsAttr::get(type, number));
}

/// Ids become -1 where `mask` is set.
void BlockRaiser::dropWhere(Value mask, ChoiceValues &values) {
  Type type = getTensorType(values.ids).getElementType();
  Value none = buildScalar(type, builder.getIntegerAttr(type, -1));
  values.ids = onnx::WhereOp::create(builder, loc, values.ids.getType(), mask,
                                     none, values.ids);
}

/// Drops ids from `count` on.
void BlockRaiser::dropIdsFrom(int64_t count, ChoiceValues &values) {
  RankedTensorType type = getTensorType(values.ids);
  Type element = type.getElementType();
  Value last = buildScalar(element, builder.getIntegerAttr(element, count - 1));
  Value isBeyond = onnx::GreaterOp::create(
      builder, loc, RankedTensorType::get(type.getShape(), builder.getI1Type()),
      values.ids, last);
  dropWhere(isBeyond, values);
}

/// Drops ids whose weight is zero.
void BlockRaiser::dropUnweighted(ChoiceValues &values) {
  RankedTensorType type = getTensorType(values.weights);
  Type element = type.getElementType();
  Value zero = buildScalar(element, builder.getFloatAttr(element, 0));
  Value isZero = onnx::EqualOp::create(
      builder, loc, RankedTensorType::get(type.getShape(), builder.getI1Type()),
      values.weights, zero);
  dropWhere(isZero, values);
}

/// A summand of a product that is not raised, tokens x width.
Value BlockRaiser::buildRest(const Term &term) {
  if (term.whole)
    return buildMatrix(builder, loc, tracer, term.whole, tokens, out);
  if (term.condition || llvm::any_of(term.summed, [&](int label) {
        return term.main.dependsOn(label);
      }))
    return {};
  Type element = getTensorType(result).getElementType();
  rows->learnExtents(term.main);
  Value main = rows->build(term.main, out);
  Value weight = main ? buildWeight(builder, loc, tracer, term.gates,
                                    term.summed, *rows, element)
                      : Value();
  if (!weight || getTensorType(main).getElementType() != element)
    return {};
  return onnx::MulOp::create(builder, loc, main.getType(), main, weight);
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
    RankedTensorType own =
        getTensorType(term.whole ? term.whole.value : term.main.value);
    if (term.whole && own.getRank() == type.getRank() &&
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
    Value matrix = buildRest(term);
    if (!matrix ||
        getTensorType(matrix).getElementType() != type.getElementType())
      return false;
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
    if (!shapeSource)
      return false;
  }
  sum = restoreShape(builder, loc, sum, result, shapeSource);
  rest.push_back(sum);
  Value total = addAll(rest, type);
  result.replaceAllUsesWith(total);
  return true;
}

bool moe::raiseBlocks(Value result, RaiseMode mode,
                      SmallVectorImpl<RaisedBlock> &raised,
                      SmallVectorImpl<MissedBlock> &missed) {
  return BlockRaiser(result, mode == RaiseMode::Ungated, raised, missed)
      .run(/*distribute=*/mode == RaiseMode::Distributed);
}
