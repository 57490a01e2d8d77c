//===- Manifest.cpp - what an artifact says about itself ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Artifact/Manifest.h"

#include "compiler/Artifact/CostModel.h"
#include "runtime/core/HostInterface.h"
#include "runtime/format/Format.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <map>

using namespace mlir;
using namespace mlir::moe;
namespace json = llvm::json;

static std::string print(Attribute attribute) {
  std::string text;
  llvm::raw_string_ostream(text) << attribute;
  return text;
}

static std::string print(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

/// Makes any bytes a JSON string.
static json::Value toString(StringRef text) {
  return json::isUTF8(text) ? text.str() : json::fixUTF8(text);
}

/// One input or output, from its type and its attributes.
static FailureOr<json::Value> describeValue(func::FuncOp main, Type type,
                                            DictionaryAttr attributes,
                                            const Twine &fallbackName) {
  auto shaped = dyn_cast<ShapedType>(type);
  if (!shaped || !shaped.hasRank())
    return main.emitError()
           << "expected ranked inputs and outputs, got " << type;
  StringAttr name;
  ArrayAttr symbols;
  Type element = shaped.getElementType();
  if (attributes) {
    if (auto stated = attributes.getAs<TypeAttr>("moe.type"))
      element = stated.getValue();
    name = attributes.getAs<StringAttr>("moe.name");
    symbols = attributes.getAs<ArrayAttr>("moe.dims");
  }
  if (symbols && symbols.size() != static_cast<size_t>(shaped.getRank()))
    return main.emitError() << "expected " << shaped.getRank()
                            << " names in 'moe.dims', got " << symbols;
  json::Array dims;
  for (auto [index, extent] : llvm::enumerate(shaped.getShape())) {
    if (!ShapedType::isDynamic(extent)) {
      dims.push_back(extent);
      continue;
    }
    auto symbol = symbols ? dyn_cast<StringAttr>(symbols[index]) : StringAttr();
    dims.push_back(toString(symbol ? symbol.getValue() : ""));
  }
  return json::Value(json::Object{
      {"name", toString(name ? name.getValue().str() : fallbackName.str())},
      {"type", print(element)},
      {"dims", std::move(dims)}});
}

static LogicalResult addSignature(ModuleOp module, json::Object &manifest) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  if (!main)
    return module.emitError("expected a function @main");
  json::Array inputs, outputs, states;
  for (auto [index, type] : llvm::enumerate(main.getArgumentTypes())) {
    FailureOr<json::Value> value = describeValue(
        main, type, main.getArgAttrDict(index), "input_" + Twine(index));
    if (failed(value))
      return failure();
    inputs.push_back(std::move(*value));
  }
  // Results of the model that `main` does not return, by their place.
  std::map<int64_t, DictionaryAttr> grown;
  if (auto list = main->getAttrOfType<ArrayAttr>("moe.states"))
    for (auto state : list.getAsRange<DictionaryAttr>())
      grown[state.getAs<IntegerAttr>("output").getInt()] = state;
  size_t kept = 0, count = main.getNumResults() + grown.size();
  for (size_t index = 0; index < count; ++index) {
    Type type;
    DictionaryAttr attributes;
    if (auto found = grown.find(index); found != grown.end()) {
      DictionaryAttr state = found->second;
      type = state.getAs<TypeAttr>("type").getValue();
      attributes = state.getAs<DictionaryAttr>("attributes");
      states.push_back(
          json::Object{{"input", state.getAs<IntegerAttr>("input").getInt()},
                       {"output", static_cast<int64_t>(index)},
                       {"axis", state.getAs<IntegerAttr>("axis").getInt()}});
    } else {
      type = main.getResultTypes()[kept];
      attributes = main.getResultAttrDict(kept++);
    }
    FailureOr<json::Value> value =
        describeValue(main, type, attributes, "output_" + Twine(index));
    if (failed(value))
      return failure();
    outputs.push_back(std::move(*value));
  }
  manifest["inputs"] = std::move(inputs);
  manifest["outputs"] = std::move(outputs);
  if (!states.empty())
    manifest["states"] = std::move(states);
  return success();
}

static json::Array describeSegments(const SegmentTable &segments) {
  json::Array result;
  for (const Segment &segment : segments.getSegments()) {
    kern::SegmentOp op = segment.op;
    json::Object entry{
        {"name", toString(op.getWeightName())},
        {"offset", segment.offset},
        {"bytes", segment.bytes},
        {"type", print(op.getType())},
        {"layout", op.getPacked() ? print(*op.getPacked()) : "row-major"}};
    if (std::optional<uint64_t> layer = op.getExpertLayer())
      entry["expert_layer"] = *layer;
    result.push_back(std::move(entry));
  }
  return result;
}

static json::Array describeDevices(ArrayRef<DeviceVariant> devices) {
  json::Array result;
  for (const DeviceVariant &device : devices) {
    json::Array kernels;
    for (const KernelFigures &kernel : device.code.kernels)
      kernels.push_back(json::Object{{"name", kernel.name},
                                     {"registers", kernel.registers},
                                     {"shared", kernel.shared},
                                     {"stack", kernel.stack},
                                     {"spilled", kernel.spilled}});
    result.push_back(json::Object{{"arch", device.code.arch},
                                  {"ptx", uint64_t(device.code.ptx.size())},
                                  {"cubin", uint64_t(device.code.cubin.size())},
                                  {"host", uint64_t(device.host.size())},
                                  {"kernels", std::move(kernels)}});
  }
  return result;
}

/// The name, size and hash of the model file, read in pieces.
static LogicalResult addModel(ModuleOp module, const std::string &path,
                              json::Object &manifest) {
  WeightFile file;
  llvm::Error error = file.open(path);
  moert::SectionHasher hasher;
  std::vector<char> buffer(
      std::min<uint64_t>(file.getBytes(), moert::kHashChunk));
  for (uint64_t done = 0; !error && done < file.getBytes();) {
    uint64_t piece = std::min<uint64_t>(buffer.size(), file.getBytes() - done);
    error = file.read(done, buffer.data(), piece);
    hasher.update(buffer.data(), piece);
    done += piece;
  }
  if (error)
    return module.emitError() << llvm::toString(std::move(error));
  manifest["model"] =
      json::Object{{"file", toString(llvm::sys::path::filename(path))},
                   {"bytes", file.getBytes()},
                   {"xxh3_128", hasher.finish().str()}};
  return success();
}

FailureOr<std::string> moe::makeManifest(ModuleOp module,
                                         const ArtifactOptions &options,
                                         const SegmentTable &segments) {
  json::Object manifest;
  manifest["format"] = std::to_string(moert::kFormatMajor) + "." +
                       std::to_string(moert::kFormatMinor);
  manifest["compiler"] = "moec " MOEC_VERSION;
  manifest["host_interface"] = MOERT_HOST_VERSION;
  if (failed(addSignature(module, manifest)))
    return failure();
  if (!options.modelPath.empty() &&
      failed(addModel(module, options.modelPath, manifest)))
    return failure();

  json::Object compileOptions;
  for (const auto &[name, value] : options.compileOptions)
    compileOptions[name] = toString(value);
  manifest["options"] = std::move(compileOptions);
  json::Array code;
  for (const CodeObject &object : options.codeObjects)
    code.push_back(json::Object{{"isa", object.isa},
                                {"bytes", uint64_t(object.bytes.size())}});
  manifest["code"] = std::move(code);
  if (!options.devices.empty())
    manifest["devices"] = describeDevices(options.devices);
  json::Array blocks;
  for (const std::string &block : options.fusedBlocks)
    blocks.push_back(toString(block));
  manifest["fused_blocks"] = std::move(blocks);
  for (const auto &[key, value] : options.layout)
    manifest[key] = value;
  if (!options.experts.empty())
    manifest["experts"] = json::Object(options.experts);
  manifest["weights"] = describeSegments(segments);
  manifest["cost"] = describeCost(module);

  // Object keys are printed in sorted order.
  std::string text;
  llvm::raw_string_ostream(text)
      << llvm::formatv("{0:2}", json::Value(std::move(manifest))) << '\n';
  return text;
}
