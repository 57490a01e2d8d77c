//===- LowerKernToLoops.cpp - kern operations as parallel loops -----------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/cpu/VectorActivation.h"
#include "passes/target/gpu/AttentionLoops.h"
#include "passes/target/gpu/Offload.h"
#include "passes/target/gpu/PanelReader.h"
#include "passes/target/gpu/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_LOWERKERNTOLOOPS
#include "passes/target/gpu/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

class LoopEmitter {
public:
  explicit LoopEmitter(Operation *op) : b(op->getLoc(), op) {}

  void lower(kern::PackOp op) {
    for (auto [number, source] : llvm::enumerate(op.getSources()))
      packSource(op, source, number);
  }

  void lower(kern::PanelGemmOp op) {
    Value left = op.getA(), result = op.getInit();
    PanelReader panels(op.getB(), /*sources=*/1, op.getQuantized());
    int64_t rank = cast<MemRefType>(left.getType()).getRank();
    Value depth = b.size(left, rank - 1);
    b.parallel(b.sizes(result), [&](ValueRange indices) {
      Value start = b.number(0);
      if (op.getAccumulate())
        start = memref::LoadOp::create(b, result, indices);
      SmallVector<Value> place(indices);
      Value sum = b.carry(depth, start, [&](Value k, ValueRange sums) {
        place.back() = k;
        Value y = panels.load(b, indices.drop_back(2), 0, k, indices.back());
        return SmallVector<Value>{fma(b.loadWide(left, place), y, sums[0])};
      })[0];
      memref::StoreOp::create(b, sum, result, indices);
    });
  }

  void lower(kern::ExpertsHiddenOp op) {
    int64_t sources = op.getGated() ? 2 : 1;
    Value x = op.getX(), offsets = op.getOffsets();
    PanelReader panels(op.getPanels(), sources, op.getQuantized());
    Value depth = b.size(x, 1), slots = b.index(op.getSlots());
    Value experts = b.sub(b.size(offsets, 0), b.index(1));
    b.parallel(b.sizes(op.getInit()), [&](ValueRange indices) {
      Value column = indices[1];
      Value expert = emitExpertOf(b, offsets, indices[0]);
      // Positions behind those of all experts have none.
      b.branch(
          b.less(expert, experts),
          [&] {
            Value assignment = b.loadIndex(op.getRows(), indices[0]);
            Value token = b.div(assignment, slots);
            SmallVector<Value> start(sources, b.number(0));
            SmallVector<Value> sums =
                b.carry(depth, start, [&](Value k, ValueRange state) {
                  Value entry = b.loadWide(x, {token, k});
                  SmallVector<Value> next;
                  for (int64_t i = 0; i < sources; ++i)
                    next.push_back(fma(
                        entry, panels.load(b, expert, i, k, column), state[i]));
                  return next;
                });
            finishHidden(op, sums, expert, assignment, indices);
          },
          [] {});
    });
  }

  void lower(kern::ExpertsCombineOp op) {
    Value h = op.getH();
    PanelReader panels(op.getPanels(), /*sources=*/1, op.getQuantized());
    Value depth = b.size(h, 1), slots = b.index(op.getSlots());
    emitSumOverPositions(b, op, [&](Value position, Value column) {
      Value expert = emitExpertOf(b, op.getOffsets(), position);
      Value sum = b.carry(depth, b.number(0), [&](Value k, ValueRange sums) {
        Value y = panels.load(b, expert, 0, k, column);
        return SmallVector<Value>{
            fma(b.loadWide(h, {position, k}), y, sums[0])};
      })[0];
      if (Value bias = op.getBias())
        sum = addBias(sum, bias, {expert, column});
      if (Value weights = op.getWeights())
        sum = weigh(sum, weights, b.loadIndex(op.getRows(), position), slots);
      return sum;
    });
  }

  void lower(kern::AttentionOp op) { emitAttention(b, op); }

private:
  Value fma(Value x, Value y, Value z) {
    return math::FmaOp::create(b, x, y, z);
  }
  Value weigh(Value sum, Value weights, Value assignment, Value slots) {
    Value weight = b.loadWide(
        weights, {b.div(assignment, slots), b.rem(assignment, slots)});
    return arith::MulFOp::create(b, weight, sum);
  }
  Value addBias(Value sum, Value bias, ValueRange place) {
    return arith::AddFOp::create(b, sum, b.loadWide(bias, place));
  }

  void finishHidden(kern::ExpertsHiddenOp op, SmallVectorImpl<Value> &sums,
                    Value expert, Value assignment, ValueRange indices) {
    if (Value weights = op.getWeights())
      for (Value &sum : sums)
        sum = weigh(sum, weights, assignment, b.index(op.getSlots()));
    if (Value bias = op.getGateBias())
      sums[0] = addBias(sums[0], bias, {expert, indices[1]});
    if (Value bias = op.getUpBias())
      sums.back() = addBias(sums.back(), bias, {expert, indices[1]});
    Value gate = op.getGated() ? sums[0] : Value();
    Value result = emitActivation(b, op.getActivation(), gate, sums.back());
    b.storeNarrow(result, op.getInit(), indices);
  }

  void packSource(kern::PackOp op, Value source, int64_t number) {
    Value panels = op.getInit();
    auto type = cast<MemRefType>(panels.getType());
    int64_t rank = type.getRank(), sources = op.getSources().size();
    Value height = b.size(source, rank - 4), width = b.size(source, rank - 3);
    SmallVector<Value> counts = b.sizes(panels);
    counts[rank - 4] = b.div(counts[rank - 4], b.index(sources));
    b.parallel(counts, [&](ValueRange indices) {
      Value panel = indices[rank - 4];
      Value k =
          b.add(b.mul(indices[rank - 3], counts[rank - 1]), indices[rank - 1]);
      Value column = b.add(b.mul(panel, counts[rank - 2]), indices[rank - 2]);
      Value inside =
          arith::AndIOp::create(b, b.less(k, height), b.less(column, width));
      SmallVector<Value> target(indices);
      target[rank - 4] = b.add(b.mul(panel, sources), number);
      SmallVector<Value> place(indices.drop_back(4));
      place.append({k, column});
      b.branch(
          inside,
          [&] {
            Value entry = memref::LoadOp::create(b, source, place);
            memref::StoreOp::create(b, entry, panels, target);
          },
          [&] {
            Value zero = arith::ConstantOp::create(
                b, b.getZeroAttr(type.getElementType()));
            memref::StoreOp::create(b, zero, panels, target);
          });
    });
  }

  ExpertBuilder b;
};

struct LowerKernToLoops
    : public moe::impl::LowerKernToLoopsBase<LowerKernToLoops> {
  using LowerKernToLoopsBase::LowerKernToLoopsBase;

  void runOnOperation() override {
    SmallVector<Operation *> work;
    WalkResult result =
        getOperation()->walk([&](DestinationStyleOpInterface op) {
          if (!isa_and_nonnull<kern::KernDialect>(op->getDialect()) ||
              (!all && canUseTensorCores(op)))
            return WalkResult::advance();
          if (!op.hasPureBufferSemantics()) {
            op->emitOpError("expected buffers");
            return WalkResult::interrupt();
          }
          work.push_back(op);
          return WalkResult::advance();
        });
    if (result.wasInterrupted())
      return signalPassFailure();
    for (Operation *op : work) {
      LoopEmitter emitter(op);
      bool known = llvm::TypeSwitch<Operation *, bool>(op)
                       .Case<kern::PackOp, kern::PanelGemmOp, kern::AttentionOp,
                             kern::ExpertsHiddenOp, kern::ExpertsCombineOp>(
                           [&](auto op) {
                             emitter.lower(op);
                             return true;
                           })
                       .Default(false);
      if (!known) {
        op->emitOpError("has no code for devices");
        return signalPassFailure();
      }
      op->erase();
    }
  }
};

} // namespace
