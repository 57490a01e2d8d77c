//===- Communicator.cpp - messages between ranks ---------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/Communicator.h"

#include <cstdlib>

using namespace moert;

Communicator::~Communicator() = default;

double moert::getRankTimeout() {
  if (const char *text = std::getenv("MOE_RANK_TIMEOUT"))
    if (double seconds = std::atof(text); seconds > 0)
      return seconds;
  return 60;
}
