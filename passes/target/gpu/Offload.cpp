//===- Offload.cpp - what runs on a device --------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/gpu/Offload.h"

#include "dialects/kern/KernDialect.h"
#include "passes/target/common/HostCalls.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::moe;

/// Loops over so few numbers are left to the host.
static constexpr int64_t kFewNumbers = 16;

bool moe::isOnDevice(Type type) {
  auto buffer = dyn_cast<MemRefType>(type);
  return buffer && buffer.getMemorySpaceAsInt() == kDeviceSpace;
}

MemRefType moe::getDeviceType(MemRefType type) {
  auto space =
      IntegerAttr::get(IntegerType::get(type.getContext(), 64), kDeviceSpace);
  return MemRefType::get(type.getShape(), type.getElementType(),
                         type.getLayout(), space);
}

/// Operations of a kernel: arithmetic, accesses to memory, views, control flow.
static bool isKernelOperation(Operation *op) {
  if (auto call = dyn_cast<func::CallOp>(op))
    return call.getCallee() == kHostFail;
  if (isa<memref::AllocOp, memref::DeallocOp, memref::CopyOp,
          memref::GetGlobalOp, LLVM::AddressOfOp>(op))
    return false;
  Dialect *dialect = op->getDialect();
  return isa_and_nonnull<arith::ArithDialect, math::MathDialect,
                         scf::SCFDialect, memref::MemRefDialect,
                         affine::AffineDialect, vector::VectorDialect>(dialect);
}

/// Row-major, with static extents but for the first.
static bool isPlain(Value buffer) {
  auto type = dyn_cast<MemRefType>(buffer.getType());
  return type && type.getLayout().isIdentity() &&
         llvm::none_of(type.getShape().drop_front(), ShapedType::isDynamic);
}

/// Rows and panels of numbers of 16 bits, in panels as they are packed for
/// such.
static bool isNarrowProduct(Value rows, Value panels, Value result) {
  if (!isPlain(rows) || !isPlain(panels) || !isPlain(result))
    return false;
  auto left = cast<MemRefType>(rows.getType());
  auto right = cast<MemRefType>(panels.getType());
  auto target = cast<MemRefType>(result.getType());
  Type element = left.getElementType();
  return (element.isBF16() || element.isF16()) &&
         right.getElementType() == element && right.hasStaticShape() &&
         right.getShape().back() == (element.isBF16() ? 2 : 1) &&
         left.getRank() == 2 && left.getDimSize(1) % 32 == 0 &&
         target.getRank() == 2 && target.getDimSize(1) % 8 == 0;
}

bool moe::canUseTensorCores(Operation *op) {
  auto isPlainOrNull = [](Value value) { return !value || isPlain(value); };
  if (auto gemm = dyn_cast<kern::PanelGemmOp>(op))
    return isNarrowProduct(gemm.getA(), gemm.getB(), gemm.getInit());
  if (auto hidden = dyn_cast<kern::ExpertsHiddenOp>(op))
    return isNarrowProduct(hidden.getX(), hidden.getPanels(),
                           hidden.getInit()) &&
           isPlain(hidden.getRows()) && isPlainOrNull(hidden.getGateBias()) &&
           isPlainOrNull(hidden.getUpBias());
  if (auto combine = dyn_cast<kern::ExpertsCombineOp>(op))
    return isNarrowProduct(combine.getH(), combine.getPanels(),
                           combine.getInit()) &&
           isPlain(combine.getRows()) && isPlainOrNull(combine.getBias());
  return false;
}

bool moe::isOffloadable(Operation *op) {
  if (canUseTensorCores(op))
    return true;
  if (!isa<scf::ParallelOp, scf::ForOp, scf::WhileOp>(op))
    return false;
  if (auto loop = dyn_cast<scf::ParallelOp>(op))
    if (loop.getNumReductions() != 0)
      return false;
  for (Type type : op->getResultTypes())
    if (!type.isIntOrIndexOrFloat())
      return false;
  WalkResult result = op->walk([&](Operation *inner) {
    if (inner == op || isKernelOperation(inner))
      return WalkResult::advance();
    return WalkResult::interrupt();
  });
  return !result.wasInterrupted();
}

static int64_t countIterations(scf::ParallelOp loop) {
  int64_t count = 1;
  for (auto [lower, upper, step] : llvm::zip_equal(
           loop.getLowerBound(), loop.getUpperBound(), loop.getStep())) {
    std::optional<int64_t> low = getConstantIntValue(lower);
    std::optional<int64_t> high = getConstantIntValue(upper);
    if (!low || !high || getConstantIntValue(step) != 1)
      return kFewNumbers + 1;
    int64_t trips = std::max<int64_t>(0, *high - *low);
    count = llvm::SaturatingMultiply<uint64_t>(count, trips);
  }
  return count;
}

bool moe::isShapeArithmetic(scf::ParallelOp loop) {
  if (countIterations(loop) > kFewNumbers)
    return false;
  return llvm::all_of(getOuterBuffers(loop), [](Value buffer) {
    auto type = cast<MemRefType>(buffer.getType());
    return type.hasStaticShape() && type.getNumElements() <= kFewNumbers &&
           type.getElementType().isIntOrIndex();
  });
}

void moe::forEachCandidate(Region &region,
                           function_ref<void(Operation *)> visit) {
  for (Block &block : region)
    for (Operation &op : llvm::make_early_inc_range(block)) {
      if (isOffloadable(&op)) {
        visit(&op);
        continue;
      }
      for (Region &inner : op.getRegions())
        forEachCandidate(inner, visit);
    }
}

SmallVector<Value> moe::getOuterBuffers(Operation *op) {
  llvm::SetVector<Value> buffers;
  op->walk([&](Operation *inner) {
    for (Value operand : inner->getOperands()) {
      if (!isa<MemRefType>(operand.getType()))
        continue;
      Region *region = operand.getParentRegion();
      if (!op->isAncestor(region->getParentOp()))
        buffers.insert(operand);
    }
  });
  return buffers.takeVector();
}
