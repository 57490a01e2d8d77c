//===- MachineLimits.cpp - how fast this machine computes and reads -------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/MachineLimits.h"

#include "runtime/device/cpu/HugePages.h"
#include "runtime/device/cpu/InstructionSets.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <numeric>
#include <thread>
#include <vector>

/// More than caches hold, so that a window has left them when it is read again.
static constexpr uint64_t kBufferBytes = uint64_t(256) << 20;
static constexpr uint64_t kWindowBytes = uint64_t(32) << 20;
/// A burst takes about a millisecond.
static constexpr int kSteps = 500000;

using Vector256 = float __attribute__((vector_size(32)));
using Vector512 = float __attribute__((vector_size(64)));

/// Takes a value that the compiler must not compute away.
static volatile float sink;

/// Independent chains of multiply-adds; returns the number of operations.
#define MOEC_MULTIPLY_ADD(NAME, VECTOR, TARGET, INSTRUCTION, PRODUCTS)         \
  __attribute__((target(TARGET))) static double NAME() {                       \
    constexpr int chains = 12;                                                 \
    VECTOR sums[chains], factor = VECTOR{} + 0.5f, term = VECTOR{} + 0.1f;     \
    for (VECTOR &sum : sums) {                                                 \
      sum = term;                                                              \
      __asm__ volatile("" : "+v"(sum));                                        \
    }                                                                          \
    for (int step = 0; step < kSteps; ++step) {                                \
      _Pragma("GCC unroll 12") for (int i = 0; i < chains; ++i) __asm__(       \
          INSTRUCTION " %2, %1, %0" : "+v"(sums[i]) : "v"(factor), "v"(term)); \
    }                                                                          \
    for (VECTOR &sum : sums)                                                   \
      sink = sum[0];                                                           \
    return 2.0 * PRODUCTS * chains * kSteps *                                  \
           (sizeof(VECTOR) / sizeof(float));                                   \
  }

MOEC_MULTIPLY_ADD(multiplyAdd256, Vector256, "avx2,fma", "vfmadd213ps", 1)
MOEC_MULTIPLY_ADD(multiplyAdd512, Vector512, "avx512f", "vfmadd213ps", 1)
MOEC_MULTIPLY_ADD(multiplyAddBF16, Vector512, "avx512f,avx512bf16", "vdpbf16ps",
                  2)
MOEC_MULTIPLY_ADD(multiplyAddBytes, Vector512, "avx512f,avx512vnni", "vpdpbusd",
                  4)

/// Four chains of products of whole tiles of zeros. There are no intrinsics for
/// this that all compilers have.
static double multiplyTilesBF16() {
  struct alignas(64) {
    uint8_t palette = 1, start = 0, reserved[14] = {};
    uint16_t bytes[16] = {64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16};
  } shapes;
  constexpr int steps = kSteps / 32;
  __asm__ volatile("ldtilecfg %0\n\t"
                   "tilezero %%tmm4\n\t"
                   "tilezero %%tmm5" ::"m"(shapes));
  for (int step = 0; step < steps; ++step)
    __asm__ volatile("tdpbf16ps %%tmm5, %%tmm4, %%tmm0\n\t"
                     "tdpbf16ps %%tmm5, %%tmm4, %%tmm1\n\t"
                     "tdpbf16ps %%tmm5, %%tmm4, %%tmm2\n\t"
                     "tdpbf16ps %%tmm5, %%tmm4, %%tmm3" ::);
  __asm__ volatile("tilerelease" ::);
  return 2.0 * 2 * 4 * 16 * 16 * 16 * steps;
}

/// Sums up memory, in as many chains as the latency of an addition asks for.
__attribute__((target("avx2"))) static void read(const float *begin,
                                                 uint64_t bytes) {
  constexpr uint64_t chains = 8, lanes = 8;
  Vector256 sums[chains] = {};
  for (uint64_t i = 0; i < bytes / sizeof(float); i += chains * lanes)
    for (uint64_t chain = 0; chain < chains; ++chain) {
      Vector256 numbers;
      std::memcpy(&numbers, begin + i + chain * lanes, sizeof(numbers));
      sums[chain] += numbers;
    }
  for (const Vector256 &sum : sums)
    sink = sum[0];
}

/// Runs `body` on every thread at once; returns the sum of the rates, in units
/// of `body`'s result per nanosecond. Each thread takes its own time, so that
/// one that starts late does not count as slow.
template <typename Body> static double measure(unsigned threads, Body body) {
  using Clock = std::chrono::steady_clock;
  std::atomic<unsigned> ready{0};
  std::vector<double> rates(threads);
  std::vector<std::thread> others;
  auto runAt = [&](unsigned number) {
    ready.fetch_add(1);
    while (ready.load() < threads)
      std::this_thread::yield();
    Clock::time_point start = Clock::now();
    double work = body(number);
    std::chrono::duration<double, std::nano> elapsed = Clock::now() - start;
    rates[number] = work / elapsed.count();
  };
  for (unsigned i = 1; i < threads; ++i)
    others.emplace_back(runAt, i);
  runAt(0);
  for (std::thread &other : others)
    other.join();
  return std::accumulate(rates.begin(), rates.end(), 0.0);
}

MachineLimits::MachineLimits(unsigned threads, std::string isa)
    : threads(threads), isa(std::move(isa)),
      buffer(static_cast<float *>(moert::mapHugePages(kBufferBytes))) {
  // A page that was never written is not in memory.
  if (buffer)
    std::fill_n(buffer, kBufferBytes / sizeof(float), 1.0f);
}

MachineLimits::~MachineLimits() {
  if (buffer)
    moert::unmapMemory(buffer, kBufferBytes);
}

double MachineLimits::measureGflops() {
  static const bool isWide = moert::isSupported("x86-64-v4");
  return measure(threads, [](unsigned) {
    return isWide ? multiplyAdd512() : multiplyAdd256();
  });
}

double MachineLimits::measureBF16Gflops() {
  if (isa == "amx")
    return measure(threads, [](unsigned) { return multiplyTilesBF16(); });
  if (isa == "avx512bf16")
    return measure(threads, [](unsigned) { return multiplyAddBF16(); });
  return 0;
}

double MachineLimits::measureByteGops() {
  if (isa == "avx512bf16" || isa == "amx")
    return measure(threads, [](unsigned) { return multiplyAddBytes(); });
  return 0;
}

double MachineLimits::measureGbps() {
  if (!buffer)
    return 0;
  const float *begin = buffer + window / sizeof(float);
  window = (window + kWindowBytes) % kBufferBytes;
  // Whole steps of `read`.
  uint64_t share = kWindowBytes / threads / 4096 * 4096;
  return measure(threads, [&](unsigned number) {
    read(begin + number * share / sizeof(float), share);
    return double(share);
  });
}
