//===- Extents.cpp - extents of tensors as products -------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/fuse/attention/Extents.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"

using namespace mlir;
using namespace mlir::moe;

Extent Extent::operator*(const Extent &other) const {
  Extent result = *this;
  result.factor *= other.factor;
  result.symbols.append(other.symbols);
  llvm::sort(result.symbols);
  return result;
}

std::optional<Extent> Extent::divide(const Extent &other) const {
  if (other.factor == 0 || factor % other.factor != 0)
    return std::nullopt;
  Extent result = *this;
  result.factor /= other.factor;
  for (const Symbol &symbol : other.symbols) {
    auto *place = llvm::find(result.symbols, symbol);
    if (place == result.symbols.end())
      return std::nullopt;
    result.symbols.erase(place);
  }
  return result;
}

Extent Extent::get(OpFoldResult size) {
  if (std::optional<int64_t> number = getConstantIntValue(size))
    return {*number, {}};
  Value value = cast<Value>(size);
  if (auto dim = value.getDefiningOp<tensor::DimOp>())
    if (std::optional<int64_t> index = dim.getConstantIndex())
      return get(dim.getSource(), *index);
  if (auto product = value.getDefiningOp<arith::MulIOp>())
    return get(product.getLhs()) * get(product.getRhs());
  return {1, {{value.getAsOpaquePointer(), -1}}};
}

Extent Extent::get(Value tensor, int64_t dim) {
  auto type = cast<RankedTensorType>(tensor.getType());
  if (!type.isDynamicDim(dim))
    return {type.getDimSize(dim), {}};
  if (auto argument = dyn_cast<BlockArgument>(tensor)) {
    if (auto loop = dyn_cast<scf::ForOp>(argument.getOwner()->getParentOp()))
      if (OpOperand *init = loop.getTiedLoopInit(argument))
        return get(init->get(), dim);
    return {1, {{tensor.getAsOpaquePointer(), dim}}};
  }
  Operation *op = tensor.getDefiningOp();
  auto result = cast<OpResult>(tensor);
  if (auto empty = dyn_cast<tensor::EmptyOp>(op))
    return get(empty.getMixedSizes()[dim]);
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    return get(expand.getMixedOutputShape()[dim]);
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op)) {
    Extent product;
    ReassociationIndices group = collapse.getReassociationIndices()[dim];
    for (int64_t own : group)
      product = product * get(collapse.getSrc(), own);
    return product;
  }
  if (auto cast = dyn_cast<tensor::CastOp>(op))
    return get(cast.getSource(), dim);
  if (auto insert = dyn_cast<tensor::InsertSliceOp>(op))
    return get(insert.getDest(), dim);
  if (auto extract = dyn_cast<tensor::ExtractSliceOp>(op))
    if (extract.getSourceType().getRank() == type.getRank())
      return get(extract.getMixedSizes()[dim]);
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return get(loop.getInits()[result.getResultNumber()], dim);
  if (auto destination = dyn_cast<DestinationStyleOpInterface>(op))
    return get(destination.getTiedOpOperand(result)->get(), dim);
  return {1, {{tensor.getAsOpaquePointer(), dim}}};
}
