//===- FlatBuffer.cpp - buffers as one dimension and offsets ----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/cpu/FlatBuffer.h"

#include "passes/target/cpu/RowPadding.h"

using namespace mlir;
using namespace mlir::moe;

Value FlatBuffer::getOffset(KernelBuilder &b, ValueRange indices) const {
  Value result = offset;
  for (auto [index, stride] : llvm::zip(indices, strides))
    result = b.add(result, b.mul(index, stride));
  return result;
}

static bool hasContiguousRows(Value buffer) {
  auto type = cast<MemRefType>(buffer.getType());
  auto [strides, offset] = type.getStridesAndOffset();
  return strides.empty() || strides.back() == 1;
}

FlatBuffer BufferScope::flatten(Value buffer) {
  return describe(hasContiguousRows(buffer) ? buffer : makeCopy(buffer));
}

FlatBuffer BufferScope::flattenContiguous(Value buffer) {
  bool isIdentity = cast<MemRefType>(buffer.getType()).getLayout().isIdentity();
  return describe(isIdentity ? buffer : makeCopy(buffer));
}

FlatBuffer BufferScope::flattenRows(Value rows, Type element) {
  if (cast<MemRefType>(rows.getType()).getElementType() == element)
    return flatten(rows);
  Value copy = allocateRows(rows, element);
  emitCopy(rows, copy);
  return describe(copy);
}

FlatBuffer BufferScope::flattenResult(Value buffer) {
  if (hasContiguousRows(buffer))
    return describe(buffer);
  Value copy = makeCopy(buffer);
  results.push_back({copy, buffer});
  return describe(copy);
}

void BufferScope::close() {
  for (auto [copy, result] : results)
    emitCopy(copy, result);
  for (Value copy : copies)
    memref::DeallocOp::create(b, copy);
  results.clear();
  copies.clear();
}

Value BufferScope::allocate(Value size, Type element) {
  Value buffer = memref::AllocOp::create(
      b, MemRefType::get({ShapedType::kDynamic}, element), size);
  copies.push_back(buffer);
  return buffer;
}

/// Uninitialised rows, not crowded.
Value BufferScope::allocateRows(Value like, Type element) {
  auto type = cast<MemRefType>(like.getType());
  SmallVector<int64_t> padded(type.getShape());
  padded.back() = padRow(padded.back(), element);
  SmallVector<Value> sizes;
  SmallVector<OpFoldResult> extents;
  for (int64_t i = 0; i < type.getRank(); ++i) {
    extents.push_back(
        b.createOrFold<memref::DimOp>(like, static_cast<int64_t>(i)));
    if (type.isDynamicDim(i))
      sizes.push_back(cast<Value>(extents.back()));
    else
      extents.back() = b.getIndexAttr(type.getDimSize(i));
  }
  Value whole =
      memref::AllocOp::create(b, MemRefType::get(padded, element), sizes);
  copies.push_back(whole);
  if (ArrayRef(padded) == type.getShape())
    return whole;
  SmallVector<OpFoldResult> zeros(extents.size(), b.getIndexAttr(0)),
      ones(extents.size(), b.getIndexAttr(1));
  return memref::SubViewOp::create(b, whole, zeros, extents, ones);
}

Value BufferScope::makeCopy(Value buffer) {
  auto type = cast<MemRefType>(buffer.getType());
  SmallVector<Value> sizes;
  for (int64_t i = 0; i < type.getRank(); ++i)
    if (type.isDynamicDim(i))
      sizes.push_back(memref::DimOp::create(b, buffer, i));
  Value copy = memref::AllocOp::create(
      b, MemRefType::get(type.getShape(), type.getElementType()), sizes);
  emitCopy(buffer, copy);
  copies.push_back(copy);
  return copy;
}

void BufferScope::emitCopy(Value from, Value to) {
  SmallVector<Value> counts;
  for (int64_t i = 0, rank = cast<MemRefType>(from.getType()).getRank();
       i < rank; ++i)
    counts.push_back(memref::DimOp::create(b, from, i));
  b.parallel(counts, [&](ValueRange indices) {
    Value entry = memref::LoadOp::create(b, from, indices);
    Type element = cast<MemRefType>(to.getType()).getElementType();
    if (entry.getType() != element)
      entry = arith::ExtFOp::create(b, element, entry);
    memref::StoreOp::create(b, entry, to, indices);
  });
}

FlatBuffer BufferScope::describe(Value buffer) {
  auto metadata = memref::ExtractStridedMetadataOp::create(b, buffer);
  auto materialize = [&](ArrayRef<int64_t> known, ValueRange values) {
    SmallVector<Value> result;
    for (auto [number, value] : llvm::zip_equal(known, values))
      result.push_back(ShapedType::isDynamic(number) ? value : b.index(number));
    return result;
  };
  auto type = cast<MemRefType>(buffer.getType());
  auto [strides, offset] = type.getStridesAndOffset();
  FlatBuffer flat;
  flat.offset = materialize(offset, ValueRange{metadata.getOffset()}).front();
  flat.sizes = materialize(type.getShape(), metadata.getSizes());
  flat.strides = materialize(strides, metadata.getStrides());
  auto flatType =
      MemRefType::get({ShapedType::kDynamic}, type.getElementType());
  OpFoldResult extent =
      b.add(flat.offset, b.mul(flat.sizes.front(), flat.strides.front()));
  flat.buffer = memref::ReinterpretCastOp::create(
      b, flatType, metadata.getBaseBuffer(), b.getIndexAttr(0),
      ArrayRef(extent), ArrayRef<OpFoldResult>{b.getIndexAttr(1)});
  return flat;
}
