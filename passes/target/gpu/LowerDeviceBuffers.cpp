//===- LowerDeviceBuffers.cpp - buffers of a device in host code ----------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/kern/KernDialect.h"
#include "passes/target/gpu/DeviceCalls.h"
#include "passes/target/gpu/Offload.h"
#include "passes/target/gpu/Passes.h"

#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::moe {
#define GEN_PASS_DEF_LOWERDEVICEBUFFERS
#include "passes/target/gpu/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

int64_t getElementBytes(MemRefType type) {
  Type element = type.getElementType();
  unsigned bits =
      element.isIndex() ? 64 : std::max(8u, element.getIntOrFloatBitWidth());
  return bits / 8;
}

/// Replaces operations of the host on buffers of the device by calls.
class Lowering {
public:
  Lowering(Operation *op, const LLVMTypeConverter &converter)
      : b(op->getLoc(), op), converter(converter),
        pointer(LLVM::LLVMPointerType::get(op->getContext())) {}

  void lower(memref::AllocOp op) {
    MemRefType type = op.getType();
    SmallVector<Value> sizes;
    auto dynamic = op.getDynamicSizes().begin();
    for (int64_t extent : type.getShape())
      sizes.push_back(ShapedType::isDynamic(extent)
                          ? *dynamic++
                          : arith::ConstantIndexOp::create(b, extent));
    Value bytes = toInteger(emitBytes(type, sizes));
    Value memory = call(DeviceCall::Allocate, bytes);
    replace(op, makeBuffer(type, memory, sizes));
  }

  void lower(memref::DeallocOp op) {
    Value descriptor =
        UnrealizedConversionCastOp::create(
            b, converter.convertType(op.getMemref().getType()), op.getMemref())
            .getResult(0);
    Value memory = MemRefDescriptor(descriptor).allocatedPtr(b, b.getLoc());
    call(DeviceCall::Release,
         LLVM::AddrSpaceCastOp::create(b, pointer, memory).getResult());
    op.erase();
  }

  void lower(memref::LoadOp op) {
    Type type = op.getType();
    Value place = emitAddress(op.getMemref(), op.getIndices());
    Value room = allocateInFrame(b, b.getLoc(), getStoredType(type));
    call(DeviceCall::Read,
         {room, place, integer(getElementBytes(op.getMemRefType()))});
    Value value = LLVM::LoadOp::create(b, getStoredType(type), room);
    op.replaceAllUsesWith(fromStored(value, type));
    op.erase();
  }

  void lower(memref::StoreOp op) {
    Value value = toStored(op.getValueToStore());
    Value place = emitAddress(op.getMemref(), op.getIndices());
    Value room = allocateInFrame(b, b.getLoc(), value.getType());
    LLVM::StoreOp::create(b, value, room);
    call(DeviceCall::Write,
         {place, room, integer(getElementBytes(op.getMemRefType()))});
    op.erase();
  }

  LogicalResult lower(memref::CopyOp op) {
    auto from = cast<MemRefType>(op.getSource().getType());
    auto to = cast<MemRefType>(op.getTarget().getType());
    DeviceCall kind = !isOnDevice(from) ? DeviceCall::Write
                      : !isOnDevice(to) ? DeviceCall::Read
                                        : DeviceCall::Copy;
    SmallVector<Value> sizes;
    for (int64_t i = 0; i < from.getRank(); ++i)
      sizes.push_back(b.createOrFold<memref::DimOp>(op.getSource(), i));
    Value bytes = toInteger(emitBytes(from, sizes));
    call(kind, {emitAddress(op.getTarget(), {}),
                emitAddress(op.getSource(), {}), bytes});
    op.erase();
    return success();
  }

  LogicalResult lower(memref::MemorySpaceCastOp op) {
    auto type = cast<MemRefType>(op.getType());
    if (!op.getSource().getDefiningOp<memref::GetGlobalOp>())
      return op.emitOpError("expected a constant");
    Value address = emitAddress(op.getSource(), {});
    int64_t bytes = getElementBytes(type) * type.getNumElements();
    Value memory = call(DeviceCall::Constant, {address, integer(bytes)});
    replace(op, makeBuffer(type, memory, {}));
    return success();
  }

  LogicalResult lower(kern::WeightOp op) {
    auto module = op->getParentOfType<ModuleOp>();
    auto segment = module.lookupSymbol<kern::SegmentOp>(op.getSegment());
    if (!segment)
      return op.emitOpError() << "expected a segment, got @" << op.getSegment();
    Value weights = call(DeviceCall::Weights, {});
    Value address = LLVM::GEPOp::create(
        b, pointer, b.getI8Type(), weights,
        ArrayRef<LLVM::GEPArg>{integer(segment.getOffset())});
    replace(op, makeBuffer(cast<MemRefType>(op.getType()), address, {}));
    return success();
  }

private:
  Value call(DeviceCall kind, ValueRange operands) {
    return callDevice(b, b.getLoc(), kind, operands);
  }
  Value integer(int64_t value) {
    return arith::ConstantIntOp::create(b, value, 64);
  }
  Value toInteger(Value index) {
    return arith::IndexCastOp::create(b, b.getI64Type(), index);
  }

  Value emitBytes(MemRefType type, ValueRange sizes) {
    Value bytes = arith::ConstantIndexOp::create(b, getElementBytes(type));
    for (Value size : sizes)
      bytes = arith::MulIOp::create(b, bytes, size);
    return bytes;
  }

  /// Booleans are bytes and indices are numbers of 64 bits in memory.
  Type getStoredType(Type type) {
    if (type.isInteger(1))
      return b.getI8Type();
    return type.isIndex() ? b.getI64Type() : type;
  }
  Value toStored(Value value) {
    if (value.getType().isInteger(1))
      return arith::ExtUIOp::create(b, b.getI8Type(), value);
    return value.getType().isIndex() ? toInteger(value) : value;
  }
  Value fromStored(Value value, Type type) {
    if (type.isInteger(1))
      return arith::TruncIOp::create(b, type, value);
    if (type.isIndex())
      return arith::IndexCastOp::create(b, type, value);
    return value;
  }

  /// The address of one element, or of the first.
  Value emitAddress(Value buffer, ValueRange indices) {
    auto parts = memref::ExtractStridedMetadataOp::create(b, buffer);
    Value base = memref::ExtractAlignedPointerAsIndexOp::create(b, buffer);
    Value element = parts.getOffset();
    for (auto [index, stride] : llvm::zip(indices, parts.getStrides())) {
      Value distance = arith::MulIOp::create(b, index, stride);
      element = arith::AddIOp::create(b, element, distance);
    }
    Value size = arith::ConstantIndexOp::create(
        b, getElementBytes(cast<MemRefType>(buffer.getType())));
    Value distance = arith::MulIOp::create(b, element, size);
    Value address = toInteger(arith::AddIOp::create(b, base, distance));
    return LLVM::IntToPtrOp::create(b, pointer, address);
  }

  /// A row-major buffer of the device at `memory`; static extents need no
  /// `sizes`.
  Value makeBuffer(MemRefType type, Value memory, ArrayRef<Value> sizes) {
    Location loc = b.getLoc();
    auto onDevice = LLVM::LLVMPointerType::get(b.getContext(), kDeviceSpace);
    Value address = LLVM::AddrSpaceCastOp::create(b, onDevice, memory);
    if (type.hasStaticShape() && type.getLayout().isIdentity())
      return cast(type, MemRefDescriptor::fromStaticShape(b, loc, converter,
                                                          type, address));
    auto descriptor =
        MemRefDescriptor::poison(b, loc, converter.convertType(type));
    descriptor.setAllocatedPtr(b, loc, address);
    descriptor.setAlignedPtr(b, loc, address);
    descriptor.setConstantOffset(b, loc, 0);
    Value stride = arith::ConstantIndexOp::create(b, 1);
    for (size_t i = sizes.size(); i-- > 0;) {
      descriptor.setSize(b, loc, i, toInteger(sizes[i]));
      descriptor.setStride(b, loc, i, toInteger(stride));
      stride = arith::MulIOp::create(b, stride, sizes[i]);
    }
    return cast(type, descriptor);
  }

  Value cast(MemRefType type, Value descriptor) {
    return UnrealizedConversionCastOp::create(b, type, descriptor).getResult(0);
  }
  template <typename To, typename From> static To cast(From value) {
    return llvm::cast<To>(value);
  }

  static void replace(Operation *op, Value value) {
    op->getResult(0).replaceAllUsesWith(value);
    op->erase();
  }

  ImplicitLocOpBuilder b;
  const LLVMTypeConverter &converter;
  Type pointer;
};

struct LowerDeviceBuffers
    : public moe::impl::LowerDeviceBuffersBase<LowerDeviceBuffers> {
  void runOnOperation() override {
    SmallVector<Operation *> work;
    for (auto function : getOperation().getOps<func::FuncOp>())
      function.walk([&](Operation *op) {
        if (llvm::any_of(op->getOperandTypes(), isOnDevice) ||
            llvm::any_of(op->getResultTypes(), isOnDevice))
          work.push_back(op);
      });
    LLVMTypeConverter converter(&getContext());
    for (Operation *op : work) {
      Lowering lowering(op, converter);
      LogicalResult result =
          llvm::TypeSwitch<Operation *, LogicalResult>(op)
              .Case<memref::AllocOp, memref::DeallocOp, memref::LoadOp,
                    memref::StoreOp>([&](auto op) {
                lowering.lower(op);
                return success();
              })
              .Case<memref::CopyOp, memref::MemorySpaceCastOp, kern::WeightOp>(
                  [&](auto op) { return lowering.lower(op); })
              .Default(success());
      if (failed(result))
        return signalPassFailure();
    }
  }
};

} // namespace
