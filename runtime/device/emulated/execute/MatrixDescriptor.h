//===- MatrixDescriptor.h - matrices in shared memory -----------*- C++ -*-===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_EMULATED_EXECUTE_MATRIXDESCRIPTOR_H
#define RUNTIME_DEVICE_EMULATED_EXECUTE_MATRIXDESCRIPTOR_H

#include "runtime/device/emulated/execute/TensorMap.h"
#include "runtime/device/emulated/execute/Warp.h"

namespace emulated {

/// A matrix that wgmma or tcgen05.mma reads from shared memory, in units of
/// 8 rows: `leading` and `stride` are the distances of such units.
struct MatrixDescriptor {
  uint32_t start, leading, stride;
  /// 0: none; 1, 2, 3: patterns of 32, 64 and 128 bytes.
  unsigned swizzle;
  /// k is the slower dimension.
  bool isTransposed;

  /// The descriptor of wgmma: the pattern is in bits 62-63.
  static MatrixDescriptor fromWgmma(uint64_t bits, bool isTransposed) {
    static constexpr unsigned kPatterns[] = {0, 3, 2, 1};
    return make(bits, kPatterns[bits >> 62], isTransposed);
  }
  /// The descriptor of tcgen05: the pattern is in bits 61-63.
  static MatrixDescriptor fromTcgen05(uint64_t bits, bool isTransposed) {
    static constexpr unsigned kPatterns[] = {0, 0, 3, 0, 2, 0, 1, 0};
    return make(bits, kPatterns[bits >> 61], isTransposed);
  }

  /// Calls `visit` with the address of each 16 bytes of rows x depth elements.
  template <typename Visit>
  void forEachChunk(uint32_t firstRow, uint32_t rows, uint32_t depth,
                    uint32_t elementSize, Visit visit) const {
    uint32_t step = 16 / elementSize;
    for (uint32_t row = 0; row < rows; row += isTransposed ? step : 1)
      for (uint32_t k = 0; k < depth; k += isTransposed ? 1 : step)
        visit(getAddress(firstRow + row, k, elementSize));
  }

  /// The address of the byte `inner` along k (or along the rows, if
  /// transposed) of row (or k) `outer`.
  uint32_t getAddress(uint32_t row, uint32_t k, uint32_t elementSize) const {
    uint32_t width = 16u << swizzle;
    uint32_t outer = isTransposed ? k : row;
    uint32_t inner = (isTransposed ? row : k) * elementSize;
    uint32_t address = start + (outer / 8) * stride + outer % 8 * width +
                       inner / width * leading + inner % width;
    return swizzleAddress(address, swizzle);
  }

private:
  static MatrixDescriptor make(uint64_t bits, unsigned swizzle,
                               bool isTransposed) {
    MatrixDescriptor descriptor;
    descriptor.start = (bits & 0x3fff) << 4;
    descriptor.leading = (bits >> 16 & 0x3fff) << 4;
    descriptor.stride = (bits >> 32 & 0x3fff) << 4;
    descriptor.swizzle = swizzle;
    descriptor.isTransposed = isTransposed;
    return descriptor;
  }
};

/// Checks that the chunks lie in shared memory.
void requireInside(Warp &warp, const Instruction &instruction, Cta &cta,
                   const std::vector<uint32_t> &chunks);

/// Reads rows x depth elements as values, row by row; with `byColumns`, k by k.
void readMatrix(Warp &warp, const Instruction &instruction, Cta &cta,
                const MatrixDescriptor &descriptor, Type type,
                uint32_t firstRow, uint32_t rows, uint32_t depth,
                bool byColumns, float *to);

} // namespace emulated

#endif // RUNTIME_DEVICE_EMULATED_EXECUTE_MATRIXDESCRIPTOR_H
