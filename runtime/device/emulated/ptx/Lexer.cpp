//===- Lexer.cpp - tokens of PTX ------------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/ptx/Lexer.h"

#include <cstdlib>
#include <cstring>

using namespace emulated;
using namespace emulated::ptx;

static bool isWordStart(char c) {
  return isalpha((unsigned char)c) || c == '_' || c == '$' || c == '%';
}

static bool isWordPart(char c) {
  return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '%';
}

void Lexer::fail(const std::string &message) const {
  throw PtxError(token.line, message);
}

static std::string describe(const Token &token) {
  switch (token.kind) {
  case Token::End:
    return "the end of the text";
  case Token::Punctuation:
    return std::string("'") + token.punctuation + "'";
  case Token::Directive:
    return "'." + token.text + "'";
  default:
    return "'" + token.text + "'";
  }
}

Token Lexer::take() {
  Token taken = std::move(token);
  advance();
  return taken;
}

bool Lexer::accept(char character) {
  if (token.kind != Token::Punctuation || token.punctuation != character)
    return false;
  advance();
  return true;
}

void Lexer::expect(char character) {
  if (!accept(character))
    fail(std::string("expected '") + character + "', got " + describe(token));
}

std::string Lexer::expectWord(const char *what) {
  if (token.kind != Token::Word)
    fail(std::string("expected ") + what + ", got " + describe(token));
  return take().text;
}

uint64_t Lexer::expectNumber() {
  if (token.kind != Token::Number)
    fail("expected a number, got " + describe(token));
  return take().value;
}

void Lexer::skipLine() {
  position = token.begin;
  line = token.line;
  while (position < text.size() && text[position] != '\n')
    ++position;
  advance();
}

void Lexer::skipBlanks() {
  while (position < text.size()) {
    char c = text[position];
    if (c == '\n')
      ++line;
    if (isspace((unsigned char)c)) {
      ++position;
    } else if (text.compare(position, 2, "//") == 0) {
      while (position < text.size() && text[position] != '\n')
        ++position;
    } else if (text.compare(position, 2, "/*") == 0) {
      size_t close = text.find("*/", position + 2);
      if (close == std::string::npos)
        close = text.size();
      for (; position < close; ++position)
        line += text[position] == '\n';
      position = std::min(close + 2, text.size());
    } else {
      return;
    }
  }
}

void Lexer::lexWord() {
  auto at = [&](size_t index) {
    return index < text.size() ? text[index] : '\0';
  };
  size_t begin = position;
  while (isWordPart(at(position)))
    ++position;
  // Modifiers follow without blanks: `.` or `::` before a letter or a digit.
  for (;;) {
    if (at(position) == '.' && isWordPart(at(position + 1)))
      position += 1;
    else if (at(position) == ':' && at(position + 1) == ':' &&
             isWordPart(at(position + 2)))
      position += 2;
    else
      break;
    while (isWordPart(at(position)))
      ++position;
  }
  token.kind = Token::Word;
  token.text = text.substr(begin, position - begin);
}

void Lexer::lexNumber() {
  token.kind = Token::Number;
  const char *start = text.c_str() + position;
  char *end = nullptr;
  if (start[0] == '0' && (start[1] == 'f' || start[1] == 'F')) {
    token.value = strtoul(std::string(start + 2, 8).c_str(), nullptr, 16);
    token.floatBits = 32;
    position += 10;
  } else if (start[0] == '0' && (start[1] == 'd' || start[1] == 'D')) {
    token.value = strtoull(std::string(start + 2, 16).c_str(), nullptr, 16);
    token.floatBits = 64;
    position += 18;
  } else {
    bool isBinary = start[0] == '0' && (start[1] == 'b' || start[1] == 'B');
    token.value =
        isBinary ? strtoull(start + 2, &end, 2) : strtoull(start, &end, 0);
    if (!isBinary && *end == '.' && isdigit((unsigned char)end[1])) {
      double value = strtod(start, &end);
      memcpy(&token.value, &value, sizeof value);
      token.floatBits = 64;
    }
    if (*end == 'U' || *end == 'u')
      ++end;
    position += end - start;
  }
  token.text.assign(start, text.c_str() + position - start);
}

void Lexer::advance() {
  skipBlanks();
  token = Token();
  token.line = line;
  token.begin = position;
  if (position < text.size()) {
    char c = text[position];
    if (isWordStart(c)) {
      lexWord();
    } else if (isdigit((unsigned char)c)) {
      lexNumber();
    } else if (c == '.' && position + 1 < text.size() &&
               isWordStart(text[position + 1])) {
      size_t begin = ++position;
      while (position < text.size() && isWordPart(text[position]))
        ++position;
      token.kind = Token::Directive;
      token.text = text.substr(begin, position - begin);
    } else if (c == '"') {
      size_t close = text.find('"', position + 1);
      close = close == std::string::npos ? text.size() : close;
      token.kind = Token::String;
      token.text = text.substr(position + 1, close - position - 1);
      position = std::min(close + 1, text.size());
    } else {
      token.kind = Token::Punctuation;
      token.punctuation = c;
      ++position;
    }
  }
  token.end = position;
}
