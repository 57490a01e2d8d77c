//===- ModelFile.cpp - reading, checking and normalising a model ------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/ModelFile.h"

#include "mlir/IR/Diagnostics.h"
#include "onnx/defs/parser.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <limits>

using namespace mlir;

namespace {

/// Protobuf cannot hold more in one message.
constexpr uint64_t kMaxModelBytes = (uint64_t(1) << 31) - 1;

constexpr int64_t kMaxVersion = std::numeric_limits<int>::max();

LogicalResult parseText(StringRef text, Location location,
                        ::onnx::ModelProto &model) {
  ::onnx::Common::Status status =
      ::onnx::OnnxParser::Parse(model, text.str().c_str());
  if (!status.IsOK())
    return emitError(location)
           << "expected a model in ONNX text form: " << status.ErrorMessage();
  return success();
}

LogicalResult parseBinary(StringRef bytes, Location location,
                          ::onnx::ModelProto &model) {
  google::protobuf::io::ArrayInputStream stream(bytes.data(), bytes.size());
  google::protobuf::io::CodedInputStream coded(&stream);
  coded.SetTotalBytesLimit(static_cast<int>(kMaxModelBytes));
  if (!model.ParseFromCodedStream(&coded) || !coded.ConsumedEntireMessage())
    return emitError(location)
           << "expected an ONNX model, got " << bytes.size()
           << " bytes that are no complete ModelProto; the file is truncated "
              "or something else";
  return success();
}

LogicalResult checkHeader(Location location, const ::onnx::ModelProto &model) {
  if (!model.has_graph())
    return emitError(location) << "expected a model with a graph, got none";
  if (model.opset_import_size() == 0)
    return emitError(location) << "expected an opset import, got none";
  for (const auto &import : model.opset_import())
    if (import.version() < 1 || import.version() > kMaxVersion)
      return emitError(location)
             << "expected a version of '" << import.domain() << "' in [1, "
             << kMaxVersion << "], got " << import.version();
  return success();
}

/// The standard's own name for its domain is the empty one.
void clearStandardDomain(::onnx::GraphProto &graph) {
  for (::onnx::NodeProto &node : *graph.mutable_node()) {
    if (node.domain() == "ai.onnx")
      node.clear_domain();
    for (::onnx::AttributeProto &attribute : *node.mutable_attribute())
      if (attribute.has_g())
        clearStandardDomain(*attribute.mutable_g());
  }
}

} // namespace

LogicalResult mlir::onnx::readModel(StringRef path, Location location,
                                    ::onnx::ModelProto &model) {
  llvm::sys::fs::file_status status;
  if (std::error_code code = llvm::sys::fs::status(path, status))
    return emitError(location) << "cannot read the model: " << code.message();
  if (status.type() != llvm::sys::fs::file_type::regular_file)
    return emitError(location) << "expected a regular file";
  if (status.getSize() > kMaxModelBytes)
    return emitError(location)
           << "expected at most " << kMaxModelBytes << " bytes, got "
           << status.getSize() << "; save the weights as external data";
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer)
    return emitError(location)
           << "cannot read the model: " << buffer.getError().message();
  StringRef bytes = (*buffer)->getBuffer();
  if (bytes.empty())
    return emitError(location) << "expected an ONNX model, got an empty file";
  if (path.ends_with(".onnxtxt"))
    return parseText(bytes, location, model);
  return parseBinary(bytes, location, model);
}

LogicalResult mlir::onnx::prepareModel(Location location,
                                       ::onnx::ModelProto &model) {
  registerContribSchemas();
  if (failed(checkHeader(location, model)))
    return failure();
  for (auto &import : *model.mutable_opset_import())
    if (import.domain() == "ai.onnx")
      import.clear_domain();
  clearStandardDomain(*model.mutable_graph());
  if (failed(inlineFunctions(location, model)) ||
      failed(normalizeModel(location, model)))
    return failure();
  return inferTypes(location, model);
}
