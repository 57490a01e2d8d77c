//===- TensorMap.h - the descriptor of a tensor in global memory --*- C++ -*-===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_EMULATED_EXECUTE_TENSORMAP_H
#define RUNTIME_DEVICE_EMULATED_EXECUTE_TENSORMAP_H

#include <cstdint>

namespace emulated {

/// What cuTensorMapEncodeTiled writes into the 128 opaque bytes.
struct TensorMap {
  static constexpr uint32_t kMagic = 0x4d544d45;
  uint32_t magic;
  uint8_t rank;
  uint8_t elementSize;
  /// 0: none; 1, 2, 3: patterns of 32, 64 and 128 bytes.
  uint8_t swizzle;
  /// Elements out of bounds are NaN, not zero.
  uint8_t fillsNaN;
  uint64_t base;
  /// The innermost dimension first.
  uint64_t extents[5];
  /// Bytes; that of the innermost dimension is the size of an element.
  uint64_t strides[4];
  uint16_t box[5];
  uint8_t elementType;

  uint32_t getBoxBytes() const {
    uint32_t bytes = elementSize;
    for (unsigned i = 0; i < rank; ++i)
      bytes *= box[i];
    return bytes;
  }
};
static_assert(sizeof(TensorMap) <= 128, "the driver's type has 128 bytes");

/// XORs bits 4-6 of an address of shared memory with bits 7-9, as far as the
/// pattern reaches.
inline uint32_t swizzleAddress(uint32_t address, unsigned swizzle) {
  static constexpr uint32_t kMasks[] = {0, 1, 3, 7};
  return address ^ (address >> 7 & kMasks[swizzle]) << 4;
}

} // namespace emulated

#endif // RUNTIME_DEVICE_EMULATED_EXECUTE_TENSORMAP_H
