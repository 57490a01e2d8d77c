//===- CodeObject.h - native code from an artifact ------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_CORE_CODEOBJECT_H
#define RUNTIME_CORE_CODEOBJECT_H

#include "runtime/core/DeviceInterface.h"
#include "runtime/core/HostInterface.h"
#include "runtime/format/Status.h"

#include <string>

namespace moert {

/// A shared object that was loaded from memory.
class CodeObject {
public:
  using Main = void (*)(void **inputs, void **outputs);

  CodeObject() = default;
  ~CodeObject();
  CodeObject(const CodeObject &) = delete;
  CodeObject &operator=(const CodeObject &) = delete;

  /// Loads the bytes of an ELF shared object, which must have been checked, and
  /// connects it with the host functions and the weights, and with the device
  /// that it drives unless that is null.
  Status load(const std::string &name, const std::string &elf,
              const MoertHost *host, const unsigned char *weights,
              const MoertDevice *device = nullptr);

  Main getMain() const { return main; }

private:
  Status resolve(const std::string &name, const char *symbol, void *&address);

  void *handle = nullptr;
  /// The file in memory behind the handle.
  int descriptor = -1;
  Main main = nullptr;
};

} // namespace moert

#endif // RUNTIME_CORE_CODEOBJECT_H
