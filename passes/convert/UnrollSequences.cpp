//===- UnrollSequences.cpp - sequences become the tensors they hold -------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/Passes.h"

#include "dialects/moe/MoEDialect.h"
#include "dialects/onnx/ONNXDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"

namespace mlir::moe {
#define GEN_PASS_DEF_UNROLLSEQUENCES
#include "passes/convert/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

/// More turns than these are not unrolled, nor more tensors split off.
constexpr int64_t kMaxCount = 1024;

bool isList(Type type) {
  return isa<onnx::SequenceType, onnx::OptionalType>(type);
}

/// Whether `op`, or an operation in it, has to do with a sequence.
bool touchesLists(Operation *op) {
  return op
      ->walk([](Operation *nested) {
        bool touches =
            llvm::any_of(nested->getOperandTypes(), isList) ||
            llvm::any_of(nested->getResultTypes(), isList) ||
            isa<onnx::OptionalHasElementOp, onnx::OptionalGetElementOp>(nested);
        return touches ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}

/// The only element of a constant, through copies.
std::optional<int64_t> getInteger(Value value) {
  while (auto copy = value.getDefiningOp<onnx::IdentityOp>())
    value = copy.getInput();
  auto constant = value.getDefiningOp<onnx::ConstantOp>();
  auto elements = constant ? dyn_cast<DenseElementsAttr>(constant.getValue())
                           : DenseElementsAttr();
  if (!elements || elements.getNumElements() != 1 ||
      !isa<IntegerType>(elements.getElementType()))
    return std::nullopt;
  APInt number = *elements.value_begin<APInt>();
  return number.getBitWidth() == 1 ? int64_t(number.getZExtValue())
                                   : number.getSExtValue();
}

/// `type` with `extent` as dimension `axis`.
RankedTensorType withExtent(RankedTensorType type, int64_t axis,
                            int64_t extent) {
  SmallVector<int64_t> shape(type.getShape());
  shape[axis] = extent;
  return RankedTensorType::get(shape, type.getElementType());
}

class Unroller {
public:
  explicit Unroller(MLIRContext *context) : builder(context) {}

  LogicalResult run(Block &block);
  /// Lets `function` return what its sequences hold.
  void flattenResults(func::FuncOp function);
  void eraseDead();

private:
  using Tensors = SmallVector<Value>;

  LogicalResult runOperation(Operation *op);
  LogicalResult runSequence(Operation *op);
  LogicalResult insert(onnx::SequenceInsertOp op);
  LogicalResult erase(onnx::SequenceEraseOp op);
  LogicalResult at(onnx::SequenceAtOp op);
  LogicalResult split(onnx::SplitToSequenceOp op);
  LogicalResult concat(onnx::ConcatFromSequenceOp op);
  LogicalResult runOptional(Operation *op);
  LogicalResult runIf(onnx::IfOp op);
  LogicalResult takeBranch(onnx::IfOp op, Block &branch);
  LogicalResult unrollLoop(onnx::LoopOp op);

  /// Where a tensor is inserted or taken; fails if only a run can tell.
  FailureOr<int64_t> getPosition(Operation *op, Value position, int64_t count,
                                 int64_t limit);
  /// What `list`, a sequence or an optional one, holds; null if unknown.
  const Tensors *lookup(Value list) const {
    auto found = sequences.find(list);
    return found == sequences.end() ? nullptr : &found->second;
  }
  /// Makes `to`, of any type, stand for what `from` is.
  void alias(Value to, Value from);
  void replace(Value old, Value now);
  Value makeConstant(Location loc, ArrayRef<int64_t> values, bool isScalar);
  Value makeFlag(Location loc, bool value);

  OpBuilder builder;
  DenseMap<Value, Tensors> sequences;
  /// What is known of optional values: what they hold, null for nothing.
  DenseMap<Value, Value> optionals;
  /// What was replaced; users come after what they use.
  SmallVector<Operation *> dead;
};

Value Unroller::makeConstant(Location loc, ArrayRef<int64_t> values,
                             bool isScalar) {
  SmallVector<int64_t> shape;
  if (!isScalar)
    shape.push_back(values.size());
  auto type = RankedTensorType::get(shape, builder.getI64Type());
  return onnx::ConstantOp::create(builder, loc, type,
                                  DenseElementsAttr::get(type, values));
}

Value Unroller::makeFlag(Location loc, bool value) {
  auto type = RankedTensorType::get({}, builder.getI1Type());
  return onnx::ConstantOp::create(builder, loc, type,
                                  DenseElementsAttr::get(type, value));
}

void Unroller::replace(Value old, Value now) {
  // A type may know more than what follows from the sequence.
  if (old.getType() != now.getType())
    now = onnx::IdentityOp::create(builder, old.getLoc(), old.getType(), now);
  old.replaceAllUsesWith(now);
}

void Unroller::alias(Value to, Value from) {
  if (isa<RankedTensorType>(to.getType()) &&
      isa<RankedTensorType>(from.getType())) {
    replace(to, from);
    return;
  }
  // A copy is made first: the tables may grow.
  if (const Tensors *tensors = lookup(from)) {
    Tensors copy = *tensors;
    sequences[to] = copy;
  }
  if (auto held = optionals.find(from); held != optionals.end()) {
    Value value = held->second;
    optionals[to] = value;
  } else if (isa<onnx::OptionalType>(to.getType()) &&
             !isa<onnx::OptionalType>(from.getType())) {
    optionals[to] = from;
  }
}

FailureOr<int64_t> Unroller::getPosition(Operation *op, Value position,
                                         int64_t count, int64_t limit) {
  std::optional<int64_t> given = getInteger(position);
  if (!given)
    return op->emitError() << "expected a position in the sequence that is "
                              "known before the run";
  int64_t place = *given < 0 ? *given + count : *given;
  if (place < 0 || place >= limit)
    return op->emitError() << "expected a position in [" << -count << ", "
                           << limit - 1 << "], got " << *given;
  return place;
}

LogicalResult Unroller::insert(onnx::SequenceInsertOp op) {
  const Tensors *tensors = lookup(op.getInputSequence());
  if (!tensors)
    return success();
  Tensors longer = *tensors;
  int64_t count = longer.size(), place = count;
  if (!isa<NoneType>(op.getPosition().getType())) {
    FailureOr<int64_t> given =
        getPosition(op, op.getPosition(), count, count + 1);
    if (failed(given))
      return failure();
    place = *given;
  }
  longer.insert(longer.begin() + place, op.getTensor());
  sequences[op.getOutputSequence()] = longer;
  return success();
}

LogicalResult Unroller::erase(onnx::SequenceEraseOp op) {
  const Tensors *tensors = lookup(op.getInputSequence());
  if (!tensors)
    return success();
  Tensors shorter = *tensors;
  int64_t count = shorter.size(), place = count - 1;
  if (!isa<NoneType>(op.getPosition().getType())) {
    FailureOr<int64_t> given = getPosition(op, op.getPosition(), count, count);
    if (failed(given))
      return failure();
    place = *given;
  }
  if (shorter.empty())
    return op.emitError() << "expected a sequence that is not empty";
  shorter.erase(shorter.begin() + place);
  sequences[op.getOutputSequence()] = shorter;
  return success();
}

LogicalResult Unroller::at(onnx::SequenceAtOp op) {
  const Tensors *tensors = lookup(op.getInputSequence());
  if (!tensors)
    return success();
  int64_t count = tensors->size();
  FailureOr<int64_t> place = getPosition(op, op.getPosition(), count, count);
  if (failed(place))
    return failure();
  replace(op.getTensor(), (*tensors)[*place]);
  return success();
}

LogicalResult Unroller::split(onnx::SplitToSequenceOp op) {
  auto type = cast<RankedTensorType>(op.getInput().getType());
  int64_t rank = type.getRank(), axis = op.getAxis();
  axis += axis < 0 ? rank : 0;
  if (axis < 0 || axis >= rank)
    return op.emitError() << "expected an axis in [" << -rank << ", "
                          << rank - 1 << "], got "
                          << static_cast<int64_t>(op.getAxis());
  bool hasSizes = !isa<NoneType>(op.getSplit().getType());
  int64_t extent = type.getDimSize(axis);
  SmallVector<int64_t> sizes;
  auto splitType = dyn_cast<RankedTensorType>(op.getSplit().getType());
  if (hasSizes && splitType.getRank() == 1) {
    auto constant = op.getSplit().getDefiningOp<onnx::ConstantOp>();
    auto elements = constant ? dyn_cast<DenseElementsAttr>(constant.getValue())
                             : DenseElementsAttr();
    if (!elements)
      return success();
    for (const APInt &size : elements.getValues<APInt>())
      sizes.push_back(size.getSExtValue());
  } else {
    std::optional<int64_t> size = 1;
    if (hasSizes)
      size = getInteger(op.getSplit());
    if (!size || ShapedType::isDynamic(extent))
      return success();
    if (*size < 1)
      return op.emitError() << "expected a positive split, got " << *size;
    for (int64_t first = 0; first < extent; first += *size)
      if (sizes.size() <= kMaxCount)
        sizes.push_back(std::min(*size, extent - first));
  }
  if (static_cast<int64_t>(sizes.size()) > kMaxCount)
    return op.emitError() << "expected at most " << kMaxCount
                          << " tensors in a sequence";
  SmallVector<Type> types;
  for (int64_t size : sizes) {
    if (size < 0)
      return op.emitError()
             << "expected sizes that are not negative, got " << size;
    types.push_back(withExtent(type, axis, size));
  }
  if (types.empty()) {
    sequences[op.getOutputSequence()] = {};
    return success();
  }
  Location loc = op.getLoc();
  auto parts =
      onnx::SplitOp::create(builder, loc, types, op.getInput(),
                            makeConstant(loc, sizes, /*isScalar=*/false),
                            builder.getI64IntegerAttr(axis), IntegerAttr());
  Tensors tensors(parts.getResults());
  if (!hasSizes && !op.getKeepdims()) {
    SmallVector<int64_t> shape(type.getShape());
    shape.erase(shape.begin() + axis);
    auto squeezed = RankedTensorType::get(shape, type.getElementType());
    Value axes = makeConstant(loc, axis, /*isScalar=*/false);
    for (Value &tensor : tensors)
      tensor = onnx::SqueezeOp::create(builder, loc, squeezed, tensor, axes);
  }
  sequences[op.getOutputSequence()] = tensors;
  return success();
}

LogicalResult Unroller::concat(onnx::ConcatFromSequenceOp op) {
  const Tensors *known = lookup(op.getInputSequence());
  if (!known)
    return success();
  Tensors tensors = *known;
  if (tensors.empty())
    return op.emitError() << "expected a sequence that is not empty";
  int64_t axis = op.getAxis();
  Location loc = op.getLoc();
  if (op.getNewAxis()) {
    Value axes = makeConstant(loc, axis, /*isScalar=*/false);
    for (Value &tensor : tensors) {
      auto type = cast<RankedTensorType>(tensor.getType());
      int64_t rank = type.getRank() + 1;
      int64_t place = axis < 0 ? axis + rank : axis;
      if (place < 0 || place >= rank)
        return op.emitError() << "expected an axis in [" << -rank << ", "
                              << rank - 1 << "], got " << axis;
      SmallVector<int64_t> shape(type.getShape());
      shape.insert(shape.begin() + place, 1);
      tensor = onnx::UnsqueezeOp::create(
          builder, loc, RankedTensorType::get(shape, type.getElementType()),
          tensor, axes);
    }
  }
  op.getConcatResult().replaceAllUsesWith(
      onnx::ConcatOp::create(builder, loc, op.getConcatResult().getType(),
                             tensors, builder.getI64IntegerAttr(axis)));
  return success();
}

LogicalResult Unroller::runSequence(Operation *op) {
  if (isa<onnx::SequenceEmptyOp>(op))
    sequences[op->getResult(0)] = {};
  else if (isa<onnx::SequenceConstructOp>(op))
    sequences[op->getResult(0)] = Tensors(op->getOperands());
  else if (auto insertion = dyn_cast<onnx::SequenceInsertOp>(op))
    return insert(insertion);
  else if (auto erasure = dyn_cast<onnx::SequenceEraseOp>(op))
    return erase(erasure);
  else if (auto access = dyn_cast<onnx::SequenceAtOp>(op))
    return at(access);
  else if (auto parts = dyn_cast<onnx::SplitToSequenceOp>(op))
    return split(parts);
  else if (auto sum = dyn_cast<onnx::ConcatFromSequenceOp>(op))
    return concat(sum);
  else if (auto length = dyn_cast<onnx::SequenceLengthOp>(op)) {
    if (const Tensors *tensors = lookup(length.getInputSequence()))
      replace(length.getLength(),
              makeConstant(op->getLoc(), tensors->size(), /*isScalar=*/true));
  }
  return success();
}

LogicalResult Unroller::runOptional(Operation *op) {
  Value operand = op->getOperand(0), result = op->getResult(0);
  bool isMissing = isa<NoneType>(operand.getType());
  if (isa<onnx::OptionalOp>(op)) {
    if (isMissing)
      optionals[result] = Value();
    else
      alias(result, operand);
    return success();
  }
  bool isKnown = isMissing || !isa<onnx::OptionalType>(operand.getType()) ||
                 optionals.contains(operand);
  if (!isKnown)
    return success();
  Value held = isMissing ? Value()
               : isa<onnx::OptionalType>(operand.getType())
                   ? optionals.lookup(operand)
                   : operand;
  if (isa<onnx::OptionalHasElementOp>(op)) {
    replace(result, makeFlag(op->getLoc(), held != nullptr));
    return success();
  }
  if (!held)
    return op->emitError() << "expected an optional value that holds something";
  alias(result, held);
  return success();
}

/// The branch that is taken, in the place of `op`.
LogicalResult Unroller::takeBranch(onnx::IfOp op, Block &branch) {
  Operation *yield = branch.getTerminator();
  if (yield->getNumOperands() != op->getNumResults())
    return op.emitError() << "expected a branch with " << op->getNumResults()
                          << " results, got " << yield->getNumOperands();
  SmallVector<Operation *> moved;
  for (Operation &nested : branch.without_terminator())
    moved.push_back(&nested);
  for (Operation *nested : moved) {
    nested->moveBefore(op);
    if (failed(runOperation(nested)))
      return failure();
  }
  builder.setInsertionPoint(op);
  // What the operations that moved were replaced by.
  for (auto [result, value] :
       llvm::zip_equal(op->getResults(), yield->getOperands()))
    alias(result, value);
  dead.push_back(op);
  return success();
}

LogicalResult Unroller::runIf(onnx::IfOp op) {
  if (std::optional<int64_t> condition = getInteger(op.getCond()))
    return takeBranch(
        op, (*condition ? op.getThenBranch() : op.getElseBranch()).front());
  for (Region *branch : {&op.getThenBranch(), &op.getElseBranch()})
    if (failed(run(branch->front())))
      return failure();
  // Sequences of equal length in both branches become as many results.
  Operation *yields[] = {op.getThenBranch().front().getTerminator(),
                         op.getElseBranch().front().getTerminator()};
  if (llvm::none_of(op->getResultTypes(), isList))
    return success();
  SmallVector<Type> types;
  SmallVector<unsigned> counts;
  SmallVector<Value> values[2];
  for (auto [i, result] : llvm::enumerate(op->getResults())) {
    if (!isList(result.getType())) {
      types.push_back(result.getType());
      counts.push_back(1);
      for (int branch : {0, 1})
        values[branch].push_back(yields[branch]->getOperand(i));
      continue;
    }
    const Tensors *first = lookup(yields[0]->getOperand(i));
    const Tensors *second = lookup(yields[1]->getOperand(i));
    if (!first || !second || first->size() != second->size())
      return success();
    counts.push_back(first->size());
    for (auto [a, b] : llvm::zip_equal(*first, *second)) {
      auto left = dyn_cast<RankedTensorType>(a.getType());
      auto right = dyn_cast<RankedTensorType>(b.getType());
      if (!left || !right || left.getRank() != right.getRank())
        return success();
      SmallVector<int64_t> shape(left.getShape());
      for (auto [extent, other] : llvm::zip_equal(shape, right.getShape()))
        extent = extent == other ? extent : ShapedType::kDynamic;
      types.push_back(RankedTensorType::get(shape, left.getElementType()));
      values[0].push_back(a);
      values[1].push_back(b);
    }
  }
  builder.setInsertionPoint(op);
  OperationState state(op.getLoc(), onnx::IfOp::getOperationName());
  state.addOperands(op.getCond());
  state.addTypes(types);
  state.addRegion();
  state.addRegion();
  Operation *flat = builder.create(state);
  for (int region : {0, 1})
    flat->getRegion(region).takeBody(op->getRegion(region));
  yields[0]->setOperands(values[0]);
  yields[1]->setOperands(values[1]);
  ValueRange results = flat->getResults();
  for (auto [result, count] : llvm::zip_equal(op->getResults(), counts)) {
    if (isList(result.getType()))
      sequences[result] = Tensors(results.take_front(count));
    else
      result.replaceAllUsesWith(results.front());
    results = results.drop_front(count);
  }
  dead.push_back(op);
  return success();
}

/// A loop whose turns are known becomes as many copies of its body.
LogicalResult Unroller::unrollLoop(onnx::LoopOp op) {
  std::optional<int64_t> count = getInteger(op.getM());
  bool starts =
      isa<NoneType>(op.getCond().getType()) || getInteger(op.getCond()) == 1;
  if (!count || !starts || *count < 0 || *count > kMaxCount)
    return op.emitError() << "expected a loop over sequences with a number of "
                             "turns, at most "
                          << kMaxCount << ", that is known before the run";
  Block &body = op.getBody().front();
  unsigned states = op.getVInitial().size();
  if (body.getNumArguments() != states + 2 ||
      body.getTerminator()->getNumOperands() != op->getNumResults() + 1 ||
      op->getNumResults() < states)
    return op.emitError() << "expected a body with " << states + 2
                          << " arguments and " << op->getNumResults() + 1
                          << " results";
  Location loc = op.getLoc();
  SmallVector<Value> carried(op.getVInitial());
  SmallVector<Tensors> collected(op->getNumResults() - states);
  for (int64_t turn = 0; turn < *count; ++turn) {
    builder.setInsertionPoint(op);
    IRMapping mapping;
    mapping.map(body.getArgument(0),
                makeConstant(loc, turn, /*isScalar=*/true));
    mapping.map(body.getArgument(1), makeFlag(loc, true));
    for (auto [argument, state] :
         llvm::zip_equal(body.getArguments().drop_front(2), carried))
      mapping.map(argument, state);
    SmallVector<Operation *> copies;
    for (Operation &nested : body)
      copies.push_back(builder.clone(nested, mapping));
    Operation *yield = copies.pop_back_val();
    for (Operation *copy : copies)
      if (failed(runOperation(copy)))
        return failure();
    carried.assign(yield->operand_begin() + 1,
                   yield->operand_begin() + 1 + states);
    for (auto [tensors, slice] : llvm::zip_equal(
             collected, yield->getOperands().drop_front(1 + states)))
      tensors.push_back(slice);
    bool goesOn = getInteger(yield->getOperand(0)) == 1;
    yield->erase();
    if (!goesOn)
      return op.emitError() << "expected a loop over sequences that ends after "
                               "a number of turns only";
  }
  builder.setInsertionPoint(op);
  for (auto [result, state] : llvm::zip(op->getResults(), carried))
    alias(result, state);
  for (auto [result, tensors] :
       llvm::zip_equal(op->getResults().drop_front(states), collected)) {
    Value axes = makeConstant(loc, 0, /*isScalar=*/false);
    for (Value &tensor : tensors) {
      auto type = dyn_cast<RankedTensorType>(tensor.getType());
      if (!type)
        return op.emitError() << "expected tensors as slices of results";
      SmallVector<int64_t> shape(type.getShape());
      shape.insert(shape.begin(), 1);
      tensor = onnx::UnsqueezeOp::create(
          builder, loc, RankedTensorType::get(shape, type.getElementType()),
          tensor, axes);
    }
    if (tensors.empty())
      return op.emitError() << "expected at least one turn";
    result.replaceAllUsesWith(onnx::ConcatOp::create(
        builder, loc, result.getType(), tensors, builder.getI64IntegerAttr(0)));
  }
  dead.push_back(op);
  return success();
}

LogicalResult Unroller::runOperation(Operation *op) {
  builder.setInsertionPoint(op);
  if (isa<onnx::OptionalOp, onnx::OptionalHasElementOp,
          onnx::OptionalGetElementOp>(op)) {
    dead.push_back(op);
    return runOptional(op);
  }
  if (op->getNumRegions() != 0) {
    if (!touchesLists(op))
      return success();
    if (auto branches = dyn_cast<onnx::IfOp>(op))
      return runIf(branches);
    if (auto loop = dyn_cast<onnx::LoopOp>(op))
      return unrollLoop(loop);
    for (Region &region : op->getRegions())
      for (Block &block : region)
        if (failed(run(block)))
          return failure();
    return success();
  }
  if (llvm::none_of(op->getOperandTypes(), isList) &&
      llvm::none_of(op->getResultTypes(), isList))
    return success();
  if (op->getNumResults() == 0)
    return success();
  dead.push_back(op);
  if (auto copy = dyn_cast<onnx::IdentityOp>(op)) {
    alias(copy.getOutput(), copy.getInput());
    return success();
  }
  return runSequence(op);
}

LogicalResult Unroller::run(Block &block) {
  SmallVector<Operation *> operations;
  for (Operation &op : block)
    if (!op.hasTrait<OpTrait::IsTerminator>())
      operations.push_back(&op);
  for (Operation *op : operations)
    if (failed(runOperation(op)))
      return failure();
  return success();
}

void Unroller::flattenResults(func::FuncOp function) {
  if (llvm::none_of(function.getResultTypes(), isList))
    return;
  Operation *terminator = function.front().getTerminator();
  SmallVector<Value> values;
  SmallVector<DictionaryAttr> attributes;
  StringRef kName = MoEDialect::kNameAttr;
  for (auto [i, value] : llvm::enumerate(terminator->getOperands())) {
    DictionaryAttr own = function.getResultAttrDict(i);
    if (auto held = optionals.find(value); held != optionals.end() &&
                                           held->second &&
                                           !isList(held->second.getType()))
      value = held->second;
    const Tensors *tensors = lookup(value);
    if (!tensors) {
      values.push_back(value);
      attributes.push_back(own);
      continue;
    }
    auto name = own ? own.getAs<StringAttr>(kName) : StringAttr();
    for (auto [number, tensor] : llvm::enumerate(*tensors)) {
      values.push_back(tensor);
      NamedAttrList named;
      if (name)
        named.set(kName,
                  builder.getStringAttr(name.getValue() + "." + Twine(number)));
      attributes.push_back(named.getDictionary(builder.getContext()));
    }
  }
  terminator->setOperands(values);
  function.setFunctionType(builder.getFunctionType(
      function.getArgumentTypes(), ValueRange(values).getTypes()));
  function.setAllResultAttrs(attributes);
}

void Unroller::eraseDead() {
  for (Operation *op : llvm::reverse(dead))
    if (op->use_empty())
      op->erase();
}

struct UnrollSequences
    : public moe::impl::UnrollSequencesBase<UnrollSequences> {
  void runOnOperation() override {
    if (!touchesLists(getOperation()))
      return;
    Unroller unroller(&getContext());
    for (Region &region : getOperation()->getRegions())
      for (Block &block : region)
        if (failed(unroller.run(block)))
          return signalPassFailure();
    getOperation()->walk(
        [&](func::FuncOp function) { unroller.flattenResults(function); });
    unroller.eraseDead();
    bool isDone = true;
    getOperation()->walk([&](Operation *op) {
      if (op->getNumRegions() != 0 || !touchesLists(op))
        return;
      op->emitError() << "expected a sequence or optional value of which is "
                         "known before the run what it holds";
      isDone = false;
    });
    if (!isDone)
      signalPassFailure();
  }
};

} // namespace
