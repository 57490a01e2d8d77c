//===- HtmlPage.h - pages with pictures -----------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_TOOLS_MOEC_HTMLPAGE_H
#define COMPILER_TOOLS_MOEC_HTMLPAGE_H

#include "llvm/Support/JSON.h"

#include <string>
#include <string_view>
#include <vector>

/// One page that needs nothing else: `scripts`, from Resources.h, draw `data`.
struct HtmlPage {
  std::string title;
  std::string subtitle;
  llvm::json::Value data;
  std::vector<std::string_view> scripts;
};

/// Writes to the file `path`, or to standard output if it is "-". Ends the
/// command if that fails.
void writeHtmlPage(const HtmlPage &page, const std::string &path);

namespace CLI {
class App;
} // namespace CLI

/// Adds `--html [FILE]`; without a value it is "-".
void addHtmlOption(CLI::App &command, std::string &html);

#endif // COMPILER_TOOLS_MOEC_HTMLPAGE_H
