//===- WatchFlags.h - records of runs in files ----------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_TOOLS_MOEC_WATCHFLAGS_H
#define COMPILER_TOOLS_MOEC_WATCHFLAGS_H

#include "compiler/tools/moec/Model.h"

/// The flags of commands that tell about their runs in files.
struct WatchFlags {
  std::string routing;
  std::string profile;

  void addTo(CLI::App &command);

  /// Makes the session of `model` record what the flags ask for.
  void begin(Model &model) const;
  /// Writes the files. Ends the command if that fails.
  void finish(Model &model) const;
};

#endif // COMPILER_TOOLS_MOEC_WATCHFLAGS_H
