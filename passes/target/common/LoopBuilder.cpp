//===- LoopBuilder.cpp - loops over tensors ---------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/common/LoopBuilder.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace mlir::moe;

Value LoopBuilder::index(int64_t value) {
  return arith::ConstantIndexOp::create(*this, value);
}

Value LoopBuilder::i32(int64_t value) {
  return arith::ConstantIntOp::create(*this, value, 32);
}

Value LoopBuilder::f32(double value) {
  return arith::ConstantOp::create(*this,
                                   getF32FloatAttr(static_cast<float>(value)));
}

Value LoopBuilder::toIndex(Value integer) {
  return arith::IndexCastOp::create(*this, getIndexType(), integer);
}

Value LoopBuilder::toI32(Value index) {
  return arith::IndexCastOp::create(*this, getI32Type(), index);
}

LoopBuilder::State
LoopBuilder::loop(Value begin, Value end, ValueRange state,
                  function_ref<State(Value, ValueRange)> body) {
  auto op = scf::ForOp::create(
      *this, begin, end, index(1), state,
      [&](OpBuilder &, Location, Value i, ValueRange carried) {
        OpBuilder::InsertionGuard guard(*this);
        setInsertionPointToEnd(i.getParentBlock());
        State next = body(i, carried);
        scf::YieldOp::create(*this, next);
      });
  return op.getResults();
}

Value LoopBuilder::loop(Value begin, Value end, Value state,
                        function_ref<Value(Value, Value)> body) {
  return loop(begin, end, ValueRange(state),
              [&](Value i, ValueRange carried) {
                return State{body(i, carried.front())};
              })
      .front();
}

Value LoopBuilder::branch(Value condition, function_ref<Value()> yes,
                          function_ref<Value()> no) {
  auto build = [&](function_ref<Value()> body) {
    return [&, body](OpBuilder &nested, Location) {
      OpBuilder::InsertionGuard guard(*this);
      setInsertionPoint(nested.getInsertionBlock(), nested.getInsertionPoint());
      scf::YieldOp::create(*this, body());
    };
  };
  return scf::IfOp::create(*this, condition, build(yes), build(no))
      .getResult(0);
}

Value LoopBuilder::size(Value tensor, int64_t dim) {
  return tensor::DimOp::create(*this, tensor, dim);
}

Value LoopBuilder::empty(ArrayRef<Value> sizes, Type element) {
  // Two `tensor.empty` of one type would be merged, and two states of a loop
  // would then share a buffer; allocations stay apart.
  SmallVector<int64_t> shape;
  SmallVector<Value> dynamic;
  for (Value size : sizes) {
    std::optional<int64_t> constant = getConstantIntValue(size);
    shape.push_back(constant.value_or(ShapedType::kDynamic));
    if (!constant)
      dynamic.push_back(size);
  }
  return bufferization::AllocTensorOp::create(
      *this, RankedTensorType::get(shape, element), dynamic);
}

Value LoopBuilder::filled(ArrayRef<Value> sizes, Value element) {
  Value target = empty(sizes, element.getType());
  return linalg::FillOp::create(*this, element, target).getResult(0);
}

Value LoopBuilder::load(Value tensor, ValueRange indices) {
  Value element = tensor::ExtractOp::create(*this, tensor, indices);
  Type type = element.getType();
  if (isa<FloatType>(type) && type.getIntOrFloatBitWidth() < 32)
    return arith::ExtFOp::create(*this, getF32Type(), element);
  return element;
}

Value LoopBuilder::store(Value element, Value tensor, ValueRange indices) {
  Type type = cast<RankedTensorType>(tensor.getType()).getElementType();
  if (isa<FloatType>(type) && type != element.getType())
    element = arith::TruncFOp::create(*this, type, element);
  return tensor::InsertOp::create(*this, element, tensor, indices);
}

Value LoopBuilder::isNaN(Value number) {
  return arith::CmpFOp::create(*this, arith::CmpFPredicate::UNO, number,
                               number);
}

Value LoopBuilder::isGreater(Value a, Value b) {
  return arith::CmpFOp::create(*this, arith::CmpFPredicate::OGT, a, b);
}

Value LoopBuilder::both(Value a, Value b) {
  return arith::AndIOp::create(*this, a, b);
}

Value LoopBuilder::either(Value a, Value b) {
  return arith::OrIOp::create(*this, a, b);
}

Value LoopBuilder::negate(Value condition) {
  Value yes = arith::ConstantIntOp::create(*this, 1, 1);
  return arith::XOrIOp::create(*this, condition, yes);
}

Value LoopBuilder::select(Value condition, Value yes, Value no) {
  return arith::SelectOp::create(*this, condition, yes, no);
}
