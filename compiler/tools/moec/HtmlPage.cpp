//===- HtmlPage.cpp - pages with pictures ---------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/HtmlPage.h"

#include "compiler/tools/moec/Commands.h"
#include "compiler/tools/moec/Resources.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

static std::string escape(llvm::StringRef text) {
  std::string result;
  llvm::raw_string_ostream stream(result);
  llvm::printHTMLEscaped(text, stream);
  return llvm::json::fixUTF8(result);
}

/// JSON that does not end the script in which it stands.
static std::string formatData(const llvm::json::Value &data) {
  std::string text = llvm::formatv("{0}", data).str();
  for (size_t place = 0; (place = text.find('<', place)) != std::string::npos;)
    text.replace(place, 1, "\\u003c");
  return text;
}

static void print(const HtmlPage &page, llvm::raw_ostream &stream) {
  auto view = [](std::string_view text) {
    return llvm::StringRef(text.data(), text.size());
  };
  stream << "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
         << "<meta charset=\"utf-8\">\n<title>" << escape(page.title)
         << "</title>\n<style>\n"
         << view(kPageStyle) << "</style>\n</head>\n<body>\n<header><h1>"
         << escape(page.title) << "</h1><p>" << escape(page.subtitle)
         << "</p></header>\n<main></main>\n<script>" << view(kD3Script)
         << "</script>\n<script>\nconst data = " << formatData(page.data)
         << ";\n"
         << view(kPartsScript);
  for (std::string_view script : page.scripts)
    stream << view(script);
  stream << "</script>\n</body>\n</html>\n";
}

void writeHtmlPage(const HtmlPage &page, const std::string &path) {
  if (path == "-") {
    print(page, llvm::outs());
    return;
  }
  llvm::Error error = llvm::writeToOutput(path, [&](llvm::raw_ostream &stream) {
    print(page, stream);
    return llvm::Error::success();
  });
  if (error)
    exitWithError("cannot write '" + path +
                  "': " + llvm::toString(std::move(error)));
}

void addHtmlOption(CLI::App &command, std::string &html) {
  command
      .add_option("--html", html,
                  "write a page with pictures to a file (without a name: to "
                  "standard output)")
      ->expected(0, 1)
      ->default_str("-");
}
