//===- LowerReductions.cpp - reductions that stay in registers --------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/common/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::moe {
#define GEN_PASS_DEF_LOWERREDUCTIONS
#include "passes/target/common/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Whether each parallel iteration has results of its own and the entries that
/// it reduces lie side by side.
bool isReduction(linalg::GenericOp op) {
  if (op.getNumReductionLoops() == 0 || !op.hasPureBufferSemantics() ||
      op.hasIndexSemantics() || op.getNumDpsInputs() == 0)
    return false;
  SmallVector<utils::IteratorType> iterators = op.getIteratorTypesArray();
  for (OpOperand &init : op.getDpsInitsMutable()) {
    AffineMap map = op.getMatchingIndexingMap(&init);
    if (!map.isProjectedPermutation() ||
        map.getNumResults() != op.getNumParallelLoops())
      return false;
  }
  AffineMap first = op.getIndexingMapsArray().front();
  if (first.getNumResults() == 0)
    return false;
  auto fastest = dyn_cast<AffineDimExpr>(first.getResults().back());
  return fastest &&
         iterators[fastest.getPosition()] == utils::IteratorType::reduction;
}

/// One reduction on its way into loops.
class ReductionLoops {
public:
  explicit ReductionLoops(linalg::GenericOp op)
      : op(op), b(op.getLoc(), op), indices(op.getNumLoops()) {
    for (Range range : cast<linalg::LinalgOp>(op.getOperation())
                           .createLoopRanges(b, b.getLoc()))
      extents.push_back(
          getValueOrCreateConstantIndexOp(b, b.getLoc(), range.size));
    op.getParallelDims(parallel);
    op.getReductionDims(reduced);
  }

  void run() {
    Value zero = arith::ConstantIndexOp::create(b, 0);
    Value one = arith::ConstantIndexOp::create(b, 1);
    if (parallel.empty()) {
      buildReduction();
    } else {
      SmallVector<Value> upper;
      for (unsigned dim : parallel)
        upper.push_back(extents[dim]);
      auto loop = scf::ParallelOp::create(
          b, SmallVector<Value>(parallel.size(), zero), upper,
          SmallVector<Value>(parallel.size(), one));
      for (auto [dim, index] :
           llvm::zip_equal(parallel, loop.getInductionVars()))
        indices[dim] = index;
      b.setInsertionPoint(loop.getBody()->getTerminator());
      buildReduction();
    }
    op.erase();
  }

private:
  SmallVector<Value> getPlace(OpOperand &operand) {
    SmallVector<Value> place;
    AffineMap map = op.getMatchingIndexingMap(&operand);
    for (AffineExpr result : map.getResults()) {
      if (auto dim = dyn_cast<AffineDimExpr>(result))
        place.push_back(indices[dim.getPosition()]);
      else
        place.push_back(affine::AffineApplyOp::create(
            b, AffineMap::get(map.getNumDims(), 0, result), indices));
    }
    return place;
  }

  /// The results of one parallel iteration.
  void buildReduction() {
    SmallVector<Value> carried;
    for (OpOperand &init : op.getDpsInitsMutable())
      carried.push_back(memref::LoadOp::create(b, init.get(), getPlace(init)));
    carried = buildLoops(carried, 0);
    for (auto [init, value] : llvm::zip_equal(op.getDpsInitsMutable(), carried))
      memref::StoreOp::create(b, value, init.get(), getPlace(init));
  }

  SmallVector<Value> buildLoops(ArrayRef<Value> carried, size_t depth) {
    if (depth == reduced.size())
      return buildBody(carried);
    auto loop = scf::ForOp::create(
        b, arith::ConstantIndexOp::create(b, 0), extents[reduced[depth]],
        arith::ConstantIndexOp::create(b, 1), carried);
    indices[reduced[depth]] = loop.getInductionVar();
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    scf::YieldOp::create(
        b, buildLoops(llvm::to_vector_of<Value>(loop.getRegionIterArgs()),
                      depth + 1));
    return llvm::to_vector_of<Value>(loop.getResults());
  }

  SmallVector<Value> buildBody(ArrayRef<Value> carried) {
    Block *body = op.getBody();
    IRMapping mapping;
    for (OpOperand *input : op.getDpsInputOperands()) {
      BlockArgument argument = op.getMatchingBlockArgument(input);
      if (argument.use_empty())
        continue;
      Value value = input->get();
      if (isa<MemRefType>(value.getType()))
        value = memref::LoadOp::create(b, value, getPlace(*input));
      mapping.map(argument, value);
    }
    mapping.map(body->getArguments().take_back(carried.size()), carried);
    for (Operation &inner : body->without_terminator())
      b.clone(inner, mapping);
    return llvm::map_to_vector(
        body->getTerminator()->getOperands(),
        [&](Value value) { return mapping.lookupOrDefault(value); });
  }

  linalg::GenericOp op;
  ImplicitLocOpBuilder b;
  SmallVector<Value> extents, indices;
  SmallVector<unsigned> parallel, reduced;
};

struct LowerReductions
    : public moe::impl::LowerReductionsBase<LowerReductions> {
  void runOnOperation() override {
    SmallVector<linalg::GenericOp> reductions;
    getOperation()->walk([&](linalg::GenericOp op) {
      if (isReduction(op))
        reductions.push_back(op);
    });
    for (linalg::GenericOp op : reductions)
      ReductionLoops(op).run();
  }
};

} // namespace
