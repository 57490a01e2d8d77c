//===- Tokenizer.cpp - texts as token ids ---------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/Tokenizer.h"

#include "compiler/tools/moec/Commands.h"
#include "compiler/tools/moec/Coprocess.h"
#include "compiler/tools/moec/Resources.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <limits>

namespace json = llvm::json;

namespace {

class ByteTokenizer : public Tokenizer {
public:
  std::vector<int64_t> encode(const std::string &text) override {
    std::vector<int64_t> ids;
    for (unsigned char byte : text)
      ids.push_back(byte);
    return ids;
  }
  std::string step(int64_t token) override {
    return std::string(1, static_cast<char>(token));
  }
  std::optional<int64_t> find(const std::string &token) override {
    if (token.size() != 1)
      return std::nullopt;
    return static_cast<unsigned char>(token.front());
  }
  size_t getVocabulary() const override { return 256; }
};

class NumberTokenizer : public Tokenizer {
public:
  std::vector<int64_t> encode(const std::string &text) override {
    llvm::SmallVector<llvm::StringRef> parts;
    llvm::StringRef(text).split(parts, ',');
    std::vector<int64_t> ids;
    for (llvm::StringRef part : parts) {
      int64_t id;
      if (part.trim().getAsInteger(10, id) || id < 0)
        exitWithError("expected token ids such as 1,2,3, got '" + text + "'");
      ids.push_back(id);
    }
    return ids;
  }
  std::string step(int64_t token) override {
    return "," + std::to_string(token);
  }
  std::optional<int64_t> find(const std::string &) override {
    return std::nullopt;
  }
  size_t getVocabulary() const override {
    return std::numeric_limits<size_t>::max();
  }
};

class FileTokenizer : public Tokenizer {
public:
  FileTokenizer(const std::string &path, const std::string &python)
      : process(python, {"-c", std::string(kTokenizerScript), path}) {
    json::Object answer = receive();
    if (auto message = answer.getString("error"))
      exitWithError(message->str());
    vocabulary = answer.getInteger("vocabulary").value_or(0);
  }

  std::vector<int64_t> encode(const std::string &text) override {
    if (!json::isUTF8(text))
      exitWithError("expected a prompt in UTF-8");
    json::Object answer = ask("encode", text);
    std::vector<int64_t> ids;
    if (const json::Array *list = answer.getArray("ids"))
      for (const json::Value &id : *list)
        ids.push_back(id.getAsInteger().value_or(0));
    return ids;
  }
  std::string step(int64_t token) override {
    return ask("step", token).getString("text").value_or("").str();
  }
  std::optional<int64_t> find(const std::string &token) override {
    return ask("find", json::fixUTF8(token)).getInteger("id");
  }
  size_t getVocabulary() const override { return vocabulary; }

private:
  json::Object ask(llvm::StringRef what, json::Value value) {
    json::Value request = json::Object{{what, std::move(value)}};
    std::string line;
    llvm::raw_string_ostream(line) << request << '\n';
    process.send(line);
    return receive();
  }

  json::Object receive() {
    std::string line = process.receiveLine();
    llvm::Expected<json::Value> answer = json::parse(line);
    if (answer)
      if (json::Object *object = answer->getAsObject())
        return std::move(*object);
    llvm::consumeError(answer.takeError());
    exitWithError("the tokenizer process failed" +
                  (line.empty() ? "" : ": " + line));
  }

  Coprocess process;
  size_t vocabulary = 0;
};

} // namespace

std::unique_ptr<Tokenizer> makeByteTokenizer() {
  return std::make_unique<ByteTokenizer>();
}

std::unique_ptr<Tokenizer> makeNumberTokenizer() {
  return std::make_unique<NumberTokenizer>();
}

std::unique_ptr<Tokenizer> makeFileTokenizer(const std::string &path,
                                             const std::string &python) {
  return std::make_unique<FileTokenizer>(path, python);
}
