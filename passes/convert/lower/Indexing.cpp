//===- Indexing.cpp - loops and indices of irregular operators ------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Indexing.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::moe;

SmallVector<Value> moe::buildLoops(TensorBuilder &tensors,
                                   ArrayRef<OpFoldResult> sizes,
                                   ValueRange carried, LoopBody body) {
  SmallVector<Value> lower(sizes.size(), tensors.index(0));
  SmallVector<Value> steps(sizes.size(), tensors.index(1));
  SmallVector<Value> upper;
  for (OpFoldResult size : sizes)
    upper.push_back(tensors.index(size));
  scf::LoopNest nest = scf::buildLoopNest(
      tensors.builder, tensors.loc, lower, upper, steps, carried,
      [&](OpBuilder &nested, Location loc, ValueRange indices,
          ValueRange values) -> scf::ValueVector {
        TensorBuilder inner(nested, loc);
        SmallVector<Value> next = body(inner, indices, values);
        return scf::ValueVector(next.begin(), next.end());
      });
  return SmallVector<Value>(nest.results.begin(), nest.results.end());
}

SmallVector<Value>
moe::buildIf(TensorBuilder &tensors, Value condition,
             function_ref<SmallVector<Value>(TensorBuilder &)> yes,
             function_ref<SmallVector<Value>(TensorBuilder &)> no) {
  auto build = [](function_ref<SmallVector<Value>(TensorBuilder &)> branch) {
    return [branch](OpBuilder &nested, Location loc) {
      TensorBuilder inner(nested, loc);
      scf::YieldOp::create(nested, loc, branch(inner));
    };
  };
  auto op = scf::IfOp::create(tensors.builder, tensors.loc, condition,
                              build(yes), build(no));
  return SmallVector<Value>(op.getResults());
}

std::optional<SmallVector<int64_t>> moe::getKnownIntegers(Value original) {
  auto constant = original.getDefiningOp<onnx::ConstantOp>();
  if (!constant)
    return std::nullopt;
  auto elements = dyn_cast<DenseElementsAttr>(constant.getValue());
  if (!elements || !isa<IntegerType>(elements.getElementType()))
    return std::nullopt;
  SmallVector<int64_t> result;
  for (const APInt &element : elements.getValues<APInt>())
    result.push_back(element.getSExtValue());
  return result;
}

LogicalResult moe::checkIndices(Lowering &l, Value original, Value indices,
                                OpFoldResult extent) {
  TensorBuilder &t = l.tensors;
  auto type = cast<RankedTensorType>(indices.getType());
  Type element = type.getElementType();
  std::optional<SmallVector<int64_t>> known = getKnownIntegers(original);
  std::optional<int64_t> bound = getConstantIntValue(extent);
  if (known && bound) {
    for (int64_t index : *known)
      if (index < -*bound || index >= *bound)
        return l.error() << "expected indices in [" << -*bound << ", "
                         << *bound - 1 << "], got " << index;
    return success();
  }
  auto all = llvm::to_vector(llvm::seq<int64_t>(0, type.getRank()));
  Value least = t.extract(t.reduce(indices, all, Reduction::Min, false));
  Value greatest = t.extract(t.reduce(indices, all, Reduction::Max, false));
  Value high = t.convert(t.index(extent), element);
  Value low = t.sub(t.constant(element, 0), high);
  auto compare = [&](arith::CmpIPredicate predicate, Value a, Value b) {
    return arith::CmpIOp::create(t.builder, t.loc, predicate, a, b);
  };
  Value inside = arith::AndIOp::create(
      t.builder, t.loc, compare(arith::CmpIPredicate::sge, least, low),
      compare(arith::CmpIPredicate::slt, greatest, high));
  t.check(inside, "index out of range");
  return success();
}

Value moe::wrapIndex(TensorBuilder &tensors, Value index, Value extent) {
  Value position = tensors.convert(index, tensors.builder.getIndexType());
  Value isNegative = compareIndex(tensors, arith::CmpIPredicate::slt, position,
                                  tensors.index(0));
  return tensors.select(isNegative, tensors.add(position, extent), position);
}

Value moe::andAll(TensorBuilder &tensors, ArrayRef<Value> conditions) {
  Value result;
  for (Value condition : conditions)
    result = result ? arith::AndIOp::create(tensors.builder, tensors.loc,
                                            result, condition)
                          .getResult()
                    : condition;
  return result;
}

Value moe::compareIndex(TensorBuilder &tensors, arith::CmpIPredicate predicate,
                        Value a, Value b) {
  return arith::CmpIOp::create(tensors.builder, tensors.loc, predicate, a, b);
}
