//===- InferTypes.cpp - types of all values ---------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a file states about the shapes of intermediate values is often wrong:
// exporters write the extents of one example, or one name for two dimensions.
// What counts is what follows from the inputs; a stated shape serves only where
// nothing follows.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/ModelFile.h"

#include "mlir/IR/Diagnostics.h"
#include "onnx/shape_inference/implementation.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;

namespace {

/// Whether `type` is known as far as the importer needs it.
bool isComplete(const ::onnx::TypeProto &type) {
  if (type.has_tensor_type())
    return type.tensor_type().has_shape();
  if (type.has_sequence_type())
    return isComplete(type.sequence_type().elem_type());
  if (type.has_optional_type())
    return isComplete(type.optional_type().elem_type());
  return false;
}

void forEachSubgraph(::onnx::GraphProto &graph,
                     llvm::function_ref<void(::onnx::GraphProto &)> visit) {
  for (::onnx::NodeProto &node : *graph.mutable_node())
    for (::onnx::AttributeProto &attribute : *node.mutable_attribute())
      if (attribute.has_g())
        visit(*attribute.mutable_g());
}

class TypeInference {
public:
  TypeInference(Location location, ::onnx::ModelProto &model)
      : location(location), model(model) {}

  LogicalResult run() {
    google::protobuf::RepeatedPtrField<::onnx::ValueInfoProto> outputs =
        model.graph().output();
    takeStated(*model.mutable_graph(), /*isMain=*/true);
    std::string problem = infer();
    if (!problem.empty())
      return emitError(location) << "shape inference failed: " << problem;
    // Each round supplies what later values may follow from.
    while (supply(*model.mutable_graph())) {
      problem = infer();
      if (!problem.empty())
        return emitError(location)
               << "shape inference failed with a stated shape: " << problem;
    }
    // The outputs keep the names that the file gives their dimensions.
    *model.mutable_graph()->mutable_output() = outputs;
    return success();
  }

private:
  /// Moves what the graph states about its values to `stated`.
  void takeStated(::onnx::GraphProto &graph, bool isMain) {
    auto take = [&](::onnx::ValueInfoProto &value) {
      if (value.has_type())
        stated[value.name()] = value.type();
      value.clear_type();
    };
    for (::onnx::ValueInfoProto &value : *graph.mutable_value_info())
      take(value);
    graph.clear_value_info();
    for (::onnx::ValueInfoProto &value : *graph.mutable_output())
      take(value);
    if (!isMain)
      for (::onnx::ValueInfoProto &value : *graph.mutable_input())
        take(value);
    forEachSubgraph(graph, [&](::onnx::GraphProto &subgraph) {
      takeStated(subgraph, /*isMain=*/false);
    });
  }

  /// Types become known in the list of values; empty if all went well.
  std::string infer() {
    for (::onnx::ValueInfoProto &value :
         *model.mutable_graph()->mutable_output())
      value.clear_type();
    ::onnx::ShapeInferenceOptions options(/*check_type=*/true,
                                          /*strict_mode=*/1,
                                          /*data_prop=*/true);
    try {
      ::onnx::shape_inference::InferShapes(
          model, ::onnx::OpSchemaRegistry::Instance(), options);
    } catch (const std::exception &error) {
      return error.what();
    }
    return {};
  }

  /// States the types of values that nothing is known about although their
  /// operands are known. Returns whether there were any.
  bool supply(::onnx::GraphProto &graph) {
    llvm::StringMap<::onnx::TypeProto *> known;
    for (auto *values : {graph.mutable_output(), graph.mutable_value_info(),
                         graph.mutable_input()})
      for (::onnx::ValueInfoProto &value : *values)
        if (value.has_type())
          known[value.name()] = value.mutable_type();
    bool changed = false;
    for (::onnx::ValueInfoProto &value : *graph.mutable_input())
      changed |= supply(*value.mutable_type(), value.name());
    auto isOpen = [&](const std::string &name) {
      auto type = known.find(name);
      return type != known.end() && !isComplete(*type->second);
    };
    for (::onnx::NodeProto &node : *graph.mutable_node()) {
      for (::onnx::AttributeProto &attribute : *node.mutable_attribute())
        if (attribute.has_g())
          changed |= supply(*attribute.mutable_g());
      if (llvm::any_of(node.input(), isOpen))
        continue;
      for (const std::string &name : node.output()) {
        auto type = known.find(name);
        if (name.empty() || (type != known.end() && isComplete(*type->second)))
          continue;
        if (type == known.end()) {
          if (!stated.contains(name))
            continue;
          ::onnx::ValueInfoProto &value = *graph.add_value_info();
          value.set_name(name);
          type = known.try_emplace(name, value.mutable_type()).first;
        }
        changed |= supply(*type->second, name);
      }
    }
    return changed;
  }

  bool supply(::onnx::TypeProto &type, StringRef name) {
    auto found = stated.find(name);
    if (isComplete(type) || found == stated.end() || !isComplete(found->second))
      return false;
    // The element type that follows from the operands counts.
    if (type.has_tensor_type() && found->second.has_tensor_type() &&
        type.tensor_type().elem_type() != 0)
      *type.mutable_tensor_type()->mutable_shape() =
          found->second.tensor_type().shape();
    else
      type = found->second;
    stated.erase(found);
    return true;
  }

  Location location;
  ::onnx::ModelProto &model;
  llvm::StringMap<::onnx::TypeProto> stated;
};

} // namespace

LogicalResult mlir::onnx::inferTypes(Location location,
                                     ::onnx::ModelProto &model) {
  return TypeInference(location, model).run();
}
