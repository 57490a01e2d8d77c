//===- LowerAttention.cpp - loops over blocks of keys -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/kern/KernDialect.h"
#include "passes/target/cpu/AttentionKernels.h"
#include "passes/target/cpu/FlatBuffer.h"
#include "passes/target/cpu/KeyBounds.h"
#include "passes/target/cpu/PanelTile.h"
#include "passes/target/cpu/Passes.h"

#include "mlir/IR/IRMapping.h"

namespace mlir::moe {
#define GEN_PASS_DEF_LOWERATTENTION
#include "passes/target/cpu/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Rows of queries that a task works on: enough for the turned keys to pay.
constexpr int64_t kTaskRows = 64;
/// Numbers in the scratch buffer of a block of keys, about: half of what the
/// smallest second-level caches hold.
constexpr int64_t kBlockNumbers = 16384;
constexpr int64_t kMostKeys = 128;
/// With at most so many rows in a head, and so many tasks, each block of keys
/// is a task of its own.
constexpr int64_t kFewRows = 16;
constexpr int64_t kFewTasks = 16;

int64_t roundUp(int64_t value) {
  return llvm::alignTo(value, AttentionKernels::kWidth);
}

class AttentionLowering {
public:
  AttentionLowering(kern::AttentionOp op, AttentionKernels &kernels)
      : op(op), kernels(kernels), b(op.getLoc(), op), scope(b),
        dims(op.getDims()), bounds(op) {
    for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
      buffers.push_back(scope.describe(operand));
      AffineMap map = op.getMap(i);
      for (auto [place, result] : llvm::enumerate(map.getResults()))
        if (auto dim = dyn_cast<AffineDimExpr>(result))
          places[i][dim.getPosition()] = place;
    }
    depth = getStatic(Query, dims.depth);
    columns = getStatic(Value_, dims.column);
    // A function of the head sizes alone: where a block begins decides the
    // order of sums.
    int64_t widest = std::max(depth, columns);
    blockKeys =
        std::clamp<int64_t>(llvm::bit_floor(uint64_t(kBlockNumbers / widest)),
                            AttentionKernels::kWidth, kMostKeys);
  }

  void run() {
    for (unsigned dim : dims.rows)
      rowExtents.push_back(getExtent(Query, dim));
    rows = b.index(1);
    for (Value extent : rowExtents)
      rows = b.mul(rows, extent);
    keys = getExtent(Key, dims.key);
    for (unsigned dim : dims.batch)
      counts.push_back(getExtent(Query, dim));
    Value tasks = b.ceilDiv(rows, kTaskRows);
    counts.push_back(tasks);
    for (Value count : ArrayRef(counts).drop_back())
      tasks = b.mul(tasks, count);
    Value keyBlocks = b.ceilDiv(keys, blockKeys);
    auto isAtMost = [&](Value value, int64_t limit) {
      return b.less(value, b.index(limit + 1));
    };
    Value isSplit = b.createOrFold<arith::AndIOp>(isAtMost(rows, kFewRows),
                                                  isAtMost(tasks, kFewTasks));
    isSplit =
        b.createOrFold<arith::AndIOp>(isSplit, b.less(b.index(1), keyBlocks));
    b.branch(isSplit, [&] { emitSplit(keyBlocks); }, [&] { emitWhole(); });
    scope.close();
    op.erase();
  }

private:
  enum Operand : unsigned { Query, Key, Value_, Result };

  /// Rows of one task and what it keeps of them.
  struct Task {
    SmallVector<Value> batch;
    Value firstRow, count;
    /// Indices of the region for each row are computed from these.
    RowBlock queries;
    Value firstKey, endKey;
  };

  int64_t getStatic(Operand operand, unsigned dim) {
    return cast<MemRefType>(op->getOperand(operand).getType())
        .getDimSize(places[operand][dim]);
  }
  Value getExtent(Operand operand, unsigned dim) {
    return buffers[operand].sizes[places[operand][dim]];
  }
  /// The distance of neighbours along `dim`, 0 where the operand lacks it.
  Value getStride(Operand operand, unsigned dim) {
    auto place = places[operand].find(dim);
    return place == places[operand].end()
               ? b.index(0)
               : buffers[operand].strides[place->second];
  }
  Value getOffset(Operand operand, ArrayRef<unsigned> which,
                  ValueRange indices) {
    Value offset = b.index(0);
    for (auto [dim, index] : llvm::zip_equal(which, indices))
      offset = b.add(offset, b.mul(index, getStride(operand, dim)));
    return offset;
  }

  RowBlock makeScratch(int64_t rows, int64_t stride) {
    auto type = MemRefType::get(rows * stride, b.getF32Type());
    Value buffer = memref::AllocaOp::create(b, type, b.getI64IntegerAttr(64));
    Value flat = memref::CastOp::create(
        b, MemRefType::get({ShapedType::kDynamic}, b.getF32Type()), buffer);
    return {flat, b.index(0), b.index(stride)};
  }
  AttentionKernels::Partial makePartial(int64_t rows) {
    return {makeScratch(rows, roundUp(columns)), makeScratch(rows, 1),
            makeScratch(rows, 1)};
  }

  /// The index of a row in each of the row dimensions.
  SmallVector<Value> getRowIndices(Value row) {
    SmallVector<Value> indices(rowExtents.size());
    for (size_t i = rowExtents.size(); i-- > 0;) {
      if (i == 0) {
        indices[0] = row;
        break;
      }
      indices[i] = b.rem(row, rowExtents[i]);
      row = b.div(row, rowExtents[i]);
    }
    return indices;
  }

  /// The indices of the region, in its order.
  SmallVector<Value> getIndices(const Task &task, ArrayRef<Value> row,
                                Value key) {
    SmallVector<Value> indices;
    for (unsigned dim : dims.getIndexed()) {
      if (dim == dims.key)
        indices.push_back(key);
      else if (auto *it = llvm::find(dims.batch, dim); it != dims.batch.end())
        indices.push_back(task.batch[it - dims.batch.begin()]);
      else
        indices.push_back(row[llvm::find(dims.rows, dim) - dims.rows.begin()]);
    }
    return indices;
  }

  /// Copies the region to the insertion point; returns what it yields.
  SmallVector<Value> emitRegion(Value product, ValueRange indices) {
    Block &body = op.getScore().front();
    IRMapping mapping;
    mapping.map(body.getArgument(0), product);
    mapping.map(body.getArguments().drop_front(), indices);
    for (Operation &inner : body.without_terminator())
      b.clone(inner, mapping);
    return llvm::map_to_vector(
        body.getTerminator()->getOperands(),
        [&](Value v) { return mapping.lookupOrDefault(v); });
  }

  /// Reads the queries of a task and finds the keys that its rows see.
  Task makeTask(ValueRange batch, Value rowBlock) {
    Task task;
    task.batch = llvm::to_vector(batch);
    EvenSplit split(b, rows, kTaskRows);
    std::tie(task.firstRow, task.count) = split.getPart(b, rowBlock);
    task.queries = makeScratch(kTaskRows, roundUp(depth));
    Value start =
        b.add(buffers[Query].offset, getOffset(Query, dims.batch, task.batch));
    auto read = [&](Value row) {
      SmallVector<Value> indices = getRowIndices(b.add(task.firstRow, row));
      Value offset = b.add(start, getOffset(Query, dims.rows, indices));
      kernels.copy(
          b,
          {buffers[Query].buffer, offset, b.index(0),
           getStride(Query, dims.depth)},
          {task.queries.buffer, b.mul(row, task.queries.stride), b.index(0)},
          b.index(1), b.index(depth));
      return indices;
    };
    if (bounds.empty()) {
      b.loop(b.index(0), task.count, 1, [&](Value row) { read(row); });
      task.firstKey = b.index(0);
      task.endKey = keys;
      return task;
    }
    auto loop = scf::ForOp::create(b, b.index(0), task.count, b.index(1),
                                   ValueRange{keys, b.index(0)});
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    SmallVector<Value> row = read(loop.getInductionVar());
    auto [begin, end] =
        bounds.emit(b, getIndices(task, row, /*key=*/b.index(0)), keys);
    scf::YieldOp::create(b, ValueRange{b.min(loop.getRegionIterArg(0), begin),
                                       b.max(loop.getRegionIterArg(1), end)});
    task.firstKey = loop.getResult(0);
    task.endKey = loop.getResult(1);
    return task;
  }

  /// What the block of keys from `firstKey` on gives for the rows of `task`.
  void emitBlock(const Task &task, Value firstKey,
                 const AttentionKernels::Partial &result) {
    Value count = b.min(b.sub(keys, firstKey), b.index(blockKeys));
    auto getKeys = [&](Operand operand, unsigned inner) {
      Value stride = getStride(operand, dims.key);
      Value offset = b.add(b.add(buffers[operand].offset,
                                 getOffset(operand, dims.batch, task.batch)),
                           b.mul(firstKey, stride));
      return AttentionKernels::Strided{buffers[operand].buffer, offset, stride,
                                       getStride(operand, inner)};
    };
    RowBlock turned = makeScratch(depth, blockKeys);
    kernels.transpose(b, getKeys(Key, dims.depth), turned, count,
                      b.index(depth));
    RowBlock scores = makeScratch(kTaskRows, blockKeys);
    kernels.multiply(b, task.queries, turned, scores, task.count,
                     b.index(depth), count);
    b.loop(b.index(0), task.count, 1, [&](Value row) {
      SmallVector<Value> own = getRowIndices(b.add(task.firstRow, row));
      Value start = b.mul(row, scores.stride);
      b.loop(b.index(0), count, 1, [&](Value key) {
        Value place = b.add(start, key);
        Value product = memref::LoadOp::create(b, scores.buffer, place);
        Value score =
            emitRegion(product, getIndices(task, own, b.add(firstKey, key)))[0];
        memref::StoreOp::create(b, score, scores.buffer, place);
      });
    });
    kernels.exponentiate(b, scores, task.count, count, result.maxima,
                         result.sums);

    AttentionKernels::Strided strided = getKeys(Value_, dims.column);
    RowBlock values = {strided.buffer, strided.offset, strided.rowStride};
    if (!canReadValues()) {
      values = makeScratch(blockKeys, roundUp(columns));
      kernels.copy(b, strided, values, count, b.index(columns));
    }
    kernels.multiply(b, scores, values, result.values, task.count, count,
                     b.index(columns));
  }

  /// Whether kernels can load vectors of values where they are.
  bool canReadValues() {
    return cast<MemRefType>(op.getValue().getType()).getElementType().isF32() &&
           columns % AttentionKernels::kWidth == 0 &&
           getConstantIntValue(getStride(Value_, dims.column)) == 1;
  }

  void emitReset(const AttentionKernels::Partial &partial, Value count) {
    auto fill = [&](const RowBlock &block, double value) {
      Value number =
          arith::ConstantOp::create(b, b.getF32FloatAttr(float(value)));
      b.loop(b.index(0), b.mul(count, block.stride), 1, [&](Value i) {
        memref::StoreOp::create(b, number, block.buffer,
                                b.add(block.offset, i));
      });
    };
    fill(partial.values, 0.0);
    fill(partial.maxima, -INFINITY);
    fill(partial.sums, 0.0);
  }

  void emitRows(const Task &task, const AttentionKernels::Partial &state) {
    Value least = arith::ConstantOp::create(b, b.getF32FloatAttr(-INFINITY));
    Value empty = arith::ConstantOp::create(b, b.getF32FloatAttr(0.0f));
    if (!op.getMaskedIsZero()) {
      Value nan = arith::ConstantOp::create(b, b.getF32FloatAttr(NAN));
      empty = b.select(b.less(b.index(0), keys), nan, empty);
    }
    Value start = b.add(buffers[Result].offset,
                        getOffset(Result, dims.batch, task.batch));
    b.loop(b.index(0), task.count, 1, [&](Value row) {
      SmallVector<Value> own = getRowIndices(b.add(task.firstRow, row));
      Value sink = least;
      if (op.getSink()) {
        Value none = arith::ConstantOp::create(b, b.getF32FloatAttr(0.0f));
        sink = emitRegion(none, getIndices(task, own, b.index(0)))[1];
      }
      kernels.finish(b, state, row, sink, empty,
                     {buffers[Result].buffer,
                      b.add(start, getOffset(Result, dims.rows, own)), Value(),
                      getStride(Result, dims.column)},
                     b.index(columns));
    });
  }

  /// One task for each block of rows.
  void emitWhole() {
    b.parallel(counts, [&](ValueRange indices) {
      Task task = makeTask(indices.drop_back(), indices.back());
      AttentionKernels::Partial state = makePartial(kTaskRows);
      AttentionKernels::Partial added = makePartial(kTaskRows);
      emitReset(state, task.count);
      Value first = b.mul(b.div(task.firstKey, b.index(blockKeys)), blockKeys);
      b.loop(first, task.endKey, blockKeys, [&](Value key) {
        emitBlock(task, key, added);
        kernels.merge(b, state, added, task.count, b.index(columns));
      });
      emitRows(task, state);
    });
  }

  /// One task for each block of keys, then one for each head.
  void emitSplit(Value keyBlocks) {
    int64_t width = roundUp(columns);
    Value heads = b.index(1);
    for (Value count : ArrayRef(counts).drop_back())
      heads = b.mul(heads, count);
    Value places = b.mul(b.mul(heads, keyBlocks), kFewRows);
    Value values = scope.allocate(b.mul(places, width), b.getF32Type());
    Value maxima = scope.allocate(places, b.getF32Type());
    Value sums = scope.allocate(places, b.getF32Type());
    auto getPartial = [&](ValueRange batch, Value block) {
      Value head = b.index(0);
      for (auto [index, count] : llvm::zip(batch, counts))
        head = b.add(b.mul(head, count), index);
      Value place =
          b.mul(b.add(b.mul(head, keyBlocks), block), b.index(kFewRows));
      return AttentionKernels::Partial{
          {values, b.mul(place, width), b.index(width)},
          {maxima, place, b.index(1)},
          {sums, place, b.index(1)}};
    };
    SmallVector<Value> split(ArrayRef(counts).drop_back());
    split.push_back(keyBlocks);
    Value zero = b.index(0);
    b.parallel(split, [&](ValueRange indices) {
      ValueRange batch = indices.drop_back();
      Task task = makeTask(batch, zero);
      AttentionKernels::Partial own = getPartial(batch, indices.back());
      Value key = b.mul(indices.back(), blockKeys);
      Value isSeen = b.createOrFold<arith::AndIOp>(
          b.less(key, task.endKey),
          b.less(task.firstKey, b.add(key, blockKeys)));
      b.branch(
          isSeen, [&] { emitBlock(task, key, own); },
          [&] { emitReset(own, task.count); });
    });
    split.back() = b.index(1);
    b.parallel(split, [&](ValueRange indices) {
      ValueRange batch = indices.drop_back();
      Task task;
      task.batch = llvm::to_vector(batch);
      task.firstRow = zero;
      task.count = rows;
      AttentionKernels::Partial state = makePartial(kFewRows);
      emitReset(state, rows);
      b.loop(zero, keyBlocks, 1, [&](Value block) {
        kernels.merge(b, state, getPartial(batch, block), rows,
                      b.index(columns));
      });
      emitRows(task, state);
    });
    scope.close();
  }

  kern::AttentionOp op;
  AttentionKernels &kernels;
  KernelBuilder b;
  BufferScope scope;
  kern::AttentionDims dims;
  KeyBounds bounds;
  SmallVector<FlatBuffer> buffers;
  /// For each operand, the place of the dimensions of the iteration space.
  DenseMap<unsigned, size_t> places[4];
  SmallVector<Value> rowExtents;
  /// Extents of the batch dimensions, then the blocks of rows.
  SmallVector<Value> counts;
  Value rows, keys;
  int64_t depth, columns, blockKeys;
};

struct LowerAttention : public moe::impl::LowerAttentionBase<LowerAttention> {
  using LowerAttentionBase::LowerAttentionBase;

  void runOnOperation() override {
    FailureOr<TileTarget> target = TileTarget::get(isa);
    if (failed(target)) {
      getOperation().emitError()
          << "expected an instruction set level, got '" << isa << "'";
      return signalPassFailure();
    }
    SmallVector<kern::AttentionOp> ops;
    getOperation().walk([&](kern::AttentionOp op) { ops.push_back(op); });
    AttentionKernels kernels(getOperation(), target->lanes);
    for (kern::AttentionOp op : ops) {
      if (!op.hasPureBufferSemantics()) {
        op.emitOpError("expected buffers");
        return signalPassFailure();
      }
      AttentionLowering(op, kernels).run();
    }
  }
};

} // namespace
