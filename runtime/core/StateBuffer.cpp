//===- StateBuffer.cpp - an output that grows in place --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/core/StateBuffer.h"

#include "runtime/core/BindInputs.h"

#include <algorithm>
#include <cstring>
#include <numeric>

using namespace moert;

StateBuffer::StateBuffer(const ValueInfo &info, uint32_t axis,
                         Allocator &allocator)
    : allocator(&allocator), dtype(info.dtype), axis(axis),
      elementBytes(moe_dtype_size(info.dtype)) {}

StateBuffer::~StateBuffer() {
  rollBack();
  release(current.memory);
  release(dense);
}

static int64_t multiply(const int64_t *begin, const int64_t *end) {
  return std::accumulate(begin, end, int64_t(1), std::multiplies<int64_t>());
}

/// Memory for `capacity` entries along the axis.
char *StateBuffer::allocate(const std::vector<int64_t> &dims,
                            int64_t capacity) {
  uint64_t rows = multiply(dims.data(), dims.data() + axis) *
                  multiply(dims.data() + axis + 1, dims.data() + dims.size());
  uint64_t bytes;
  if (__builtin_mul_overflow(rows * elementBytes, uint64_t(capacity), &bytes))
    return nullptr;
  void *memory = allocator->allocate(bytes);
  if (memory)
    allocator->keep(memory);
  return static_cast<char *>(memory);
}

void StateBuffer::release(char *&memory) {
  allocator->release(std::exchange(memory, nullptr));
}

/// Copies `extent` entries of each row; the extents say how far the rows lie
/// apart.
void StateBuffer::copy(char *target, int64_t targetExtent, const char *source,
                       int64_t sourceExtent, int64_t extent) const {
  const int64_t *dims = next.memory ? next.dims.data() : current.dims.data();
  size_t rank = next.memory ? next.dims.size() : current.dims.size();
  int64_t rows = multiply(dims, dims + axis);
  uint64_t entry = multiply(dims + axis + 1, dims + rank) * elementBytes;
  if (extent == 0 || entry == 0)
    return;
  for (int64_t row = 0; row < rows; ++row)
    std::memcpy(target + row * targetExtent * entry,
                source + row * sourceExtent * entry, extent * entry);
}

bool StateBuffer::append(const moe_tensor_t &past, bool continued,
                         int64_t extent, MoertDescriptor *result) {
  rollBack();
  int64_t held = past.dims[axis], wanted = held + extent;
  next.dims.assign(past.dims, past.dims + past.rank);
  next.dims[axis] = wanted;
  if (continued && wanted <= current.capacity) {
    next.memory = current.memory;
    next.capacity = current.capacity;
  } else {
    // Who gives the numbers each time gets them back without gaps.
    next.capacity = continued ? std::max(wanted, 2 * current.capacity) : wanted;
    next.memory = allocate(next.dims, next.capacity);
    if (!next.memory)
      return false;
    copy(next.memory, next.capacity, static_cast<const char *>(past.data),
         continued ? current.capacity : held, held);
    bytesCopied += held * multiply(past.dims, past.dims + axis) *
                   multiply(past.dims + axis + 1, past.dims + past.rank) *
                   elementBytes;
  }

  result->allocated = nullptr;
  result->aligned = next.memory;
  result->offset = 0;
  auto *sizes = reinterpret_cast<int64_t *>(result + 1);
  int64_t *strides = sizes + past.rank, stride = 1;
  for (uint32_t i = past.rank; i-- > 0;) {
    sizes[i] = next.dims[i];
    strides[i] = stride;
    stride *= i == axis ? next.capacity : next.dims[i];
  }
  return true;
}

void StateBuffer::commit() {
  if (!next.memory)
    return;
  if (next.memory != current.memory)
    release(current.memory);
  release(dense);
  std::swap(current, next);
  next.memory = nullptr;
  tensor = {dtype, uint32_t(current.dims.size()), current.dims.data(),
            current.memory};
}

void StateBuffer::rollBack() {
  if (next.memory != current.memory)
    release(next.memory);
  next.memory = nullptr;
}

bool StateBuffer::getTensor(moe_tensor_t &result) {
  const std::vector<int64_t> &dims = current.dims;
  result = tensor;
  if (current.capacity == dims[axis] ||
      multiply(dims.data(), dims.data() + axis) <= 1)
    return true;
  if (!dense) {
    dense = allocate(dims, dims[axis]);
    if (!dense)
      return false;
    copy(dense, dims[axis], current.memory, current.capacity, dims[axis]);
  }
  result.data = dense;
  return true;
}
