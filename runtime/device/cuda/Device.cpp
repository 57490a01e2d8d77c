//===- Device.cpp - a program on a CUDA device ----------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/cuda/Device.h"

#include <algorithm>
#include <cstdlib>

using namespace moert;
using namespace moert::cuda;

//===----------------------------------------------------------------------===//
// Architectures
//===----------------------------------------------------------------------===//

bool Architecture::parse(const std::string &name, Architecture &result) {
  if (name.rfind("sm_", 0) != 0)
    return false;
  size_t end = name.find_first_not_of("0123456789", 3);
  std::string digits = name.substr(3, end == std::string::npos ? end : end - 3);
  if (digits.empty() || digits.size() > 4)
    return false;
  result.number = std::stoi(digits);
  result.exact = name.substr(3 + digits.size()) == "a";
  return result.exact || name.size() == 3 + digits.size();
}

bool Architecture::runsOn(int major, int minor) const {
  int device = major * 10 + minor;
  return exact ? number == device : number <= device;
}

bool Architecture::isBetterThan(const Architecture &other) const {
  return number != other.number ? number > other.number : exact && !other.exact;
}

//===----------------------------------------------------------------------===//
// Opening
//===----------------------------------------------------------------------===//

Status Device::open(bool emulate, const std::string &arch,
                    std::shared_ptr<Device> &result) {
  if (emulate) {
    // The emulated device poses as the one that is asked for.
    std::string digits;
    for (char c : arch)
      if (c >= '0' && c <= '9')
        digits += c;
    if (!digits.empty())
      setenv("MOE_EMULATED_ARCH", digits.c_str(), /*overwrite=*/1);
  }
  auto device = std::make_shared<Device>();
  Driver &driver = device->driver;
  Status status =
      Driver::open(emulate ? getEmulatorPath() : getDriverPath(), driver);
  if (!status.ok())
    return status;
  int count = 0;
  Result code = driver.cuDeviceGetCount(&count);
  if (code == kSuccess && count == 0)
    return Status(MOE_ERROR_UNSUPPORTED, "the CUDA driver found no device");
  char name[256] = {};
  if (code != kSuccess ||
      (code = driver.cuDeviceGet(&device->number, 0)) != kSuccess ||
      (code = driver.cuDeviceGetName(name, sizeof(name) - 1, device->number)) !=
          kSuccess ||
      (code = driver.cuDeviceGetAttribute(&device->major, kAttributeMajor,
                                          device->number)) != kSuccess ||
      (code = driver.cuDeviceGetAttribute(&device->minor, kAttributeMinor,
                                          device->number)) != kSuccess ||
      (code = driver.cuDevicePrimaryCtxRetain(&device->context,
                                              device->number)) != kSuccess)
    return driver.toStatus(code, "open the CUDA device");
  device->name = name;
  result = std::move(device);
  return Status();
}

Device::~Device() {
  if (!context)
    return;
  // What fails here cannot be helped.
  driver.cuCtxSetCurrent(context);
  for (auto &[data, address] : constants)
    driver.cuMemFree_v2(address);
  if (weights)
    driver.cuMemFree_v2(weights);
  if (module)
    driver.cuModuleUnload(module);
  driver.cuDevicePrimaryCtxRelease_v2(number);
}

Status Device::use() const {
  return driver.toStatus(driver.cuCtxSetCurrent(context),
                         "use the CUDA device");
}

Status Device::choose(const std::vector<std::string> &architectures,
                      const std::string &wanted, std::string &result) const {
  Architecture best;
  std::string list;
  result.clear();
  for (const std::string &name : architectures) {
    list += (list.empty() ? "" : ", ") + name;
    Architecture candidate;
    if (!Architecture::parse(name, candidate) ||
        !candidate.runsOn(major, minor) || (!wanted.empty() && name != wanted))
      continue;
    if (result.empty() || candidate.isBetterThan(best)) {
      best = candidate;
      result = name;
    }
  }
  if (!result.empty())
    return Status();
  std::string device = "device '" + name + "' of compute capability " +
                       std::to_string(major) + "." + std::to_string(minor);
  if (architectures.empty())
    return Status(MOE_ERROR_UNSUPPORTED,
                  "the artifact has no code for devices; compile with "
                  "--target=cpu,sm_80 or like it");
  bool exists = std::find(architectures.begin(), architectures.end(), wanted) !=
                architectures.end();
  if (!wanted.empty() && !exists)
    return Status(MOE_ERROR_UNSUPPORTED, "the artifact has no code for '" +
                                             wanted + "', only for: " + list);
  return Status(MOE_ERROR_UNSUPPORTED,
                device + " runs none of the code of the artifact: " +
                    (wanted.empty() ? list : wanted));
}

//===----------------------------------------------------------------------===//
// Code and weights
//===----------------------------------------------------------------------===//

Status Device::loadImage(const std::string &text, const std::string &what) {
  char log[4096] = {};
  int options[] = {kJITErrorBuffer, kJITErrorBufferBytes};
  void *values[] = {log, reinterpret_cast<void *>(sizeof(log) - 1)};
  Result code =
      driver.cuModuleLoadDataEx(&module, text.c_str(), 2, options, values);
  if (code == kSuccess)
    return Status();
  module = nullptr;
  Status status = driver.toStatus(code, "load " + what);
  std::string message = status.message();
  if (log[0])
    message += ": " + std::string(log);
  if (code == kErrorUnsupportedPTXVersion)
    message += "; update the CUDA driver";
  return Status(status.code(), message);
}

Status Device::load(const KernelImage &image) {
  Status status = use();
  if (!status.ok())
    return status;
  // Machine code serves devices of its own architecture only; PTX serves all.
  if (!image.cubin.empty() &&
      loadImage(image.cubin, "the machine code for " + image.arch).ok())
    return Status();
  return loadImage(image.ptx, "the PTX for " + image.arch);
}

Status Device::setWeights(const void *data, uint64_t bytes) {
  if (bytes == 0)
    return Status();
  Status status = use();
  if (!status.ok())
    return status;
  Result code = driver.cuMemAlloc_v2(&weights, bytes);
  if (code != kSuccess) {
    weights = 0;
    return driver.toStatus(code, "allocate " + std::to_string(bytes) +
                                     " bytes for the weights on device '" +
                                     name + "'");
  }
  return driver.toStatus(driver.cuMemcpyHtoD_v2(weights, data, bytes),
                         "copy the weights to device '" + name + "'");
}

Status Device::getKernel(const char *kernelName, uint64_t shared,
                         Function &result) {
  // Beyond this, a kernel has to ask for dynamic shared memory.
  constexpr uint64_t kAlwaysAllowed = 48 << 10;
  std::lock_guard<std::mutex> lock(mutex);
  Kernel &kernel = kernels[kernelName];
  if (!kernel.function) {
    Result code =
        driver.cuModuleGetFunction(&kernel.function, module, kernelName);
    if (code != kSuccess) {
      kernel.function = nullptr;
      return driver.toStatus(code,
                             std::string("find kernel '") + kernelName + "'");
    }
  }
  if (shared > std::max(kernel.shared, kAlwaysAllowed)) {
    Result code = driver.cuFuncSetAttribute(
        kernel.function, kMaxDynamicSharedBytes, static_cast<int>(shared));
    if (code != kSuccess)
      return driver.toStatus(code, "give kernel '" + std::string(kernelName) +
                                       "' " + std::to_string(shared) +
                                       " bytes of shared memory");
    kernel.shared = shared;
  }
  result = kernel.function;
  return Status();
}

Status Device::getConstant(const void *data, uint64_t bytes, Address &result) {
  std::lock_guard<std::mutex> lock(mutex);
  auto known = constants.find(data);
  if (known != constants.end()) {
    result = known->second;
    return Status();
  }
  Address memory = 0;
  Result code = driver.cuMemAlloc_v2(&memory, std::max<uint64_t>(bytes, 1));
  if (code != kSuccess)
    return driver.toStatus(code, "allocate " + std::to_string(bytes) +
                                     " bytes for a constant");
  constants[data] = memory;
  result = memory;
  return driver.toStatus(driver.cuMemcpyHtoD_v2(memory, data, bytes),
                         "copy a constant to the device");
}
