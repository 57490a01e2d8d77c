//===- Coprocess.h - a program that answers line by line ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_TOOLS_MOEC_COPROCESS_H
#define COMPILER_TOOLS_MOEC_COPROCESS_H

#include <string>
#include <sys/types.h>
#include <vector>

/// A running program whose standard input and output are one connection; it
/// ends when the connection does.
class Coprocess {
public:
  /// Finds `program` as a shell would. Ends the command if it does not start.
  Coprocess(const std::string &program,
            const std::vector<std::string> &arguments);
  ~Coprocess();
  Coprocess(const Coprocess &) = delete;
  Coprocess &operator=(const Coprocess &) = delete;

  /// What the program no longer reads is dropped.
  void send(const std::string &text);
  /// The next line, without its end; what there is if the program ends first.
  std::string receiveLine();

private:
  int connection = -1;
  pid_t process = -1;
  /// What was received beyond the last line.
  std::string received;
};

#endif // COMPILER_TOOLS_MOEC_COPROCESS_H
