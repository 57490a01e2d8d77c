//===- StateBuffer.h - an output that grows in place ----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_CORE_STATEBUFFER_H
#define RUNTIME_CORE_STATEBUFFER_H

#include "runtime/core/HostInterface.h"
#include "runtime/core/Manifest.h"
#include "runtime/device/cpu/Allocator.h"

namespace moert {

/// The memory of a state: an output of a program that is an input with more
/// entries along a dimension. When the next run continues with it, new entries
/// are written behind the old ones; where there is no room, the memory doubles.
class StateBuffer {
public:
  StateBuffer(const ValueInfo &info, uint32_t axis, Allocator &allocator);
  ~StateBuffer();
  StateBuffer(const StateBuffer &) = delete;
  StateBuffer &operator=(const StateBuffer &) = delete;

  /// Room for `extent` entries after those of `past`. If `continued`, `past` is
  /// the state itself. False if there is no memory.
  bool append(const moe_tensor_t &past, bool continued, int64_t extent,
              MoertDescriptor *result);
  /// The run has succeeded: what was appended is part of the state.
  void commit();
  /// The run has failed: the state is what it was before.
  void rollBack();

  /// The state without gaps, copied if need be. False if there is no memory.
  bool getTensor(moe_tensor_t &result);
  /// The state as an input that the code appends to; its data may have gaps.
  const moe_tensor_t &getInput() const { return tensor; }

  bool hasValue() const { return current.memory; }
  /// Bytes that were copied because there was no room or the input came from
  /// elsewhere, since the buffer was made.
  uint64_t getBytesCopied() const { return bytesCopied; }

private:
  struct Memory {
    char *memory = nullptr;
    /// Entries along the axis that there is room for.
    int64_t capacity = 0;
    std::vector<int64_t> dims;
  };

  char *allocate(const std::vector<int64_t> &dims, int64_t capacity);
  void release(char *&memory);
  void copy(char *target, int64_t targetExtent, const char *source,
            int64_t sourceExtent, int64_t extent) const;

  Allocator *allocator;
  moe_dtype_t dtype;
  uint32_t axis;
  uint64_t elementBytes;
  Memory current;
  /// What the current run has made; `current` with more entries, or elsewhere.
  Memory next;
  /// A copy of the state without gaps.
  char *dense = nullptr;
  moe_tensor_t tensor = {};
  uint64_t bytesCopied = 0;
};

} // namespace moert

#endif // RUNTIME_CORE_STATEBUFFER_H
