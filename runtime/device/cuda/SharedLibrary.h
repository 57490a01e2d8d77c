//===- SharedLibrary.h - libraries that are opened at run time -------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_CUDA_SHAREDLIBRARY_H
#define RUNTIME_DEVICE_CUDA_SHAREDLIBRARY_H

#include "runtime/format/Status.h"

#include <dlfcn.h>
#include <string>
#include <type_traits>

namespace moert::cuda {

/// A library that is opened once and never closed: it has threads of its own.
/// Collects the first error.
class SharedLibrary {
public:
  /// `name` is what users know the library as, `advice` what they can do
  /// without it.
  SharedLibrary(const std::string &name, const std::string &path,
                const std::string &advice)
      : name(name), path(path),
        handle(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (handle)
      return;
    const char *reason = dlerror();
    status = Status(MOE_ERROR_UNSUPPORTED,
                    "found no " + name + ": " +
                        std::string(reason ? reason : path) + "; " + advice);
  }

  /// Stores the function called `symbol`.
  template <typename Function>
  void resolve(const char *symbol, Function &result) {
    if (!status.ok())
      return;
    result = reinterpret_cast<Function>(dlsym(handle, symbol));
    if (!result)
      status = Status(MOE_ERROR_UNSUPPORTED, "the " + name + " '" + path +
                                                 "' is too old: it has no '" +
                                                 symbol + "'");
  }

  const Status &getStatus() const { return status; }

private:
  std::string name, path;
  void *handle;
  Status status;
};

} // namespace moert::cuda

#endif // RUNTIME_DEVICE_CUDA_SHAREDLIBRARY_H
