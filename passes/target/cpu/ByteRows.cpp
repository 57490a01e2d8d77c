//===- ByteRows.cpp - rows as bytes -----------------------------------------===//
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

/// Added to a number up to 2^22, this leaves it, rounded to the nearest even
/// integer, in the lowest bits of the sum.
static constexpr float kRounder = 12582912; // 1.5 * 2^23

/// Groups of smaller numbers are taken for zeros: factors must be numbers.
static constexpr float kLeast = 1e-30f;

/// The integers of three digits: their magnitude is up to 2^22.
static constexpr int32_t kBits = 22;

Value ByteRows::getGroups(KernelBuilder &b, Value depth) const {
  return b.ceilDiv(depth, group);
}

Value ByteRows::getBytes(KernelBuilder &b, Value depth) const {
  return b.mul(getGroups(b, depth), group);
}

float ByteRows::getWeight(int64_t digit) const {
  return static_cast<float>(int64_t(1) << (8 * (digits - 1 - digit)));
}

int64_t ByteRows::getLargest(int64_t first, int64_t last) const {
  if (digits == 1)
    return 127;
  // What lower digits add may round the higher ones up.
  if (first == 0)
    return (int64_t(1) << (kBits - 8 * (digits - 1 - last))) + 1;
  int64_t largest = 0;
  for (int64_t digit = first; digit <= last; ++digit)
    largest = 256 * largest + 128;
  return largest;
}

Value ByteRows::getStart(KernelBuilder &b, Value start, Value depth,
                         int64_t digit) const {
  return b.add(start, b.mul(getBytes(b, depth), digit));
}

Value ByteRows::getRecordBytes(KernelBuilder &b, Value depth) const {
  // A cache line more: rows shall not be crowded.
  Value bytes = b.add(b.mul(getBytes(b, depth), digits),
                      b.mul(getGroups(b, depth), 4 * (1 + digits)));
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
  Value place = b.add(getStart(b, start, depth, digits), b.mul(number, 4));
  return loadWord(b, b.getF32Type(), records, place);
}

Value ByteRows::loadSum(KernelBuilder &b, Value records, Value start,
                        Value depth, Value number, int64_t digit) const {
  Value before = b.mul(getGroups(b, depth), 1 + digit);
  Value place =
      b.add(getStart(b, start, depth, digits), b.mul(b.add(before, number), 4));
  return loadWord(b, b.getI32Type(), records, place);
}

/// What numbers of a group with this largest magnitude are multiplied by to
/// become integers, and the scale of these.
std::pair<Value, Value> ByteRows::getFactors(KernelBuilder &b,
                                             Value largest) const {
  auto number = [&](float value) -> Value {
    return arith::ConstantOp::create(b, b.getF32FloatAttr(value));
  };
  auto bits = [&](int32_t value) -> Value {
    return arith::ConstantOp::create(b, b.getI32IntegerAttr(value));
  };
  Value factor, scale;
  if (digits == 1) {
    factor = arith::DivFOp::create(b, number(127), largest);
    scale = arith::MulFOp::create(b, largest, number(1 / 127.f));
  } else {
    // Powers of two, by their exponents: the largest becomes less than 2^22.
    constexpr int32_t kBias = 127, kMantissa = 23;
    Value exponent = arith::ShRUIOp::create(
        b, arith::BitcastOp::create(b, b.getI32Type(), largest),
        bits(kMantissa));
    auto power = [&](Value biased) -> Value {
      return arith::BitcastOp::create(
          b, b.getF32Type(), arith::ShLIOp::create(b, biased, bits(kMantissa)));
    };
    factor =
        power(arith::SubIOp::create(b, bits(2 * kBias + kBits - 1), exponent));
    scale = power(arith::SubIOp::create(b, exponent, bits(kBits - 1)));
    // Zero, or no number where the largest is none.
    scale = arith::AddFOp::create(b, scale,
                                  arith::SubFOp::create(b, largest, largest));
  }
  // A comparison with NaN is false: such a group is not one of zeros.
  Value isSmall = arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, largest,
                                        number(kLeast));
  return {b.select(isSmall, number(0), factor),
          b.select(isSmall, number(0), scale)};
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
  auto numbers = VectorType::get(
      kLanes, cast<MemRefType>(rows.buffer.getType()).getElementType());
  Value first = b.mul(number, group);
  auto load = [&](Value step) -> Value {
    Value own = b.mul(step, kLanes);
    Value mask =
        vector::CreateMaskOp::create(b, flags, b.sub(b.max(count, own), own));
    Value entries = vector::MaskedLoadOp::create(
        b, numbers, rows.buffer, b.add(rowStart, b.add(first, own)), mask,
        arith::ConstantOp::create(b, b.getZeroAttr(numbers)));
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
  auto [factor, scale] = getFactors(b, largest);
  Value factors = vector::BroadcastOp::create(b, floats, factor);
  auto splatWord = [&](int32_t value) -> Value {
    return arith::ConstantOp::create(
        b, DenseElementsAttr::get(words, b.getI32IntegerAttr(value)));
  };
  SmallVector<Value> sums(digits, splatWord(0));
  sums = b.carry(b.index(0), steps, sums, [&](Value step, auto &values) {
    Value rounded =
        vector::FMAOp::create(b, load(step), factors, splat(kRounder));
    Value rest = arith::SubIOp::create(
        b, vector::BitCastOp::create(b, words, rounded), splatWord(0x4b400000));
    for (int64_t digit = digits; digit-- > 0;) {
      // A NaN has any bits; its product is NaN by the scale.
      Value narrow = arith::TruncIOp::create(b, bytes, rest);
      Value whole = arith::ExtSIOp::create(b, words, narrow);
      rest = arith::ShRSIOp::create(b, arith::SubIOp::create(b, rest, whole),
                                    splatWord(8));
      if (isParted)
        narrow = vector::ShuffleOp::create(
            b, narrow, narrow, ArrayRef<int64_t>{0, 2, 4, 6, 1, 3, 5, 7});
      Value target = b.add(getStart(b, start, depth, digit), first);
      vector::StoreOp::create(b, narrow, records,
                              b.add(target, b.mul(step, kLanes)));
      values[digit] = arith::AddIOp::create(b, values[digit], whole);
    }
  });
  Value place = b.add(getStart(b, start, depth, digits), b.mul(number, 4));
  Value stride = b.mul(getGroups(b, depth), 4);
  storeWord(b, scale, records, place);
  for (Value sum : sums) {
    place = b.add(place, stride);
    storeWord(b,
              vector::ReductionOp::create(b, vector::CombiningKind::ADD, sum),
              records, place);
  }
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
