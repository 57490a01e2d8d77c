//===- Commands.h - the commands of moec ----------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_TOOLS_MOEC_COMMANDS_H
#define COMPILER_TOOLS_MOEC_COMMANDS_H

#include <string>

namespace CLI {
class App;
} // namespace CLI

// Each adds its command; the work happens in the command's callback, which ends
// an unsuccessful one by CLI::RuntimeError after printing why.
void addBenchCommand(CLI::App &app);
void addCompileCommand(CLI::App &app);
void addExplainCommand(CLI::App &app);
void addGenerateCommand(CLI::App &app);
void addInspectCommand(CLI::App &app);
void addPlanCommand(CLI::App &app);
void addRoutingCommand(CLI::App &app);
void addRunCommand(CLI::App &app);
void addVerifyCommand(CLI::App &app);

/// Prints "moec: error: MESSAGE" and leaves the command with exit status 1.
[[noreturn]] void exitWithError(const std::string &message);

#endif // COMPILER_TOOLS_MOEC_COMMANDS_H
