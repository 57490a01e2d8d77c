//===- HugePages.h - large pieces of memory -------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_CPU_HUGEPAGES_H
#define RUNTIME_DEVICE_CPU_HUGEPAGES_H

#include <cstdint>

namespace moert {

constexpr uint64_t kHugePageBytes = uint64_t(2) << 20;

/// Zeroed memory that starts at a multiple of 2 MiB and asks for huge pages;
/// null if there is none.
void *mapHugePages(uint64_t bytes);

/// Gives back memory from `mapHugePages`.
void unmapMemory(void *memory, uint64_t bytes);

} // namespace moert

#endif // RUNTIME_DEVICE_CPU_HUGEPAGES_H
