//===- AttentionOp.cpp - attention without scores in memory -----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/kern/KernDialect.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace mlir::kern;

//===----------------------------------------------------------------------===//
// AttentionDims
//===----------------------------------------------------------------------===//

FailureOr<AttentionDims> AttentionDims::infer(ArrayRef<AffineMap> maps) {
  enum Operand : unsigned { Query = 1, Key = 2, Value = 4, Result = 8 };
  AttentionDims dims;
  SmallVector<unsigned> keys, depths, columns;
  for (unsigned dim = 0, count = maps.front().getNumDims(); dim < count;
       ++dim) {
    unsigned where = 0;
    for (auto [i, map] : llvm::enumerate(maps))
      if (map.isFunctionOfDim(dim))
        where |= 1u << i;
    if (where == (Query | Key | Value | Result))
      dims.batch.push_back(dim);
    else if (where == (Query | Result))
      dims.rows.push_back(dim);
    else if (where == (Key | Value))
      keys.push_back(dim);
    else if (where == (Query | Key))
      depths.push_back(dim);
    else if (where == (Value | Result))
      columns.push_back(dim);
    else
      return failure();
  }
  if (keys.size() != 1 || depths.size() != 1 || columns.size() != 1)
    return failure();
  dims.key = keys.front();
  dims.depth = depths.front();
  dims.column = columns.front();
  return dims;
}

SmallVector<unsigned> AttentionDims::getIndexed() const {
  SmallVector<unsigned> indexed(batch);
  indexed.append(rows);
  indexed.push_back(key);
  llvm::sort(indexed);
  return indexed;
}

//===----------------------------------------------------------------------===//
// AttentionOp
//===----------------------------------------------------------------------===//

static SmallVector<AffineMap> getMaps(AttentionOp op) {
  return llvm::to_vector(op.getIndexingMaps().getAsValueRange<AffineMapAttr>());
}

AttentionDims AttentionOp::getDims() {
  return *AttentionDims::infer(getMaps(*this));
}

Value AttentionOp::getSink() {
  auto yield = cast<YieldOp>(getScore().front().getTerminator());
  return yield.getValues().size() == 2 ? yield.getValues()[1] : Value();
}

void AttentionOp::getEffects(
    SmallVectorImpl<MemoryEffects::EffectInstance> &effects) {
  for (OpOperand &operand : (*this)->getOpOperands()) {
    if (!isa<MemRefType>(operand.get().getType()))
      continue;
    if (isDpsInit(&operand))
      effects.emplace_back(MemoryEffects::Write::get(), &operand);
    else
      effects.emplace_back(MemoryEffects::Read::get(), &operand);
  }
}

LogicalResult AttentionOp::verify() {
  SmallVector<AffineMap> maps = getMaps(*this);
  if (maps.size() != getNumOperands())
    return emitOpError() << "expected " << getNumOperands()
                         << " indexing maps, got " << maps.size();
  SmallVector<int64_t> extents(maps.front().getNumDims(), ShapedType::kDynamic);
  for (auto [operand, map] : llvm::zip_equal(getOperands(), maps)) {
    auto type = cast<ShapedType>(operand.getType());
    if (map.getNumDims() != extents.size() || map.getNumSymbols() != 0 ||
        !map.isProjectedPermutation(/*allowZeroInResults=*/true))
      return emitOpError() << "expected projected permutations of "
                           << extents.size() << " dimensions, got "
                           << AffineMapAttr::get(map);
    if (map.getNumResults() != type.getRank())
      return emitOpError() << "expected a map with " << type.getRank()
                           << " results for " << type << ", got "
                           << AffineMapAttr::get(map);
    for (auto [result, extent] :
         llvm::zip_equal(map.getResults(), type.getShape())) {
      auto dim = dyn_cast<AffineDimExpr>(result);
      int64_t unit = 1;
      int64_t &known = dim ? extents[dim.getPosition()] : unit;
      if (ShapedType::isDynamic(extent))
        continue;
      if (!ShapedType::isDynamic(known) && known != extent)
        return emitOpError()
               << "expected extent " << known << ", got " << extent << " in "
               << type << " with " << AffineMapAttr::get(map);
      known = extent;
    }
  }
  FailureOr<AttentionDims> dims = AttentionDims::infer(maps);
  if (failed(dims))
    return emitOpError("expected batch, row, one key, one depth and one column "
                       "dimension");
  if (ShapedType::isDynamic(extents[dims->depth]) ||
      ShapedType::isDynamic(extents[dims->column]))
    return emitOpError("expected static extents of depth and columns");
  return success();
}

LogicalResult AttentionOp::verifyRegions() {
  Block &body = getScore().front();
  Builder builder(getContext());
  SmallVector<Type> expected = {builder.getF32Type()};
  expected.append(getDims().getIndexed().size(), builder.getIndexType());
  if (TypeRange(body.getArgumentTypes()) != TypeRange(expected))
    return emitOpError() << "expected a region with one f32 and "
                         << expected.size() - 1 << " indices, got "
                         << body.getArgumentTypes();
  auto yield = dyn_cast<YieldOp>(body.getTerminator());
  if (!yield || yield.getValues().empty() || yield.getValues().size() > 2)
    return emitOpError("expected a region that yields a score, or a score and "
                       "a sink");
  return success();
}
