//===- OutlineParallel.cpp - parallel loops as tasks ------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/common/HostCalls.h"
#include "passes/target/common/Passes.h"

#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::moe {
#define GEN_PASS_DEF_OUTLINEPARALLEL
#include "passes/target/common/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Work, in operations, that is worth handing to another thread.
constexpr int64_t kTaskWork = 1 << 15;

/// Trip count assumed for a loop whose bounds are known at run time only.
constexpr int64_t kUnknownTripCount = 64;

/// The trip count of one loop dimension, if it is static.
std::optional<int64_t> getTripCount(Value lower, Value upper, Value step) {
  std::optional<int64_t> low = getConstantIntValue(lower);
  std::optional<int64_t> high = getConstantIntValue(upper);
  std::optional<int64_t> stride = getConstantIntValue(step);
  if (!low || !high || !stride || *stride <= 0)
    return std::nullopt;
  return *high <= *low ? 0 : llvm::divideCeil(*high - *low, *stride);
}

/// A rough count of the operations that one execution of `region` takes.
int64_t estimateWork(Region &region) {
  int64_t work = 0;
  for (Operation &op : region.getOps()) {
    int64_t inner = 0;
    for (Region &nested : op.getRegions())
      inner += estimateWork(nested);
    int64_t trips = 1;
    if (auto loop = dyn_cast<scf::ForOp>(op)) {
      trips = getTripCount(loop.getLowerBound(), loop.getUpperBound(),
                           loop.getStep())
                  .value_or(kUnknownTripCount);
    } else if (auto loop = dyn_cast<scf::ParallelOp>(op)) {
      for (auto [lower, upper, step] : llvm::zip_equal(
               loop.getLowerBound(), loop.getUpperBound(), loop.getStep()))
        trips = llvm::SaturatingMultiply<uint64_t>(
            trips,
            getTripCount(lower, upper, step).value_or(kUnknownTripCount));
    } else if (isa<func::CallOp>(op)) {
      inner = kTaskWork; // A kernel.
    }
    work += 1 + llvm::SaturatingMultiply<uint64_t>(trips, inner);
    work = std::min<int64_t>(work, kTaskWork);
  }
  return work;
}

/// Replaces `loop` by a nest of sequential loops.
void makeSequential(scf::ParallelOp loop) {
  OpBuilder builder(loop);
  Location loc = loop.getLoc();
  scf::LoopNest nest = scf::buildLoopNest(builder, loc, loop.getLowerBound(),
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

/// The tasks of a module. Layers that differ in their buffers only share them.
class TaskSet {
public:
  /// The task that does the same as `task`, which is erased if that is another.
  func::FuncOp unify(func::FuncOp task) {
    SmallVector<func::FuncOp> &alike = tasks[hash(task)];
    for (func::FuncOp other : alike)
      if (OperationEquivalence::isRegionEquivalentTo(
              &task.getBody(), &other.getBody(),
              OperationEquivalence::IgnoreLocations)) {
        task.erase();
        return other;
      }
    alike.push_back(task);
    return task;
  }

  unsigned getNextNumber() { return next++; }

private:
  static llvm::hash_code hash(func::FuncOp task) {
    llvm::hash_code code(0);
    task.getBody().walk([&](Operation *op) {
      code = llvm::hash_combine(code, op->getName(),
                                op->getAttrDictionary().getAsOpaquePointer(),
                                llvm::hash_combine_range(op->getResultTypes()));
    });
    return code;
  }

  DenseMap<size_t, SmallVector<func::FuncOp>> tasks;
  unsigned next = 0;
};

/// One outermost parallel loop on its way into a task.
class Outliner {
public:
  Outliner(ModuleOp module, scf::ParallelOp loop, TaskSet &tasks)
      : module(module), loop(loop), tasks(tasks),
        converter(module.getContext()),
        pointer(LLVM::LLVMPointerType::get(module.getContext())) {}

  LogicalResult run() {
    Region &region = loop.getRegion();
    hasInnerLoops = !region.getOps<scf::ForOp>().empty() ||
                    !region.getOps<scf::ParallelOp>().empty() ||
                    !region.getOps<func::CallOp>().empty();
    unsigned loops = loop.getNumLoops();
    distributed = hasInnerLoops || loops == 1 ? loops : loops - 1;
    collectCaptures();
    if (failed(buildContextType()))
      return failure();
    buildCall(tasks.unify(buildTask()));
    loop.erase();
    return success();
  }

private:
  void collectCaptures() {
    llvm::SetVector<Value> used;
    getUsedValuesDefinedAbove(loop.getRegion(), used);
    used.insert(loop.getLowerBound().begin(), loop.getLowerBound().end());
    used.insert(loop.getUpperBound().begin(), loop.getUpperBound().end());
    used.insert(loop.getStep().begin(), loop.getStep().end());
    for (Value value : used) {
      Operation *producer = value.getDefiningOp();
      if (producer && producer->hasTrait<OpTrait::ConstantLike>())
        constants.push_back(producer);
      else
        captures.push_back(value);
    }
  }

  LogicalResult buildContextType() {
    SmallVector<Type> fields;
    for (Value capture : captures) {
      Type type = converter.convertType(capture.getType());
      if (!type)
        return loop.emitOpError()
               << "expected captured values that a task can receive, got "
               << capture.getType();
      fields.push_back(type);
    }
    contextType = LLVM::LLVMStructType::getLiteral(loop.getContext(), fields);
    return success();
  }

  static Value cast(OpBuilder &builder, Location loc, Type type, Value value) {
    if (value.getType() == type)
      return value;
    return UnrealizedConversionCastOp::create(builder, loc, type, value)
        .getResult(0);
  }

  /// The number of iterations of dimension `i` of the loop.
  Value buildTripCount(OpBuilder &builder, unsigned i,
                       const IRMapping &mapping) {
    Location loc = loop.getLoc();
    Value lower = mapping.lookupOrDefault(loop.getLowerBound()[i]);
    Value upper = mapping.lookupOrDefault(loop.getUpperBound()[i]);
    Value step = mapping.lookupOrDefault(loop.getStep()[i]);
    Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
    Value extent = arith::SubIOp::create(builder, loc, upper, lower);
    Value positive = arith::MaxSIOp::create(builder, loc, extent, zero);
    return arith::CeilDivUIOp::create(builder, loc, positive, step);
  }

  func::FuncOp buildTask() {
    MLIRContext *context = loop.getContext();
    Location loc = loop.getLoc();
    Type i64 = IntegerType::get(context, 64);
    OpBuilder builder(context);
    builder.setInsertionPointToEnd(module.getBody());
    auto task = func::FuncOp::create(
        builder, loc, ("task_" + Twine(tasks.getNextNumber())).str(),
        FunctionType::get(context, {pointer, i64, i64}, {}));
    task.setPrivate();
    Block *entry = task.addEntryBlock();
    builder.setInsertionPointToStart(entry);

    IRMapping mapping;
    for (Operation *constant : constants)
      builder.clone(*constant, mapping);
    loadCaptures(builder, entry->getArgument(0), mapping);

    Type index = builder.getIndexType();
    Value begin =
        arith::IndexCastOp::create(builder, loc, index, entry->getArgument(1));
    Value end =
        arith::IndexCastOp::create(builder, loc, index, entry->getArgument(2));
    Value one = arith::ConstantIndexOp::create(builder, loc, 1);
    SmallVector<Value> tripCounts;
    for (unsigned i = 1; i < distributed; ++i)
      tripCounts.push_back(buildTripCount(builder, i, mapping));
    auto range = scf::ForOp::create(builder, loc, begin, end, one);
    func::ReturnOp::create(builder, loc);

    builder.setInsertionPoint(range.getBody()->getTerminator());
    mapIndices(builder, range.getInductionVar(), tripCounts, mapping);
    cloneBody(builder, mapping);
    hoistStackBuffers(task);
    return task;
  }

  void loadCaptures(OpBuilder &builder, Value context, IRMapping &mapping) {
    Location loc = loop.getLoc();
    for (auto [i, capture] : llvm::enumerate(captures)) {
      Value address = LLVM::GEPOp::create(
          builder, loc, pointer, contextType, context,
          ArrayRef<LLVM::GEPArg>{0, static_cast<int32_t>(i)});
      Value field =
          LLVM::LoadOp::create(builder, loc, contextType.getBody()[i], address);
      mapping.map(capture, cast(builder, loc, capture.getType(), field));
    }
  }

  /// Recovers the distributed loop indices from the linear one.
  void mapIndices(OpBuilder &builder, Value linear, ArrayRef<Value> tripCounts,
                  IRMapping &mapping) {
    Location loc = loop.getLoc();
    for (unsigned i = distributed; i-- > 0;) {
      Value position = linear;
      if (i > 0) {
        Value count = tripCounts[i - 1];
        position = arith::RemUIOp::create(builder, loc, linear, count);
        linear = arith::DivUIOp::create(builder, loc, linear, count);
      }
      Value step = mapping.lookup(loop.getStep()[i]);
      Value lower = mapping.lookup(loop.getLowerBound()[i]);
      Value distance = arith::MulIOp::create(builder, loc, position, step);
      mapping.map(
          loop.getInductionVars()[i],
          arith::AddIOp::create(builder, loc, lower, distance).getResult());
    }
  }

  void cloneBody(OpBuilder &builder, IRMapping &mapping) {
    for (unsigned i = distributed; i < loop.getNumLoops(); ++i) {
      auto inner = scf::ForOp::create(builder, loop.getLoc(),
                                      mapping.lookup(loop.getLowerBound()[i]),
                                      mapping.lookup(loop.getUpperBound()[i]),
                                      mapping.lookup(loop.getStep()[i]));
      mapping.map(loop.getInductionVars()[i], inner.getInductionVar());
      builder.setInsertionPoint(inner.getBody()->getTerminator());
    }
    for (Operation &op : loop.getBody()->without_terminator())
      builder.clone(op, mapping);
  }

  /// A stack buffer inside a loop would grow the stack in every iteration.
  static void hoistStackBuffers(func::FuncOp task) {
    Operation *first = &task.front().front();
    task.walk([&](memref::AllocaOp op) {
      if (op->getNumOperands() == 0)
        op->moveBefore(first);
    });
  }

  void buildCall(func::FuncOp task) {
    OpBuilder builder(loop);
    Location loc = loop.getLoc();
    Type i64 = builder.getI64Type();
    Value context = allocateContext();
    for (auto [i, capture] : llvm::enumerate(captures)) {
      Value address = LLVM::GEPOp::create(
          builder, loc, pointer, contextType, context,
          ArrayRef<LLVM::GEPArg>{0, static_cast<int32_t>(i)});
      Value field = cast(builder, loc, contextType.getBody()[i], capture);
      LLVM::StoreOp::create(builder, loc, field, address);
    }
    IRMapping identity;
    Value count = buildTripCount(builder, 0, identity);
    for (unsigned i = 1; i < distributed; ++i)
      count = arith::MulIOp::create(builder, loc, count,
                                    buildTripCount(builder, i, identity));
    Value count64 = arith::IndexCastOp::create(builder, loc, i64, count);
    Value grain = arith::ConstantIntOp::create(builder, loc, getGrain(), 64);
    Value function =
        func::ConstantOp::create(builder, loc, task.getFunctionType(),
                                 FlatSymbolRefAttr::get(task.getSymNameAttr()));
    func::CallOp::create(builder, loc, getHostParallel(module),
                         ValueRange{cast(builder, loc, pointer, function),
                                    context, count64, grain});
  }

  /// The context lives in the frame of the calling function.
  Value allocateContext() {
    auto function = loop->getParentOfType<func::FuncOp>();
    OpBuilder builder = OpBuilder::atBlockBegin(&function.front());
    Value one = LLVM::ConstantOp::create(builder, loop.getLoc(),
                                         builder.getI64IntegerAttr(1));
    return LLVM::AllocaOp::create(builder, loop.getLoc(), pointer, contextType,
                                  one);
  }

  /// Iterations that make up one piece of work.
  int64_t getGrain() {
    int64_t work = estimateWork(loop.getRegion());
    for (unsigned i = distributed; i < loop.getNumLoops(); ++i)
      work = llvm::SaturatingMultiply<uint64_t>(
          work, getTripCount(loop.getLowerBound()[i], loop.getUpperBound()[i],
                             loop.getStep()[i])
                    .value_or(kUnknownTripCount));
    return std::max<int64_t>(1, kTaskWork / std::max<int64_t>(1, work));
  }

  ModuleOp module;
  scf::ParallelOp loop;
  TaskSet &tasks;
  LLVMTypeConverter converter;
  Type pointer;
  bool hasInnerLoops = false;
  /// How many of the leading loop dimensions are spread over tasks.
  unsigned distributed = 0;
  SmallVector<Operation *> constants;
  SmallVector<Value> captures;
  LLVM::LLVMStructType contextType;
};

/// Whether all the work of `loop` is known to be less than one task.
bool isSmall(scf::ParallelOp loop) {
  // Its stack buffers go with the frame of the task.
  if (!loop.getBody()->getOps<memref::AllocaOp>().empty())
    return false;
  int64_t work = estimateWork(loop.getRegion());
  for (auto [lower, upper, step] : llvm::zip_equal(
           loop.getLowerBound(), loop.getUpperBound(), loop.getStep())) {
    std::optional<int64_t> trips = getTripCount(lower, upper, step);
    if (!trips)
      return false;
    work = llvm::SaturatingMultiply<uint64_t>(work, *trips);
  }
  return work <= kTaskWork;
}

struct OutlineParallel
    : public moe::impl::OutlineParallelBase<OutlineParallel> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    // Inner loops first: they become sequential whatever the outer one does.
    SmallVector<scf::ParallelOp> loops;
    module.walk<WalkOrder::PostOrder>(
        [&](scf::ParallelOp loop) { loops.push_back(loop); });
    TaskSet tasks;
    for (scf::ParallelOp loop : loops) {
      if (loop.getNumReductions() != 0)
        continue;
      if (loop->getParentOfType<scf::ParallelOp>() || isSmall(loop))
        makeSequential(loop);
      else if (failed(Outliner(module, loop, tasks).run()))
        return signalPassFailure();
    }
  }
};

} // namespace
