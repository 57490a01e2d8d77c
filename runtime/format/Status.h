//===- Status.h - the result of a runtime function ------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_FORMAT_STATUS_H
#define RUNTIME_FORMAT_STATUS_H

#include "runtime/moe_runtime.h"

#include <string>
#include <utility>

namespace moert {

/// Success, or an error code and one line that says what was expected and what
/// was found.
class [[nodiscard]] Status {
public:
  Status() = default;
  Status(moe_status_t code, std::string message)
      : errorCode(code), text(std::move(message)) {}

  bool ok() const { return errorCode == MOE_OK; }
  moe_status_t code() const { return errorCode; }
  const std::string &message() const { return text; }

private:
  moe_status_t errorCode = MOE_OK;
  std::string text;
};

/// The text of `errno` after a failed call of the system.
Status systemError(const std::string &action, const std::string &path);

} // namespace moert

#endif // RUNTIME_FORMAT_STATUS_H
