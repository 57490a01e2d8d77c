//===- RoutingTraceFile.cpp - recorded routing in files -------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/RoutingTraceFile.h"

#include "compiler/tools/moec/Npy.h"
#include "compiler/tools/moec/Tensor.h"

#include "llvm/ADT/StringRef.h"

#include <map>
#include <memory>
#include <zip.h>

using namespace mlir::moe;

/// More than any recording holds; bounds what a damaged file can ask for.
static constexpr uint64_t kMaxBytes = uint64_t(1) << 34;

/// The layer whose ids are in the member `name` of the archive.
static std::optional<size_t> getLayer(llvm::StringRef name) {
  size_t layer;
  if (!name.consume_front("ids_") || !name.consume_back(".npy") ||
      name.getAsInteger(10, layer))
    return std::nullopt;
  return layer;
}

static llvm::Expected<LayerTrace> readLayer(zip_t *archive, zip_uint64_t index,
                                            const std::string &place) {
  zip_stat_t info;
  std::unique_ptr<zip_file_t, int (*)(zip_file_t *)> file(
      zip_fopen_index(archive, index, 0), zip_fclose);
  if (!file || zip_stat_index(archive, index, 0, &info) != 0 ||
      !(info.valid & ZIP_STAT_SIZE) || info.size > kMaxBytes)
    return llvm::createStringError(place + " cannot be read");
  std::string contents(info.size, '\0');
  if (zip_fread(file.get(), contents.data(), info.size) !=
      zip_int64_t(info.size))
    return llvm::createStringError(place + " is damaged");
  Tensor tensor;
  std::string error;
  if (!parseNpy(contents, tensor, error))
    return llvm::createStringError(place + " " + error);
  if (tensor.dims.size() != 2 ||
      (tensor.dtype != MOE_DTYPE_I32 && tensor.dtype != MOE_DTYPE_I64))
    return llvm::createStringError("expected " + place +
                                   " to be i32 or i64 [tokens x slots], got " +
                                   describe(tensor.view()));
  LayerTrace trace{tensor.dims[1], {}};
  moe_tensor_t view = tensor.view();
  for (int64_t i = 0, count = countElements(view); i < count; ++i) {
    double id = readElement(view, i);
    trace.ids.push_back(id < 0 ? -1 : std::min<double>(id, INT32_MAX));
  }
  return trace;
}

llvm::Expected<RoutingTrace> readRoutingTrace(const std::string &path) {
  int code = 0;
  std::unique_ptr<zip_t, void (*)(zip_t *)> archive(
      zip_open(path.c_str(), ZIP_RDONLY, &code), zip_discard);
  if (!archive) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    std::string reason = zip_error_strerror(&error);
    zip_error_fini(&error);
    return llvm::createStringError("cannot read '" + path +
                                   "' as a .npz file: " + reason);
  }
  std::map<size_t, zip_uint64_t> members;
  for (zip_int64_t i = 0; i < zip_get_num_entries(archive.get(), 0); ++i)
    if (const char *name = zip_get_name(archive.get(), i, 0))
      if (std::optional<size_t> layer = getLayer(name))
        members[*layer] = i;
  RoutingTrace trace{path, {}};
  for (auto [layer, index] : members) {
    if (layer != trace.layers.size())
      break;
    std::string place = "'ids_" + std::to_string(layer) + "' of '" + path + "'";
    llvm::Expected<LayerTrace> read = readLayer(archive.get(), index, place);
    if (!read)
      return read.takeError();
    trace.layers.push_back(std::move(*read));
  }
  if (trace.layers.size() != members.size() || members.empty())
    return llvm::createStringError(
        "expected arrays 'ids_0', 'ids_1' and so on in '" + path + "', got " +
        llvm::Twine(members.size()) + " of them and no 'ids_" +
        llvm::Twine(trace.layers.size()) + "'");
  return trace;
}
