//===- LowerKernToVector.cpp - kern operations as calls of kernels ----------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/cpu/ByteRows.h"
#include "passes/target/cpu/FlatBuffer.h"
#include "passes/target/cpu/GatherRows.h"
#include "passes/target/cpu/KernelSet.h"
#include "passes/target/cpu/PackPanel.h"
#include "passes/target/cpu/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_LOWERKERNTOVECTOR
#include "passes/target/cpu/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Columns of the result that a task of the second half of the experts owns, in
/// blocks: with many tokens more of them, so that the rows of an expert are
/// read from far away less often.
constexpr int64_t kOwnedBlocks = 4;
constexpr int64_t kManyPositions = 256;

/// Emits the loops around the kernels.
class LoopEmitter {
public:
  LoopEmitter(ModuleOp module, TileTarget target) : kernels(module, target) {}

  void lower(kern::PackOp op) {
    KernelBuilder b(op.getLoc(), op);
    BufferScope scope(b);
    FlatBuffer panels = scope.flatten(op.getInit());
    int64_t sources = op.getSources().size();
    for (int64_t number = 0; number < sources; ++number) {
      FlatBuffer source = scope.flatten(op.getSources()[number]);
      SmallVector<Value> counts(ArrayRef(source.sizes).drop_back(2));
      counts.push_back(b.ceilDiv(source.sizes.back(), kPanelColumns));
      b.parallel(counts, [&](ValueRange indices) {
        Value panel = indices.back();
        SmallVector<Value> place(indices);
        place.back() = b.add(b.mul(panel, sources), number);
        emitPackPanel(b, source, source.getOffset(b, indices.drop_back()),
                      b.mul(panel, kPanelColumns), op.getLayout().getDepth(),
                      panels.buffer, panels.getOffset(b, place));
      });
    }
    scope.close();
    op.erase();
  }

  void lower(kern::PanelGemmOp op) {
    KernelBuilder b(op.getLoc(), op);
    BufferScope scope(b);
    FlatBuffer left =
        getRows(b, scope, op.getA(), op.getB(), op.getQuantizedAttr());
    FlatBuffer panels = scope.flatten(op.getB());
    FlatBuffer result = scope.flattenResult(op.getInit());
    size_t rank = left.sizes.size();
    Value depth = left.sizes[rank - 1];
    Value rows = result.sizes[rank - 2], columns = result.sizes[rank - 1];
    int64_t width = getBlockColumns(/*sources=*/1);
    Value panelStride = panels.strides[panels.strides.size() - 4];
    func::FuncOp kernel = kernels.getGemm(op);

    // Columns inside: the rows of a task stay in the caches for the next one.
    EvenSplit blocks(b, rows, kernels.getTarget().taskRows);
    SmallVector<Value> counts(ArrayRef(left.sizes).drop_back(2));
    counts.push_back(blocks.parts);
    counts.push_back(b.ceilDiv(columns, width));
    b.parallel(counts, [&](ValueRange indices) {
      ValueRange batch = indices.drop_back(2);
      auto [firstRow, count] = blocks.getPart(b, indices[rank - 2]);
      Value firstColumn = b.mul(indices[rank - 1], width);
      Value rowOffset = b.add(left.getOffset(b, batch),
                              b.mul(firstRow, left.strides[rank - 2]));
      Value firstPanel = b.mul(indices[rank - 1], width / kPanelColumns);
      Value panelOffset =
          b.add(panels.getOffset(b, batch), b.mul(firstPanel, panelStride));
      Value resultOffset =
          b.add(b.add(result.getOffset(b, batch),
                      b.mul(firstRow, result.strides[rank - 2])),
                firstColumn);
      Value remaining = b.sub(columns, firstColumn);
      func::CallOp::create(b, kernel,
                           ValueRange{left.buffer, rowOffset,
                                      left.strides[rank - 2], panels.buffer,
                                      panelOffset, depth, result.buffer,
                                      resultOffset, result.strides[rank - 2],
                                      count, b.min(remaining, b.index(width))});
    });
    scope.close();
    op.erase();
  }

  void lower(kern::ExpertsHiddenOp op) {
    KernelBuilder b(op.getLoc(), op);
    BufferScope scope(b);
    int64_t sources = op.getGated() ? 2 : 1;
    Experts experts(
        b, scope,
        getRows(b, scope, op.getX(), op.getPanels(), op.getQuantizedAttr()),
        op.getRows(), op.getOffsets(), op.getPanels(), op.getInit());
    bool isGathered =
        kernels.usesMatrices(getElementTypeOrSelf(experts.input.buffer),
                             getElementTypeOrSelf(op.getPanels()));
    if (isGathered)
      experts.input =
          emitGatherRows(b, scope, experts.input, experts.rows,
                         experts.getFirst(b, experts.count), op.getSlots());
    SmallVector<FlatBuffer> biases;
    for (Value bias : {op.getGateBias(), op.getUpBias()})
      if (bias)
        biases.push_back(scope.flatten(bias));
    FlatBuffer weights;
    if (op.getWeights())
      weights = scope.flattenContiguous(op.getWeights());
    func::FuncOp kernel = kernels.getHidden(op);
    int64_t width = getBlockColumns(sources);

    // Columns inside: the rows of a task stay in the caches for the next one.
    RowBlocks blocks(b, scope, experts, kernels.getTarget().taskRows);
    Value columns = experts.result.sizes[1];
    b.parallel(
        {blocks.count, b.ceilDiv(columns, width)}, [&](ValueRange indices) {
          auto [expert, begin, count] = blocks.get(b, indices[0]);
          Value firstColumn = b.mul(indices[1], width);
          Value resultOffset =
              b.add(b.add(experts.result.offset,
                          b.mul(begin, experts.result.strides[0])),
                    firstColumn);
          Value rowOffset = experts.input.offset;
          if (isGathered)
            rowOffset =
                b.add(rowOffset, b.mul(begin, experts.input.strides[0]));
          SmallVector<Value> arguments =
              experts.getArguments(b, rowOffset, expert, firstColumn, sources,
                                   resultOffset, count, width);
          arguments.append(
              {experts.rows.buffer, b.add(experts.rows.offset, begin)});
          for (FlatBuffer &bias : biases)
            arguments.append(
                {bias.buffer, b.add(bias.getOffset(b, expert), firstColumn)});
          if (op.getWeights())
            arguments.append({weights.buffer, weights.offset});
          func::CallOp::create(b, kernel, arguments);
        });
    scope.close();
    op.erase();
  }

  void lower(kern::ExpertsCombineOp op) {
    KernelBuilder b(op.getLoc(), op);
    BufferScope scope(b);
    Experts experts(
        b, scope,
        getRows(b, scope, op.getH(), op.getPanels(), op.getQuantizedAttr()),
        op.getRows(), op.getOffsets(), op.getPanels(), op.getInit());
    FlatBuffer bias, weights;
    if (op.getBias())
      bias = scope.flatten(op.getBias());
    if (op.getWeights())
      weights = scope.flattenContiguous(op.getWeights());
    func::FuncOp kernel = kernels.getCombine(op);
    int64_t width = getBlockColumns(/*sources=*/1);

    Value columns = experts.result.sizes[1];
    Value isMany = b.less(b.index(kManyPositions), experts.rows.sizes.front());
    Value owned =
        b.select(isMany, b.index(kOwnedBlocks * width), b.index(width));
    b.parallel(b.ceilDiv(columns, owned), [&](ValueRange indices) {
      Value begin = b.mul(indices[0], owned);
      Value end = b.min(b.add(begin, owned), columns);
      emitZeros(b, experts.result, begin, end);
      b.loop(b.index(0), experts.count, 1, [&](Value expert) {
        auto [first, positions] = experts.getRange(b, expert);
        EvenSplit blocks(b, positions, kernels.getTarget().taskRows);
        b.loop(b.index(0), blocks.parts, 1, [&, first = first](Value block) {
          auto [own, count] = blocks.getPart(b, block);
          Value position = b.add(first, own);
          Value rowOffset = b.add(experts.input.offset,
                                  b.mul(position, experts.input.strides[0]));
          b.loop(begin, end, width, [&, count = count](Value firstColumn) {
            SmallVector<Value> arguments = experts.getArguments(
                b, rowOffset, expert, firstColumn, /*sources=*/1,
                b.add(experts.result.offset, firstColumn), count, width);
            arguments.append(
                {experts.rows.buffer, b.add(experts.rows.offset, position)});
            if (op.getBias())
              arguments.append(
                  {bias.buffer, b.add(bias.getOffset(b, expert), firstColumn)});
            if (op.getWeights())
              arguments.append({weights.buffer, weights.offset});
            func::CallOp::create(b, kernel, arguments);
          });
        });
      });
    });
    scope.close();
    op.erase();
  }

private:
  /// Rows as the kernels for `panels` take them.
  FlatBuffer getRows(KernelBuilder &b, BufferScope &scope, Value rows,
                     Value panels, kern::QuantizedAttr quantized) {
    Type type = kernels.getRowType(rows, panels, quantized);
    if (isa<IntegerType>(type))
      return ByteRows(quantized, type.getIntOrFloatBitWidth() / 8)
          .emit(b, scope, scope.flatten(rows));
    return scope.flattenRows(rows, type);
  }

  /// The operands that both halves of the experts have.
  struct Experts {
    Experts(KernelBuilder &b, BufferScope &scope, FlatBuffer input, Value rows,
            Value offsets, Value panels, Value result)
        : input(std::move(input)), rows(scope.flatten(rows)),
          offsets(scope.flatten(offsets)), panels(scope.flatten(panels)),
          result(scope.flattenResult(result)) {
      count = this->panels.sizes[0];
    }

    /// The first position of an expert; behind the last one, how many there are
    /// in all.
    Value getFirst(KernelBuilder &b, Value expert) const {
      return b.loadIndex(offsets.buffer, b.add(offsets.offset, expert));
    }
    /// The first position of an expert and the number of its positions.
    std::pair<Value, Value> getRange(KernelBuilder &b, Value expert) const {
      Value begin = getFirst(b, expert);
      return {begin, b.sub(getFirst(b, b.add(expert, 1)), begin)};
    }

    /// The arguments that all kernels have.
    SmallVector<Value> getArguments(KernelBuilder &b, Value rowOffset,
                                    Value expert, Value firstColumn,
                                    int64_t sources, Value resultOffset,
                                    Value rowCount, int64_t width) {
      Value depth = input.sizes[1];
      Value firstPanel =
          b.mul(b.div(firstColumn, b.index(kPanelColumns)), sources);
      Value panelOffset = panels.getOffset(b, {expert, firstPanel});
      Value columns =
          b.min(b.sub(result.sizes[1], firstColumn), b.index(width));
      return {input.buffer,      rowOffset, input.strides[0], panels.buffer,
              panelOffset,       depth,     result.buffer,    resultOffset,
              result.strides[0], rowCount,  columns};
    }

    FlatBuffer input, rows, offsets, panels, result;
    Value count;
  };

  /// The positions of all experts in blocks of rows, none of them empty.
  struct RowBlocks {
    RowBlocks(KernelBuilder &b, BufferScope &scope, const Experts &experts,
              int64_t limit) {
      Value zero = b.index(0);
      Value most = b.add(experts.count,
                         b.div(experts.rows.sizes.front(), b.index(limit)));
      list = scope.allocate(b.mul(most, kFields), b.getIndexType());
      Value number =
          memref::AllocaOp::create(b, MemRefType::get({}, b.getIndexType()));
      memref::StoreOp::create(b, zero, number, ValueRange());
      b.loop(zero, experts.count, 1, [&](Value expert) {
        auto [begin, positions] = experts.getRange(b, expert);
        EvenSplit blocks(b, positions, limit);
        b.loop(zero, blocks.parts, 1, [&, begin = begin](Value block) {
          auto [first, rows] = blocks.getPart(b, block);
          Value place = memref::LoadOp::create(b, number, ValueRange());
          memref::StoreOp::create(b, b.add(place, 1), number, ValueRange());
          Value fields[kFields] = {expert, b.add(begin, first), rows};
          for (int64_t i = 0; i < kFields; ++i)
            memref::StoreOp::create(b, fields[i], list,
                                    b.add(b.mul(place, kFields), i));
        });
      });
      count = memref::LoadOp::create(b, number, ValueRange());
    }

    /// The expert of a block, its first position and the number of positions.
    std::tuple<Value, Value, Value> get(KernelBuilder &b, Value block) const {
      auto load = [&](int64_t field) -> Value {
        return memref::LoadOp::create(b, list,
                                      b.add(b.mul(block, kFields), field));
      };
      return {load(0), load(1), load(2)};
    }

    static constexpr int64_t kFields = 3;
    Value list, count;
  };

  /// Columns of the result that a kernel computes in one call.
  int64_t getBlockColumns(int64_t sources) const {
    return kernels.getTarget().getBlockColumns(sources);
  }

  /// Clears columns of a matrix.
  static void emitZeros(KernelBuilder &b, const FlatBuffer &result, Value begin,
                        Value end) {
    Value zero = arith::ConstantOp::create(b, b.getF32FloatAttr(0.0));
    b.loop(b.index(0), result.sizes[0], 1, [&](Value row) {
      Value start = b.add(result.offset, b.mul(row, result.strides[0]));
      b.loop(begin, end, 1, [&](Value column) {
        memref::StoreOp::create(b, zero, result.buffer, b.add(start, column));
      });
    });
  }

  KernelSet kernels;
};

struct LowerKernToVector
    : public moe::impl::LowerKernToVectorBase<LowerKernToVector> {
  using LowerKernToVectorBase::LowerKernToVectorBase;

  void runOnOperation() override {
    FailureOr<TileTarget> target = TileTarget::get(isa);
    if (failed(target)) {
      getOperation().emitError()
          << "expected x86-64-v3, x86-64-v4, avx512bf16 or amx, got '" << isa
          << "'";
      return signalPassFailure();
    }
    SmallVector<Operation *> work;
    WalkResult result =
        getOperation().walk([&](DestinationStyleOpInterface op) {
          if (!llvm::isa<kern::PackOp, kern::PanelGemmOp, kern::ExpertsHiddenOp,
                         kern::ExpertsCombineOp>(op))
            return WalkResult::advance();
          if (!op.hasPureBufferSemantics()) {
            op->emitOpError("expected buffers");
            return WalkResult::interrupt();
          }
          auto pack = llvm::dyn_cast<kern::PackOp>(op.getOperation());
          if (pack && getElementTypeOrSelf(pack.getInit()) !=
                          getElementTypeOrSelf(pack.getSources().front())) {
            op->emitOpError("expected weights where a pack converts numbers");
            return WalkResult::interrupt();
          }
          work.push_back(op);
          return WalkResult::advance();
        });
    if (result.wasInterrupted())
      return signalPassFailure();
    LoopEmitter emitter(getOperation(), *target);
    for (Operation *op : work)
      llvm::TypeSwitch<Operation *>(op)
          .Case<kern::PackOp, kern::PanelGemmOp, kern::ExpertsHiddenOp,
                kern::ExpertsCombineOp>([&](auto op) { emitter.lower(op); });
  }
};

} // namespace
