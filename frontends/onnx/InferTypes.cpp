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

#include "frontends/onnx/KnownValues.h"
#include "frontends/onnx/ModelFile.h"

#include "mlir/IR/Diagnostics.h"
#include "onnx/shape_inference/implementation.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace mlir::onnx;

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
    copyIntegers(*model.mutable_graph(), {});
    takeStated(*model.mutable_graph(), /*isMain=*/true);
    std::string problem = infer();
    if (!problem.empty())
      return emitError(location) << "shape inference failed: " << problem;
    foldForBodies();
    // Each round supplies what later values may follow from.
    while (supply(*model.mutable_graph()) ||
           (hasUnknownShapes(model) &&
            (foldKnownValues(model) || inferRanks(model)))) {
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
  using Constants = llvm::StringMap<const ::onnx::TensorProto *>;

  /// Gives subgraphs their own copies of small integers (axes, shapes) that
  /// they take from outside: there, inference does not see their values.
  void copyIntegers(::onnx::GraphProto &graph, Constants visible) {
    // What a graph is given or computes hides what is outside.
    for (const ::onnx::ValueInfoProto &input : graph.input())
      visible.erase(input.name());
    for (const ::onnx::TensorProto &tensor : graph.initializer())
      visible.erase(tensor.name());
    for (const ::onnx::NodeProto &node : graph.node())
      for (const std::string &name : node.output())
        visible.erase(name);
    llvm::StringMap<std::string> copies;
    for (::onnx::NodeProto &node : *graph.mutable_node())
      for (std::string &input : *node.mutable_input())
        if (auto constant = visible.find(input); constant != visible.end())
          copyInto(graph, *constant->second, input, copies[input]);
    auto add = [&](StringRef name, const ::onnx::TensorProto &tensor) {
      int64_t count = 1;
      for (int64_t extent : tensor.dims())
        count *= extent;
      if (tensor.data_type() == ::onnx::TensorProto::INT64 && count <= 16 &&
          tensor.data_location() != ::onnx::TensorProto::EXTERNAL)
        visible[name] = &tensor;
    };
    for (const ::onnx::TensorProto &tensor : graph.initializer())
      add(tensor.name(), tensor);
    for (const ::onnx::NodeProto &node : graph.node())
      if (node.op_type() == "Constant" && node.output_size() == 1 &&
          node.attribute_size() == 1 && node.attribute(0).has_t())
        add(node.output(0), node.attribute(0).t());
    forEachSubgraph(graph, [&](::onnx::GraphProto &subgraph) {
      copyIntegers(subgraph, visible);
    });
  }

  /// Makes `input` a copy of `constant` in `graph`; `copy` is its name, if
  /// there is one already.
  void copyInto(::onnx::GraphProto &graph, const ::onnx::TensorProto &constant,
                std::string &input, std::string &copy) {
    if (copy.empty()) {
      copy = input + "/copy/" + std::to_string(copyCount++);
      ::onnx::TensorProto tensor = constant;
      tensor.set_name(copy);
      *graph.add_initializer() = std::move(tensor);
    }
    input = copy;
  }

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

  /// What follows from constants must be known when the body of a loop is
  /// looked at: its extents become names otherwise, and stay so.
  void foldForBodies() {
    bool hasBody = false;
    forEachSubgraph(*model.mutable_graph(),
                    [&](::onnx::GraphProto &) { hasBody = true; });
    if (!hasBody)
      return;
    ::onnx::ModelProto before = model;
    if (!foldKnownValues(model))
      return;
    forgetInferred(*model.mutable_graph(), /*isMain=*/true);
    // The ONNX library takes a vector of constants for one even where it has
    // been given more dimensions, and then finds that ranks differ.
    if (!infer().empty())
      model = std::move(before);
  }

  static void forgetInferred(::onnx::GraphProto &graph, bool isMain) {
    graph.clear_value_info();
    for (::onnx::ValueInfoProto &value : *graph.mutable_output())
      value.clear_type();
    if (!isMain)
      for (::onnx::ValueInfoProto &value : *graph.mutable_input())
        value.clear_type();
    forEachSubgraph(graph, [&](::onnx::GraphProto &subgraph) {
      forgetInferred(subgraph, /*isMain=*/false);
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
  unsigned copyCount = 0;
};

} // namespace

LogicalResult mlir::onnx::inferTypes(Location location,
                                     ::onnx::ModelProto &model) {
  return TypeInference(location, model).run();
}
