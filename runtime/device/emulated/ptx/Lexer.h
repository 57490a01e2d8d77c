//===- Lexer.h - tokens of PTX ----------------------------------*- C++ -*-===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_EMULATED_PTX_LEXER_H
#define RUNTIME_DEVICE_EMULATED_PTX_LEXER_H

#include "runtime/device/emulated/ptx/Module.h"

namespace emulated::ptx {

struct Token {
  enum Kind : uint8_t {
    End,
    Word,      ///< a name, with the dotted modifiers that follow it
    Directive, ///< `.name`, the text without the dot
    Number,
    String,
    Punctuation,
  };
  Kind kind = End;
  char punctuation = 0;
  uint8_t floatBits = 0;
  uint64_t value = 0;
  std::string text;
  unsigned line = 0;
  uint32_t begin = 0, end = 0;
};

/// Splits a text into tokens; one token of look-ahead.
class Lexer {
public:
  explicit Lexer(const std::string &text) : text(text) { advance(); }

  const Token &peek() const { return token; }
  Token take();
  /// Takes the punctuation `character` if it comes next.
  bool accept(char character);
  void expect(char character);
  /// Takes a word; `what` describes it in the error.
  std::string expectWord(const char *what);
  uint64_t expectNumber();
  /// Skips the rest of the line of the current token.
  void skipLine();
  [[noreturn]] void fail(const std::string &message) const;

private:
  void advance();
  void skipBlanks();
  void lexWord();
  void lexNumber();

  const std::string &text;
  size_t position = 0;
  unsigned line = 1;
  Token token;
};

} // namespace emulated::ptx

#endif // RUNTIME_DEVICE_EMULATED_PTX_LEXER_H
