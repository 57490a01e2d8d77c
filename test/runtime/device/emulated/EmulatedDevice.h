//===- EmulatedDevice.h - runs kernels on the emulated device ---*- C++ -*-===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TEST_RUNTIME_DEVICE_EMULATED_EMULATEDDEVICE_H
#define TEST_RUNTIME_DEVICE_EMULATED_EMULATEDDEVICE_H

#include "runtime/device/emulated/driver/Device.h"

#include <gtest/gtest.h>

#include <cstring>

// The entries that the tests call.
extern "C" {
CUresult cuInit(unsigned);
CUresult cuModuleLoadData(CUmodule *, const void *);
CUresult cuModuleUnload(CUmodule);
CUresult cuModuleGetFunction(CUfunction *, CUmodule, const char *);
CUresult cuModuleGetGlobal_v2(CUdeviceptr *, size_t *, CUmodule, const char *);
CUresult cuFuncSetAttribute(CUfunction, int, int);
CUresult cuFuncGetAttribute(int *, int, CUfunction);
CUresult cuMemAlloc_v2(CUdeviceptr *, size_t);
CUresult cuMemFree_v2(CUdeviceptr);
CUresult cuMemHostAlloc(void **, size_t, unsigned);
CUresult cuMemFreeHost(void *);
CUresult cuMemcpyHtoD_v2(CUdeviceptr, const void *, size_t);
CUresult cuMemcpyDtoH_v2(void *, CUdeviceptr, size_t);
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr, const void *, size_t, CUstream);
CUresult cuMemcpyDtoHAsync_v2(void *, CUdeviceptr, size_t, CUstream);
CUresult cuMemsetD8_v2(CUdeviceptr, unsigned char, size_t);
CUresult cuMemsetD32_v2(CUdeviceptr, unsigned, size_t);
CUresult cuStreamCreate(CUstream *, unsigned);
CUresult cuStreamDestroy_v2(CUstream);
CUresult cuStreamSynchronize(CUstream);
CUresult cuStreamWaitEvent(CUstream, CUevent, unsigned);
CUresult cuStreamBeginCapture_v2(CUstream, int);
CUresult cuStreamEndCapture(CUstream, CUgraph *);
CUresult cuEventCreate(CUevent *, unsigned);
CUresult cuEventRecord(CUevent, CUstream);
CUresult cuEventDestroy_v2(CUevent);
CUresult cuGraphInstantiateWithFlags(CUgraphExec *, CUgraph,
                                     unsigned long long);
CUresult cuGraphLaunch(CUgraphExec, CUstream);
CUresult cuGraphDestroy(CUgraph);
CUresult cuGraphExecDestroy(CUgraphExec);
CUresult cuCtxSynchronize();
CUresult cuLaunchKernel(CUfunction, unsigned, unsigned, unsigned, unsigned,
                        unsigned, unsigned, unsigned, CUstream, void **,
                        void **);
CUresult cuTensorMapEncodeTiled(void *, int, uint32_t, void *, const uint64_t *,
                                const uint64_t *, const uint32_t *,
                                const uint32_t *, int, int, int, int);
}

namespace emulated {

/// Memory of the device with the values of `T`.
template <typename T> class Buffer {
public:
  explicit Buffer(const std::vector<T> &values) : count(values.size()) {
    EXPECT_EQ(cuMemAlloc_v2(&address, count * sizeof(T)), CUDA_SUCCESS);
    EXPECT_EQ(cuMemcpyHtoD_v2(address, values.data(), count * sizeof(T)),
              CUDA_SUCCESS);
  }
  ~Buffer() { cuMemFree_v2(address); }
  Buffer(const Buffer &) = delete;

  std::vector<T> read() const {
    std::vector<T> values(count);
    EXPECT_EQ(cuMemcpyDtoH_v2(values.data(), address, count * sizeof(T)),
              CUDA_SUCCESS)
        << Device::get().report;
    return values;
  }

  CUdeviceptr address = 0;
  size_t count;
};

/// A launch of one dimension.
struct Shape {
  unsigned grid = 1, block = 32, shared = 0;
};

class EmulatedDevice : public testing::Test {
protected:
  void SetUp() override {
    setenv("MOE_EMULATED_QUIET", "1", 1);
    Device &device = Device::get();
    device.options = Options();
    device.options.numThreads = 2;
    device.architecture = 90;
    device.report.clear();
    ASSERT_EQ(cuInit(0), CUDA_SUCCESS);
    device.stickyError = CUDA_SUCCESS;
  }
  void TearDown() override {
    Device::get().stickyError = CUDA_SUCCESS;
    for (CUmodule module : modules)
      cuModuleUnload(module);
  }

  static void check() {
    Device::get().options.isChecked = true;
    Device::get().options.order = AsyncOrder::Late;
  }

  /// A module; `body` gets the lines that name version and target.
  CUfunction load(const std::string &body, const char *name,
                  const char *target = "sm_80") {
    std::string text = std::string(".version 8.6\n.target ") + target +
                       "\n.address_size 64\n" + body;
    return loadText(text, name);
  }
  CUfunction loadText(const std::string &text, const char *name) {
    CUmodule module = nullptr;
    CUfunction function = nullptr;
    EXPECT_EQ(cuModuleLoadData(&module, text.c_str()), CUDA_SUCCESS)
        << Device::get().report;
    if (!module)
      return nullptr;
    modules.push_back(module);
    EXPECT_EQ(cuModuleGetFunction(&function, module, name), CUDA_SUCCESS);
    return function;
  }

  template <typename... Arguments>
  static CUresult launchIn(CUstream stream, CUfunction function, Shape shape,
                           Arguments... arguments) {
    void *pointers[] = {&arguments..., nullptr};
    return cuLaunchKernel(function, shape.grid, 1, 1, shape.block, 1, 1,
                          shape.shared, stream, pointers, nullptr);
  }

  /// Runs a kernel to its end; the result is that of the wait.
  template <typename... Arguments>
  static CUresult run(CUfunction function, Shape shape,
                      Arguments... arguments) {
    if (!function)
      return CUDA_ERROR_INVALID_HANDLE;
    if (CUresult error = launchIn(nullptr, function, shape, arguments...))
      return error;
    return cuCtxSynchronize();
  }

  static std::string report() { return Device::get().report; }

  std::vector<CUmodule> modules;
};

} // namespace emulated

#endif // TEST_RUNTIME_DEVICE_EMULATED_EMULATEDDEVICE_H
