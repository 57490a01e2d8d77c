//===- AppendInPlace.cpp - outputs that are inputs with more entries ------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/common/HostCalls.h"
#include "passes/target/common/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_APPENDINPLACE
#include "passes/target/common/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

/// An output that is an input followed by new entries.
struct State {
  BlockArgument past;
  int64_t output;
  int64_t axis;
  /// Writes the input into a new tensor.
  tensor::InsertSliceOp copy;
  tensor::EmptyOp init;
  /// What the other entries of the new tensor are, if that is said.
  linalg::FillOp fill;
  /// Dimensions that must be as in the input, which nothing has shown.
  SmallVector<int64_t> uncertain;
};

/// The value behind casts of its shape.
Value skipCasts(Value value) {
  while (auto cast = value.getDefiningOp<tensor::CastOp>())
    value = cast.getSource();
  return value;
}

/// Whether `value` is the extent of dimension `axis` of `tensor`.
bool isDimension(OpFoldResult value, Value tensor, int64_t axis) {
  auto type = cast<RankedTensorType>(tensor.getType());
  if (std::optional<int64_t> constant = getConstantIntValue(value))
    return *constant == type.getDimSize(axis);
  auto dim = dyn_cast<Value>(value).getDefiningOp<tensor::DimOp>();
  return dim && skipCasts(dim.getSource()) == tensor &&
         dim.getConstantIndex() == axis;
}

/// Whether `value` is computed from that extent: a sum or a maximum.
bool growsFrom(OpFoldResult value, Value tensor, int64_t axis) {
  auto computed = dyn_cast<Value>(value);
  Operation *op = computed ? computed.getDefiningOp() : nullptr;
  return isa_and_present<arith::AddIOp, arith::MaxSIOp>(op) &&
         llvm::any_of(op->getOperands(), [&](Value operand) {
           return isDimension(operand, tensor, axis);
         });
}

/// Finds the one dimension that is longer than in the input.
bool findAxis(State &state) {
  SmallVector<OpFoldResult> sizes = state.init.getMixedSizes();
  std::optional<int64_t> axis;
  for (auto [i, size] : llvm::enumerate(sizes)) {
    if (isDimension(size, state.past, i))
      continue;
    if (growsFrom(size, state.past, i)) {
      if (axis)
        return false;
      axis = i;
    } else {
      state.uncertain.push_back(i);
    }
  }
  // Static extents, such as a new row for a past of fixed length.
  if (!axis && state.uncertain.size() == 1)
    axis = state.uncertain.pop_back_val();
  state.axis = axis.value_or(-1);
  return axis.has_value();
}

/// Follows writes back to the tensor that they began with: `insert_slice past
/// into (empty or fill)`.
tensor::InsertSliceOp findCopy(Value value) {
  for (;;) {
    if (auto loop = value.getDefiningOp<scf::ForOp>()) {
      value = loop.getInitArgs()[cast<OpResult>(value).getResultNumber()];
      continue;
    }
    auto insert = value.getDefiningOp<tensor::InsertSliceOp>();
    if (!insert)
      return insert;
    value = insert.getDest();
    if (isa_and_present<tensor::EmptyOp, linalg::FillOp>(value.getDefiningOp()))
      return insert;
  }
}

std::optional<State> matchState(func::FuncOp main, OpOperand &result) {
  State state;
  state.output = result.getOperandNumber();
  state.copy = findCopy(result.get());
  if (!state.copy || state.copy->getBlock() != &main.front() ||
      state.copy.getSourceType().getRank() != state.copy.getType().getRank() ||
      result.get().getType() != state.copy.getType() ||
      !state.copy.hasUnitStride() || !state.copy.hasZeroOffset())
    return std::nullopt;
  state.past = dyn_cast<BlockArgument>(skipCasts(state.copy.getSource()));
  Value dest = state.copy.getDest();
  state.fill = dest.getDefiningOp<linalg::FillOp>();
  if (state.fill)
    dest = state.fill.getOutputs()[0];
  state.init = dest.getDefiningOp<tensor::EmptyOp>();
  if (!state.past || !state.init ||
      state.past.getParentBlock() != &main.front() || !findAxis(state))
    return std::nullopt;
  // The runtime keeps the entries where `past` need not be row-major.
  SmallVector<Value> aliases = {state.past};
  while (!aliases.empty())
    for (Operation *user : aliases.pop_back_val().getUsers()) {
      if (auto cast = dyn_cast<tensor::CastOp>(user))
        aliases.push_back(cast);
      else if (user != state.copy && !isa<tensor::DimOp>(user))
        return std::nullopt;
    }
  for (OpOperand &use : result.get().getUses())
    if (&use != &result && isa<func::ReturnOp>(use.getOwner()))
      return std::nullopt;
  return state;
}

struct AppendInPlace : public moe::impl::AppendInPlaceBase<AppendInPlace> {
  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main || main.isExternal() || !main.getBody().hasOneBlock() ||
        main->hasAttr(kStates))
      return;
    auto terminator = cast<func::ReturnOp>(main.front().getTerminator());
    SmallVector<State> states;
    for (OpOperand &result : terminator->getOpOperands())
      if (std::optional<State> state = matchState(main, result))
        states.push_back(*state);
    if (states.empty())
      return;
    for (State &state : states)
      rewrite(state, terminator);
    dropResults(main, terminator, states);
  }

private:
  /// The new tensor becomes memory of the runtime, which holds the input.
  void rewrite(State &state, func::ReturnOp terminator) {
    OpBuilder builder(state.copy);
    Location loc = state.copy.getLoc();
    RankedTensorType type = state.copy.getType();
    auto number = [&](int64_t value) -> Value {
      return arith::ConstantIntOp::create(builder, loc, value, 64);
    };
    Value total = getValueOrCreateConstantIndexOp(
        builder, loc, state.init.getMixedSizes()[state.axis]);
    Value held = tensor::DimOp::create(builder, loc, state.past, state.axis);
    for (int64_t i : state.uncertain)
      requireEqual(builder, state.init.getMixedSizes()[i],
                   tensor::DimOp::create(builder, loc, state.past, i));
    Value extent = arith::IndexCastOp::create(
        builder, loc, builder.getI64Type(),
        arith::SubIOp::create(builder, loc, total, held));
    func::FuncOp append =
        getHostAppend(getOperation(), type.getElementType(), type.getRank());
    Value descriptor =
        func::CallOp::create(builder, loc, append,
                             ValueRange{number(state.past.getArgNumber()),
                                        number(state.output),
                                        number(state.axis), extent})
            .getResult(0);
    Value memory =
        UnrealizedConversionCastOp::create(
            builder, loc,
            getAppendedType(type.getElementType(), type.getRank()), descriptor)
            .getResult(0);

    // Entries lie side by side, so these strides may be known.
    SmallVector<int64_t> strides(type.getRank(), ShapedType::kDynamic);
    int64_t stride = 1;
    for (int64_t i = type.getRank(); i-- > 0 && i >= state.axis;) {
      strides[i] = stride;
      if (type.isDynamicDim(i))
        break;
      stride *= type.getDimSize(i);
    }
    auto layout = StridedLayoutAttr::get(&getContext(), /*offset=*/0, strides);
    memory = memref::CastOp::create(
        builder, loc,
        MemRefType::get(type.getShape(), type.getElementType(), layout),
        memory);
    Value tensor = bufferization::ToTensorOp::create(
        builder, loc, type, memory, /*restrict=*/true, /*writable=*/true);
    if (state.fill)
      tensor = fillTail(builder, state, tensor, held);
    state.copy.replaceAllUsesWith(tensor);
    state.copy.erase();
    // The runtime reads the memory, even if nothing here does.
    builder.setInsertionPoint(terminator);
    bufferization::MaterializeInDestinationOp::create(
        builder, loc, /*result=*/Type(), terminator.getOperand(state.output),
        memory, /*restrict=*/builder.getUnitAttr(),
        /*writable=*/builder.getUnitAttr());
  }

  static void requireEqual(OpBuilder &builder, OpFoldResult size, Value held) {
    Location loc = held.getLoc();
    Value equal = arith::CmpIOp::create(
        builder, loc, arith::CmpIPredicate::eq,
        getValueOrCreateConstantIndexOp(builder, loc, size), held);
    cf::AssertOp::create(builder, loc, equal,
                         "expected a state and what is appended to it to have "
                         "the same other extents");
  }

  /// Fills the entries behind the first `held` ones.
  static Value fillTail(OpBuilder &builder, State &state, Value tensor,
                        Value held) {
    Location loc = state.fill.getLoc();
    SmallVector<OpFoldResult> sizes = state.init.getMixedSizes();
    SmallVector<OpFoldResult> offsets(sizes.size(), builder.getIndexAttr(0));
    SmallVector<OpFoldResult> strides(sizes.size(), builder.getIndexAttr(1));
    offsets[state.axis] = held;
    Value total =
        getValueOrCreateConstantIndexOp(builder, loc, sizes[state.axis]);
    sizes[state.axis] =
        arith::SubIOp::create(builder, loc, total, held).getResult();
    Value tail = tensor::ExtractSliceOp::create(builder, loc, tensor, offsets,
                                                sizes, strides);
    tail = linalg::FillOp::create(builder, loc, state.fill.getInputs(), tail)
               .getResult(0);
    return tensor::InsertSliceOp::create(builder, loc, tail, tensor, offsets,
                                         sizes, strides);
  }

  /// The runtime knows these outputs; `main` states what is left to it.
  void dropResults(func::FuncOp main, func::ReturnOp terminator,
                   ArrayRef<State> states) {
    Builder builder(&getContext());
    llvm::BitVector dropped(terminator.getNumOperands());
    SmallVector<Attribute> described;
    for (State state : states) {
      dropped.set(state.output);
      NamedAttrList fields;
      fields.set("input", builder.getI64IntegerAttr(state.past.getArgNumber()));
      fields.set("output", builder.getI64IntegerAttr(state.output));
      fields.set("axis", builder.getI64IntegerAttr(state.axis));
      fields.set("type", TypeAttr::get(main.getResultTypes()[state.output]));
      if (DictionaryAttr attributes = main.getResultAttrDict(state.output))
        fields.set("attributes", attributes);
      described.push_back(fields.getDictionary(&getContext()));
    }
    SmallVector<int64_t> indices;
    for (unsigned i = 0; i < dropped.size(); ++i)
      if (!dropped[i])
        indices.push_back(i);
    terminator->eraseOperands(dropped);
    (void)main.eraseResults(dropped);
    main->setAttr(kStates, builder.getArrayAttr(described));
    main->setAttr(kOutputIndices, builder.getDenseI64ArrayAttr(indices));
  }
};

} // namespace
