//===- KernelArguments.cpp - what a kernel gets from the host -------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/gpu/KernelSet.h"
#include "passes/target/gpu/Offload.h"

#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"

using namespace mlir;
using namespace mlir::moe;

static Value toInteger(ImplicitLocOpBuilder &b, Value index) {
  return arith::IndexCastOp::create(b, b.getI64Type(), index);
}

/// The parts of a buffer that its type does not tell.
static void takeApart(ImplicitLocOpBuilder &b, Value buffer,
                      SmallVectorImpl<Value> &values) {
  auto type = cast<MemRefType>(buffer.getType());
  int64_t offset;
  SmallVector<int64_t> strides;
  LogicalResult known = type.getStridesAndOffset(strides, offset);
  (void)known;
  auto parts = memref::ExtractStridedMetadataOp::create(b, buffer);
  Value address = memref::ExtractAlignedPointerAsIndexOp::create(b, buffer);
  values.push_back(toInteger(b, address));
  if (ShapedType::isDynamic(offset))
    values.push_back(toInteger(b, parts.getOffset()));
  for (int64_t i = 0; i < type.getRank(); ++i)
    if (type.isDynamicDim(i))
      values.push_back(toInteger(b, parts.getSizes()[i]));
  for (int64_t i = 0; i < type.getRank(); ++i)
    if (ShapedType::isDynamic(strides[i]))
      values.push_back(toInteger(b, parts.getStrides()[i]));
}

FailureOr<KernelArguments> KernelArguments::collect(ImplicitLocOpBuilder &b,
                                                    Operation *user,
                                                    ValueRange captures) {
  KernelArguments result;
  result.captures.assign(captures.begin(), captures.end());
  Value failure = callDevice(b, b.getLoc(), DeviceCall::Failure, {});
  result.values.push_back(LLVM::PtrToIntOp::create(b, b.getI64Type(), failure));
  for (Value capture : captures) {
    Type type = capture.getType();
    if (isOnDevice(type))
      takeApart(b, capture, result.values);
    else if (type.isIndex())
      result.values.push_back(toInteger(b, capture));
    else if (isa<LLVM::LLVMPointerType>(type))
      result.values.push_back(
          LLVM::PtrToIntOp::create(b, b.getI64Type(), capture));
    else if (type.isInteger(1))
      result.values.push_back(
          arith::ExtUIOp::create(b, b.getI8Type(), capture));
    else if (type.isIntOrFloat())
      result.values.push_back(capture);
    else
      return user->emitOpError()
             << "expected values that a kernel can receive, got " << type;
  }
  return result;
}

SmallVector<Type> KernelArguments::getTypes() const {
  return llvm::to_vector(ValueRange(values).getTypes());
}

namespace {
/// Reads the arguments of a kernel one after the other.
class Unpacker {
public:
  Unpacker(ImplicitLocOpBuilder &k, func::FuncOp kernel)
      : k(k), kernel(kernel), converter(k.getContext()) {}

  Value next() { return kernel.getArgument(number++); }

  Value unpack(Type type) {
    if (isOnDevice(type))
      return unpackBuffer(cast<MemRefType>(type));
    if (type.isIndex())
      return arith::IndexCastOp::create(k, type, next());
    if (isa<LLVM::LLVMPointerType>(type))
      return LLVM::IntToPtrOp::create(k, type, next());
    if (type.isInteger(1))
      return arith::TruncIOp::create(k, type, next());
    return next();
  }

private:
  Value unpackBuffer(MemRefType type) {
    int64_t offset;
    SmallVector<int64_t> strides;
    LogicalResult known = type.getStridesAndOffset(strides, offset);
    (void)known;
    Location loc = k.getLoc();
    auto pointer = LLVM::LLVMPointerType::get(k.getContext(), kDeviceSpace);
    Value address = LLVM::IntToPtrOp::create(k, pointer, next());
    auto descriptor =
        MemRefDescriptor::poison(k, loc, converter.convertType(type));
    descriptor.setAllocatedPtr(k, loc, address);
    descriptor.setAlignedPtr(k, loc, address);
    if (ShapedType::isDynamic(offset))
      descriptor.setOffset(k, loc, next());
    else
      descriptor.setConstantOffset(k, loc, offset);
    for (int64_t i = 0; i < type.getRank(); ++i) {
      if (type.isDynamicDim(i))
        descriptor.setSize(k, loc, i, next());
      else
        descriptor.setConstantSize(k, loc, i, type.getDimSize(i));
    }
    for (int64_t i = 0; i < type.getRank(); ++i) {
      if (ShapedType::isDynamic(strides[i]))
        descriptor.setStride(k, loc, i, next());
      else
        descriptor.setConstantStride(k, loc, i, strides[i]);
    }
    return UnrealizedConversionCastOp::create(k, type, Value(descriptor))
        .getResult(0);
  }

  ImplicitLocOpBuilder &k;
  func::FuncOp kernel;
  LLVMTypeConverter converter;
  unsigned number = 1; // The first is the address for failures.
};
} // namespace

void KernelArguments::unpack(ImplicitLocOpBuilder &k, func::FuncOp kernel,
                             IRMapping &mapping) const {
  Unpacker unpacker(k, kernel);
  for (Value capture : captures)
    mapping.map(capture, unpacker.unpack(capture.getType()));
}
