//===- Select.cpp - chooses the code for this processor -------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/vector/Operations.h"

#include <cstdlib>
#include <cstring>

using namespace emulated;

namespace {
enum class Isa { Baseline, V3, V4 };
} // namespace

/// MOE_EMULATED_ISA=baseline|v3|v4 lowers the choice, for tests.
static Isa chooseIsa() {
  Isa best = Isa::Baseline;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("x86-64-v4"))
    best = Isa::V4;
  else if (__builtin_cpu_supports("x86-64-v3"))
    best = Isa::V3;
#endif
  const char *name = getenv("MOE_EMULATED_ISA");
  if (name && !strcmp(name, "baseline"))
    return Isa::Baseline;
  if (name && !strcmp(name, "v3") && best == Isa::V4)
    return Isa::V3;
  return best;
}

static Isa getIsa() {
  static const Isa isa = chooseIsa();
  return isa;
}

// Other hosts compile the baseline alone.
#if defined(__x86_64__)
#define EMULATED_DISPATCH(NAME)                                                \
  (getIsa() == Isa::V4   ? v4::NAME                                            \
   : getIsa() == Isa::V3 ? v3::NAME                                            \
                         : baseline::NAME)
#else
#define EMULATED_DISPATCH(NAME) (baseline::NAME)
#endif

Handler emulated::selectVector(const VectorKey &key) {
  using Selector = Handler (*)(const VectorKey &);
  const bool isFloating = isFloat(key.type);
  const Selector selectors[] = {
      isFloating ? EMULATED_DISPATCH(selectFloat)
                 : EMULATED_DISPATCH(selectInteger),
      EMULATED_DISPATCH(selectBits),
      EMULATED_DISPATCH(selectFunction),
      EMULATED_DISPATCH(selectMove),
      EMULATED_DISPATCH(selectCompare),
      EMULATED_DISPATCH(selectConvert),
  };
  for (Selector select : selectors)
    if (Handler handler = select(key))
      return handler;
  return nullptr;
}

const MatrixKernels &emulated::getMatrixKernels() {
  static const MatrixKernels kernels = {
      EMULATED_DISPATCH(multiplyFloat), EMULATED_DISPATCH(multiplyInteger),
      EMULATED_DISPATCH(widenF16), EMULATED_DISPATCH(widenBF16)};
  return kernels;
}
