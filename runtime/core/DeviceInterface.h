//===- DeviceInterface.h - what host code asks of a device ----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The binary interface between the code object of a device's section, which is
// code for the host that launches kernels, and the runtime. Plain C, included
// by both sides; the compiler emits the same layout.
//
// Besides what runtime/core/HostInterface.h lists, such a code object exports
//
//   const MoertDevice *moert_device;        set by the loader before any call
//
// The functions may be called on the thread that called moert_main only. Work
// on the device is done in the order of the calls. An error of the device ends
// the run as MoertHost::fail does: the functions do not return then.
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_CORE_DEVICEINTERFACE_H
#define RUNTIME_CORE_DEVICEINTERFACE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  /* Returns the address of `bytes` bytes in the memory of the device, aligned
     to 256. The memory lives until `release` or the end of the run. */
  void *(*allocate)(uint64_t bytes);
  /* Gives back memory from `allocate`; null is ignored. */
  void (*release)(void *memory);
  /* Copies from the host to the device; `from` may change after the call. */
  void (*write)(void *to, const void *from, uint64_t bytes);
  /* Copies from the device to the host, after all work before. */
  void (*read)(void *to, const void *from, uint64_t bytes);
  /* Copies within the device. */
  void (*copy)(void *to, const void *from, uint64_t bytes);
  /* The device's copy of `bytes` bytes of static read-only data of the code
     object; it is made once for each program. */
  void *(*constant)(const void *data, uint64_t bytes);
  /* The weights section in the memory of the device. */
  const void *(*weights)(void);
  /* The record of failed assertions in the memory of the device: the address of
     a static message of the code object, 0 before the first failure, and the
     offending number, each of 64 bits. */
  void *(*failure)(void);
  /* Launches the kernel called `name`, a static string, on `blocks` blocks of
     `threads` threads with `shared` bytes of dynamic shared memory each;
     `arguments[i]` points to the i-th argument. No blocks: does nothing. */
  void (*launch)(const char *name, uint64_t blocks, uint64_t threads,
                 uint64_t shared, void **arguments);
} MoertDevice;

#ifdef __cplusplus
}
#endif

#endif /* RUNTIME_CORE_DEVICEINTERFACE_H */
