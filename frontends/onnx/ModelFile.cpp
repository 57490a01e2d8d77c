//===- ModelFile.cpp - reading, checking and normalising a model ------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/ModelFile.h"

#include "mlir/IR/Diagnostics.h"
#include "onnx/checker.h"
#include "onnx/defs/parser.h"
#include "onnx/defs/schema.h"
#include "onnx/inliner/inliner.h"
#include "onnx/shape_inference/implementation.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

using namespace mlir;

namespace {

/// Protobuf cannot hold more in one message.
constexpr uint64_t kMaxModelBytes = (uint64_t(1) << 31) - 1;

/// The oldest operator set whose forms `normalizeGraph` knows.
constexpr int64_t kOldestOpset = 13;

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

/// The version of the standard's operators that the model imports, or 0.
int64_t getOpset(const ::onnx::ModelProto &model) {
  for (const auto &import : model.opset_import())
    if (import.domain().empty() || import.domain() == "ai.onnx")
      return import.version();
  return 0;
}

LogicalResult checkHeader(Location location, const ::onnx::ModelProto &model) {
  if (!model.has_graph())
    return emitError(location) << "expected a model with a graph, got none";
  if (model.opset_import_size() == 0)
    return emitError(location) << "expected an opset import, got none";
  int64_t opset = getOpset(model);
  int64_t newest = ::onnx::OpSchemaRegistry::DomainToVersionRange::Instance()
                       .Map()
                       .at("")
                       .second;
  if (opset < kOldestOpset || opset > newest)
    return emitError(location)
           << "expected operator set " << kOldestOpset << " to " << newest
           << ", got " << opset << "; export the model again with one of these";
  return success();
}

LogicalResult inferShapes(Location location, ::onnx::ModelProto &model) {
  ::onnx::ShapeInferenceOptions options(/*check_type=*/true,
                                        /*strict_mode=*/1,
                                        /*data_prop=*/true);
  auto infer = [&]() -> std::string {
    try {
      ::onnx::shape_inference::InferShapes(
          model, ::onnx::OpSchemaRegistry::Instance(), options);
    } catch (const std::exception &error) {
      return error.what();
    }
    return {};
  };
  if (infer().empty())
    return success();
  // Some exporters write wrong types for intermediate values; what counts is
  // what follows from the inputs.
  model.mutable_graph()->clear_value_info();
  std::string problem = infer();
  if (!problem.empty())
    return emitError(location) << "shape inference failed: " << problem;
  return success();
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
  int64_t opset = getOpset(model);
  try {
    if (model.functions_size() > 0)
      ::onnx::inliner::InlineLocalFunctions(model, /*convert_version=*/true);
  } catch (const std::exception &error) {
    return emitError(location)
           << "inlining the functions of the model failed: " << error.what();
  }
  if (failed(inferShapes(location, model)))
    return failure();
  normalizeGraph(*model.mutable_graph(), opset);
  return success();
}
