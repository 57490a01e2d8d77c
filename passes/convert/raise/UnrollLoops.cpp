//===- UnrollLoops.cpp - loops over experts as lanes ------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/Passes.h"
#include "passes/convert/raise/DataFlow.h"

#include "dialects/moe/MoEDialect.h"
#include "dialects/onnx/ONNXDialect.h"

#include "mlir/IR/IRMapping.h"

namespace mlir::moe {
#define GEN_PASS_DEF_UNROLLLOOPS
#include "passes/convert/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Bounds on what a loop may grow to.
constexpr int64_t kMaxTurns = 512, kMaxOperations = 1 << 15;

/// Whether `value` is a stack of matrices with one for each turn.
bool isStack(Value value, int64_t turns) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && value.getDefiningOp<WeightOp>() && type.getRank() >= 3 &&
         llvm::is_contained(type.getShape().drop_back(2), turns);
}

/// Whether the body of a loop works on a stack of matrices with one for each
/// turn, and multiplies matrices.
bool isOverExperts(Operation *loop, int64_t turns) {
  if (turns < 1 || turns > kMaxTurns)
    return false;
  bool hasProduct = false,
       hasStack = llvm::any_of(loop->getOperands(),
                               [&](Value v) { return isStack(v, turns); });
  int64_t count = 0;
  loop->walk([&](Operation *op) {
    ++count;
    hasProduct |= isa<onnx::MatMulOp, onnx::GemmOp, onnx::EinsumOp>(op);
    hasStack |= llvm::any_of(op->getOperands(),
                             [&](Value v) { return isStack(v, turns); });
  });
  return hasProduct && hasStack && count * turns <= kMaxOperations;
}

/// The only number of a constant condition, or nothing.
std::optional<bool> getCondition(Value value) {
  std::optional<double> number = getNumber(value);
  return number ? std::make_optional(*number != 0) : std::nullopt;
}

class Unroller {
public:
  Unroller(Operation *loop)
      : loop(loop), body(loop->getRegion(0).front()), builder(loop) {}

  bool unroll(onnx::ScanOp scan);
  bool unroll(onnx::LoopOp counted);

private:
  Value buildIndex(Type type, int64_t number) {
    auto tensor = cast<RankedTensorType>(type);
    return onnx::ConstantOp::create(
        builder, loop->getLoc(), tensor,
        DenseElementsAttr::get(
            tensor, builder.getIntegerAttr(tensor.getElementType(), number)));
  }

  /// Copies the body with `arguments`; returns what it yields.
  SmallVector<Value> copyBody(ValueRange arguments) {
    IRMapping mapping;
    for (auto [argument, value] :
         llvm::zip_equal(body.getArguments(), arguments))
      mapping.map(argument, value);
    for (Operation &op : body.without_terminator())
      builder.clone(op, mapping);
    SmallVector<Value> results;
    for (Value value : body.getTerminator()->getOperands())
      results.push_back(mapping.lookupOrDefault(value));
    return results;
  }

  /// One slice for each turn, joined along a new `axis`.
  Value join(ArrayRef<Value> slices, int64_t axis, Type type) {
    auto whole = cast<RankedTensorType>(type);
    axis = getAxisFromFront(axis, whole.getRank());
    Value axes =
        buildIndex(RankedTensorType::get({1}, builder.getI64Type()), axis);
    SmallVector<Value> parts;
    for (Value slice : slices) {
      SmallVector<int64_t> shape(getTensorType(slice).getShape());
      shape.insert(shape.begin() + axis, 1);
      parts.push_back(onnx::UnsqueezeOp::create(
          builder, loop->getLoc(),
          RankedTensorType::get(shape, whole.getElementType()), slice, axes));
    }
    return onnx::ConcatOp::create(builder, loop->getLoc(), whole, parts,
                                  builder.getI64IntegerAttr(axis));
  }

  void replace(unsigned i, Value value) {
    Value old = loop->getResult(i);
    // Types may be written down elsewhere, too.
    if (value.getType() != old.getType())
      value = onnx::IdentityOp::create(builder, loop->getLoc(), old.getType(),
                                       value);
    old.replaceAllUsesWith(value);
  }

  Operation *loop;
  Block &body;
  OpBuilder builder;
};

int64_t getEntry(std::optional<ArrayRef<int64_t>> list, unsigned i) {
  return list && i < list->size() ? (*list)[i] : 0;
}

bool Unroller::unroll(onnx::ScanOp scan) {
  unsigned inputs = scan.getNumScanInputs(), operands = scan->getNumOperands();
  if (inputs == 0 || inputs > operands || body.getNumArguments() != operands)
    return false;
  unsigned states = operands - inputs;
  auto getAxis = [&](unsigned i) {
    int64_t rank = getTensorType(scan->getOperand(states + i)).getRank();
    return getAxisFromFront(getEntry(scan.getScanInputAxes(), i), rank);
  };
  for (Value operand : scan->getOperands())
    if (!isa<RankedTensorType>(operand.getType()))
      return false;
  int64_t turns =
      getTensorType(scan->getOperand(states)).getDimSize(getAxis(0));
  for (unsigned i = 0; i < inputs; ++i)
    if (getTensorType(scan->getOperand(states + i)).getDimSize(getAxis(i)) !=
        turns)
      return false;
  if (ShapedType::isDynamic(turns) || !isOverExperts(scan, turns))
    return false;
  SmallVector<Value> carried(scan->getOperands().take_front(states));
  std::vector<SmallVector<Value>> outputs(scan->getNumResults() - states);
  auto scalar = RankedTensorType::get({}, builder.getI64Type());
  for (int64_t turn = 0; turn < turns; ++turn) {
    SmallVector<Value> arguments(carried);
    for (unsigned i = 0; i < inputs; ++i) {
      bool backwards = getEntry(scan.getScanInputDirections(), i) == 1;
      Value place = buildIndex(scalar, backwards ? turns - 1 - turn : turn);
      Value whole = scan->getOperand(states + i);
      SmallVector<int64_t> shape(getTensorType(whole).getShape());
      shape.erase(shape.begin() + getAxis(i));
      arguments.push_back(onnx::GatherOp::create(
          builder, scan.getLoc(),
          RankedTensorType::get(shape, getTensorType(whole).getElementType()),
          whole, place, builder.getI64IntegerAttr(getAxis(i))));
    }
    SmallVector<Value> results = copyBody(arguments);
    carried.assign(results.begin(), results.begin() + states);
    for (auto [i, slices] : llvm::enumerate(outputs))
      slices.push_back(results[states + i]);
  }
  for (unsigned i = 0; i < states; ++i)
    replace(i, carried[i]);
  for (auto [i, slices] : llvm::enumerate(outputs)) {
    if (getEntry(scan.getScanOutputDirections(), i) == 1)
      std::reverse(slices.begin(), slices.end());
    replace(states + i, join(slices, getEntry(scan.getScanOutputAxes(), i),
                             scan->getResult(states + i).getType()));
  }
  return true;
}

bool Unroller::unroll(onnx::LoopOp counted) {
  std::optional<double> turns =
      isPresent(counted.getM()) ? getNumber(counted.getM()) : std::nullopt;
  unsigned states = counted->getNumOperands() - 2;
  if (!turns || *turns > kMaxTurns || body.getNumArguments() != states + 2 ||
      !isOverExperts(counted, *turns))
    return false;
  if (isPresent(counted.getCond()) && getCondition(counted.getCond()) != true)
    return false;
  // It ends when all turns are done, not before.
  Value goesOn = skipReshapes(body.getTerminator()->getOperand(0));
  if (goesOn != body.getArgument(1) && getCondition(goesOn) != true)
    return false;
  SmallVector<Value> carried(counted->getOperands().drop_front(2));
  std::vector<SmallVector<Value>> outputs(counted->getNumResults() - states);
  for (int64_t turn = 0; turn < *turns; ++turn) {
    SmallVector<Value> arguments = {
        buildIndex(body.getArgument(0).getType(), turn),
        buildIndex(body.getArgument(1).getType(), 1)};
    arguments.append(carried);
    SmallVector<Value> results = copyBody(arguments);
    carried.assign(results.begin() + 1, results.begin() + 1 + states);
    for (auto [i, slices] : llvm::enumerate(outputs))
      slices.push_back(results[1 + states + i]);
  }
  for (unsigned i = 0; i < states; ++i)
    replace(i, carried[i]);
  for (auto [i, slices] : llvm::enumerate(outputs))
    replace(states + i,
            join(slices, 0, counted->getResult(states + i).getType()));
  return true;
}

struct UnrollLoops : public moe::impl::UnrollLoopsBase<UnrollLoops> {
  void runOnOperation() override {
    SmallVector<Operation *> loops;
    getOperation()->walk([&](Operation *op) {
      if (isa<onnx::ScanOp, onnx::LoopOp>(op))
        loops.push_back(op);
    });
    // Inner loops come first.
    for (Operation *op : loops) {
      Unroller unroller(op);
      auto scan = dyn_cast<onnx::ScanOp>(op);
      if (scan ? unroller.unroll(scan)
               : unroller.unroll(cast<onnx::LoopOp>(op)))
        op->erase();
    }
  }
};

} // namespace
