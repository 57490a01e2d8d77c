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

#endif // COMPILER_TOOLS_MOEC_RESOURCES_H
