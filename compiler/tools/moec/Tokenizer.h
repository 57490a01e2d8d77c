//===- Tokenizer.h - texts as token ids -----------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_TOOLS_MOEC_TOKENIZER_H
#define COMPILER_TOOLS_MOEC_TOKENIZER_H

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

/// Turns a text into token ids and, one by one, token ids into text.
class Tokenizer {
public:
  virtual ~Tokenizer() = default;

  /// The ids of `text`, and the beginning of what `step` continues.
  virtual std::vector<int64_t> encode(const std::string &text) = 0;
  /// What the next token adds to the text.
  virtual std::string step(int64_t token) = 0;
  /// The id of a token by its name.
  virtual std::optional<int64_t> find(const std::string &token) = 0;
  /// Ids are below this.
  virtual size_t getVocabulary() const = 0;
};

/// Tokens are the 256 bytes.
std::unique_ptr<Tokenizer> makeByteTokenizer();

/// Tokens are numbers, written as such.
std::unique_ptr<Tokenizer> makeNumberTokenizer();

/// Reads a `tokenizer.json` with the package `tokenizers` of the Python
/// interpreter `python`. Ends the command if that is not possible.
std::unique_ptr<Tokenizer> makeFileTokenizer(const std::string &path,
                                             const std::string &python);

#endif // COMPILER_TOOLS_MOEC_TOKENIZER_H
