//===- Progress.h - progress of long work -----------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_TOOLS_MOEC_PROGRESS_H
#define COMPILER_TOOLS_MOEC_PROGRESS_H

#include "llvm/ADT/StringRef.h"

#include <chrono>
#include <string>

/// A bar on a terminal, plain lines otherwise; silent for work that ends within
/// a second.
class Progress {
public:
  explicit Progress(bool quiet);
  ~Progress() { finish(); }

  /// Shows that `fraction` (0 to 1) of the work is done and `step` comes next.
  void update(llvm::StringRef step, double fraction);

  /// Clears the bar.
  void finish();

private:
  bool quiet, terminal, shown = false;
  std::chrono::steady_clock::time_point start, last;
  std::string lastStep;
};

#endif // COMPILER_TOOLS_MOEC_PROGRESS_H
