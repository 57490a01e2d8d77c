//===- Wgmma.cpp - products of warp groups --------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/execute/MatrixDescriptor.h"
#include "runtime/device/emulated/execute/TensorHandlers.h"
#include "runtime/device/emulated/vector/Numbers.h"
#include "runtime/device/emulated/vector/Operations.h"

#include <cstring>

using namespace emulated;

void emulated::readMatrix(Warp &warp, const Instruction &x, Cta &cta,
                          const MatrixDescriptor &descriptor, Type type,
                          uint32_t firstRow, uint32_t rows, uint32_t depth,
                          bool byColumns, float *to) {
  uint32_t size = sizeOf(type);
  for (uint32_t row = 0; row < rows; ++row)
    for (uint32_t k = 0; k < depth; ++k) {
      uint32_t address = descriptor.getAddress(firstRow + row, k, size);
      const uint8_t *bytes = cta.getShared(address, size);
      if (!bytes)
        warp.fail(FaultKind::IllegalAddress, x, 0,
                  "has a descriptor that reads shared memory at " +
                      std::to_string(address) + ", beyond its end");
      uint32_t bits = 0;
      memcpy(&bits, bytes, size);
      to[byColumns ? k * rows + row : row * depth + k] =
          decodeElement(type, bits);
    }
}

void emulated::requireInside(Warp &warp, const Instruction &x, Cta &cta,
                             const std::vector<uint32_t> &chunks) {
  for (uint32_t chunk : chunks)
    if (!cta.getShared(chunk, 16))
      warp.fail(FaultKind::IllegalAddress, x, 0,
                "has a descriptor that reads shared memory at " +
                    std::to_string(chunk) + ", beyond its end");
}

/// What a product reads of shared memory, in units of 16 bytes.
static std::vector<uint32_t> findChunks(const Warp &warp,
                                        const PendingWgmma &pending) {
  const Instruction &x = *pending.instruction;
  unsigned size = sizeOf(x.type), depth = 32 / size;
  std::vector<uint32_t> chunks;
  auto add = [&](uint32_t address) { chunks.push_back(address); };
  if (!(x.flags & kWgmmaRegisters))
    MatrixDescriptor::fromWgmma(pending.a, x.flags & kWgmmaTransposeA)
        .forEachChunk(warp.index % 4 * 16, 16, depth, size, add);
  MatrixDescriptor::fromWgmma(pending.b, x.flags & kWgmmaTransposeB)
      .forEachChunk(0, x.count, depth, size, add);
  return chunks;
}

void emulated::wgmmaFence(Lanes &lanes, const Instruction &, uint32_t) {
  static_cast<Warp &>(lanes).isWgmmaFenced = true;
}

/// Registers of the sums: the tile of 8 columns, the half of the rows and the
/// place in a pair.
template <typename Visit>
static void forEachSum(unsigned columns, Visit visit) {
  for (unsigned i = 0; i < columns / 2; ++i)
    for (unsigned lane = 0; lane < kWarpSize; ++lane)
      visit(i, lane,
            (lane / 4 + i / 2 % 2 * 8) * columns + i / 4 * 8 + lane % 4 * 2 +
                i % 2);
}

/// The part of one warp: 16 rows of the 64.
static void multiply(Warp &warp, const PendingWgmma &pending) {
  const Instruction &x = *pending.instruction;
  unsigned columns = x.count, size = sizeOf(x.type), depth = 32 / size;
  bool isAInRegisters = x.flags & kWgmmaRegisters;
  std::vector<float> a(16 * depth), b(columns * depth), c(16 * columns);
  if (isAInRegisters) {
    unsigned perWord = 4 / size, bits = 8 * size;
    for (unsigned i = 0; i < 4; ++i) {
      const uint32_t *from = warp.word(x.operands[i]);
      for (unsigned lane = 0; lane < kWarpSize; ++lane)
        for (unsigned j = 0; j < perWord; ++j)
          a[(lane / 4 + i % 2 * 8) * depth + lane % 4 * perWord +
            i / 2 * 4 * perWord + j] =
              decodeElement(x.type, from[lane] >> bits * j);
    }
  } else {
    readMatrix(
        warp, x, *warp.cta,
        MatrixDescriptor::fromWgmma(pending.a, x.flags & kWgmmaTransposeA),
        x.type, warp.index % 4 * 16, 16, depth, false, a.data());
  }
  readMatrix(warp, x, *warp.cta,
             MatrixDescriptor::fromWgmma(pending.b, x.flags & kWgmmaTransposeB),
             x.source, 0, columns, depth, true, b.data());
  if (x.flags & kWgmmaNegateA)
    for (float &value : a)
      value = -value;
  if (x.flags & kWgmmaNegateB)
    for (float &value : b)
      value = -value;
  bool isInteger = x.flags & kWgmmaInteger, isHalf = x.flags & kWgmmaHalf;
  auto getSum = [&](unsigned i, unsigned lane) {
    uint32_t bits = warp.word(x.results[isHalf ? i / 2 : i])[lane];
    return isHalf ? halfToFloat(bits >> i % 2 * 16 & 0xffff)
                  : bitCast<float>(bits);
  };
  if (isInteger) {
    std::vector<int32_t> ia(a.begin(), a.end()), ib(b.begin(), b.end());
    std::vector<int32_t> ic(16 * columns);
    if (pending.isAccumulating)
      forEachSum(columns, [&](unsigned i, unsigned lane, unsigned place) {
        ic[place] = warp.word(x.results[i])[lane];
      });
    getMatrixKernels().multiplyInteger(ic.data(), ia.data(), ib.data(), 16,
                                       columns, depth);
    forEachSum(columns, [&](unsigned i, unsigned lane, unsigned place) {
      warp.word(x.results[i])[lane] = ic[place];
    });
    return;
  }
  if (pending.isAccumulating)
    forEachSum(columns, [&](unsigned i, unsigned lane, unsigned place) {
      c[place] = getSum(i, lane);
    });
  getMatrixKernels().multiplyFloat(c.data(), a.data(), b.data(), 16, columns,
                                   depth);
  forEachSum(columns, [&](unsigned i, unsigned lane, unsigned place) {
    if (!isHalf) {
      warp.word(x.results[i])[lane] = bitCast<uint32_t>(c[place]);
      return;
    }
    uint32_t &word = warp.word(x.results[i / 2])[lane];
    unsigned shift = i % 2 * 16;
    word = (word & ~(0xffffu << shift)) | floatToHalf(c[place]) << shift;
  });
}

void emulated::wgmmaMultiply(Lanes &lanes, const Instruction &x,
                             uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  if (mask != kAllLanes)
    warp.fail(FaultKind::Synchronisation, x, __builtin_ctz(mask),
              "is executed by some lanes of a warp only");
  if (!warp.isWgmmaFenced)
    warp.fail(FaultKind::Synchronisation, x, 0, "has no wgmma.fence before it");
  bool isAInRegisters = x.flags & kWgmmaRegisters;
  unsigned next = isAInRegisters ? 4 : 1;
  PendingWgmma pending;
  pending.instruction = &x;
  pending.a = isAInRegisters ? 0 : lanes.wide(x.operands[0])[0];
  pending.b = lanes.wide(x.operands[next])[0];
  pending.isAccumulating = lanes.predicate(x.operands[next + 1]) & 1;
  pending.group = warp.wgmmaGroup;
  pending.isPerformed = warp.cta->launch->options.order == AsyncOrder::Early;
  if (pending.isPerformed)
    multiply(warp, pending);
  Checker *checker = warp.cta->cluster->checker.get();
  if (checker) {
    std::vector<uint32_t> chunks = findChunks(warp, pending);
    requireInside(warp, x, *warp.cta, chunks);
    for (uint32_t chunk : chunks)
      checker->beginRead(warp, x, 0, *warp.cta, chunk, 16);
  }
  if (checker || !pending.isPerformed)
    warp.wgmmas.push_back(pending);
}

void emulated::wgmmaCommit(Lanes &lanes, const Instruction &, uint32_t) {
  ++static_cast<Warp &>(lanes).wgmmaGroup;
}

void emulated::wgmmaWait(Lanes &lanes, const Instruction &x, uint32_t) {
  Warp &warp = static_cast<Warp &>(lanes);
  // Products complete in their order.
  size_t done = 0;
  Checker *checker = warp.cta->cluster->checker.get();
  for (; done < warp.wgmmas.size(); ++done) {
    const PendingWgmma &pending = warp.wgmmas[done];
    if (pending.group + x.immediate >= warp.wgmmaGroup)
      break;
    if (!pending.isPerformed)
      multiply(warp, pending);
    if (!checker)
      continue;
    for (uint32_t chunk : findChunks(warp, pending))
      checker->endRead(warp, *warp.cta, chunk, 16);
  }
  warp.wgmmas.erase(warp.wgmmas.begin(), warp.wgmmas.begin() + done);
  if (x.immediate == 0)
    warp.isWgmmaFenced = false;
}
