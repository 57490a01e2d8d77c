//===- Terms.cpp - the summands of a result ---------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/Terms.h"

#include "passes/convert/raise/LinearMatch.h"
#include "passes/convert/raise/Products.h"
#include "passes/convert/raise/RowSpaces.h"

using namespace mlir;
using namespace mlir::moe;

bool moe::isSumOfRows(Operation *op) {
  if (isa<onnx::AddOp, onnx::SumOp>(op))
    return true;
  if (auto scatter = dyn_cast<onnx::ScatterNDOp>(op))
    return scatter.getReduction() == "add";
  if (auto scatter = dyn_cast<onnx::ScatterElementsOp>(op))
    return scatter.getReduction() == "add" && scatter.getAxis() == 0 &&
           getTensorType(scatter.getOutput()).getRank() == 2;
  return false;
}

/// Whether only one user of `op` needs its numbers.
static bool isUsedOnce(Operation *op) {
  unsigned count = 0;
  for (Operation *user : op->getUsers()) {
    bool isShape = isa<onnx::ShapeOp>(user) ||
                   (isa<onnx::SliceOp>(user) &&
                    llvm::all_of(user->getUsers(), [](Operation *next) {
                      return isa<onnx::ShapeOp>(next);
                    }));
    count += !isShape;
  }
  return count == 1;
}

/// Whether `value` is zero: full of zeros, or a product with such.
static bool isZero(Value value) {
  value = skipCasts(value);
  if (auto mul = value.getDefiningOp<onnx::MulOp>())
    return isZero(mul.getA()) || isZero(mul.getB());
  return isFilledWith(value, 0);
}

/// The mask of which `condition` says whether any element is set.
static Value getAnyMask(Value condition) {
  condition = skipCasts(condition);
  if (auto greater = condition.getDefiningOp<onnx::GreaterOp>();
      greater && getNumber(greater.getB()) == 0.0)
    condition = skipCasts(greater.getA());
  Operation *op = condition.getDefiningOp();
  if (!isa_and_nonnull<onnx::ReduceMaxOp, onnx::ReduceSumOp>(op) ||
      getTensorType(condition).getRank() > 1)
    return {};
  return skipCasts(op->getOperand(0));
}

namespace {

class TermFinder {
public:
  TermFinder(Tracer &tracer, int out, OpBuilder *builder)
      : tracer(tracer), out(out), builder(builder) {}

  void find(const IndexedValue &result) {
    root = result.value;
    std::vector<Term> work = {{result, {}, {}, result}};
    while (!work.empty()) {
      Term term = std::move(work.back());
      work.pop_back();
      if (isFilledWith(term.main.value, 0))
        continue;
      if (!expand(term, work))
        terms.push_back(std::move(term));
    }
    std::reverse(terms.begin(), terms.end());
  }

  std::vector<Term> terms;

private:
  bool expand(Term &term, std::vector<Term> &work) {
    bool isWhole = term.main == term.whole;
    term.main = tracer.trace(term.main);
    if (isWhole)
      term.whole = term.main;
    if (matchLinear(tracer, term.main, out))
      return false;
    Operation *op = term.main.value.getDefiningOp();
    if (!op)
      return false;
    // Unless asked for more, only numbers are multiplied into every summand.
    bool isPlain =
        term.summed.empty() &&
        (builder || llvm::all_of(term.gates, [](const IndexedValue &gate) {
           return getNumber(gate.value).has_value();
         }));
    if (isSumOfRows(op) && isPlain &&
        (term.main.value == root || isUsedOnce(op)))
      return expandSum(op, term, work);
    if (auto scatter = dyn_cast<onnx::ScatterElementsOp>(op))
      return isFilledWith(scatter.getData(), 0) &&
             expandScatter(op, term, work);
    if (auto branch = dyn_cast<onnx::IfOp>(op))
      return expandBranch(branch, term, work);
    if (auto concat = dyn_cast<onnx::ConcatOp>(op))
      return expandConcat(concat, term, work);
    if (auto where = dyn_cast<onnx::WhereOp>(op); where && builder)
      return isPlain && expandWhere(where, term, work);
    if (isa<onnx::GatherElementsOp, onnx::GatherNDOp>(op) && builder)
      return expandChoice(op, term, work);
    return expandProduct(term, work);
  }

  void push(const Term &term, IndexedValue part, std::vector<Term> &work) {
    Term next = term;
    next.main = std::move(part);
    // A summand of a product has no value of its own.
    next.whole = term.main == term.whole ? next.main : IndexedValue();
    work.push_back(std::move(next));
  }

  bool expandSum(Operation *op, const Term &term, std::vector<Term> &work) {
    if (!isa<onnx::AddOp, onnx::SumOp>(op))
      return expandScatter(op, term, work);
    SmallVector<IndexedValue> parts;
    for (Value operand : op->getOperands()) {
      std::optional<IndexedValue> part = tracer.getOperand(operand, term.main);
      // A broadcast over the width would not be a row.
      if (!part || !part->dependsOn(out))
        return false;
      parts.push_back(*part);
    }
    for (IndexedValue &part : parts)
      push(term, std::move(part), work);
    return true;
  }

  /// Rows that are added into a tensor: a row space whose places are tokens.
  bool expandScatter(Operation *op, const Term &term, std::vector<Term> &work) {
    Value data = op->getOperand(0), indices = op->getOperand(1);
    Value updates = op->getOperand(2);
    const Axis &token = term.main.axes[0];
    if (isa<onnx::ScatterNDOp>(op) &&
        getTensorType(indices).getShape().back() != 1)
      return false;
    std::optional<RowSpace> space = readTarget(indices, token);
    if (!space || (!isSumOfRows(op) && !areDistinct(*space)))
      return false;
    Term rows = term;
    int label = tracer.addRows(*space);
    rows.main = {updates, term.main.axes};
    rows.main.axes[0] = tracer.getWhole(label);
    // Every place whose token is this one is summed.
    for (const Axis &place : space->places)
      for (const Digit &digit : place)
        if (!digit.isConstant() && !llvm::is_contained(token, digit))
          rows.summed.push_back(digit.label);
    if (auto nonZero = space->list.getDefiningOp<onnx::NonZeroOp>())
      rows.gates.push_back({nonZero.getX(), SmallVector<Axis>(space->places)});
    rows.whole = {};
    work.push_back(std::move(rows));
    push(term, {data, term.main.axes}, work);
    return true;
  }

  /// A branch that is left out if no token chose the expert.
  bool expandBranch(onnx::IfOp op, const Term &term, std::vector<Term> &work) {
    auto getYielded = [&](Region &region) {
      unsigned i = cast<OpResult>(term.main.value).getResultNumber();
      return region.front().getTerminator()->getOperand(i);
    };
    Value mask = getAnyMask(op.getCond());
    Value taken = getYielded(op.getThenBranch());
    if (!mask || term.condition || !isZero(getYielded(op.getElseBranch())) ||
        !isa<RankedTensorType>(taken.getType()) ||
        getTensorType(taken).getRank() !=
            static_cast<int64_t>(term.main.axes.size()))
      return false;
    Term next = term;
    next.main.value = taken;
    next.condition = mask;
    work.push_back(std::move(next));
    return true;
  }

  /// The row space whose tokens `indices` are, with `token` as their axis.
  std::optional<RowSpace> readTarget(Value indices, const Axis &token) {
    // Rows of a label of their own show what the indices are computed from.
    int probe = tracer.addLabel(ShapedType::kDynamic);
    IndexedValue index{indices, {}};
    for (int64_t i = 0, e = getTensorType(indices).getRank(); i < e; ++i)
      index.axes.push_back(i == 0 ? tracer.getWhole(probe) : Axis());
    index = tracer.trace(index);
    if (auto nonZero = index.value.getDefiningOp<onnx::NonZeroOp>()) {
      int64_t place = index.axes[0].empty() ? 0 : index.axes[0][0].offset;
      RowSpace space{index.value, {}};
      ArrayRef<int64_t> shape = getTensorType(nonZero.getX()).getShape();
      for (auto [i, extent] : llvm::enumerate(shape)) {
        if (static_cast<int64_t>(i) == place)
          space.places.push_back(token);
        else
          space.places.push_back(
              extent == 1 ? Axis() : tracer.getWhole(tracer.addLabel(extent)));
      }
      return space;
    }
    // order / K of a sort.
    Value order;
    int64_t slots = 1;
    if (std::optional<std::pair<Value, int64_t>> quotient =
            matchQuotient(index.value))
      std::tie(order, slots) = *quotient;
    onnx::TopKOp sort = order ? getSort(order) : onnx::TopKOp();
    if (!sort)
      return std::nullopt;
    Axis place = token;
    if (slots > 1)
      place.append(tracer.getWhole(tracer.addLabel(slots)));
    return RowSpace{sort.getIndices(), {place}};
  }

  /// Whether no token is twice among the rows: an expert is chosen once.
  bool areDistinct(const RowSpace &space) {
    auto nonZero = space.list.getDefiningOp<onnx::NonZeroOp>();
    if (!nonZero)
      return false;
    std::optional<OneHotMatch> hot =
        matchOneHot(tracer, {nonZero.getX(), SmallVector<Axis>(space.places)},
                    Digit::kNone);
    auto choice =
        hot ? hot->ids.value.getDefiningOp<onnx::TopKOp>() : onnx::TopKOp();
    return choice && hot->expert && choice.getIndices() == hot->ids.value;
  }

  /// Rows of lanes that are joined before the sum.
  bool expandConcat(onnx::ConcatOp op, const Term &term,
                    std::vector<Term> &work) {
    int64_t rank = term.main.axes.size();
    int64_t dim = getAxisFromFront(op.getAxis(), rank);
    int label = term.main.getLabel(dim);
    auto found = llvm::find(term.summed, label);
    if (label == Digit::kNone || found == term.summed.end())
      return false;
    for (Value part : op.getInputs())
      if (getTensorType(part).getDimSize(dim) != 1)
        return false;
    int64_t count = op->getNumOperands();
    for (auto [i, part] : llvm::enumerate(op.getInputs())) {
      Term next = term;
      Digit digit{Digit::kNone, static_cast<int64_t>(i), 1, count};
      next.main.replace(label, digit);
      next.main.value = part;
      next.main.axes[dim].clear();
      for (IndexedValue &gate : next.gates)
        gate.replace(label, digit);
      next.summed.erase(llvm::find(next.summed, label));
      next.whole = {};
      work.push_back(std::move(next));
    }
    return true;
  }

  /// where(mask, a, b) as mask * a + not mask * b.
  bool expandWhere(onnx::WhereOp op, const Term &term,
                   std::vector<Term> &work) {
    std::optional<IndexedValue> mask =
        tracer.getOperand(op.getCondition(), term.main);
    std::optional<IndexedValue> yes = tracer.getOperand(op.getX(), term.main);
    std::optional<IndexedValue> no = tracer.getOperand(op.getY(), term.main);
    if (!mask || !yes || !no || mask->dependsOn(out) ||
        (!yes->dependsOn(out) && !isZero(yes->value)) ||
        (!no->dependsOn(out) && !isZero(no->value)))
      return false;
    auto pushMasked = [&](IndexedValue part, IndexedValue factor) {
      if (isZero(part.value))
        return;
      Term next = term;
      next.main = std::move(part);
      next.gates.push_back(std::move(factor));
      next.whole = {};
      work.push_back(std::move(next));
    };
    pushMasked(*yes, *mask);
    IndexedValue inverse = *mask;
    if (!isZero(no->value))
      inverse.value = onnx::NotOp::create(*builder, op.getLoc(),
                                          mask->value.getType(), mask->value);
    pushMasked(*no, inverse);
    return true;
  }

  /// The results that ids choose among those of all experts, as a sum with
  /// masks: sum over e of (ids == e) * results[e].
  bool expandChoice(Operation *op, const Term &term, std::vector<Term> &work) {
    Value data = op->getOperand(0), indices = op->getOperand(1);
    ArrayRef<int64_t> shape = getTensorType(data).getShape();
    IndexedValue source{data, {}}, ids;
    int64_t dim = -1;
    if (auto gather = dyn_cast<onnx::GatherElementsOp>(op)) {
      dim = getAxisFromFront(gather.getAxis(), shape.size());
      source.axes = term.main.axes;
      ids = tracer.trace({indices, term.main.axes});
    } else if (!readPlaces(cast<onnx::GatherNDOp>(op), term.main, source, ids,
                           dim)) {
      return false;
    }
    // An embedding is no list of experts.
    if (dim < 0 || ids.dependsOn(out) || ShapedType::isDynamic(shape[dim]) ||
        shape[dim] < 2 || shape[dim] > 1024 || WeightView::get(data))
      return false;
    int64_t count = shape[dim];
    Digit expert{tracer.addLabel(count), 0, 1, count};
    source.axes[dim] = {expert};
    Term next = term;
    next.main = std::move(source);
    next.gates.push_back(buildEncoding(ids, expert));
    next.summed.push_back(expert.label);
    next.whole = {};
    work.push_back(std::move(next));
    return true;
  }

  /// The index of `op` into its data, but for the one dimension that `ids`
  /// choose.
  bool readPlaces(onnx::GatherNDOp op, const IndexedValue &result,
                  IndexedValue &source, IndexedValue &ids, int64_t &dim) {
    Value indices = op.getIndices();
    ArrayRef<int64_t> shape = getTensorType(op.getData()).getShape();
    int64_t rank = getTensorType(indices).getRank();
    int64_t width = getTensorType(indices).getShape().back();
    if (op.getBatchDims() != 0 || ShapedType::isDynamic(width))
      return false;
    ArrayRef<Axis> axes = result.axes;
    for (int64_t i = 0; i < width; ++i) {
      IndexedValue index{indices, SmallVector<Axis>(axes.take_front(rank - 1))};
      index.axes.push_back(width == 1 ? Axis()
                                      : Axis{Digit{Digit::kNone, i, 1, width}});
      if (std::optional<Axis> place = tracer.readIndex(index, shape[i])) {
        source.axes.push_back(*place);
        continue;
      }
      if (dim >= 0)
        return false;
      dim = i;
      ids = traceIds(tracer, index);
      source.axes.emplace_back();
    }
    source.axes.append(axes.begin() + rank - 1, axes.end());
    return dim >= 0;
  }

  /// ids == expert, with the experts as the last dimension.
  IndexedValue buildEncoding(const IndexedValue &ids, const Digit &expert) {
    Location loc = ids.value.getLoc();
    RankedTensorType type = getTensorType(ids.value);
    int64_t rank = type.getRank(), count = expert.radix;
    SmallVector<int64_t> shape(type.getShape());
    shape.push_back(1);
    auto buildIntegers = [&](ArrayRef<int64_t> values, Type element) -> Value {
      auto type =
          RankedTensorType::get({static_cast<int64_t>(values.size())}, element);
      SmallVector<APInt> numbers;
      for (int64_t value : values)
        numbers.push_back(
            APInt(element.getIntOrFloatBitWidth(), value, /*isSigned=*/true));
      return onnx::ConstantOp::create(*builder, loc, type,
                                      DenseElementsAttr::get(type, numbers));
    };
    Value column = onnx::UnsqueezeOp::create(
        *builder, loc, RankedTensorType::get(shape, type.getElementType()),
        ids.value, buildIntegers(rank, builder->getI64Type()));
    Value numbers = buildIntegers(llvm::to_vector(llvm::seq<int64_t>(0, count)),
                                  type.getElementType());
    shape.back() = count;
    IndexedValue result{onnx::EqualOp::create(
                            *builder, loc,
                            RankedTensorType::get(shape, builder->getI1Type()),
                            column, numbers),
                        ids.axes};
    result.axes.push_back({expert});
    return result;
  }

  bool expandProduct(Term &term, std::vector<Term> &work) {
    std::optional<Product> product = getProduct(tracer, term.main);
    if (!product)
      return false;
    Term next = term;
    next.main = {};
    for (IndexedValue &factor : product->factors) {
      if (!factor.dependsOn(out))
        next.gates.push_back(std::move(factor));
      else if (!next.main)
        next.main = std::move(factor);
      else
        return false;
    }
    if (!next.main)
      return false;
    next.summed.append(product->summed);
    work.push_back(std::move(next));
    return true;
  }

  Tracer &tracer;
  int out;
  OpBuilder *builder;
  Value root;
};

} // namespace

std::vector<Term> moe::findTerms(Tracer &tracer, const IndexedValue &result,
                                 int out, OpBuilder *builder) {
  TermFinder finder(tracer, out, builder);
  finder.find(result);
  return std::move(finder.terms);
}
