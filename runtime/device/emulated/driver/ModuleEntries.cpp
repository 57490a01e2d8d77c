//===- ModuleEntries.cpp - driver entries: modules and functions ----------===//
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
#include <iterator>

using namespace emulated;

/// Gives the variables of global and constant memory their places and values.
static CUresult placeVariables(Device &device, LoadedModule &loaded) {
  for (const auto &variable : loaded.module->variables) {
    if (variable->space == Space::Shared)
      continue;
    if (variable->isExternal)
      return device.fail(
          CUDA_ERROR_INVALID_PTX,
          "PTX: variable '" + variable->name +
              "' is external; the emulated device links nothing");
    uint64_t address;
    if (CUresult error = device.allocate(std::max<uint64_t>(variable->size, 1),
                                         "a variable of a module", address))
      return error;
    loaded.addresses[variable.get()] = address;
    auto *bytes = reinterpret_cast<uint8_t *>(address);
    memset(bytes, 0, variable->size);
    std::copy(variable->initial.begin(), variable->initial.end(), bytes);
  }
  for (const auto &variable : loaded.module->variables)
    for (const ptx::Relocation &relocation : variable->relocations) {
      const ptx::Variable *target =
          loaded.module->findVariable(relocation.symbol);
      auto found = loaded.addresses.find(target);
      if (found == loaded.addresses.end())
        return device.fail(CUDA_ERROR_INVALID_PTX,
                           "PTX: the initialiser of '" + variable->name +
                               "' names '" + relocation.symbol +
                               "', which has no address");
      uint64_t value = found->second + relocation.addend;
      memcpy(reinterpret_cast<uint8_t *>(loaded.addresses[variable.get()]) +
                 relocation.offset,
             &value, sizeof value);
    }
  return CUDA_SUCCESS;
}

static void releaseModule(Device &device, LoadedModule &loaded) {
  for (const auto &entry : loaded.addresses)
    device.release(entry.second);
  loaded.addresses.clear();
}

/// Whether code for the module's target runs on the device: sm_90a only on
/// sm_90, code without a suffix on later devices too.
static bool isForDevice(const Device &device, const ptx::Module &module) {
  if (module.architectureSuffix == 'a')
    return module.architecture == device.architecture;
  if (module.architectureSuffix == 'f')
    return module.architecture / 10 == device.architecture / 10 &&
           module.architecture <= device.architecture;
  return module.architecture <= device.architecture;
}

/// MOE_EMULATED_DUMP=FOLDER writes the texts that are loaded, each under the
/// hash of its bytes; MOE_EMULATED_REPLACE=FOLDER loads the file of that name
/// instead of a text, if there is one. Mutation tests use both.
static std::string exchangeText(const char *text) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const char *c = text; *c; ++c)
    hash = (hash ^ (unsigned char)*c) * 0x100000001b3ull;
  char name[32];
  snprintf(name, sizeof name, "/%016llx.ptx", (unsigned long long)hash);
  if (const char *folder = getenv("MOE_EMULATED_DUMP"))
    std::ofstream(folder + std::string(name)) << text;
  if (const char *folder = getenv("MOE_EMULATED_REPLACE")) {
    std::ifstream file(folder + std::string(name));
    if (file)
      return std::string(std::istreambuf_iterator<char>(file), {});
  }
  return text;
}

static CUresult loadText(Device &device, const char *text,
                         LoadedModule *&result) {
  auto loaded = std::make_unique<LoadedModule>();
  try {
    loaded->module = ptx::parse(exchangeText(text));
    if (!isForDevice(device, *loaded->module)) {
      std::string suffix(loaded->module->architectureSuffix != 0,
                         loaded->module->architectureSuffix);
      return device.fail(
          CUDA_ERROR_NO_BINARY_FOR_GPU,
          "the PTX is for sm_" + std::to_string(loaded->module->architecture) +
              suffix + ", the emulated device is sm_" +
              std::to_string(device.architecture) + " (MOE_EMULATED_ARCH)");
    }
    if (CUresult error = placeVariables(device, *loaded)) {
      releaseModule(device, *loaded);
      return error;
    }
    auto getAddress = [&](const ptx::Variable &variable) {
      auto found = loaded->addresses.find(&variable);
      return found == loaded->addresses.end() ? 0 : found->second;
    };
    for (const auto &function : loaded->module->functions) {
      if (!function->isEntry || !function->isDefined)
        continue;
      auto entry = std::make_unique<LoadedFunction>();
      entry->module = loaded.get();
      entry->program = link(*loaded->module, *function, getAddress);
      loaded->functions[function->name] = std::move(entry);
    }
  } catch (const PtxError &error) {
    releaseModule(device, *loaded);
    return device.fail(CUDA_ERROR_INVALID_PTX,
                       std::string("PTX: ") + error.what());
  }
  result = loaded.release();
  device.modules.insert(result);
  return CUDA_SUCCESS;
}

/// Copies the report to the buffers that the options of the compiler name.
static void writeLog(const std::string &report, unsigned numOptions,
                     const int *options, void **values) {
  char *buffer = nullptr;
  size_t size = 0;
  for (unsigned i = 0; i < numOptions; ++i) {
    if (options[i] == 5) // CU_JIT_ERROR_LOG_BUFFER
      buffer = static_cast<char *>(values[i]);
    if (options[i] == 6) // CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES
      size = reinterpret_cast<uintptr_t>(values[i]);
  }
  if (!buffer || !size)
    return;
  size_t length = std::min(size - 1, report.size());
  memcpy(buffer, report.data(), length);
  buffer[length] = 0;
}

EMULATED_CUDA_API cuModuleLoadDataEx(CUmodule *module, const void *image,
                                     unsigned numOptions, int *options,
                                     void **values) {
  EMULATED_ENTER();
  if (!module || !image)
    return CUDA_ERROR_INVALID_VALUE;
  uint32_t magic;
  memcpy(&magic, image, sizeof magic);
  CUresult result;
  // ELF, and the two forms of a fat binary: machine code.
  if (magic == 0x464c457fu || magic == 0xba55ed50u || magic == 0x466243b1u)
    result = device.fail(CUDA_ERROR_NO_BINARY_FOR_GPU,
                         "machine code does not run on the emulated device; "
                         "load its PTX");
  else
    result = loadText(device, static_cast<const char *>(image), *module);
  if (result)
    writeLog(device.report, numOptions, options, values);
  return result;
}

EMULATED_CUDA_API cuModuleLoadData(CUmodule *module, const void *image) {
  return cuModuleLoadDataEx(module, image, 0, nullptr, nullptr);
}

EMULATED_CUDA_API cuModuleUnload(CUmodule module) {
  Entry entry;
  Device &device = entry.device;
  // Work that uses its kernels may wait in a queue.
  device.finishAll();
  if (!device.modules.erase(module))
    return CUDA_ERROR_INVALID_HANDLE;
  releaseModule(device, *module);
  delete module;
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuModuleGetFunction(CUfunction *function, CUmodule module,
                                      const char *name) {
  EMULATED_ENTER();
  auto found = module->functions.find(name);
  if (found == module->functions.end())
    return device.fail(CUDA_ERROR_NOT_FOUND,
                       std::string("the module has no kernel '") + name + "'");
  *function = found->second.get();
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuModuleGetGlobal_v2(CUdeviceptr *address, size_t *bytes,
                                       CUmodule module, const char *name) {
  EMULATED_ENTER();
  const ptx::Variable *variable = module->module->findVariable(name);
  auto found = module->addresses.find(variable);
  if (!variable || found == module->addresses.end())
    return device.fail(CUDA_ERROR_NOT_FOUND,
                       std::string("the module has no variable '") + name +
                           "'");
  if (address)
    *address = found->second;
  if (bytes)
    *bytes = variable->size;
  return CUDA_SUCCESS;
}

/// The numbers are those of CUfunction_attribute.
EMULATED_CUDA_API cuFuncGetAttribute(int *value, int attribute,
                                     CUfunction function) {
  EMULATED_ENTER();
  const Program &program = *function->program;
  switch (attribute) {
  case 0: // Threads of a block.
    *value = program.maxThreads ? program.maxThreads : 1024;
    break;
  case 1: // Static shared memory.
    *value = program.sharedEnd - program.sharedBase;
    break;
  case 3: // Local memory.
    *value = program.localBytes;
    break;
  case 4: // Registers: what ptxas would use is not known here.
    *value = std::min<int>(program.registerWords / kWarpSize, 255);
    break;
  case 5: // The version of the PTX, of the code.
  case 6:
    *value = device.architecture;
    break;
  case 8:
    *value = function->maxDynamicShared;
    break;
  default:
    *value = 0;
  }
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuFuncSetAttribute(CUfunction function, int attribute,
                                     int value) {
  EMULATED_ENTER();
  if (attribute != 8) // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    return CUDA_SUCCESS;
  const Program &program = *function->program;
  uint64_t total = (uint64_t)value + program.sharedEnd - program.sharedBase;
  if (value < 0 || total > device.getMaxShared())
    return device.fail(CUDA_ERROR_INVALID_VALUE,
                       "kernel '" + program.name + "' wants " +
                           std::to_string(total) +
                           " bytes of shared memory; the device has " +
                           std::to_string(device.getMaxShared()));
  function->maxDynamicShared = value;
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuFuncSetCacheConfig(CUfunction, int) { return CUDA_SUCCESS; }
