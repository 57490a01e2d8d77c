//===- LaunchEntries.cpp - driver entries: launches -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/driver/Device.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>

using namespace emulated;

static CUresult toResult(FaultKind kind) {
  switch (kind) {
  case FaultKind::None:
    return CUDA_SUCCESS;
  case FaultKind::IllegalAddress:
    return CUDA_ERROR_ILLEGAL_ADDRESS;
  case FaultKind::Misaligned:
    return CUDA_ERROR_MISALIGNED_ADDRESS;
  case FaultKind::Deadlock:
  case FaultKind::Timeout:
    return CUDA_ERROR_LAUNCH_TIMEOUT;
  default:
    return CUDA_ERROR_LAUNCH_FAILED;
  }
}

static std::string toText(const uint32_t *extents) {
  return std::to_string(extents[0]) + "x" + std::to_string(extents[1]) + "x" +
         std::to_string(extents[2]);
}

/// What the device refuses; empty if the launch is possible.
static std::string findProblem(const Device &device,
                               const LoadedFunction &function,
                               const Launch &launch) {
  const Program &program = *function.program;
  for (const uint32_t *extents : {launch.grid, launch.block})
    if (!extents[0] || !extents[1] || !extents[2])
      return "expected at least one thread and one block, got a grid of " +
             toText(launch.grid) + " and blocks of " + toText(launch.block);
  uint64_t threads =
      (uint64_t)launch.block[0] * launch.block[1] * launch.block[2];
  uint64_t limit = program.maxThreads ? program.maxThreads : 1024;
  if (threads > std::min<uint64_t>(limit, 1024))
    return "expected at most " + std::to_string(limit) +
           " threads in a block, got " + std::to_string(threads);
  if (program.requiredThreads[0] &&
      !std::equal(launch.block, launch.block + 3, program.requiredThreads))
    return "expected blocks of " + toText(program.requiredThreads) + ", got " +
           toText(launch.block);
  if (launch.grid[1] > 65535 || launch.grid[2] > 65535)
    return "expected at most 65535 blocks along y and z, got a grid of " +
           toText(launch.grid);
  if (launch.dynamicShared > function.maxDynamicShared)
    return "expected at most " + std::to_string(function.maxDynamicShared) +
           " bytes of dynamic shared memory (cuFuncSetAttribute), got " +
           std::to_string(launch.dynamicShared);
  uint64_t shared = (uint64_t)program.dynamicOffset - program.sharedBase +
                    launch.dynamicShared;
  if (shared > device.getMaxShared())
    return "expected at most " + std::to_string(device.getMaxShared()) +
           " bytes of shared memory, got " + std::to_string(shared);
  for (unsigned i = 0; i < 3; ++i)
    if (!launch.cluster[i] || launch.grid[i] % launch.cluster[i])
      return "expected a grid of whole clusters of " + toText(launch.cluster) +
             ", got " + toText(launch.grid);
  if (launch.getClusterSize() > 8)
    return "expected at most 8 blocks in a cluster, got " +
           toText(launch.cluster);
  if (launch.getClusterSize() > 1 && device.architecture < 90)
    return "clusters need sm_90";
  if (program.parameterBytes > sizeof launch.parameters)
    return "expected at most " + std::to_string(sizeof launch.parameters) +
           " bytes of parameters, got " +
           std::to_string(program.parameterBytes);
  return "";
}

/// Reads the parameters from an array of pointers or from one buffer.
static bool readParameters(Launch &launch, void **parameters, void **extra) {
  const Program &program = launch.program;
  if (parameters) {
    for (size_t i = 0; i < program.parameters.size(); ++i) {
      const ParameterSlot &slot = program.parameters[i];
      memcpy(launch.parameters + slot.offset, parameters[i], slot.size);
    }
    return true;
  }
  const void *buffer = nullptr;
  size_t size = 0;
  for (size_t i = 0; extra && extra[i]; i += 2) {
    if (extra[i] ==
        reinterpret_cast<void *>(1)) // CU_LAUNCH_PARAM_BUFFER_POINTER
      buffer = extra[i + 1];
    if (extra[i] == reinterpret_cast<void *>(2)) // CU_LAUNCH_PARAM_BUFFER_SIZE
      size = *static_cast<size_t *>(extra[i + 1]);
  }
  if (buffer)
    memcpy(launch.parameters, buffer,
           std::min<size_t>(size, sizeof launch.parameters));
  return buffer || program.parameters.empty();
}

/// Appends an object of JSON on a line of its own.
static void appendReport(const char *path, const Launch &launch) {
  std::ofstream file(path, std::ios::app);
  file << "{\"kernel\": \"" << launch.program.name << "\", \"grid\": ["
       << launch.grid[0] << ", " << launch.grid[1] << ", " << launch.grid[2]
       << "], \"block\": [" << launch.block[0] << ", " << launch.block[1]
       << ", " << launch.block[2]
       << "], \"warpInstructions\": " << launch.counters.warpInstructions
       << ", \"laneInstructions\": " << launch.counters.laneInstructions
       << ", \"memory\": " << launch.accesses.toJson() << "}\n";
}

static CUresult run(Device &device, Launch &launch) {
  launch.memory = &device.memory;
  launch.options = device.options;
  launch.run();
  if (const char *path = getenv("MOE_EMULATED_REPORT"))
    appendReport(path, launch);
  if (launch.fault.kind == FaultKind::None)
    return CUDA_SUCCESS;
  return device.fail(toResult(launch.fault.kind), launch.fault.message);
}

EMULATED_CUDA_API cuLaunchKernelEx(const CUlaunchConfig *config,
                                   CUfunction function, void **parameters,
                                   void **extra) {
  EMULATED_ENTER();
  const Program &program = *function->program;
  auto launch = std::make_shared<Launch>(program);
  const uint32_t grid[] = {config->gridDimX, config->gridDimY,
                           config->gridDimZ};
  const uint32_t block[] = {config->blockDimX, config->blockDimY,
                            config->blockDimZ};
  std::copy_n(grid, 3, launch->grid);
  std::copy_n(block, 3, launch->block);
  launch->dynamicShared = config->sharedMemBytes;
  if (program.clusterSize[0])
    std::copy_n(program.clusterSize, 3, launch->cluster);
  for (unsigned i = 0; i < config->numAttrs; ++i) {
    const CUlaunchAttribute &attribute = config->attrs[i];
    if (attribute.id != CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)
      continue;
    launch->cluster[0] = attribute.value.clusterDim.x;
    launch->cluster[1] = attribute.value.clusterDim.y;
    launch->cluster[2] = attribute.value.clusterDim.z;
  }
  std::string problem = findProblem(device, *function, *launch);
  if (problem.empty() && !readParameters(*launch, parameters, extra))
    problem = "expected parameters";
  if (!problem.empty())
    return device.fail(CUDA_ERROR_INVALID_VALUE,
                       "launch of kernel '" + program.name + "': " + problem);
  bool isCaptured = device.getStream(config->hStream)->capture;
  return device.enqueue(config->hStream, [&device, launch, isCaptured] {
    if (!isCaptured)
      return run(device, *launch);
    // A graph may run the launch many times: each run counts anew.
    auto again = std::make_shared<Launch>(launch->program);
    std::copy_n(launch->grid, 3, again->grid);
    std::copy_n(launch->block, 3, again->block);
    std::copy_n(launch->cluster, 3, again->cluster);
    again->dynamicShared = launch->dynamicShared;
    memcpy(again->parameters, launch->parameters, sizeof launch->parameters);
    return run(device, *again);
  });
}

EMULATED_CUDA_API cuLaunchKernel(CUfunction function, unsigned gridX,
                                 unsigned gridY, unsigned gridZ,
                                 unsigned blockX, unsigned blockY,
                                 unsigned blockZ, unsigned sharedBytes,
                                 CUstream stream, void **parameters,
                                 void **extra) {
  CUlaunchConfig config = {gridX,  gridY,       gridZ,  blockX,  blockY,
                           blockZ, sharedBytes, stream, nullptr, 0};
  return cuLaunchKernelEx(&config, function, parameters, extra);
}

EMULATED_CUDA_API
cuLaunchCooperativeKernel(CUfunction function, unsigned gridX, unsigned gridY,
                          unsigned gridZ, unsigned blockX, unsigned blockY,
                          unsigned blockZ, unsigned sharedBytes,
                          CUstream stream, void **parameters) {
  return cuLaunchKernel(function, gridX, gridY, gridZ, blockX, blockY, blockZ,
                        sharedBytes, stream, parameters, nullptr);
}

EMULATED_CUDA_API cuOccupancyMaxActiveBlocksPerMultiprocessor(
    int *numBlocks, CUfunction function, int blockSize, size_t dynamicShared) {
  EMULATED_ENTER();
  const Program &program = *function->program;
  uint64_t shared =
      program.sharedEnd - program.sharedBase + dynamicShared + 1024;
  *numBlocks = std::min<uint64_t>({32, 2048u / std::max(blockSize, 1),
                                   (device.getMaxShared() + 1024) / shared});
  return CUDA_SUCCESS;
}
