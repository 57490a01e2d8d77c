//===- Device.h - a program on a CUDA device ------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_CUDA_DEVICE_H
#define RUNTIME_DEVICE_CUDA_DEVICE_H

#include "runtime/device/cuda/Driver.h"

#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace moert::cuda {

/// Code for one architecture, in two forms.
struct KernelImage {
  /// Such as "sm_80".
  std::string arch;
  std::string ptx;
  /// Machine code, or empty.
  std::string cubin;
};

/// Which code a device can run.
class Architecture {
public:
  /// False if `name` is none, such as "x86-64".
  static bool parse(const std::string &name, Architecture &result);

  /// Code for `sm_80` runs on every later device (its PTX, at least), code for
  /// `sm_90a` on devices of 9.0 only.
  bool runsOn(int major, int minor) const;
  bool isBetterThan(const Architecture &other) const;

private:
  int number = 0;
  bool exact = false;
};

/// A device with the kernels and the weights of one program. Several sessions
/// use it at the same time.
class Device {
public:
  /// Takes the first device; with `emulate` the one in this process, which
  /// poses as one of the architecture `arch` unless that is empty.
  static Status open(bool emulate, const std::string &arch,
                     std::shared_ptr<Device> &result);
  ~Device();

  /// Picks the best of `architectures` for this device, or `wanted`.
  Status choose(const std::vector<std::string> &architectures,
                const std::string &wanted, std::string &result) const;

  Status load(const KernelImage &image);
  Status setWeights(const void *data, uint64_t bytes);

  const Driver &getDriver() const { return driver; }
  Address getWeights() const { return weights; }
  /// Makes the device the one of the calling thread.
  Status use() const;

  /// The kernel called `name`, a static string. Dynamic shared memory of at
  /// most `shared` bytes is allowed.
  Status getKernel(const char *name, uint64_t shared, Function &result);
  /// The device's copy of static data.
  Status getConstant(const void *data, uint64_t bytes, Address &result);

private:
  struct Kernel {
    Function function = nullptr;
    uint64_t shared = 0;
  };

  Status loadImage(const std::string &text, const std::string &what);

  Driver driver;
  DeviceNumber number = 0;
  int major = 0, minor = 0;
  std::string name;
  Context context = nullptr;
  Module module = nullptr;
  Address weights = 0;
  std::mutex mutex;
  std::unordered_map<const void *, Kernel> kernels;
  std::unordered_map<const void *, Address> constants;
};

} // namespace moert::cuda

#endif // RUNTIME_DEVICE_CUDA_DEVICE_H
