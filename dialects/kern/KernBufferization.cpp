//===- KernBufferization.cpp - kern operations on buffers -------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/kern/KernBufferization.h"

#include "dialects/kern/KernDialect.h"

#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Bufferization/IR/DstBufferizableOpInterfaceImpl.h"

using namespace mlir;
using namespace mlir::bufferization;

namespace {

/// A weight is a buffer that nobody may write to.
struct WeightModel
    : public BufferizableOpInterface::ExternalModel<WeightModel,
                                                    kern::WeightOp> {
  bool isWritable(Operation *, Value, const AnalysisState &) const {
    return false;
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const BufferizationOptions &,
                          BufferizationState &) const {
    auto weight = cast<kern::WeightOp>(op);
    auto type = cast<RankedTensorType>(weight.getType());
    auto bufferType = MemRefType::get(type.getShape(), type.getElementType());
    auto buffer = kern::WeightOp::create(rewriter, op->getLoc(), bufferType,
                                         weight.getSegmentAttr());
    replaceOpWithBufferizedValues(rewriter, op, buffer.getResult());
    return success();
  }
};

/// An operation that writes its result into its last operand: the same
/// operation on the buffers of the operands.
template <typename OpTy>
struct DestinationModel
    : public DstBufferizableOpInterfaceExternalModel<DestinationModel<OpTy>,
                                                     OpTy> {
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand,
                              const AnalysisState &) const {
    if (!cast<DestinationStyleOpInterface>(op).isDpsInit(&operand))
      return true;
    if constexpr (std::is_same_v<OpTy, kern::PanelGemmOp>)
      return cast<kern::PanelGemmOp>(op).getAccumulate();
    return false;
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const BufferizationOptions &options,
                          BufferizationState &state) const {
    if (!cast<DestinationStyleOpInterface>(op).hasPureTensorSemantics())
      return success();
    rewriter.setInsertionPoint(op);
    SmallVector<Value> buffers;
    for (Value operand : op->getOperands()) {
      FailureOr<Value> buffer = getBuffer(rewriter, operand, options, state);
      if (failed(buffer))
        return failure();
      buffers.push_back(*buffer);
    }
    Operation *lowered =
        rewriter.create(op->getLoc(), op->getName().getIdentifier(), buffers,
                        TypeRange(), op->getAttrs());
    auto init = cast<OpTy>(lowered).getInit();
    replaceOpWithBufferizedValues(rewriter, op, init);
    return success();
  }
};

/// The region reads the tensors that it captures; they become buffers when its
/// own operations do.
struct AttentionModel
    : public DstBufferizableOpInterfaceExternalModel<AttentionModel,
                                                     kern::AttentionOp> {
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand,
                              const AnalysisState &) const {
    return !cast<DestinationStyleOpInterface>(op).isDpsInit(&operand);
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const BufferizationOptions &options,
                          BufferizationState &state) const {
    auto attention = cast<kern::AttentionOp>(op);
    if (!attention.hasPureTensorSemantics())
      return success();
    rewriter.setInsertionPoint(op);
    SmallVector<Value> buffers;
    for (Value operand : op->getOperands()) {
      FailureOr<Value> buffer = getBuffer(rewriter, operand, options, state);
      if (failed(buffer))
        return failure();
      buffers.push_back(*buffer);
    }
    auto lowered = kern::AttentionOp::create(
        rewriter, op->getLoc(), TypeRange(), buffers[0], buffers[1], buffers[2],
        buffers[3], attention.getIndexingMaps(), attention.getMaskedIsZero());
    rewriter.inlineRegionBefore(attention.getScore(), lowered.getScore(),
                                lowered.getScore().end());
    replaceOpWithBufferizedValues(rewriter, op, lowered.getInit());
    return success();
  }
};

template <typename... Ops> void attachDestinationModels(MLIRContext &context) {
  (Ops::template attachInterface<DestinationModel<Ops>>(context), ...);
}

} // namespace

void kern::registerBufferizableOpInterfaceExternalModels(
    DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, kern::KernDialect *) {
    kern::WeightOp::attachInterface<WeightModel>(*context);
    kern::AttentionOp::attachInterface<AttentionModel>(*context);
    attachDestinationModels<kern::PackOp, kern::PanelGemmOp,
                            kern::ExpertsHiddenOp, kern::ExpertsCombineOp>(
        *context);
  });
}
