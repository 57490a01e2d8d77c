//===- MoEBufferization.cpp - exchanges on buffers -------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/moe/MoEBufferization.h"

#include "dialects/moe/MoEDialect.h"

#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Bufferization/IR/DstBufferizableOpInterfaceImpl.h"

using namespace mlir;
using namespace mlir::bufferization;

namespace {

/// The buffers of all operands, or nothing.
std::optional<SmallVector<Value>>
getBuffers(Operation *op, RewriterBase &rewriter,
           const BufferizationOptions &options, BufferizationState &state) {
  SmallVector<Value> buffers;
  for (Value operand : op->getOperands()) {
    FailureOr<Value> buffer = getBuffer(rewriter, operand, options, state);
    if (failed(buffer))
      return std::nullopt;
    buffers.push_back(*buffer);
  }
  return buffers;
}

struct BeginModel
    : public BufferizableOpInterface::ExternalModel<BeginModel,
                                                    moe::ExchangeBeginOp> {
  bool bufferizesToMemoryRead(Operation *, OpOperand &,
                              const AnalysisState &) const {
    return true;
  }
  bool bufferizesToMemoryWrite(Operation *, OpOperand &,
                               const AnalysisState &) const {
    return false;
  }
  AliasingValueList getAliasingValues(Operation *, OpOperand &,
                                      const AnalysisState &) const {
    return {};
  }
  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const BufferizationOptions &options,
                          BufferizationState &state) const {
    auto buffers = getBuffers(op, rewriter, options, state);
    if (!buffers)
      return failure();
    auto begin = cast<moe::ExchangeBeginOp>(op);
    rewriter.replaceOpWithNewOp<moe::ExchangeBeginOp>(
        op, buffers->front(), begin.getLayer(), begin.getPlacement());
    return success();
  }
};

/// Writes what it yields into its last operands and reads the others; a wait
/// keeps what it finds there.
template <typename OpTy>
struct DestinationModel
    : public DstBufferizableOpInterfaceExternalModel<DestinationModel<OpTy>,
                                                     OpTy> {
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand,
                              const AnalysisState &) const {
    return isa<moe::ExchangeWaitOp>(op) ||
           !cast<DestinationStyleOpInterface>(op).isDpsInit(&operand);
  }
  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const BufferizationOptions &options,
                          BufferizationState &state) const {
    if (!cast<DestinationStyleOpInterface>(op).hasPureTensorSemantics())
      return success();
    rewriter.setInsertionPoint(op);
    auto buffers = getBuffers(op, rewriter, options, state);
    if (!buffers)
      return failure();
    rewriter.create(op->getLoc(), op->getName().getIdentifier(), *buffers,
                    TypeRange(), op->getAttrs());
    replaceOpWithBufferizedValues(
        rewriter, op, ArrayRef(*buffers).take_back(op->getNumResults()));
    return success();
  }
};

} // namespace

void moe::registerBufferizableOpInterfaceExternalModels(
    DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, moe::MoEDialect *) {
    ExchangeBeginOp::attachInterface<BeginModel>(*context);
    ExchangeDispatchOp::attachInterface<DestinationModel<ExchangeDispatchOp>>(
        *context);
    ExchangeCombineOp::attachInterface<DestinationModel<ExchangeCombineOp>>(
        *context);
    ExchangeWaitOp::attachInterface<DestinationModel<ExchangeWaitOp>>(*context);
  });
}
