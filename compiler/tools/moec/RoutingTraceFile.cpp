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
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"

#include <cstring>
#include <deque>
#include <memory>
#include <set>
#include <zip.h>

using namespace mlir::moe;

/// More than any recording holds; bounds what a damaged file can ask for.
static constexpr uint64_t kMaxBytes = uint64_t(1) << 34;
/// The member that holds the names of the layers, a JSON array.
static const std::string kNamesMember = "names.json";

/// The layer N whose array in the archive is `prefix`N.
static std::optional<size_t> getLayer(llvm::StringRef name,
                                      llvm::StringRef prefix) {
  size_t layer;
  if (!name.consume_front(prefix) || !name.consume_back(".npy") ||
      name.getAsInteger(10, layer))
    return std::nullopt;
  return layer;
}

namespace {
/// An open archive.
class Archive {
public:
  static llvm::Expected<Archive> open(const std::string &path, int flags);

  zip_t *get() const { return handle.get(); }
  /// Where the member is, or -1.
  zip_int64_t find(const std::string &name) const {
    return zip_name_locate(handle.get(), name.c_str(), 0);
  }
  llvm::Expected<std::string> read(const std::string &member) const;
  llvm::Expected<Tensor> readArray(const std::string &name) const;
  /// Adds a member with these contents, which must live until `close`.
  llvm::Error add(const std::string &name, const std::string &contents);
  /// Writes the file.
  llvm::Error close();
  /// Such as "'ids_0' of 'trace.npz'".
  std::string getPlace(const std::string &name) const {
    return "'" + name + "' of '" + path + "'";
  }

private:
  Archive(std::string path, zip_t *handle)
      : path(std::move(path)), handle(handle, zip_discard) {}
  llvm::Error fail() const {
    return llvm::createStringError("cannot write '" + path +
                                   "': " + zip_strerror(handle.get()));
  }

  std::string path;
  std::unique_ptr<zip_t, void (*)(zip_t *)> handle;
};
} // namespace

llvm::Expected<Archive> Archive::open(const std::string &path, int flags) {
  int code = 0;
  if (zip_t *handle = zip_open(path.c_str(), flags, &code))
    return Archive(path, handle);
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  std::string reason = zip_error_strerror(&error);
  zip_error_fini(&error);
  bool writes = flags & ZIP_CREATE;
  return llvm::createStringError(
      std::string(writes ? "cannot write '" : "cannot read '") + path +
      (writes ? "': " : "' as a .npz file: ") + reason);
}

llvm::Expected<std::string> Archive::read(const std::string &member) const {
  zip_int64_t index = find(member);
  std::string place = getPlace(llvm::StringRef(member).ends_with(".npy")
                                   ? member.substr(0, member.size() - 4)
                                   : member);
  zip_stat_t info;
  std::unique_ptr<zip_file_t, int (*)(zip_file_t *)> file(
      index < 0 ? nullptr : zip_fopen_index(handle.get(), index, 0),
      zip_fclose);
  if (!file || zip_stat_index(handle.get(), index, 0, &info) != 0 ||
      !(info.valid & ZIP_STAT_SIZE) || info.size > kMaxBytes)
    return llvm::createStringError(place + " cannot be read");
  std::string contents(info.size, '\0');
  if (zip_fread(file.get(), contents.data(), info.size) !=
      zip_int64_t(info.size))
    return llvm::createStringError(place + " is damaged");
  return contents;
}

llvm::Expected<Tensor> Archive::readArray(const std::string &name) const {
  llvm::Expected<std::string> contents = read(name + ".npy");
  if (!contents)
    return contents.takeError();
  Tensor tensor;
  std::string error;
  if (!parseNpy(*contents, tensor, error))
    return llvm::createStringError(getPlace(name) + " " + error);
  return tensor;
}

llvm::Error Archive::add(const std::string &name, const std::string &contents) {
  zip_source_t *source = zip_source_buffer(handle.get(), contents.data(),
                                           contents.size(), /*freep=*/0);
  zip_int64_t index = source ? zip_file_add(handle.get(), name.c_str(), source,
                                            ZIP_FL_ENC_UTF_8)
                             : -1;
  if (index < 0) {
    llvm::Error error = fail();
    zip_source_free(source);
    return error;
  }
  // The same recording gives the same bytes: 1980-01-01, the first day of zip.
  constexpr time_t kEpoch = 315532800;
  if (zip_file_set_mtime(handle.get(), index, kEpoch, 0) != 0)
    return fail();
  return llvm::Error::success();
}

llvm::Error Archive::close() {
  if (zip_close(handle.get()) != 0)
    return fail();
  (void)handle.release();
  return llvm::Error::success();
}

static llvm::Error readIds(const Archive &archive, const std::string &name,
                           RecordedLayer &layer) {
  llvm::Expected<Tensor> tensor = archive.readArray(name);
  if (!tensor)
    return tensor.takeError();
  moe_tensor_t view = tensor->view();
  if (tensor->dims.size() != 2 ||
      (tensor->dtype != MOE_DTYPE_I32 && tensor->dtype != MOE_DTYPE_I64))
    return llvm::createStringError("expected " + archive.getPlace(name) +
                                   " to be i32 or i64 [tokens x slots], got " +
                                   describe(view));
  layer.choices.slots = tensor->dims[1];
  int64_t largest = -1;
  for (int64_t i = 0, count = countElements(view); i < count; ++i) {
    double id = readElement(view, i);
    layer.choices.ids.push_back(id < 0 ? -1 : std::min<double>(id, INT32_MAX));
    largest = std::max<int64_t>(largest, layer.choices.ids.back());
  }
  layer.experts = largest + 1;
  return llvm::Error::success();
}

static llvm::Error readWeights(const Archive &archive, const std::string &name,
                               RecordedLayer &layer) {
  llvm::Expected<Tensor> tensor = archive.readArray(name);
  if (!tensor)
    return tensor.takeError();
  moe_tensor_t view = tensor->view();
  if (tensor->dtype != MOE_DTYPE_F32 || tensor->dims.size() != 2 ||
      tensor->dims[1] != layer.choices.slots ||
      size_t(countElements(view)) != layer.choices.ids.size())
    return llvm::createStringError("expected " + archive.getPlace(name) +
                                   " to be f32[" +
                                   llvm::Twine(layer.choices.getTokens()) +
                                   " x " + llvm::Twine(layer.choices.slots) +
                                   "] as the ids, got " + describe(view));
  layer.weights.resize(layer.choices.ids.size());
  std::memcpy(layer.weights.data(), tensor->bytes.data(), tensor->bytes.size());
  return llvm::Error::success();
}

/// How many experts each layer has.
static llvm::Error readExperts(const Archive &archive,
                               std::vector<RecordedLayer> &layers) {
  llvm::Expected<Tensor> tensor = archive.readArray("experts");
  if (!tensor)
    return tensor.takeError();
  moe_tensor_t view = tensor->view();
  std::string place = archive.getPlace("experts");
  if (tensor->dtype != MOE_DTYPE_I64 ||
      tensor->dims != std::vector<int64_t>{int64_t(layers.size())})
    return llvm::createStringError("expected " + place + " to be i64[" +
                                   llvm::Twine(layers.size()) + "], got " +
                                   describe(view));
  for (size_t i = 0; i < layers.size(); ++i) {
    double experts = readElement(view, i);
    // Bounds what a damaged file can ask for.
    if (experts < layers[i].experts || experts > 1 << 20)
      return llvm::createStringError(
          "expected more experts than the largest id " +
          llvm::Twine(layers[i].experts - 1) + " of layer " + llvm::Twine(i) +
          " in " + place + ", got " + llvm::Twine(int64_t(experts)));
    layers[i].experts = experts;
  }
  return llvm::Error::success();
}

static llvm::Error readNames(const Archive &archive,
                             std::vector<RecordedLayer> &layers) {
  llvm::Expected<std::string> text = archive.read(kNamesMember);
  if (!text)
    return text.takeError();
  llvm::Expected<llvm::json::Value> value = llvm::json::parse(*text);
  const llvm::json::Array *names = value ? value->getAsArray() : nullptr;
  if (!value)
    llvm::consumeError(value.takeError());
  if (!names || names->size() != layers.size())
    return llvm::createStringError("expected an array of " +
                                   llvm::Twine(layers.size()) + " names in " +
                                   archive.getPlace(kNamesMember));
  for (size_t i = 0; i < layers.size(); ++i)
    layers[i].name = (*names)[i].getAsString().value_or("").str();
  return llvm::Error::success();
}

llvm::Expected<std::vector<RecordedLayer>>
readRouting(const std::string &path) {
  llvm::Expected<Archive> archive = Archive::open(path, ZIP_RDONLY);
  if (!archive)
    return archive.takeError();
  std::set<size_t> present;
  for (zip_int64_t i = 0; i < zip_get_num_entries(archive->get(), 0); ++i)
    if (const char *name = zip_get_name(archive->get(), i, 0))
      if (std::optional<size_t> layer = getLayer(name, "ids_"))
        present.insert(*layer);
  std::vector<RecordedLayer> layers;
  auto has = [&](const std::string &member) {
    return archive->find(member) >= 0;
  };
  while (present.count(layers.size())) {
    std::string number = std::to_string(layers.size());
    RecordedLayer &layer = layers.emplace_back();
    llvm::Error error = readIds(*archive, "ids_" + number, layer);
    if (!error && has("weights_" + number + ".npy"))
      error = readWeights(*archive, "weights_" + number, layer);
    if (error)
      return std::move(error);
  }
  if (layers.size() != present.size() || present.empty())
    return llvm::createStringError(
        "expected arrays 'ids_0', 'ids_1' and so on in '" + path + "', got " +
        llvm::Twine(present.size()) + " of them and no 'ids_" +
        llvm::Twine(layers.size()) + "'");
  if (has("experts.npy"))
    if (llvm::Error error = readExperts(*archive, layers))
      return std::move(error);
  if (has(kNamesMember))
    if (llvm::Error error = readNames(*archive, layers))
      return std::move(error);
  return layers;
}

llvm::Expected<RoutingTrace> readRoutingTrace(const std::string &path) {
  llvm::Expected<std::vector<RecordedLayer>> layers = readRouting(path);
  if (!layers)
    return layers.takeError();
  RoutingTrace trace{path, {}};
  for (RecordedLayer &layer : *layers)
    trace.layers.push_back(std::move(layer.choices));
  return trace;
}

llvm::Error writeRouting(llvm::ArrayRef<RecordedLayer> layers,
                         const std::string &path) {
  // What the archive refers to until it is closed; elements do not move.
  std::deque<std::string> contents;
  llvm::Expected<Archive> archive =
      Archive::open(path, ZIP_CREATE | ZIP_TRUNCATE);
  if (!archive)
    return archive.takeError();
  llvm::Error error = llvm::Error::success();
  auto add = [&](const std::string &name, std::string text) {
    contents.push_back(std::move(text));
    if (!error)
      error = archive->add(name, contents.back());
  };
  auto addArray = [&](const std::string &name, moe_dtype_t dtype,
                      std::vector<int64_t> dims, const void *data) {
    moe_tensor_t tensor = {dtype, uint32_t(dims.size()), dims.data(), data};
    add(name + ".npy", formatNpy(tensor));
  };
  std::vector<int64_t> experts;
  llvm::json::Array names;
  for (size_t i = 0; i < layers.size(); ++i) {
    const RecordedLayer &layer = layers[i];
    std::vector<int64_t> dims = {layer.choices.getTokens(),
                                 layer.choices.slots};
    addArray("ids_" + std::to_string(i), MOE_DTYPE_I32, dims,
             layer.choices.ids.data());
    addArray("weights_" + std::to_string(i), MOE_DTYPE_F32, dims,
             layer.weights.data());
    experts.push_back(layer.experts);
    names.push_back(llvm::json::fixUTF8(layer.name));
  }
  addArray("experts", MOE_DTYPE_I64, {int64_t(experts.size())}, experts.data());
  add(kNamesMember,
      llvm::formatv("{0}\n", llvm::json::Value(std::move(names))).str());
  if (error)
    return error;
  return archive->close();
}
