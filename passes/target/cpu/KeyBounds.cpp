//===- KeyBounds.cpp - which keys a query can see ---------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/cpu/KeyBounds.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::moe;

KeyBounds::KeyBounds(kern::AttentionOp op) : body(op.getScore().front()) {
  kern::AttentionDims dims = op.getDims();
  for (auto [i, dim] : llvm::enumerate(dims.getIndexed()))
    if (dim == dims.key)
      key = body.getArgument(i + 1);
  collect(body.getTerminator()->getOperand(0));
}

static bool isNegativeInfinity(Value value) {
  FloatAttr number;
  return matchPattern(value, m_Constant(&number)) &&
         number.getValue().isInfinity() && number.getValue().isNegative();
}

/// Follows what keeps negative infinity as it is.
void KeyBounds::collect(Value score) {
  Operation *op = score.getDefiningOp();
  if (!op || op->getBlock() != &body)
    return;
  if (isa<arith::ExtFOp, arith::TruncFOp>(op))
    return collect(op->getOperand(0));
  auto select = dyn_cast<arith::SelectOp>(op);
  if (!select || !select.getCondition().getType().isInteger(1))
    return;
  if (isNegativeInfinity(select.getFalseValue())) {
    collectCondition(select.getCondition(), /*holds=*/true);
    collect(select.getTrueValue());
  } else if (isNegativeInfinity(select.getTrueValue())) {
    collectCondition(select.getCondition(), /*holds=*/false);
    collect(select.getFalseValue());
  }
}

/// Takes what is necessary for `condition` to be `holds`.
void KeyBounds::collectCondition(Value condition, bool holds) {
  Operation *op = condition.getDefiningOp();
  if (!op || op->getBlock() != &body)
    return;
  if (isa<arith::XOrIOp>(op) && matchPattern(op->getOperand(1), m_One()))
    return collectCondition(op->getOperand(0), !holds);
  if ((holds && isa<arith::AndIOp>(op)) || (!holds && isa<arith::OrIOp>(op))) {
    collectCondition(op->getOperand(0), holds);
    collectCondition(op->getOperand(1), holds);
    return;
  }
  auto compare = dyn_cast<arith::CmpIOp>(op);
  if (!compare)
    return;
  arith::CmpIPredicate predicate = compare.getPredicate();
  if (!holds)
    predicate = arith::invertPredicate(predicate);
  Value left = compare.getLhs(), right = compare.getRhs();
  if (isKey(right)) {
    std::swap(left, right);
    switch (predicate) {
    case arith::CmpIPredicate::slt:
      predicate = arith::CmpIPredicate::sgt;
      break;
    case arith::CmpIPredicate::sle:
      predicate = arith::CmpIPredicate::sge;
      break;
    case arith::CmpIPredicate::sgt:
      predicate = arith::CmpIPredicate::slt;
      break;
    case arith::CmpIPredicate::sge:
      predicate = arith::CmpIPredicate::sle;
      break;
    default:
      return;
    }
  }
  if (!isKey(left) || dependsOnKey(right))
    return;
  switch (predicate) {
  case arith::CmpIPredicate::slt:
    upper.push_back({right, 0});
    break;
  case arith::CmpIPredicate::sle:
    upper.push_back({right, 1});
    break;
  case arith::CmpIPredicate::sgt:
    lower.push_back({right, 1});
    break;
  case arith::CmpIPredicate::sge:
    lower.push_back({right, 0});
    break;
  default:
    break;
  }
}

bool KeyBounds::isKey(Value value) const {
  if (auto cast = value.getDefiningOp<arith::IndexCastOp>())
    value = cast.getIn();
  return value == key;
}

/// The key itself, or the product, which belongs to one key.
bool KeyBounds::dependsOnKey(Value value) const {
  if (value == key || value == body.getArgument(0))
    return true;
  Operation *op = value.getDefiningOp();
  if (!op || op->getBlock() != &body)
    return false;
  return op->getNumRegions() != 0 ||
         llvm::any_of(op->getOperands(),
                      [&](Value operand) { return dependsOnKey(operand); });
}

/// Copies `value` with what it is computed from.
static Value copyWithOperands(KernelBuilder &b, Value value, Block &body,
                              IRMapping &mapping) {
  if (Value copy = mapping.lookupOrNull(value))
    return copy;
  Operation *op = value.getDefiningOp();
  if (!op || op->getBlock() != &body)
    return value;
  for (Value operand : op->getOperands())
    mapping.map(operand, copyWithOperands(b, operand, body, mapping));
  Operation *copy = b.clone(*op, mapping);
  mapping.map(op->getResults(), copy->getResults());
  return mapping.lookup(value);
}

std::pair<Value, Value> KeyBounds::emit(KernelBuilder &b, ValueRange indices,
                                        Value count) const {
  IRMapping mapping;
  mapping.map(body.getArguments().drop_front(), indices);
  auto getBound = [&](Bound bound) -> Value {
    Value value = copyWithOperands(b, bound.value, body, mapping);
    if (!value.getType().isIndex())
      value = arith::IndexCastOp::create(b, b.getIndexType(), value);
    value = b.add(value, bound.distance);
    value = b.createOrFold<arith::MaxSIOp>(value, b.index(0));
    return b.min(value, count);
  };
  Value begin = b.index(0), end = count;
  for (Bound bound : lower)
    begin = b.max(begin, getBound(bound));
  for (Bound bound : upper)
    end = b.min(end, getBound(bound));
  return {begin, end};
}
