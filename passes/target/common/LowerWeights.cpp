//===- LowerWeights.cpp - weights as addresses ------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/kern/KernDialect.h"
#include "passes/target/common/Passes.h"

#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"

namespace mlir::moe {
#define GEN_PASS_DEF_LOWERWEIGHTS
#include "passes/target/common/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

constexpr StringLiteral kWeights = "moert_weights";

struct LowerWeights : public moe::impl::LowerWeightsBase<LowerWeights> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto pointer = LLVM::LLVMPointerType::get(&getContext());
    OpBuilder builder = OpBuilder::atBlockBegin(module.getBody());
    auto base = LLVM::GlobalOp::create(
        builder, module.getLoc(), pointer, /*isConstant=*/false,
        LLVM::Linkage::External, kWeights, Attribute());
    builder.createBlock(&base.getInitializerRegion());
    Value null = LLVM::ZeroOp::create(builder, module.getLoc(), pointer);
    LLVM::ReturnOp::create(builder, module.getLoc(), null);

    SymbolTable symbols(module);
    LLVMTypeConverter converter(&getContext());
    WalkResult result = module.walk([&](kern::WeightOp op) {
      auto segment = symbols.lookup<kern::SegmentOp>(op.getSegment());
      if (!segment) {
        op.emitOpError() << "expected a segment, got @" << op.getSegment();
        return WalkResult::interrupt();
      }
      lower(op, segment, base, converter);
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      return signalPassFailure();
    for (auto segment : llvm::make_early_inc_range(
             module.getBody()->getOps<kern::SegmentOp>()))
      segment.erase();
  }

  void lower(kern::WeightOp op, kern::SegmentOp segment, LLVM::GlobalOp base,
             const LLVMTypeConverter &converter) {
    OpBuilder builder(op);
    Location loc = op.getLoc();
    auto type = cast<MemRefType>(op.getType());
    Type pointer = LLVM::LLVMPointerType::get(&getContext());
    Value global = LLVM::AddressOfOp::create(builder, loc, base);
    Value start = LLVM::LoadOp::create(builder, loc, pointer, global,
                                       /*alignment=*/8, /*isVolatile=*/false,
                                       /*isNonTemporal=*/false,
                                       /*isInvariant=*/true);
    // A constant operand, since a GEP takes immediate indices of 32 bits only.
    Value offset = LLVM::ConstantOp::create(
        builder, loc, builder.getI64IntegerAttr(segment.getOffset()));
    Value address = LLVM::GEPOp::create(
        builder, loc, pointer, builder.getI8Type(), start,
        ArrayRef<LLVM::GEPArg>{offset}, LLVM::GEPNoWrapFlags::inbounds);
    Value descriptor = MemRefDescriptor::fromStaticShape(
        builder, loc, converter, type, address);
    auto cast =
        UnrealizedConversionCastOp::create(builder, loc, type, descriptor);
    op.replaceAllUsesWith(cast.getResult(0));
    op.erase();
  }
};

} // namespace
