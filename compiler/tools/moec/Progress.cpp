//===- Progress.cpp - progress of long work ---------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/Progress.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"

using namespace std::chrono_literals;

Progress::Progress(bool quiet)
    : quiet(quiet), terminal(llvm::sys::Process::StandardErrIsDisplayed()),
      start(std::chrono::steady_clock::now()), last(start) {}

void Progress::update(llvm::StringRef step, double fraction) {
  auto now = std::chrono::steady_clock::now();
  bool sameStep = lastStep == step;
  // On a terminal at most ten times a second; else a line for each step.
  if (quiet || now - start < 1s || (terminal ? now - last < 100ms : sameStep))
    return;
  last = now;
  lastStep = step.str();
  shown = true;
  unsigned percent = static_cast<unsigned>(fraction * 100);
  if (!terminal) {
    llvm::errs() << "moec: " << llvm::format("%3u %%  ", percent) << step
                 << '\n';
    return;
  }
  constexpr unsigned width = 30;
  unsigned filled = static_cast<unsigned>(fraction * width);
  llvm::errs() << "\r\x1b[K[" << std::string(filled, '#')
               << std::string(width - filled, ' ') << "] "
               << llvm::format("%3u %% ", percent) << step;
}

void Progress::finish() {
  if (shown && terminal)
    llvm::errs() << "\r\x1b[K";
  shown = false;
}
