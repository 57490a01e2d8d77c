//===- Printable.h - text from files on a terminal -------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_TOOLS_MOEC_PRINTABLE_H
#define COMPILER_TOOLS_MOEC_PRINTABLE_H

#include "llvm/ADT/StringRef.h"

#include <string>

/// Makes control characters in names from a model harmless: each becomes \xNN.
std::string toPrintable(llvm::StringRef text);

#endif // COMPILER_TOOLS_MOEC_PRINTABLE_H
