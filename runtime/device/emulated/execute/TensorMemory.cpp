//===- TensorMemory.cpp - tensor memory and the products in it ------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/execute/MatrixDescriptor.h"
#include "runtime/device/emulated/execute/TensorHandlers.h"
#include "runtime/device/emulated/vector/Operations.h"

#include <cstring>

using namespace emulated;

// 128 lanes of 512 columns of 4 bytes. An address holds the lane in its high
// half and the column in its low half.
static constexpr unsigned kLanes = 128, kColumns = 512;

static uint32_t *getTensorMemory(Warp &warp, const Instruction &x,
                                 uint32_t lane, uint32_t column,
                                 uint32_t count) {
  Cta &cta = *warp.cta;
  if (cta.tensorMemory.empty() || lane >= kLanes ||
      column + count > cta.tensorColumns)
    warp.fail(FaultKind::IllegalAddress, x, 0,
              "accesses lane " + std::to_string(lane) + ", columns " +
                  std::to_string(column) + " to " +
                  std::to_string(column + count) +
                  " of tensor memory, of which " +
                  std::to_string(cta.tensorColumns) + " columns are allocated");
  return cta.tensorMemory.data() + (size_t)lane * kColumns + column;
}

void emulated::tensorMemoryAllocate(Lanes &lanes, const Instruction &x,
                                    uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  Cta &cta = *warp.cta;
  unsigned lane = __builtin_ctz(mask);
  uint32_t count = lanes.word(x.operands[0])[lane];
  if (count < 32 || count > kColumns || (count & (count - 1)))
    warp.fail(FaultKind::IllegalAddress, x, lane,
              "allocates " + std::to_string(count) +
                  " columns, expected a power of two from 32 to 512");
  if (cta.tensorColumns + count > kColumns)
    warp.fail(FaultKind::Deadlock, x, lane,
              "waits without end for " + std::to_string(count) +
                  " columns of tensor memory");
  if (cta.tensorMemory.empty())
    cta.tensorMemory.assign(kLanes * kColumns,
                            cta.launch->options.isChecked ? 0x7fbadbad : 0);
  uint8_t *pointers[kWarpSize];
  resolve(warp, x, x.addresses[0], 1u << lane, 4, Access::Write, pointers);
  memcpy(pointers[lane], &cta.tensorColumns, 4);
  cta.tensorColumns += count;
}

void emulated::tensorMemoryFree(Lanes &lanes, const Instruction &x,
                                uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  unsigned lane = __builtin_ctz(mask);
  uint32_t column = lanes.word(x.operands[0])[lane] & 0xffff;
  uint32_t count = lanes.word(x.operands[1])[lane];
  if (column + count > warp.cta->tensorColumns)
    warp.fail(FaultKind::IllegalAddress, x, lane,
              "frees columns that are not allocated");
  if (column + count == warp.cta->tensorColumns)
    warp.cta->tensorColumns = column;
}

/// The lanes of tensor memory that a warp reaches: a quarter.
static uint32_t getQuarter(Warp &warp, const Instruction &x, uint32_t address) {
  uint32_t own = warp.index % 4 * kWarpSize, lane = address >> 16;
  if (lane != 0 && lane / kWarpSize * kWarpSize != own)
    warp.fail(FaultKind::IllegalAddress, x, 0,
              "names lane " + std::to_string(lane) +
                  " of tensor memory; this warp reaches lanes " +
                  std::to_string(own) + " to " + std::to_string(own + 31));
  return own + lane % kWarpSize;
}

/// Visits (register, lane, lane of tensor memory, column) of a shape.
template <typename Visit>
static void forEachElement(const Instruction &x, unsigned numRegisters,
                           Visit visit) {
  for (unsigned i = 0; i < numRegisters; ++i)
    for (unsigned lane = 0; lane < kWarpSize; ++lane)
      switch (x.immediate) {
      case 32: // 32x32b
        visit(i, lane, lane, i);
        break;
      case 16: // 16x32bx2: the upper lanes take another column
        visit(i, lane, lane % 16, i + lane / 16 * x.count);
        break;
      default: // 16x256b: pairs of columns, as the sums of mma
        visit(i, lane, lane / 4 + i / 2 % 2 * 8,
              i / 4 * 8 + lane % 4 * 2 + i % 2);
      }
}

void emulated::tensorMemoryLoad(Lanes &lanes, const Instruction &x,
                                uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  uint64_t addresses[kWarpSize];
  computeAddresses(warp, x.addresses[0], addresses);
  uint32_t address = addresses[__builtin_ctz(mask)];
  uint32_t first = getQuarter(warp, x, address), column = address & 0xffff;
  forEachElement(x, x.numResults,
                 [&](unsigned i, unsigned lane, unsigned row, unsigned place) {
                   lanes.word(x.results[i])[lane] = *getTensorMemory(
                       warp, x, first + row, column + place, 1);
                 });
}

void emulated::tensorMemoryStore(Lanes &lanes, const Instruction &x,
                                 uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  uint64_t addresses[kWarpSize];
  computeAddresses(warp, x.addresses[0], addresses);
  uint32_t address = addresses[__builtin_ctz(mask)];
  uint32_t first = getQuarter(warp, x, address), column = address & 0xffff;
  forEachElement(x, x.numOperands,
                 [&](unsigned i, unsigned lane, unsigned row, unsigned place) {
                   *getTensorMemory(warp, x, first + row, column + place, 1) =
                       lanes.word(x.operands[i])[lane];
                 });
}

namespace {

/// The instruction descriptor of tcgen05.mma.
struct Shape {
  unsigned rows, columns, depth;
  Type a, b;
  bool isInteger, isTransposedA, isTransposedB, isNegatedA, isNegatedB;
};

} // namespace

/// `kind`: 0 f16, 1 tf32, 2 f8f6f4, 3 i8.
static Shape decodeShape(Warp &warp, const Instruction &x, unsigned kind,
                         uint32_t bits) {
  static const Type kTypes[][2] = {{Type::F16, Type::BF16},
                                   {Type::None, Type::None},
                                   {Type::E4M3, Type::E5M2},
                                   {Type::U8, Type::S8}};
  auto getType = [&](unsigned code) {
    Type type = kind == 1  ? code == 2 ? Type::TF32 : Type::None
                : code < 2 ? kTypes[kind][code]
                           : Type::None;
    if (type == Type::None)
      warp.fail(FaultKind::IllegalAddress, x, 0,
                "has an instruction descriptor with types that the emulated "
                "device does not multiply");
    return type;
  };
  Shape shape;
  shape.a = getType(bits >> 7 & 7);
  shape.b = getType(bits >> 10 & 7);
  shape.isNegatedA = bits >> 13 & 1;
  shape.isNegatedB = bits >> 14 & 1;
  shape.isTransposedA = bits >> 15 & 1;
  shape.isTransposedB = bits >> 16 & 1;
  shape.columns = (bits >> 17 & 63) * 8;
  shape.rows = (bits >> 24 & 31) * 16;
  shape.depth = 32 / sizeOf(shape.a);
  shape.isInteger = kind == 3;
  unsigned sumType = bits >> 4 & 3;
  if (sumType != (shape.isInteger ? 2 : 1) ||
      (shape.rows != 128 && shape.rows != 64) || !shape.columns)
    warp.fail(FaultKind::IllegalAddress, x, 0,
              "has an instruction descriptor for " +
                  std::to_string(shape.rows) + " x " +
                  std::to_string(shape.columns) + " sums of type " +
                  std::to_string(sumType) +
                  ", which the emulated device does not serve");
  return shape;
}

static void multiply(Warp &warp, const Instruction &x, uint32_t sums,
                     uint64_t a, uint64_t b, uint32_t descriptor,
                     bool isAccumulating) {
  unsigned kind = x.flags >> 4 & 3;
  Shape shape = decodeShape(warp, x, kind, descriptor);
  std::vector<float> valuesA(shape.rows * shape.depth);
  std::vector<float> valuesB(shape.columns * shape.depth);
  if (x.flags & 1) { // A is in tensor memory.
    unsigned perWord = 4 / sizeOf(shape.a), bits = 32 / perWord;
    for (unsigned row = 0; row < shape.rows; ++row)
      for (unsigned k = 0; k < shape.depth; ++k)
        valuesA[row * shape.depth + k] = decodeElement(
            shape.a,
            *getTensorMemory(warp, x, row, (a & 0xffff) + k / perWord, 1) >>
                k % perWord * bits);
  } else {
    readMatrix(warp, x, *warp.cta,
               MatrixDescriptor::fromTcgen05(a, shape.isTransposedA), shape.a,
               0, shape.rows, shape.depth, false, valuesA.data());
  }
  readMatrix(warp, x, *warp.cta,
             MatrixDescriptor::fromTcgen05(b, shape.isTransposedB), shape.b, 0,
             shape.columns, shape.depth, true, valuesB.data());
  if (shape.isNegatedA != shape.isNegatedB)
    for (float &value : valuesA)
      value = -value;
  std::vector<int32_t> integersA, integersB;
  if (shape.isInteger) {
    integersA.assign(valuesA.begin(), valuesA.end());
    integersB.assign(valuesB.begin(), valuesB.end());
  }
  const MatrixKernels &kernels = getMatrixKernels();
  for (unsigned row = 0; row < shape.rows; ++row) {
    // With 64 rows, lanes 16-31 of each quarter stay free.
    unsigned lane = shape.rows == 64 ? row / 16 * 32 + row % 16 : row;
    uint32_t *to = getTensorMemory(warp, x, lane, sums & 0xffff, shape.columns);
    if (!isAccumulating)
      memset(to, 0, shape.columns * 4);
    if (shape.isInteger)
      kernels.multiplyInteger(reinterpret_cast<int32_t *>(to),
                              integersA.data() + row * shape.depth,
                              integersB.data(), 1, shape.columns, shape.depth);
    else
      kernels.multiplyFloat(reinterpret_cast<float *>(to),
                            valuesA.data() + row * shape.depth, valuesB.data(),
                            1, shape.columns, shape.depth);
  }
}

static std::vector<uint32_t> findChunks(Warp &warp, const Instruction &x,
                                        uint64_t a, uint64_t b,
                                        uint32_t descriptor) {
  Shape shape = decodeShape(warp, x, x.flags >> 4 & 3, descriptor);
  std::vector<uint32_t> chunks;
  auto add = [&](uint32_t address) { chunks.push_back(address); };
  if (!(x.flags & 1))
    MatrixDescriptor::fromTcgen05(a, shape.isTransposedA)
        .forEachChunk(0, shape.rows, shape.depth, sizeOf(shape.a), add);
  MatrixDescriptor::fromTcgen05(b, shape.isTransposedB)
      .forEachChunk(0, shape.columns, shape.depth, sizeOf(shape.b), add);
  return chunks;
}

void emulated::tensorMultiply(Lanes &lanes, const Instruction &x,
                              uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  uint64_t sums[kWarpSize], tensorA[kWarpSize];
  computeAddresses(warp, x.addresses[0], sums);
  if (x.flags & 1)
    computeAddresses(warp, x.addresses[1], tensorA);
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = __builtin_ctz(rest);
    unsigned next = 0;
    uint64_t a =
        x.flags & 1 ? tensorA[lane] : lanes.wide(x.operands[next++])[lane];
    uint64_t b = lanes.wide(x.operands[next++])[lane];
    uint32_t descriptor = lanes.word(x.operands[next++])[lane];
    bool isAccumulating = lanes.predicate(x.operands[next]) >> lane & 1;
    uint32_t to = sums[lane];
    Warp *issuer = &warp;
    const Instruction *instruction = &x;
    auto perform = [=] {
      multiply(*issuer, *instruction, to, a, b, descriptor, isAccumulating);
    };
    Cta::TensorProduct product;
    if (warp.cta->launch->options.order == AsyncOrder::Early)
      perform();
    else
      product.perform = perform;
    if (Checker *checker = warp.cta->cluster->checker.get()) {
      product.chunks = findChunks(warp, x, a, b, descriptor);
      requireInside(warp, x, *warp.cta, product.chunks);
      for (uint32_t chunk : product.chunks)
        checker->beginRead(warp, x, lane, *warp.cta, chunk, 16);
    }
    if (product.perform || !product.chunks.empty())
      warp.cta->tensorWork.push_back(std::move(product));
  }
}

void emulated::tensorCommit(Lanes &lanes, const Instruction &x, uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  uint64_t addresses[kWarpSize];
  computeAddresses(warp, x.addresses[0], addresses);
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = __builtin_ctz(rest);
    Cta *cta;
    uint32_t offset;
    findMbarrier(warp, x, lane, addresses[lane], cta, offset);
    auto work = std::make_shared<std::vector<Cta::TensorProduct>>(
        std::move(warp.cta->tensorWork));
    warp.cta->tensorWork.clear();
    Warp *issuer = &warp;
    const Instruction *instruction = &x;
    warp.cta->cluster->addAsync(
        [=] {
          for (const Cta::TensorProduct &product : *work)
            if (product.perform)
              product.perform();
          auto found = cta->mbarriers.find(offset);
          if (found == cta->mbarriers.end() || !found->second.pending)
            issuer->fail(FaultKind::Synchronisation, *instruction, lane,
                         "arrives at an mbarrier that expects no arrival");
          if (Checker *checker = cta->cluster->checker.get())
            for (const Cta::TensorProduct &product : *work)
              for (uint32_t chunk : product.chunks)
                checker->endRead(found->second, *issuer->cta, chunk, 16);
          --found->second.pending;
          completePhase(*cta, found->second);
        },
        "tcgen05.commit");
  }
}

void emulated::tensorMemoryCopy(Lanes &lanes, const Instruction &x,
                                uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  // 128x256b and 128x128b: rows of 32 or 16 bytes, from shared memory.
  uint64_t addresses[kWarpSize];
  computeAddresses(warp, x.addresses[0], addresses);
  unsigned lane = __builtin_ctz(mask);
  auto descriptor =
      MatrixDescriptor::fromTcgen05(lanes.wide(x.operands[0])[lane], false);
  uint32_t column = addresses[lane] & 0xffff;
  for (unsigned row = 0; row < kLanes; ++row)
    for (unsigned i = 0; i < x.count; ++i) {
      uint32_t address = descriptor.getAddress(row, i, 4);
      const uint8_t *bytes = warp.cta->getShared(address, 4);
      if (!bytes)
        warp.fail(FaultKind::IllegalAddress, x, lane,
                  "has a descriptor beyond the end of shared memory");
      memcpy(getTensorMemory(warp, x, row, column + i, 1), bytes, 4);
    }
}
