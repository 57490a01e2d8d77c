//===- OutlineKernels.cpp - loops as kernels ------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/kern/KernDialect.h"
#include "passes/target/gpu/KernelSet.h"
#include "passes/target/gpu/Offload.h"
#include "passes/target/gpu/Passes.h"

#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::moe {
#define GEN_PASS_DEF_OUTLINEKERNELS
#include "passes/target/gpu/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Threads of a block where each does one iteration.
constexpr int64_t kBlockThreads = 128;

/// Replaces `loop` by a nest of sequential loops.
void makeSequential(scf::ParallelOp loop) {
  OpBuilder builder(loop);
  scf::LoopNest nest =
      scf::buildLoopNest(builder, loop.getLoc(), loop.getLowerBound(),
                         loop.getUpperBound(), loop.getStep());
  SmallVector<Value> indices;
  for (scf::ForOp inner : nest.loops)
    indices.push_back(inner.getInductionVar());
  IRMapping mapping;
  mapping.map(loop.getInductionVars(), indices);
  builder.setInsertionPoint(nest.loops.back().getBody()->getTerminator());
  for (Operation &op : loop.getBody()->without_terminator())
    builder.clone(op, mapping);
  loop.erase();
}

/// One loop on its way into a kernel.
class Outliner {
public:
  Outliner(Operation *loop, KernelSet &kernels)
      : loop(loop), kernels(kernels), b(loop->getLoc(), loop) {}

  LogicalResult run() {
    loop->walk([&](scf::ParallelOp inner) {
      if (inner != loop)
        makeSequential(inner);
    });
    collectCaptures();
    // Numbers that a sequential loop yields come back through memory.
    for (Value result : loop->getResults())
      results.push_back(memref::AllocOp::create(
          b, getDeviceType(MemRefType::get({}, result.getType()))));
    captures.append(results);
    FailureOr<KernelArguments> arguments =
        KernelArguments::collect(b, loop, captures);
    if (failed(arguments))
      return failure();
    func::FuncOp kernel = kernels.unify(build(*arguments));
    launch(kernel, *arguments);
    for (auto [result, memory] : llvm::zip_equal(loop->getResults(), results)) {
      result.replaceAllUsesWith(memref::LoadOp::create(b, memory));
      memref::DeallocOp::create(b, memory);
    }
    loop->erase();
    return success();
  }

private:
  void collectCaptures() {
    llvm::SetVector<Value> used;
    for (Region &region : loop->getRegions())
      getUsedValuesDefinedAbove(region, used);
    used.insert(loop->operand_begin(), loop->operand_end());
    for (Value value : used) {
      Operation *producer = value.getDefiningOp();
      if (producer && producer->hasTrait<OpTrait::ConstantLike>() &&
          !isa<LLVM::AddressOfOp>(producer))
        constants.push_back(producer);
      else
        captures.push_back(value);
    }
  }

  func::FuncOp build(KernelArguments &arguments) {
    bool isParallel = isa<scf::ParallelOp>(loop);
    func::FuncOp kernel = kernels.create(loop->getLoc(), arguments.getTypes(),
                                         isParallel ? kBlockThreads : 1);
    ImplicitLocOpBuilder k =
        ImplicitLocOpBuilder::atBlockBegin(loop->getLoc(), &kernel.front());
    IRMapping mapping;
    for (Operation *constant : constants)
      k.clone(*constant, mapping);
    arguments.unpack(k, kernel, mapping);
    Value active = kernels.emitIsRunning(k, arguments.getFailure(kernel));
    if (auto parallel = dyn_cast<scf::ParallelOp>(loop))
      buildParallel(k, parallel, active, mapping);
    else
      buildSerial(k, active, mapping);
    kernels.finish(kernel, arguments.getFailure(kernel));
    return kernel;
  }

  void buildSerial(ImplicitLocOpBuilder &k, Value active, IRMapping &mapping) {
    auto guard = scf::IfOp::create(k, active, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard restore(k);
    k.setInsertionPointToStart(guard.thenBlock());
    Operation *copy = k.clone(*loop, mapping);
    for (auto [result, memory] : llvm::zip_equal(copy->getResults(), results))
      memref::StoreOp::create(k, result, mapping.lookup(memory));
  }

  void buildParallel(ImplicitLocOpBuilder &k, scf::ParallelOp parallel,
                     Value active, IRMapping &mapping) {
    SmallVector<Value> counts;
    for (unsigned i = 0; i < parallel.getNumLoops(); ++i)
      counts.push_back(emitTripCount(k, parallel, i, mapping));
    Value total = counts.front();
    for (Value count : ArrayRef(counts).drop_front())
      total = arith::MulIOp::create(k, total, count);
    Value linear = kernels.emitThread(k, kBlockThreads);
    Value inside =
        arith::CmpIOp::create(k, arith::CmpIPredicate::ult, linear, total);
    Value works = arith::AndIOp::create(k, active, inside);
    auto guard = scf::IfOp::create(k, works, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard restore(k);
    k.setInsertionPointToStart(guard.thenBlock());
    for (unsigned i = parallel.getNumLoops(); i-- > 0;) {
      Value position = linear;
      if (i > 0) {
        position = arith::RemUIOp::create(k, linear, counts[i]);
        linear = arith::DivUIOp::create(k, linear, counts[i]);
      }
      Value step = mapping.lookup(parallel.getStep()[i]);
      Value lower = mapping.lookup(parallel.getLowerBound()[i]);
      Value distance = arith::MulIOp::create(k, position, step);
      mapping.map(parallel.getInductionVars()[i],
                  arith::AddIOp::create(k, lower, distance).getResult());
    }
    for (Operation &op : parallel.getBody()->without_terminator())
      k.clone(op, mapping);
  }

  /// The number of iterations of dimension `i`.
  static Value emitTripCount(ImplicitLocOpBuilder &k, scf::ParallelOp parallel,
                             unsigned i, const IRMapping &mapping) {
    Value lower = mapping.lookupOrDefault(parallel.getLowerBound()[i]);
    Value upper = mapping.lookupOrDefault(parallel.getUpperBound()[i]);
    Value step = mapping.lookupOrDefault(parallel.getStep()[i]);
    Value zero = arith::ConstantIndexOp::create(k, 0);
    Value extent = arith::SubIOp::create(k, upper, lower);
    Value positive = arith::MaxSIOp::create(k, extent, zero);
    return arith::CeilDivUIOp::create(k, positive, step);
  }

  void launch(func::FuncOp kernel, KernelArguments &arguments) {
    Value blocks = arith::ConstantIndexOp::create(b, 1);
    if (auto parallel = dyn_cast<scf::ParallelOp>(loop)) {
      IRMapping identity;
      Value total;
      for (unsigned i = 0; i < parallel.getNumLoops(); ++i) {
        Value count = emitTripCount(b, parallel, i, identity);
        total =
            total ? arith::MulIOp::create(b, total, count).getResult() : count;
      }
      Value threads = arith::ConstantIndexOp::create(b, kBlockThreads);
      blocks = arith::CeilDivUIOp::create(b, total, threads);
    }
    kernels.emitLaunch(b, kernel, blocks, arguments);
  }

  Operation *loop;
  KernelSet &kernels;
  ImplicitLocOpBuilder b;
  SmallVector<Operation *> constants;
  SmallVector<Value> captures;
  SmallVector<Value> results;
};

struct OutlineKernels : public moe::impl::OutlineKernelsBase<OutlineKernels> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SmallVector<Operation *> loops;
    for (auto function : module.getOps<func::FuncOp>())
      if (!function.isExternal())
        forEachCandidate(function.getBody(), [&](Operation *op) {
          if (!isa<kern::KernDialect>(op->getDialect()) &&
              llvm::any_of(getOuterBuffers(op), [](Value buffer) {
                return isOnDevice(buffer.getType());
              }))
            loops.push_back(op);
        });
    KernelSet kernels(module);
    for (Operation *loop : loops)
      if (failed(Outliner(loop, kernels).run()))
        return signalPassFailure();
    // What is left computes shapes, or allocates memory and launches kernels,
    // which only the thread of the run may do.
    SmallVector<scf::ParallelOp> left;
    for (auto function : module.getOps<func::FuncOp>())
      function.walk<WalkOrder::PostOrder>(
          [&](scf::ParallelOp loop) { left.push_back(loop); });
    for (scf::ParallelOp loop : left)
      if (loop.getNumReductions() == 0)
        makeSequential(loop);
  }
};

} // namespace
