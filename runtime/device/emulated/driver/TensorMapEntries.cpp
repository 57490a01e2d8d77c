//===- TensorMapEntries.cpp - driver entries: descriptors of tensors ------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/driver/Device.h"
#include "runtime/device/emulated/execute/TensorMap.h"

#include <cstring>

using namespace emulated;

/// Sizes by the numbers of CUtensorMapDataType.
static const uint8_t kElementSizes[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4};

static std::string encode(TensorMap &map, int type, uint32_t rank,
                          uint64_t base, const uint64_t *extents,
                          const uint64_t *strides, const uint32_t *box,
                          const uint32_t *elementStrides, int interleave,
                          int swizzle, int fill) {
  if (type < 0 || type > 12)
    return "unknown type of elements " + std::to_string(type);
  if (rank < 1 || rank > 5)
    return "expected a rank of 1 to 5, got " + std::to_string(rank);
  if (base % 16)
    return "expected an address that is a multiple of 16";
  if (interleave)
    return "interleaved layouts are not supported by the emulated device";
  if (swizzle < 0 || swizzle > 3)
    return "expected a swizzle of at most 128 bytes with atoms of 16";
  map.magic = TensorMap::kMagic;
  map.rank = rank;
  map.elementType = type;
  map.elementSize = kElementSizes[type];
  map.swizzle = swizzle;
  map.fillsNaN = fill;
  map.base = base;
  for (uint32_t i = 0; i < rank; ++i) {
    if (extents[i] == 0 || extents[i] > 1ull << 32)
      return "expected extents of 1 to 2^32, got " + std::to_string(extents[i]);
    if (box[i] == 0 || box[i] > 256)
      return "expected a box of 1 to 256 elements along each dimension, got " +
             std::to_string(box[i]);
    if (elementStrides[i] != 1)
      return "strides of elements are not supported by the emulated device";
    map.extents[i] = extents[i];
    map.box[i] = box[i];
    if (i + 1 == rank)
      break;
    if (strides[i] % 16 || strides[i] >= 1ull << 40)
      return "expected strides that are multiples of 16 below 2^40, got " +
             std::to_string(strides[i]);
    map.strides[i] = strides[i];
  }
  uint32_t inner = map.box[0] * map.elementSize;
  if (inner % 16)
    return "expected an inner box of a multiple of 16 bytes, got " +
           std::to_string(inner);
  if (swizzle && inner > 16u << swizzle)
    return "expected an inner box of at most " + std::to_string(16 << swizzle) +
           " bytes for this swizzle, got " + std::to_string(inner);
  return "";
}

EMULATED_CUDA_API
cuTensorMapEncodeTiled(void *result, int type, uint32_t rank, void *base,
                       const uint64_t *extents, const uint64_t *strides,
                       const uint32_t *box, const uint32_t *elementStrides,
                       int interleave, int swizzle, int, int fill) {
  EMULATED_ENTER();
  TensorMap map = {};
  std::string problem =
      reinterpret_cast<uintptr_t>(result) % 64
          ? "expected a descriptor aligned to 64 bytes"
          : encode(map, type, rank, reinterpret_cast<uint64_t>(base), extents,
                   strides, box, elementStrides, interleave, swizzle, fill);
  if (!problem.empty())
    return device.fail(CUDA_ERROR_INVALID_VALUE, "tensor map: " + problem);
  memset(result, 0, 128);
  memcpy(result, &map, sizeof map);
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuTensorMapReplaceAddress(void *result, void *base) {
  auto *map = static_cast<TensorMap *>(result);
  if (map->magic != TensorMap::kMagic || reinterpret_cast<uint64_t>(base) % 16)
    return CUDA_ERROR_INVALID_VALUE;
  map->base = reinterpret_cast<uint64_t>(base);
  return CUDA_SUCCESS;
}
