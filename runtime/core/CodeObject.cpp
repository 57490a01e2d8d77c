//===- CodeObject.cpp - native code from an artifact ----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/core/CodeObject.h"

#include <cerrno>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace moert;

CodeObject::~CodeObject() {
  if (handle)
    dlclose(handle);
  if (descriptor >= 0)
    close(descriptor);
}

static Status writeAll(int descriptor, const std::string &bytes,
                       const std::string &name) {
  for (size_t done = 0; done < bytes.size();) {
    ssize_t piece = write(descriptor, bytes.data() + done, bytes.size() - done);
    if (piece < 0 && errno == EINTR)
      continue;
    if (piece < 0)
      return systemError("write the code object", name);
    done += piece;
  }
  return Status();
}

Status CodeObject::resolve(const std::string &name, const char *symbol,
                           void *&address) {
  address = dlsym(handle, symbol);
  if (address)
    return Status();
  return Status(MOE_ERROR_ARTIFACT,
                "code object '" + name + "' does not define '" + symbol + "'");
}

Status CodeObject::load(const std::string &name, const std::string &elf,
                        const MoertHost *host, const unsigned char *weights,
                        const MoertDevice *device) {
  // It stays open as long as the code is loaded: the path below has its number,
  // and for a path that it has seen, dlopen returns what it loaded before.
  descriptor =
      memfd_create(("moe " + name).c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (descriptor < 0)
    return systemError("create memory for code object", name);
  Status status = writeAll(descriptor, elf, name);
  if (!status.ok())
    return status;
  // What was checked is what runs.
  if (fcntl(descriptor, F_ADD_SEALS,
            F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return systemError("seal the memory of code object", name);

  std::string path = "/proc/self/fd/" + std::to_string(descriptor);
  handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char *reason = dlerror();
    return Status(MOE_ERROR_ARTIFACT, "cannot load code object '" + name +
                                          "': " + (reason ? reason : ""));
  }

  void *hostAddress, *weightsAddress, *mainAddress;
  if (!(status = resolve(name, "moert_host", hostAddress)).ok() ||
      !(status = resolve(name, "moert_weights", weightsAddress)).ok() ||
      !(status = resolve(name, "moert_main", mainAddress)).ok())
    return status;
  if (device) {
    void *deviceAddress;
    if (!(status = resolve(name, "moert_device", deviceAddress)).ok())
      return status;
    *static_cast<const MoertDevice **>(deviceAddress) = device;
  }
  *static_cast<const MoertHost **>(hostAddress) = host;
  *static_cast<const unsigned char **>(weightsAddress) = weights;
  main = reinterpret_cast<Main>(mainAddress);
  return Status();
}
