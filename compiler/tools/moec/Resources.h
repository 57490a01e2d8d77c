//===- Resources.h - files inside the program -----------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_TOOLS_MOEC_RESOURCES_H
#define COMPILER_TOOLS_MOEC_RESOURCES_H

#include <string_view>

/// plan.html
extern const std::string_view kPlanPage;

/// tokenizer.py
extern const std::string_view kTokenizerScript;

/// What HTML pages are made of: d3, pages/page.css, pages/parts.js,
/// pages/inspect.js and pages/routing.js.
extern const std::string_view kD3Script;
extern const std::string_view kPageStyle;
extern const std::string_view kPartsScript;
extern const std::string_view kInspectScript;
extern const std::string_view kRoutingScript;

#endif // COMPILER_TOOLS_MOEC_RESOURCES_H
