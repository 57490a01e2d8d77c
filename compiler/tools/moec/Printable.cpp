//===- Printable.cpp - text from files on a terminal -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/Printable.h"

#include "llvm/ADT/StringExtras.h"

std::string toPrintable(llvm::StringRef text) {
  std::string result;
  for (unsigned char character : text) {
    // Bytes from 0x80 on belong to UTF-8 sequences.
    if (character >= 0x20 && character != 0x7f)
      result += static_cast<char>(character);
    else
      result += "\\x" + llvm::utohexstr(character, /*LowerCase=*/true,
                                        /*Width=*/2);
  }
  return result;
}
