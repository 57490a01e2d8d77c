//===- Driver.cpp - the entry points of the CUDA driver -------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/cuda/Driver.h"

#include "runtime/device/cuda/SharedLibrary.h"

#include <cstdlib>
#include <dlfcn.h>

using namespace moert;
using namespace moert::cuda;

/// Of CUDA 12.0, the first that knows PTX for sm_90a.
static constexpr int kOldestDriver = 12000;

static std::string formatVersion(int version) {
  return std::to_string(version / 1000) + "." +
         std::to_string(version % 1000 / 10);
}

Status Driver::open(const std::string &library, Driver &result) {
  SharedLibrary file("CUDA driver", library,
                     "install one, or run with the device 'cpu'");
#define X(name, parameters) file.resolve(#name, result.name);
  MOERT_CUDA_ENTRIES(X)
#undef X
  if (!file.getStatus().ok())
    return file.getStatus();

  Result code = result.cuInit(0);
  if (code == kErrorNoDevice)
    return Status(MOE_ERROR_UNSUPPORTED,
                  "the CUDA driver '" + library + "' found no device");
  if (code != kSuccess)
    return result.toStatus(code, "initialise the CUDA driver");
  int version = 0;
  if ((code = result.cuDriverGetVersion(&version)) != kSuccess)
    return result.toStatus(code, "read the version of the CUDA driver");
  if (version < kOldestDriver)
    return Status(MOE_ERROR_UNSUPPORTED,
                  "expected a CUDA driver for version " +
                      formatVersion(kOldestDriver) + " or newer, got " +
                      formatVersion(version) + "; update the driver");
  return Status();
}

Status Driver::toStatus(Result result, const std::string &doing) const {
  if (result == kSuccess)
    return Status();
  const char *name = nullptr, *text = nullptr;
  cuGetErrorName(result, &name);
  cuGetErrorString(result, &text);
  std::string message = "cannot " + doing + ": ";
  message += name ? name : "error " + std::to_string(result);
  if (text)
    message += std::string(" (") + text + ")";
  return Status(result == kErrorOutOfMemory ? MOE_ERROR_OUT_OF_MEMORY
                                            : MOE_ERROR_RUN,
                message);
}

std::string cuda::getDriverPath() {
  const char *override = std::getenv("MOE_LIBCUDA");
  return override && *override ? override : "libcuda.so.1";
}

std::string cuda::getEmulatorPath() {
  constexpr char kName[] = "libmoe_emulated_cuda.so";
  if (const char *override = std::getenv("MOE_LIBCUDA"))
    if (*override)
      return override;
  Dl_info info;
  if (!dladdr(reinterpret_cast<void *>(&getEmulatorPath), &info))
    return kName;
  std::string path = info.dli_fname;
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? kName : path.substr(0, slash + 1) + kName;
}
