//===- Allocator.h - the memory of a session ------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_CPU_ALLOCATOR_H
#define RUNTIME_DEVICE_CPU_ALLOCATOR_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace moert {

/// Memory aligned to 64 bytes, recycled by size: a run that asks for what the
/// run before it asked for gets it without a call of the system. May be used
/// by all threads of a session.
class Allocator {
public:
  Allocator() = default;
  ~Allocator();
  Allocator(const Allocator &) = delete;
  Allocator &operator=(const Allocator &) = delete;

  /// Null if the system has no more memory.
  void *allocate(uint64_t bytes);
  void release(void *memory);

  /// Takes a block out of the reach of `releaseAll`.
  void keep(void *memory);
  /// Releases every block that is in use and not kept.
  void releaseAll();

  /// True if `memory` is the start of a block that is in use and not kept.
  bool isInUse(const void *memory);
  /// How often memory came from the system.
  uint64_t getSystemCalls() const { return systemCalls; }

private:
  struct Block;
  static constexpr size_t kClasses = 256;

  static unsigned getClass(uint64_t bytes);
  static uint64_t getClassBytes(unsigned index);
  static void freeBlock(Block *block);
  void unlink(Block *block);
  void recycle(Block *block);

  std::mutex mutex;
  std::array<Block *, kClasses> available{};
  /// A doubly linked list.
  Block *used = nullptr;
  uint64_t systemCalls = 0;
};

} // namespace moert

#endif // RUNTIME_DEVICE_CPU_ALLOCATOR_H
