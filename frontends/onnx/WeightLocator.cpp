//===- WeightLocator.cpp - where the numbers of a tensor lie in files -------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/WeightLocator.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

using namespace mlir;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

namespace {

// Field numbers of onnx.proto along the ways to the bytes of a tensor.
constexpr int kModelGraph = 7;
constexpr int kGraphNode = 1, kGraphInitializer = 5;
constexpr int kNodeOutput = 2, kNodeAttribute = 5;
constexpr int kAttributeTensor = 5;
constexpr int kTensorFloatData = 4, kTensorName = 8, kTensorRawData = 9;

/// Walks the wire format of a model and notes where tensors begin.
class WireScanner {
public:
  WireScanner(StringRef bytes, llvm::StringMap<int64_t> &places)
      : stream(reinterpret_cast<const uint8_t *>(bytes.data()),
               static_cast<int>(bytes.size())),
        places(places) {
    stream.SetTotalBytesLimit(std::numeric_limits<int>::max());
  }

  bool scanModel() {
    return forEachField([&](int field, int) {
      return field == kModelGraph ? enter([&] { return scanGraph(); }) : skip();
    });
  }

private:
  /// Calls `visit(field, length-delimited?)` for each field of the current
  /// message; `visit` consumes the field.
  bool forEachField(llvm::function_ref<bool(int, int)> visit) {
    while (uint32_t tag = stream.ReadTag()) {
      currentTag = tag;
      int wireType = WireFormatLite::GetTagWireType(tag);
      bool delimited = wireType == WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
      int field = delimited ? WireFormatLite::GetTagFieldNumber(tag) : -1;
      if (!visit(field, wireType))
        return false;
    }
    return stream.ConsumedEntireMessage() || stream.BytesUntilLimit() == 0;
  }

  bool skip() { return WireFormatLite::SkipField(&stream, currentTag); }

  bool enter(llvm::function_ref<bool()> scan) {
    uint32_t size;
    if (!stream.ReadVarint32(&size))
      return false;
    auto limit = stream.PushLimit(static_cast<int>(size));
    bool scanned = scan();
    stream.PopLimit(limit);
    return scanned;
  }

  bool scanGraph() {
    return forEachField([&](int field, int) {
      if (field == kGraphInitializer)
        return enter([&] { return scanTensor(); });
      if (field == kGraphNode)
        return enter([&] { return scanNode(); });
      return skip();
    });
  }

  bool scanNode() {
    std::string output;
    bool scanned = forEachField([&](int field, int) {
      if (field == kNodeOutput)
        return WireFormatLite::ReadBytes(&stream, &output);
      if (field == kNodeAttribute)
        return enter([&] { return scanAttribute(output); });
      return skip();
    });
    return scanned;
  }

  bool scanAttribute(const std::string &node) {
    return forEachField([&](int field, int) {
      return field == kAttributeTensor ? enter([&] { return scanTensor(node); })
                                       : skip();
    });
  }

  bool scanTensor(std::string name = {}) {
    int64_t place = -1;
    bool named = !name.empty();
    bool scanned = forEachField([&](int field, int) {
      if (field == kTensorName && !named)
        return WireFormatLite::ReadBytes(&stream, &name);
      if (field != kTensorRawData && field != kTensorFloatData)
        return skip();
      uint32_t size;
      if (!stream.ReadVarint32(&size))
        return false;
      place = stream.CurrentPosition();
      return stream.Skip(static_cast<int>(size));
    });
    if (scanned && place >= 0 && !name.empty())
      places[name] = place;
    return scanned;
  }

  CodedInputStream stream;
  llvm::StringMap<int64_t> &places;
  uint32_t currentTag = 0;
};

/// Whether `location`, a path within external data, could leave the folder.
bool isContained(StringRef location) {
  if (location.empty() || location.contains('\0') ||
      llvm::sys::path::is_absolute(location))
    return false;
  return llvm::none_of(llvm::make_range(llvm::sys::path::begin(location),
                                        llvm::sys::path::end(location)),
                       [](StringRef part) { return part == ".."; });
}

} // namespace

int64_t mlir::onnx::getElementBits(const ::onnx::TensorProto &tensor) {
  switch (tensor.data_type()) {
  case ::onnx::TensorProto::DOUBLE:
  case ::onnx::TensorProto::INT64:
  case ::onnx::TensorProto::UINT64:
    return 64;
  case ::onnx::TensorProto::FLOAT:
  case ::onnx::TensorProto::INT32:
  case ::onnx::TensorProto::UINT32:
    return 32;
  case ::onnx::TensorProto::FLOAT16:
  case ::onnx::TensorProto::BFLOAT16:
  case ::onnx::TensorProto::INT16:
  case ::onnx::TensorProto::UINT16:
    return 16;
  case ::onnx::TensorProto::INT8:
  case ::onnx::TensorProto::UINT8:
  case ::onnx::TensorProto::BOOL:
  case ::onnx::TensorProto::FLOAT8E4M3FN:
  case ::onnx::TensorProto::FLOAT8E4M3FNUZ:
  case ::onnx::TensorProto::FLOAT8E5M2:
  case ::onnx::TensorProto::FLOAT8E5M2FNUZ:
  case ::onnx::TensorProto::FLOAT8E8M0:
    return 8;
  case ::onnx::TensorProto::INT4:
  case ::onnx::TensorProto::UINT4:
  case ::onnx::TensorProto::FLOAT4E2M1:
    return 4;
  case ::onnx::TensorProto::INT2:
  case ::onnx::TensorProto::UINT2:
    return 2;
  default:
    return 0;
  }
}

FailureOr<int64_t>
mlir::onnx::getElementCount(const ::onnx::TensorProto &tensor,
                            Location location) {
  int64_t count = 1;
  for (int64_t dim : tensor.dims())
    if (dim < 0 || llvm::MulOverflow(count, dim, count))
      return emitError(location) << "expected tensor '" << tensor.name()
                                 << "' with a countable number of elements, "
                                    "got dimension "
                                 << dim;
  return count;
}

LogicalResult mlir::onnx::WeightLocator::scan(StringRef path,
                                              Location location) {
  folder = llvm::sys::path::parent_path(path).str();
  if (folder.empty())
    folder = ".";
  modelFile = llvm::sys::path::filename(path).str();
  if (path.ends_with(".onnxtxt"))
    return success();
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer)
    return emitError(location)
           << "cannot read the model: " << buffer.getError().message();
  WireScanner scanner((*buffer)->getBuffer(), embedded);
  if (!scanner.scanModel())
    return emitError(location) << "expected a complete ModelProto";
  return success();
}

FailureOr<std::optional<mlir::onnx::WeightPlace>>
mlir::onnx::WeightLocator::locate(const ::onnx::TensorProto &tensor,
                                  StringRef name, Location location) {
  if (tensor.data_location() == ::onnx::TensorProto::EXTERNAL)
    return locateExternal(tensor, name, location);
  FailureOr<int64_t> count = getElementCount(tensor, location);
  if (failed(count))
    return failure();
  bool isRaw = tensor.has_raw_data();
  int64_t bytes = (*count * getElementBits(tensor) + 7) / 8;
  int64_t stored = isRaw ? static_cast<int64_t>(tensor.raw_data().size())
                         : int64_t(4) * tensor.float_data_size();
  auto place = embedded.find(name);
  if (bytes == 0 || stored != bytes || place == embedded.end())
    return std::optional<WeightPlace>();
  return std::optional<WeightPlace>(WeightPlace{modelFile, place->second});
}

FailureOr<std::optional<mlir::onnx::WeightPlace>>
mlir::onnx::WeightLocator::locateExternal(const ::onnx::TensorProto &tensor,
                                          StringRef name, Location location) {
  auto fail = [&]() {
    return emitError(location) << "external data of tensor '" << name << "': ";
  };
  std::string file;
  uint64_t offset = 0, length = 0;
  bool hasLength = false;
  for (const auto &entry : tensor.external_data()) {
    if (entry.key() == "location")
      file = entry.value();
    else if (entry.key() == "offset" || entry.key() == "length") {
      bool isOffset = entry.key() == "offset";
      if (!llvm::to_integer(entry.value(), isOffset ? offset : length, 10)) {
        fail() << "expected a number of bytes as " << entry.key() << ", got '"
               << entry.value() << "'";
        return failure();
      }
      hasLength |= !isOffset;
    }
  }
  if (!isContained(file)) {
    fail() << "expected a file below the folder of the model, got '"
           << llvm::StringRef(file.c_str()) << "'";
    return failure();
  }
  SmallString<256> path(folder), real, realFolder;
  llvm::sys::path::append(path, file);
  llvm::sys::fs::file_status status;
  if (std::error_code code = llvm::sys::fs::status(path, status)) {
    fail() << "cannot read '" << file << "': " << code.message();
    return failure();
  }
  if (status.type() != llvm::sys::fs::file_type::regular_file) {
    fail() << "expected a regular file, got '" << file << "'";
    return failure();
  }
  // A symbolic link may lead to another file of the folder, never out of it.
  if (llvm::sys::fs::real_path(path, real) ||
      llvm::sys::fs::real_path(folder, realFolder) ||
      !StringRef(real).starts_with((realFolder + "/").str())) {
    fail() << "expected a file below the folder of the model, '" << file
           << "' leads out of it";
    return failure();
  }
  FailureOr<int64_t> count = getElementCount(tensor, location);
  if (failed(count))
    return failure();
  int64_t elementBits = getElementBits(tensor), bits = 0;
  if (elementBits == 0)
    return std::optional<WeightPlace>();
  if (llvm::MulOverflow(*count, elementBits, bits) ||
      bits > std::numeric_limits<int64_t>::max() - 7) {
    fail() << "expected a countable number of bytes";
    return failure();
  }
  int64_t bytes = (bits + 7) / 8;
  if (hasLength && length != static_cast<uint64_t>(bytes)) {
    fail() << "expected " << bytes << " bytes for its shape, got " << length;
    return failure();
  }
  if (offset > status.getSize() ||
      static_cast<uint64_t>(bytes) > status.getSize() - offset) {
    fail() << "expected " << bytes << " bytes at offset " << offset << " of '"
           << file << "', which has " << status.getSize() << " bytes";
    return failure();
  }
  return std::optional<WeightPlace>(
      WeightPlace{file, static_cast<int64_t>(offset)});
}
