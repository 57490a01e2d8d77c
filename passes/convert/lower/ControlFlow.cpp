//===- ControlFlow.cpp - lowering of If, Loop and Scan ----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Lowering.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

/// The only element of a tensor of rank 0 or 1.
Value extractOnly(TensorBuilder &t, Value tensor) {
  int64_t rank = cast<RankedTensorType>(tensor.getType()).getRank();
  return t.extract(tensor, SmallVector<Value>(rank, t.index(0)));
}

FailureOr<SmallVector<Value>> retypeAll(Lowering &l, ValueRange values,
                                        TypeRange types) {
  SmallVector<Value> result;
  for (auto [value, type] : llvm::zip_equal(values, types)) {
    if (!areCompatible(value.getType(), type))
      return l.error() << "expected a value of type " << type << ", got "
                       << value.getType();
    result.push_back(l.tensors.retype(value, cast<RankedTensorType>(type)));
  }
  return result;
}

//===----------------------------------------------------------------------===//
// If
//===----------------------------------------------------------------------===//

LogicalResult lowerBranch(onnx::IfOp op, Lowering &l, Region &branch,
                          Region &target, TypeRange types) {
  OpBuilder &builder = l.tensors.builder;
  OpBuilder::InsertionGuard guard(builder);
  builder.createBlock(&target);
  FailureOr<SmallVector<Value>> values = l.lowerBody(branch.front());
  if (failed(values))
    return failure();
  if (values->size() != types.size())
    return l.error() << "expected branches with " << types.size()
                     << " results, got " << values->size();
  FailureOr<SmallVector<Value>> typed = retypeAll(l, *values, types);
  if (failed(typed))
    return failure();
  scf::YieldOp::create(builder, l.tensors.loc, *typed);
  return success();
}

LogicalResult lowerIf(onnx::IfOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  SmallVector<Type> types =
      llvm::map_to_vector(op->getResultTypes(), getPlainType);
  Value condition = extractOnly(t, l.get(op.getCond()));
  auto branches = scf::IfOp::create(t.builder, t.loc, types, condition,
                                    /*addThenBlock=*/false,
                                    /*addElseBlock=*/false);
  if (failed(lowerBranch(op, l, op.getThenBranch(), branches.getThenRegion(),
                         types)) ||
      failed(lowerBranch(op, l, op.getElseBranch(), branches.getElseRegion(),
                         types)))
    return failure();
  for (auto [result, lowered] :
       llvm::zip_equal(op->getResults(), branches.getResults()))
    l.set(result, lowered);
  return success();
}

//===----------------------------------------------------------------------===//
// Counted loops
//===----------------------------------------------------------------------===//

/// One input or output of a Scan that is cut along an axis.
struct Sliced {
  int64_t axis = 0;
  bool backwards = false;
};

/// `tensor` without `axis`, at `position` of that axis.
Value readSlice(TensorBuilder &t, Value tensor, int64_t axis, Value position) {
  auto type = cast<RankedTensorType>(tensor.getType());
  Sizes offsets(type.getRank(), t.builder.getIndexAttr(0));
  Sizes strides(type.getRank(), t.builder.getIndexAttr(1));
  Sizes sizes = t.sizes(tensor);
  offsets[axis] = position;
  sizes[axis] = t.builder.getIndexAttr(1);
  SmallVector<int64_t> shape(type.getShape());
  shape.erase(shape.begin() + axis);
  return tensor::ExtractSliceOp::create(
      t.builder, t.loc, RankedTensorType::get(shape, type.getElementType()),
      tensor, offsets, sizes, strides);
}

/// `old` with `slice` appended along the first dimension. The first turn finds
/// nothing in `old`, whose other extents do not count then.
Value appendSlice(TensorBuilder &t, Value old, Value slice, Value turn) {
  Sizes sizes = t.sizes(old), part = t.sizes(slice), full = part;
  full.insert(full.begin(), t.addSizes(sizes[0], t.builder.getIndexAttr(1)));
  Value isFirst = t.compare(arith::CmpIPredicate::eq, arith::CmpFPredicate::OEQ,
                            turn, t.index(0));
  Sizes expected;
  for (auto [own, next] : llvm::zip_equal(ArrayRef(sizes).drop_front(), part))
    expected.push_back(
        own == next
            ? own
            : OpFoldResult(t.select(isFirst, t.index(next), t.index(own))));
  for (auto [own, next] : llvm::zip_equal(expected, part))
    t.checkEqual(own, next, "expected slices of equal shape in each turn");
  Sizes offsets(full.size(), t.builder.getIndexAttr(0));
  Sizes strides(full.size(), t.builder.getIndexAttr(1));
  Type element = cast<RankedTensorType>(old.getType()).getElementType();
  Value grown = tensor::InsertSliceOp::create(
      t.builder, t.loc, old, t.empty(full, element), offsets, sizes, strides);
  offsets[0] = sizes[0];
  Sizes one = full;
  one[0] = t.builder.getIndexAttr(1);
  return tensor::InsertSliceOp::create(t.builder, t.loc, slice, grown, offsets,
                                       one, strides);
}

/// What a result that `appendSlice` grows starts with: no slice.
Value startSlices(TensorBuilder &t, RankedTensorType part) {
  SmallVector<int64_t> extents = {0};
  for (int64_t extent : part.getShape())
    extents.push_back(ShapedType::isDynamic(extent) ? 0 : extent);
  return t.empty(getAsIndexOpFoldResult(t.builder.getContext(), extents),
                 part.getElementType());
}

/// The type of such a result.
RankedTensorType getGrownType(RankedTensorType part) {
  SmallVector<int64_t> shape(part.getShape());
  shape.insert(shape.begin(), ShapedType::kDynamic);
  return RankedTensorType::get(shape, part.getElementType());
}

Value writeSlice(TensorBuilder &t, Value slice, Value tensor, int64_t axis,
                 Value position) {
  int64_t rank = cast<RankedTensorType>(tensor.getType()).getRank();
  Sizes offsets(rank, t.builder.getIndexAttr(0));
  Sizes strides(rank, t.builder.getIndexAttr(1));
  Sizes sizes = t.sizes(tensor);
  offsets[axis] = position;
  sizes[axis] = t.builder.getIndexAttr(1);
  return tensor::InsertSliceOp::create(t.builder, t.loc, slice, tensor, offsets,
                                       sizes, strides);
}

/// A loop of `count` turns. `enter` binds the arguments of the body from the
/// number of the turn and the states; the body yields, after `skipped` values,
/// the states and one slice of each of `outputs`.
LogicalResult lowerCounted(Operation *op, Lowering &l, Block &body,
                           OpFoldResult count, ValueRange states,
                           ArrayRef<Sliced> outputs, unsigned skipped,
                           function_ref<void(Value, ValueRange)> enter) {
  TensorBuilder &t = l.tensors;
  Operation *yield = body.getTerminator();
  unsigned stateCount = states.size();
  if (op->getNumResults() != stateCount + outputs.size() ||
      yield->getNumOperands() != skipped + op->getNumResults())
    return l.error() << "expected a body with " << skipped + op->getNumResults()
                     << " results, got " << yield->getNumOperands();
  SmallVector<Type> types =
      llvm::map_to_vector(op->getResultTypes(), getPlainType);
  SmallVector<Value> initial;
  for (Value state : states)
    initial.push_back(l.get(state));
  for (auto [i, output] : llvm::enumerate(outputs)) {
    RankedTensorType part =
        Lowering::getType(yield->getOperand(skipped + stateCount + i));
    auto plain = cast<RankedTensorType>(getPlainType(part));
    if (!part.hasStaticShape() || output.axis > part.getRank())
      return l.error() << "expected results of static shape in each turn, got "
                       << part;
    Sizes sizes = getAsIndexOpFoldResult(op->getContext(), part.getShape());
    sizes.insert(sizes.begin() + output.axis, count);
    initial.push_back(t.empty(sizes, plain.getElementType()));
  }
  FailureOr<SmallVector<Value>> typed = retypeAll(l, initial, types);
  if (failed(typed))
    return failure();
  OpBuilder::InsertionGuard guard(t.builder);
  Value turns = t.index(count);
  auto loop = scf::ForOp::create(t.builder, t.loc, t.index(0), turns,
                                 t.index(1), *typed);
  if (types.empty())
    loop.getBody()->getTerminator()->erase();
  t.builder.setInsertionPointToStart(loop.getBody());
  Value turn = loop.getInductionVar();
  ValueRange carried = loop.getRegionIterArgs();
  enter(turn, carried.take_front(stateCount));
  FailureOr<SmallVector<Value>> values = l.lowerBody(body);
  if (failed(values))
    return failure();
  SmallVector<Value> next(ArrayRef(*values).slice(skipped, stateCount));
  for (auto [i, output] : llvm::enumerate(outputs)) {
    Value slice = (*values)[skipped + stateCount + i];
    Value gathered = carried[stateCount + i];
    Value position =
        output.backwards ? t.sub(t.sub(turns, t.index(1)), turn) : turn;
    next.push_back(writeSlice(t, slice, gathered, output.axis, position));
  }
  typed = retypeAll(l, next, types);
  if (failed(typed))
    return failure();
  scf::YieldOp::create(t.builder, t.loc, *typed);
  t.builder.setInsertionPointAfter(loop);
  for (auto [result, lowered] :
       llvm::zip_equal(op->getResults(), loop.getResults()))
    l.set(result, lowered);
  return success();
}

/// The entry of an optional list, or 0.
int64_t getEntry(std::optional<ArrayRef<int64_t>> list, unsigned i) {
  return list && i < list->size() ? (*list)[i] : 0;
}

LogicalResult lowerScan(onnx::ScanOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Block &body = op.getBody().front();
  unsigned inputCount = op.getNumScanInputs();
  unsigned operandCount = op->getNumOperands();
  if (inputCount == 0 || inputCount > operandCount ||
      body.getNumArguments() != operandCount)
    return l.error() << "expected between 1 and " << operandCount
                     << " scanned inputs and as many arguments, got "
                     << inputCount << " and " << body.getNumArguments();
  unsigned stateCount = operandCount - inputCount;
  SmallVector<Sliced> inputs, outputs;
  OpFoldResult count;
  for (unsigned i = 0; i < inputCount; ++i) {
    Value operand = op->getOperand(stateCount + i);
    FailureOr<int64_t> axis = l.getAxis(getEntry(op.getScanInputAxes(), i),
                                        Lowering::getType(operand).getRank());
    if (failed(axis))
      return failure();
    inputs.push_back({*axis, getEntry(op.getScanInputDirections(), i) == 1});
    OpFoldResult extent = t.size(l.get(operand), *axis);
    if (i == 0)
      count = extent;
    else
      t.checkEqual(count, extent, "Scan: expected inputs of equal length");
  }
  for (unsigned i = stateCount; i < op->getNumResults(); ++i) {
    FailureOr<int64_t> axis =
        l.getAxis(getEntry(op.getScanOutputAxes(), i - stateCount),
                  Lowering::getType(op->getResult(i)).getRank());
    if (failed(axis))
      return failure();
    outputs.push_back(
        {*axis, getEntry(op.getScanOutputDirections(), i - stateCount) == 1});
  }
  return lowerCounted(
      op, l, body, count, op->getOperands().take_front(stateCount), outputs,
      /*skipped=*/0, [&](Value turn, ValueRange states) {
        for (auto [argument, state] : llvm::zip(body.getArguments(), states))
          l.set(argument, state);
        for (auto [i, input] : llvm::enumerate(inputs)) {
          Value last = t.sub(t.index(count), t.index(1));
          Value position = input.backwards ? t.sub(last, turn) : turn;
          l.set(body.getArgument(stateCount + i),
                readSlice(t, l.get(op->getOperand(stateCount + i)), input.axis,
                          position));
        }
      });
}

//===----------------------------------------------------------------------===//
// Loop
//===----------------------------------------------------------------------===//

/// Whether a condition is known to hold: left out, the constant true, or the
/// condition of the turn before.
bool alwaysHolds(Value condition, Value before) {
  while (auto identity = condition.getDefiningOp<onnx::IdentityOp>())
    condition = identity.getInput();
  if (condition == before || !Lowering::has(condition))
    return true;
  auto constant = condition.getDefiningOp<onnx::ConstantOp>();
  auto value = constant ? dyn_cast<DenseElementsAttr>(constant.getValue())
                        : DenseElementsAttr();
  return value && value.isSplat() && value.getSplatValue<APInt>().isOne();
}

/// A loop that may end at each turn. Results that gather a slice of each turn
/// grow, since nobody knows how many turns there will be.
LogicalResult lowerConditional(onnx::LoopOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Block &body = op.getBody().front();
  unsigned stateCount = op.getVInitial().size();
  Type i1 = t.builder.getI1Type(), index = t.builder.getIndexType();
  SmallVector<Type> types =
      llvm::map_to_vector(op->getResultTypes(), getPlainType);
  types.resize(stateCount);
  SmallVector<Value> initial;
  for (Value state : op.getVInitial())
    initial.push_back(l.get(state));
  for (Value slice :
       body.getTerminator()->getOperands().drop_front(1 + stateCount)) {
    auto part = cast<RankedTensorType>(getPlainType(slice.getType()));
    types.push_back(getGrownType(part));
    initial.push_back(startSlices(t, part));
  }
  SmallVector<Type> carried = {index, i1};
  carried.append(types.begin(), types.end());
  FailureOr<SmallVector<Value>> typed = retypeAll(l, initial, types);
  if (failed(typed))
    return failure();
  initial = *typed;
  Value holds = Lowering::has(op.getCond())
                    ? extractOnly(t, l.get(op.getCond()))
                    : t.constant(i1, 1);
  Value limit = Lowering::has(op.getM())
                    ? t.convert(extractOnly(t, l.get(op.getM())), index)
                    : Value();
  initial.insert(initial.begin(), {t.index(0), holds});

  OpBuilder::InsertionGuard guard(t.builder);
  auto loop = scf::WhileOp::create(t.builder, t.loc, carried, initial);
  SmallVector<Location> locations(carried.size(), t.loc);
  Block *before =
      t.builder.createBlock(&loop.getBefore(), {}, carried, locations);
  Value proceed = before->getArgument(1);
  if (limit)
    proceed = arith::AndIOp::create(t.builder, t.loc, proceed,
                                    t.compare(arith::CmpIPredicate::slt,
                                              arith::CmpFPredicate::OLT,
                                              before->getArgument(0), limit));
  scf::ConditionOp::create(t.builder, t.loc, proceed, before->getArguments());

  Block *after =
      t.builder.createBlock(&loop.getAfter(), {}, carried, locations);
  Value turn = after->getArgument(0);
  l.set(body.getArgument(0), t.scalar(t.convert(turn, t.builder.getI64Type())));
  l.set(body.getArgument(1), t.scalar(after->getArgument(1)));
  for (unsigned i = 0; i < stateCount; ++i)
    l.set(body.getArgument(i + 2), after->getArgument(i + 2));
  FailureOr<SmallVector<Value>> values = l.lowerBody(body);
  if (failed(values))
    return failure();
  SmallVector<Value> next(ArrayRef(*values).drop_front());
  for (unsigned i = stateCount; i < next.size(); ++i)
    next[i] = appendSlice(t, after->getArgument(i + 2), next[i], turn);
  typed = retypeAll(l, next, types);
  if (failed(typed))
    return failure();
  next = *typed;
  next.insert(next.begin(),
              {t.add(turn, t.index(1)), extractOnly(t, values->front())});
  scf::YieldOp::create(t.builder, t.loc, next);
  t.builder.setInsertionPointAfter(loop);
  for (auto [i, result] : llvm::enumerate(op->getResults()))
    l.set(result, loop.getResult(i + 2));
  return success();
}

LogicalResult lowerLoop(onnx::LoopOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Block &body = op.getBody().front();
  unsigned stateCount = op.getVInitial().size();
  Operation *yield = body.getTerminator();
  if (body.getNumArguments() != stateCount + 2 ||
      yield->getNumOperands() != op->getNumResults() + 1 ||
      op->getNumResults() < stateCount)
    return l.error() << "expected a body with " << stateCount + 2
                     << " arguments and " << op->getNumResults() + 1
                     << " results, got " << body.getNumArguments() << " and "
                     << yield->getNumOperands();
  bool isCounted =
      Lowering::has(op.getM()) && alwaysHolds(op.getCond(), Value()) &&
      alwaysHolds(yield->getOperand(0), body.getArgument(1)) &&
      llvm::all_of(yield->getOperands().drop_front(1 + stateCount),
                   [](Value slice) {
                     auto type = dyn_cast<RankedTensorType>(slice.getType());
                     return type && type.hasStaticShape();
                   });
  if (!isCounted)
    return lowerConditional(op, l);
  FailureOr<Sizes> count = l.getElements(op.getM(), 1);
  if (failed(count))
    return failure();
  SmallVector<Sliced> outputs(op->getNumResults() - stateCount);
  return lowerCounted(
      op, l, body, count->front(), op.getVInitial(), outputs, /*skipped=*/1,
      [&](Value turn, ValueRange states) {
        l.set(body.getArgument(0),
              t.scalar(t.convert(turn, t.builder.getI64Type())));
        l.set(body.getArgument(1),
              t.scalar(t.constant(t.builder.getI1Type(), 1)));
        for (auto [argument, state] :
             llvm::zip_equal(body.getArguments().drop_front(2), states))
          l.set(argument, state);
      });
}

} // namespace

void moe::addControlFlowLowerings(LoweringTable &table) {
  table.add(lowerIf);
  table.add(lowerScan);
  table.add(lowerLoop);
}
