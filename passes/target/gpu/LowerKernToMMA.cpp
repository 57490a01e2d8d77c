//===- LowerKernToMMA.cpp - kern operations as kernels with tensor cores --===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/cpu/VectorActivation.h"
#include "passes/target/gpu/ExpertLoops.h"
#include "passes/target/gpu/KernelSet.h"
#include "passes/target/gpu/MatrixTile.h"
#include "passes/target/gpu/Offload.h"
#include "passes/target/gpu/Passes.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

namespace mlir::moe {
#define GEN_PASS_DEF_LOWERKERNTOMMA
#include "passes/target/gpu/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Tiles compiled ahead, for few, some and many rows.
struct TileShapes {
  TileShape few, some, many;

  static TileShapes get(StringRef arch) {
    constexpr auto kMma = TileProduct::Mma, kWgmma = TileProduct::Wgmma;
    if (arch == "sm_90a")
      return {{kWgmma, 16, 128, 1, 4, 6},
              {kWgmma, 64, 128, 1, 4, 4},
              {kWgmma, 128, 256, 1, 8, 4}};
    return {{kMma, 16, 128, 1, 4, 6},
            {kMma, 64, 128, 2, 2, 4},
            {kMma, 128, 128, 2, 2, 4}};
  }
};

/// With two sources the columns are half as many, so that the sums of a thread
/// are as many.
TileShape withSources(TileShape shape, int64_t sources) {
  shape.sources = sources;
  shape.columns /= sources;
  return shape;
}

/// A product of rows with panels, as all operations have it.
struct Product {
  Operation *op;
  Value rows, panels;
  int64_t depth, columns, sources;
};

/// One launch of a kernel for a product.
class KernelEmitter {
public:
  KernelEmitter(ExpertBuilder &b, KernelSet &kernels, const Product &product,
                TileShape shape)
      : b(b), kernels(kernels), product(product), shape(shape) {
    this->shape.element = getElementTypeOrSelf(product.rows);
  }

  /// The rows of one block of threads.
  struct RowBlock {
    /// The first row and the number of rows, both i32; the expert, an index.
    Value first, count, expert;
  };

  /// Emits the kernel and its launch on `rowBlocks` times the blocks of
  /// columns. The callbacks build the kernel: `find` the rows of a block of
  /// threads, `place` the row of the left operand for one of them, `store` what
  /// becomes of two sums of each source. `values` are the buffers they use.
  LogicalResult
  emit(Value rowBlocks, ValueRange values,
       function_ref<RowBlock(TileBuilder &, IRMapping &, Value)> find,
       function_ref<Value(TileBuilder &, IRMapping &, Value)> place,
       function_ref<void(TileBuilder &, IRMapping &, const RowBlock &, Value,
                         Value, ArrayRef<Value>)>
           store) {
    SmallVector<Value> captures = {product.rows, product.panels};
    captures.append(values.begin(), values.end());
    FailureOr<KernelArguments> arguments =
        KernelArguments::collect(b, product.op, captures);
    if (failed(arguments))
      return failure();
    func::FuncOp kernel = kernels.create(
        product.op->getLoc(), arguments->getTypes(), shape.getThreads());
    TileBuilder k(kernel.getLoc(), kernel.getContext());
    k.setInsertionPointToStart(&kernel.front());
    IRMapping mapping;
    arguments->unpack(k, kernel, mapping);
    Value running = kernels.emitIsRunning(k, arguments->getFailure(kernel));
    guard(k, running, [&] {
      int64_t columnBlocks = llvm::divideCeil(product.columns, shape.columns);
      Value block = NVVM::BlockIdXOp::create(k, k.getI32Type());
      RowBlock rows = find(k, mapping, k.div(block, columnBlocks));
      Value columnBlock = k.rem(block, columnBlocks);
      guard(k, k.less(k.i32(0), rows.count),
            [&] { emitTile(k, mapping, rows, columnBlock, place, store); });
    });
    kernels.finish(kernel, arguments->getFailure(kernel));
    kernel = kernels.unify(kernel);
    Value blocks =
        b.mul(rowBlocks, llvm::divideCeil(product.columns, shape.columns));
    kernels.emitLaunch(b, kernel, blocks, *arguments, shape.getSharedBytes());
    return success();
  }

private:
  static void guard(TileBuilder &k, Value condition,
                    function_ref<void()> body) {
    auto branch = scf::IfOp::create(k, condition, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard restore(k);
    k.setInsertionPointToStart(branch.thenBlock());
    body();
  }

  void emitTile(TileBuilder &k, IRMapping &mapping, const RowBlock &rows,
                Value columnBlock,
                function_ref<Value(TileBuilder &, IRMapping &, Value)> place,
                function_ref<void(TileBuilder &, IRMapping &, const RowBlock &,
                                  Value, Value, ArrayRef<Value>)>
                    store) {
    Value thread = NVVM::ThreadIdXOp::create(k, k.getI32Type());
    Value shared = kernels.emitSharedMemory(k);
    std::unique_ptr<MatrixTile> tile =
        MatrixTile::create(k, shape, shared, thread, product.depth);
    // Rows behind the last are copies of it; nothing is stored for them.
    Value left = k.address(mapping.lookup(product.rows));
    Value last = k.add(rows.count, -1);
    SmallVector<Value> copied;
    for (int64_t i = 0; i < tile->getRowsPerThread(); ++i) {
      Value row = k.add(rows.first, k.min(tile->getCopiedRow(i), last));
      Value number = k.wide(place(k, mapping, row));
      Value distance = arith::MulIOp::create(
          k, number, arith::ConstantIntOp::create(k, product.depth * 2, 64));
      copied.push_back(
          k.offset(k.offset(left, distance), k.mul(k.rem(thread, 4), 16)));
    }
    Value right = k.address(mapping.lookup(product.panels));
    int64_t panels = llvm::divideCeil(product.columns, 16);
    int64_t panelBytes = product.depth * 32;
    if (rows.expert) {
      int64_t bytes = panels * product.sources * panelBytes;
      Value expert = arith::IndexCastOp::create(k, k.getI64Type(), rows.expert);
      Value distance = arith::MulIOp::create(
          k, expert, arith::ConstantIntOp::create(k, bytes, 64));
      right = k.offset(right, distance);
    }
    // Panels behind the last are copies of it as well.
    Value firstPanel = k.mul(columnBlock, shape.columns / 16);
    tile->run(copied, [&](Value number) {
      Value panel = k.add(firstPanel, k.div(number, product.sources));
      panel = k.min(panel, k.i32(panels - 1));
      panel =
          k.add(k.mul(panel, product.sources), k.rem(number, product.sources));
      Value distance = arith::MulIOp::create(
          k, k.wide(panel), arith::ConstantIntOp::create(k, panelBytes, 64));
      return k.offset(right, distance);
    });
    Value firstColumn = k.mul(columnBlock, shape.columns);
    tile->forEachResult([&](Value row, Value column, ArrayRef<Value> sums) {
      column = k.add(firstColumn, column);
      Value inside = arith::AndIOp::create(
          k, k.less(row, rows.count), k.less(column, k.i32(product.columns)));
      guard(k, inside, [&] {
        store(k, mapping, rows, k.toIndex(k.add(rows.first, row)),
              k.toIndex(column), sums);
      });
    });
  }

  ExpertBuilder &b;
  KernelSet &kernels;
  Product product;
  TileShape shape;
};

/// Two numbers from `place` on, and their store.
Value loadTwo(TileBuilder &k, Value buffer, ValueRange place) {
  auto type = VectorType::get(2, k.getF32Type());
  auto load = vector::LoadOp::create(k, type, buffer, place);
  load.setAlignment(8);
  return load;
}
void storeTwo(TileBuilder &k, Value numbers, Value buffer, ValueRange place) {
  Type element = cast<MemRefType>(buffer.getType()).getElementType();
  auto type = VectorType::get(2, element);
  if (numbers.getType() != type)
    numbers = arith::TruncFOp::create(k, type, numbers);
  auto store = vector::StoreOp::create(k, numbers, buffer, place);
  store.setAlignment(element.getIntOrFloatBitWidth() / 4);
}

/// Finds the rows of a block in the list of them.
auto findIn(Value list) {
  return [list](TileBuilder &k, IRMapping &mapping, Value block) {
    auto load = [&](int64_t field) -> Value {
      Value column = arith::ConstantIndexOp::create(k, field);
      return memref::LoadOp::create(k, mapping.lookup(list),
                                    ValueRange{k.toIndex(block), column});
    };
    return KernelEmitter::RowBlock{load(1), load(2), k.toIndex(load(0))};
  };
}

class Lowering {
public:
  Lowering(Operation *op, KernelSet &kernels, const TileShapes &shapes)
      : b(op->getLoc(), op), kernels(kernels), shapes(shapes) {}

  LogicalResult lower(kern::PanelGemmOp op) {
    Value left = op.getA(), result = op.getInit();
    Product product = makeProduct(op, left, op.getB(), result, 1);
    Value count = b.size(left, 0);
    return choose(count, 1, [&](TileShape shape) {
      KernelEmitter emitter(b, kernels, product, shape);
      using RowBlock = KernelEmitter::RowBlock;
      return emitter.emit(
          b.ceilDiv(count, shape.rows), result,
          [&](TileBuilder &k, IRMapping &mapping, Value block) {
            Value first = k.mul(block, shape.rows);
            Value all = k.toI32(
                memref::DimOp::create(k, mapping.lookup(left), 0).getResult());
            Value rest = arith::SubIOp::create(k, all, first);
            return RowBlock{first, k.min(rest, k.i32(shape.rows)), Value()};
          },
          [&](TileBuilder &k, IRMapping &, Value row) { return row; },
          [&](TileBuilder &k, IRMapping &mapping, const RowBlock &, Value row,
              Value column, ArrayRef<Value> sums) {
            Value target = mapping.lookup(result), sum = sums[0];
            if (op.getAccumulate())
              sum = arith::AddFOp::create(k, loadTwo(k, target, {row, column}),
                                          sum);
            storeTwo(k, sum, target, {row, column});
          });
    });
  }

  LogicalResult lower(kern::ExpertsHiddenOp op) {
    int64_t sources = op.getGated() ? 2 : 1;
    Product product =
        makeProduct(op, op.getX(), op.getPanels(), op.getInit(), sources);
    return chooseForExperts(
        op.getRows(), op.getOffsets(), sources,
        [&](TileShape shape, Value list, Value limit) {
          SmallVector<Value> values = {list, op.getRows(), op.getInit()};
          for (Value value :
               {op.getGateBias(), op.getUpBias(), op.getWeights()})
            if (value)
              values.push_back(value);
          KernelEmitter emitter(b, kernels, product, shape);
          return emitter.emit(
              limit, values, findIn(list),
              [&](TileBuilder &k, IRMapping &mapping, Value position) {
                Value rows = mapping.lookup(op.getRows());
                Value assignment =
                    memref::LoadOp::create(k, rows, k.toIndex(position));
                return k.div(assignment, op.getSlots());
              },
              [&](TileBuilder &k, IRMapping &mapping,
                  const KernelEmitter::RowBlock &block, Value position,
                  Value column, ArrayRef<Value> sums) {
                auto add = [&](Value sum, Value bias) -> Value {
                  if (!bias)
                    return sum;
                  return arith::AddFOp::create(
                      k, sum,
                      loadTwo(k, mapping.lookup(bias), {block.expert, column}));
                };
                SmallVector<Value> results(sums);
                if (op.getWeights())
                  for (Value &sum : results)
                    sum = weigh(k, mapping, op.getRows(), op.getWeights(),
                                op.getSlots(), position, sum);
                if (op.getGated())
                  results[0] = add(results[0], op.getGateBias());
                results.back() = add(results.back(), op.getUpBias());
                Value gate = op.getGated() ? results[0] : Value();
                Value value =
                    emitActivation(k, op.getActivation(), gate, results.back());
                storeTwo(k, value, mapping.lookup(op.getInit()),
                         {position, column});
              });
        });
  }

  /// The products go to memory by position; a second kernel adds those of a
  /// token, so that the order of its sum is fixed.
  LogicalResult lower(kern::ExpertsCombineOp op) {
    Product product =
        makeProduct(op, op.getH(), op.getPanels(), op.getInit(), 1);
    auto type = MemRefType::get(
        {ShapedType::kDynamic, product.columns}, b.getF32Type(),
        MemRefLayoutAttrInterface(),
        getDeviceType(MemRefType::get({}, b.getF32Type())).getMemorySpace());
    Value parts = memref::AllocOp::create(b, type, b.size(op.getRows(), 0));
    LogicalResult result = chooseForExperts(
        op.getRows(), op.getOffsets(), 1,
        [&](TileShape shape, Value list, Value limit) {
          SmallVector<Value> values = {list, op.getRows(), parts};
          for (Value value : {op.getBias(), op.getWeights()})
            if (value)
              values.push_back(value);
          KernelEmitter emitter(b, kernels, product, shape);
          return emitter.emit(
              limit, values, findIn(list),
              [&](TileBuilder &k, IRMapping &, Value position) {
                return position;
              },
              [&](TileBuilder &k, IRMapping &mapping,
                  const KernelEmitter::RowBlock &block, Value position,
                  Value column, ArrayRef<Value> sums) {
                Value sum = sums[0];
                if (Value bias = op.getBias())
                  sum = arith::AddFOp::create(
                      k, sum,
                      loadTwo(k, mapping.lookup(bias), {block.expert, column}));
                if (op.getWeights())
                  sum = weigh(k, mapping, op.getRows(), op.getWeights(),
                              op.getSlots(), position, sum);
                storeTwo(k, sum, mapping.lookup(parts), {position, column});
              });
        });
    emitSumOverPositions(b, op, [&](Value position, Value column) {
      return Value(
          memref::LoadOp::create(b, parts, ValueRange{position, column}));
    });
    memref::DeallocOp::create(b, parts);
    return result;
  }

private:
  static Product makeProduct(Operation *op, Value rows, Value panels,
                             Value result, int64_t sources) {
    auto left = cast<MemRefType>(rows.getType());
    auto right = cast<MemRefType>(result.getType());
    return {
        op,     rows, panels, left.getShape().back(), right.getShape().back(),
        sources};
  }

  static Value weigh(TileBuilder &k, IRMapping &mapping, Value rows,
                     Value weights, int64_t slots, Value position, Value sum) {
    Value assignment =
        memref::LoadOp::create(k, mapping.lookup(rows), position);
    Value weight =
        memref::LoadOp::create(k, mapping.lookup(weights),
                               ValueRange{k.toIndex(k.div(assignment, slots)),
                                          k.toIndex(k.rem(assignment, slots))});
    Value all = vector::BroadcastOp::create(k, sum.getType(), weight);
    return arith::MulFOp::create(k, all, sum);
  }

  /// Calls `emit` in branches of the host for few, some and many rows.
  LogicalResult choose(Value rows, int64_t sources,
                       function_ref<LogicalResult(TileShape)> emit) {
    LogicalResult result = success();
    auto emitFor = [&](TileShape shape) {
      if (failed(emit(withSources(shape, sources))))
        result = failure();
    };
    b.branch(
        b.less(rows, b.index(shapes.few.rows + 1)),
        [&] { emitFor(shapes.few); },
        [&] {
          b.branch(
              b.less(rows, b.index(shapes.some.rows + 1)),
              [&] { emitFor(shapes.some); }, [&] { emitFor(shapes.many); });
        });
    return result;
  }

  /// The same by the mean number of rows of an expert, with a list of blocks of
  /// rows: for each the expert, the first position and the number of them.
  LogicalResult chooseForExperts(
      Value rows, Value offsets, int64_t sources,
      function_ref<LogicalResult(TileShape, Value list, Value limit)> emit) {
    Value positions = b.size(rows, 0);
    Value experts = b.sub(b.size(offsets, 0), b.index(1));
    return choose(b.ceilDiv(positions, experts), sources,
                  [&](TileShape shape) -> LogicalResult {
                    Value limit =
                        b.add(experts, b.div(positions, b.index(shape.rows)));
                    auto type = cast<MemRefType>(rows.getType());
                    type = MemRefType::get(
                        {ShapedType::kDynamic, 3}, b.getI32Type(),
                        MemRefLayoutAttrInterface(), type.getMemorySpace());
                    Value list = memref::AllocOp::create(b, type, limit);
                    emitBlockList(offsets, experts, list, limit, shape.rows);
                    LogicalResult result = emit(shape, list, limit);
                    memref::DeallocOp::create(b, list);
                    return result;
                  });
  }

  /// One iteration for each expert, which counts the blocks of those before,
  /// and one for the rest of the list.
  void emitBlockList(Value offsets, Value experts, Value list, Value limit,
                     int64_t rows) {
    auto store = [&](Value place, int64_t field, Value number) {
      Value narrow = arith::IndexCastOp::create(b, b.getI32Type(), number);
      memref::StoreOp::create(b, narrow, list,
                              ValueRange{place, b.index(field)});
    };
    b.parallel(b.add(experts, 1), [&](ValueRange indices) {
      Value expert = indices[0];
      Value start = b.carry(expert, b.index(0), [&](Value e, ValueRange sum) {
        Value count =
            b.sub(b.loadIndex(offsets, b.add(e, 1)), b.loadIndex(offsets, e));
        return SmallVector<Value>{b.add(sum[0], b.ceilDiv(count, rows))};
      })[0];
      b.branch(
          b.less(expert, experts),
          [&] {
            Value begin = b.loadIndex(offsets, expert);
            Value count = b.sub(b.loadIndex(offsets, b.add(expert, 1)), begin);
            b.loop(b.index(0), b.ceilDiv(count, rows), 1, [&](Value i) {
              Value place = b.add(start, i), first = b.mul(i, rows);
              store(place, 0, expert);
              store(place, 1, b.add(begin, first));
              store(place, 2, b.min(b.sub(count, first), b.index(rows)));
            });
          },
          [&] {
            b.loop(start, limit, 1, [&](Value place) {
              for (int64_t field = 0; field < 3; ++field)
                store(place, field, b.index(0));
            });
          });
    });
  }

  ExpertBuilder b;
  KernelSet &kernels;
  const TileShapes &shapes;
};

struct LowerKernToMMA : public moe::impl::LowerKernToMMABase<LowerKernToMMA> {
  using LowerKernToMMABase::LowerKernToMMABase;

  void runOnOperation() override {
    TileShapes shapes = TileShapes::get(arch);
    SmallVector<Operation *> work;
    for (auto function : getOperation().getOps<func::FuncOp>())
      function.walk([&](Operation *op) {
        if (canUseTensorCores(op))
          work.push_back(op);
      });
    KernelSet kernels(getOperation());
    for (Operation *op : work) {
      Lowering lowering(op, kernels, shapes);
      LogicalResult result = llvm::TypeSwitch<Operation *, LogicalResult>(op)
                                 .Case<kern::PanelGemmOp, kern::ExpertsHiddenOp,
                                       kern::ExpertsCombineOp>([&](auto op) {
                                   return lowering.lower(op);
                                 })
                                 .Default(failure());
      if (failed(result))
        return signalPassFailure();
      op->erase();
    }
  }
};

} // namespace
