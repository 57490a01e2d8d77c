//===- OverlapExchange.cpp - work while rows are on their way --------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/plan/OverlapExchange.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace mlir::moe;

/// Whether ranks meet in `op`, or will once all layers are placed.
static bool hasExchange(Operation *op) {
  return op
      ->walk([](Operation *inner) {
        bool meets = isa<ExchangeBeginOp, ExchangeDispatchOp, ExchangeCombineOp,
                         ExchangeWaitOp>(inner) ||
                     inner->hasAttr(MoEDialect::kPlacementAttr);
        return meets ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}

/// Whether `op` takes so long that another thread is worth its while.
static bool isProduct(Operation *op) {
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  return isa<FusedFFNOp>(op) ||
         (linalgOp && linalg::isaContractionOpInterface(linalgOp));
}

/// Whether `op` only looks at a result in another shape.
static bool isView(Operation *op) {
  return isa<tensor::DimOp, tensor::ExpandShapeOp, tensor::CollapseShapeOp,
             tensor::CastOp, cf::AssertOp>(op) ||
         llvm::all_of(op->getResultTypes(), [](Type type) {
           return type.isIndex() || type.isInteger();
         });
}

/// Brings what follows `experts` and does not need its result before the first
/// operation that does, which it returns; stops where the result is read, or
/// ranks meet again.
static Operation *hoistIndependent(FusedFFNOp experts) {
  llvm::SmallPtrSet<Operation *, 16> dependent;
  Operation *end = nullptr;
  auto dependsOn = [&](Operation *op) {
    bool found = false;
    op->walk([&](Operation *inner) {
      for (Value operand : inner->getOperands()) {
        Operation *producer = operand.getDefiningOp();
        found |= producer == experts || dependent.contains(producer);
      }
    });
    return found;
  };
  Operation *next;
  for (Operation *op = experts->getNextNode(); op; op = next) {
    next = op->getNextNode();
    if (op->hasTrait<OpTrait::IsTerminator>() || hasExchange(op))
      return end ? end : op;
    if (dependsOn(op)) {
      end = end ? end : op;
      if (!isView(op))
        return end;
      dependent.insert(op);
    } else if (end && isMemoryEffectFree(op)) {
      op->moveBefore(end);
    } else if (end) {
      // It keeps its place, and so does what uses it.
      dependent.insert(op);
    }
  }
  return end;
}

Operation *moe::overlapExchange(FusedFFNOp experts, Operation *begin) {
  Block *block = experts->getBlock();
  Operation *end = hoistIndependent(experts);
  if (!end)
    return nullptr;
  bool isWorth = false;
  for (Operation *op = experts->getNextNode(); op != end;
       op = op->getNextNode())
    isWorth |= isProduct(op);

  // From the last one up: whatever only operations behind the exchange use.
  SmallVector<Operation *> later;
  llvm::SmallPtrSet<Operation *, 16> moved;
  for (Operation *op = begin->getPrevNode(); op && !hasExchange(op);
       op = op->getPrevNode()) {
    bool isFree =
        isMemoryEffectFree(op) && !op->use_empty() &&
        llvm::all_of(op->getUsers(), [&](Operation *user) {
          Operation *inBlock = block->findAncestorOpInBlock(*user);
          return moved.contains(inBlock) || experts->isBeforeInBlock(inBlock);
        });
    if (!isFree)
      continue;
    later.push_back(op);
    moved.insert(op);
    isWorth |= isProduct(op);
  }
  if (!isWorth)
    return nullptr;
  Operation *first = experts->getNextNode();
  for (Operation *op : later) {
    op->moveBefore(first);
    first = op;
  }
  return end;
}
