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

} // namespace

void kern::registerBufferizableOpInterfaceExternalModels(
    DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, kern::KernDialect *) {
    kern::WeightOp::attachInterface<WeightModel>(*context);
  });
}
