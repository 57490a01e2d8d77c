//===- Program.h - an open artifact ---------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_CORE_PROGRAM_H
#define RUNTIME_CORE_PROGRAM_H

#include "runtime/comm/Communicator.h"
#include "runtime/core/CodeObject.h"
#include "runtime/core/Manifest.h"
#include "runtime/core/Weights.h"
#include "runtime/device/cuda/Device.h"

#include <memory>

namespace moert {

/// Code and weights of an artifact; nothing in it changes after `open`.
class Program {
public:
  struct Options {
    bool verifyWeights = true;
    moe_weights_mode_t weightsMode = MOE_WEIGHTS_READ;
    /// Empty: the highest level that this machine supports, or what suits the
    /// device best.
    std::string isa;
    enum class Target { CPU, CUDA, Emulated };
    Target target = Target::CPU;
    /// Of a program for several ranks: the others, and which one this is.
    std::shared_ptr<Communicator> communicator;
  };

  static Status open(const std::string &path, const Options &options,
                     std::shared_ptr<const Program> &result);

  const Manifest &getManifest() const { return manifest; }
  const std::string &getManifestText() const { return manifestText; }
  const std::string &getIsa() const { return isa; }
  CodeObject::Main getMain() const { return code.getMain(); }
  /// Null if the program runs on the CPU.
  const std::shared_ptr<cuda::Device> &getDevice() const { return device; }
  /// Null if the program runs on one rank.
  const std::shared_ptr<Communicator> &getCommunicator() const {
    return communicator;
  }

private:
  Status chooseDeviceCode(const Reader &reader, const Options &options,
                          const Section *&result);
  Status loadOnDevice(const Reader &reader);
  Status joinRanks(const std::string &path, const Options &options);
  Status chooseCode(const Reader &reader, std::string wanted,
                    const Section *&result);

  std::string manifestText;
  Manifest manifest;
  std::string isa;
  // Code goes before the weights that it points to.
  Weights weights;
  CodeObject code;
  std::shared_ptr<cuda::Device> device;
  std::shared_ptr<Communicator> communicator;
};

} // namespace moert

#endif // RUNTIME_CORE_PROGRAM_H
