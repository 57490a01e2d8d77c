//===- ByteRows.cpp - rows that are rounded to eight bits -------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/cpu/ByteRows.h"

#include "passes/target/cpu/RowPadding.h"

using namespace mlir;
using namespace mlir::moe;

/// Numbers that are rounded together.
static constexpr int64_t kLanes = 8;

/// Added to a number below 2^22, this leaves it, rounded to the nearest even
/// integer, in the lowest bits of the sum.
static constexpr float kRounder = 12582912; // 1.5 * 2^23

/// Groups of smaller numbers are taken for zeros: 127 over the largest must be
/// a number.
static constexpr float kLeast = 1e-36f;

Value ByteRows::getGroups(KernelBuilder &b, Value depth) const {
  return b.ceilDiv(depth, group);
}

Value ByteRows::getBytes(KernelBuilder &b, Value depth) const {
  return b.mul(getGroups(b, depth), group);
}

Value ByteRows::getRecordBytes(KernelBuilder &b, Value depth) const {
  // A cache line more: rows shall not be crowded.
  Value bytes = b.add(getBytes(b, depth), b.mul(getGroups(b, depth), 8));
  return b.mul(b.add(b.ceilDiv(bytes, kLineBytes), 1), kLineBytes);
}

static Value loadWord(KernelBuilder &b, Type type, Value records, Value place) {
  Value bytes = vector::LoadOp::create(b, VectorType::get(4, b.getI8Type()),
                                       records, place);
  bytes = vector::BitCastOp::create(b, VectorType::get(1, type), bytes);
  return vector::ExtractOp::create(b, bytes, int64_t(0));
}

static void storeWord(KernelBuilder &b, Value word, Value records,
                      Value place) {
  Value bytes = vector::FromElementsOp::create(
      b, VectorType::get(1, word.getType()), word);
  bytes =
      vector::BitCastOp::create(b, VectorType::get(4, b.getI8Type()), bytes);
  vector::StoreOp::create(b, bytes, records, place);
}

Value ByteRows::loadScale(KernelBuilder &b, Value records, Value start,
                          Value depth, Value number) const {
  Value place = b.add(b.add(start, getBytes(b, depth)), b.mul(number, 4));
  return loadWord(b, b.getF32Type(), records, place);
}

Value ByteRows::loadSum(KernelBuilder &b, Value records, Value start,
                        Value depth, Value number) const {
  Value place = b.add(b.add(start, getBytes(b, depth)),
                      b.mul(b.add(getGroups(b, depth), number), 4));
  return loadWord(b, b.getI32Type(), records, place);
}

void ByteRows::emitGroup(KernelBuilder &b, const FlatBuffer &rows,
                         Value rowStart, Value count, Value records,
                         Value start, Value depth, Value number) const {
  auto floats = VectorType::get(kLanes, b.getF32Type());
  auto words = VectorType::get(kLanes, b.getI32Type());
  auto bytes = VectorType::get(kLanes, b.getI8Type());
  auto flags = VectorType::get(kLanes, b.getI1Type());
  auto splat = [&](float value) -> Value {
    return arith::ConstantOp::create(
        b, DenseElementsAttr::get(floats, b.getF32FloatAttr(value)));
  };
  Value first = b.mul(number, group);
  auto load = [&](Value step) -> Value {
    Value own = b.mul(step, kLanes);
    Value mask = vector::CreateMaskOp::create(
        b, flags, b.max(b.sub(b.max(count, own), own), b.index(0)));
    Value entries = vector::MaskedLoadOp::create(
        b,
        VectorType::get(
            kLanes, cast<MemRefType>(rows.buffer.getType()).getElementType()),
        rows.buffer, b.add(rowStart, b.add(first, own)), mask,
        arith::ConstantOp::create(
            b, b.getZeroAttr(VectorType::get(
                   kLanes,
                   cast<MemRefType>(rows.buffer.getType()).getElementType()))));
    if (entries.getType() != floats)
      entries = arith::ExtFOp::create(b, floats, entries);
    return entries;
  };
  Value steps = b.index(group / kLanes);
  Value largest =
      b.carry(b.index(0), steps, splat(0), [&](Value step, auto &values) {
         Value magnitude = math::AbsFOp::create(b, load(step));
         values[0] = arith::MaximumFOp::create(b, values[0], magnitude);
       }).front();
  largest =
      vector::ReductionOp::create(b, vector::CombiningKind::MAXIMUMF, largest);
  auto number32 = [&](float value) -> Value {
    return arith::ConstantOp::create(b, b.getF32FloatAttr(value));
  };
  // Unordered: a group with a NaN is not one of zeros.
  Value isSmall = arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, largest,
                                        number32(kLeast));
  Value factor = b.select(isSmall, number32(0),
                          arith::DivFOp::create(b, number32(127), largest));
  Value scale =
      b.select(isSmall, number32(0),
               arith::MulFOp::create(b, largest, number32(1 / 127.f)));
  Value factors = vector::BroadcastOp::create(b, floats, factor);
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(words));
  Value bias = arith::ConstantOp::create(
      b, DenseElementsAttr::get(words, b.getI32IntegerAttr(0x4b400000)));
  Value target = b.add(start, first);
  Value sums =
      b.carry(b.index(0), steps, zero, [&](Value step, auto &values) {
         Value rounded =
             vector::FMAOp::create(b, load(step), factors, splat(kRounder));
         Value bits = vector::BitCastOp::create(b, words, rounded);
         // A NaN has other bits; its product is NaN by the scale.
         Value narrow = arith::TruncIOp::create(b, bytes, bits);
         if (isParted)
           narrow = vector::ShuffleOp::create(
               b, narrow, narrow, ArrayRef<int64_t>{0, 2, 4, 6, 1, 3, 5, 7});
         vector::StoreOp::create(b, narrow, records,
                                 b.add(target, b.mul(step, kLanes)));
         Value whole = arith::SubIOp::create(b, bits, bias);
         values[0] = arith::AddIOp::create(b, values[0], whole);
       }).front();
  Value sum = vector::ReductionOp::create(b, vector::CombiningKind::ADD, sums);
  Value place = b.add(b.add(start, getBytes(b, depth)), b.mul(number, 4));
  storeWord(b, scale, records, place);
  storeWord(b, sum, records, b.add(place, b.mul(getGroups(b, depth), 4)));
}

FlatBuffer ByteRows::emit(KernelBuilder &b, BufferScope &scope,
                          const FlatBuffer &rows) const {
  size_t rank = rows.sizes.size();
  Value depth = rows.sizes[rank - 1];
  Value bytes = getRecordBytes(b, depth);
  FlatBuffer records;
  records.sizes = rows.sizes;
  records.strides.assign(rank, b.index(1));
  records.strides[rank - 2] = bytes;
  for (size_t i = rank - 2; i > 0; --i)
    records.strides[i - 1] = b.mul(records.strides[i], rows.sizes[i]);
  records.offset = b.index(0);
  records.buffer = scope.allocate(
      b.mul(records.strides.front(), rows.sizes.front()), b.getI8Type());
  b.parallel(ArrayRef(rows.sizes).drop_back(), [&](ValueRange indices) {
    Value rowStart = rows.getOffset(b, indices);
    Value start = records.getOffset(b, indices);
    b.loop(b.index(0), getGroups(b, depth), 1, [&](Value number) {
      Value left = b.sub(depth, b.mul(number, group));
      emitGroup(b, rows, rowStart, b.min(left, b.index(group)), records.buffer,
                start, depth, number);
    });
  });
  return records;
}
