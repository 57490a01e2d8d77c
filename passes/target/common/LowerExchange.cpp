//===- LowerExchange.cpp - exchanges as calls of the runtime ---------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/moe/MoEDialect.h"
#include "passes/target/common/HostCalls.h"
#include "passes/target/common/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_LOWEREXCHANGE
#include "passes/target/common/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Where the rows of a buffer are.
struct Rows {
  Value pointer;
  /// In elements.
  Value stride;
};

struct LowerExchange : public moe::impl::LowerExchangeBase<LowerExchange> {
  void runOnOperation() override {
    SmallVector<Operation *> work;
    getOperation().walk([&](Operation *op) {
      if (isa<ExchangeBeginOp, ExchangeDispatchOp, ExchangeCombineOp,
              ExchangeWaitOp>(op))
        work.push_back(op);
    });
    for (Operation *op : work)
      if (failed(lower(op)))
        return signalPassFailure();
  }

private:
  LogicalResult lower(Operation *op) {
    for (Value operand : op->getOperands()) {
      auto type = dyn_cast<MemRefType>(operand.getType());
      if (!type)
        return op->emitOpError() << "expected buffers";
      auto [strides, offset] = type.getStridesAndOffset();
      if (strides.back() != 1)
        return op->emitOpError() << "expected rows without gaps between their "
                                    "numbers, got "
                                 << type;
    }
    ImplicitLocOpBuilder b(op->getLoc(), op);
    if (auto begin = dyn_cast<ExchangeBeginOp>(op))
      lower(b, begin);
    else if (auto dispatch = dyn_cast<ExchangeDispatchOp>(op))
      lower(b, dispatch);
    else if (auto combine = dyn_cast<ExchangeCombineOp>(op))
      lower(b, combine);
    else
      lower(b, cast<ExchangeWaitOp>(op));
    op->erase();
    return success();
  }

  void lower(ImplicitLocOpBuilder &b, ExchangeBeginOp op) {
    Rows ids = getRows(b, op.getIds());
    auto call = func::CallOp::create(
        b, getHostExchange(getOperation(), HostExchange::Begin),
        ValueRange{number(b, op.getLayer()), ids.pointer, ids.stride,
                   getSize(b, op.getIds(), 0), getSize(b, op.getIds(), 1)});
    op.getRows().replaceAllUsesWith(
        arith::IndexCastOp::create(b, b.getIndexType(), call.getResult(0)));
  }

  void lower(ImplicitLocOpBuilder &b, ExchangeDispatchOp op) {
    int64_t bytes = getElementTypeOrSelf(op.getX()).getIntOrFloatBitWidth() / 8;
    Rows x = getRows(b, op.getX()), weights = getRows(b, op.getWeights());
    auto inBytes = [&](Value elements) -> Value {
      return arith::MulIOp::create(b, elements, number(b, bytes));
    };
    SmallVector<Value> operands = {
        number(b, op.getLayer()),          x.pointer,       inBytes(x.stride),
        inBytes(getSize(b, op.getX(), 1)), weights.pointer, weights.stride};
    for (Value init : op.getInits())
      operands.push_back(getRows(b, init).pointer);
    func::CallOp::create(
        b, getHostExchange(getOperation(), HostExchange::Dispatch), operands);
  }

  void lower(ImplicitLocOpBuilder &b, ExchangeCombineOp op) {
    Rows sums = getRows(b, op.getSums()), init = getRows(b, op.getInit());
    func::CallOp::create(
        b, getHostExchange(getOperation(), HostExchange::Combine),
        ValueRange{number(b, op.getLayer()), sums.pointer, sums.stride,
                   getSize(b, op.getSums(), 1), init.pointer, init.stride,
                   number(b, op.getOverlapped())});
  }

  void lower(ImplicitLocOpBuilder &b, ExchangeWaitOp op) {
    func::CallOp::create(b, getHostExchange(getOperation(), HostExchange::Wait),
                         ValueRange{number(b, op.getLayer())});
  }

  static Value number(ImplicitLocOpBuilder &b, int64_t value) {
    return arith::ConstantIntOp::create(b, value, 64);
  }

  static Value toI64(ImplicitLocOpBuilder &b, Value index) {
    return arith::IndexCastOp::create(b, b.getI64Type(), index);
  }

  static Value getSize(ImplicitLocOpBuilder &b, Value buffer, int64_t dim) {
    return toI64(b, b.createOrFold<memref::DimOp>(buffer, dim));
  }

  static Rows getRows(ImplicitLocOpBuilder &b, Value buffer) {
    auto metadata = memref::ExtractStridedMetadataOp::create(b, buffer);
    int64_t bytes = getElementTypeOrSelf(buffer).getIntOrFloatBitWidth() / 8;
    Value address =
        toI64(b, memref::ExtractAlignedPointerAsIndexOp::create(b, buffer));
    Value offset = arith::MulIOp::create(b, toI64(b, metadata.getOffset()),
                                         number(b, bytes));
    Value place = arith::AddIOp::create(b, address, offset);
    Type pointer = LLVM::LLVMPointerType::get(b.getContext());
    return {LLVM::IntToPtrOp::create(b, pointer, place),
            toI64(b, metadata.getStrides().front())};
  }
};

} // namespace
