//===- InlineFunctions.cpp - functions become their bodies ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A node of the standard that is defined by a function becomes the call of a
// function of the model, with a body for its own attributes and operand types;
// such calls are what the ONNX library then inlines.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/ModelFile.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/OperationSupport.h"
#include "onnx/defs/schema.h"
#include "onnx/inliner/inliner.h"
#include "onnx/shape_inference/implementation.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;

namespace {

/// Bodies may contain functions; deeper than this they are refused.
constexpr unsigned kMaxRounds = 16;

/// The domain of the functions that are made here. No file can define it, since
/// all functions of the file are gone by then.
constexpr const char *kDomain = "moec.bodies";

/// Types of values, those of enclosing graphs included.
using Types = llvm::StringMap<const ::onnx::TypeProto *>;

class BodyBuilder {
public:
  BodyBuilder(::onnx::ModelProto &model, MLIRContext *context)
      : model(model), context(context) {
    for (const ::onnx::OperatorSetIdProto &import : model.opset_import())
      versions[import.domain()] = static_cast<int>(import.version());
  }

  /// Gives the nodes of `graph` that need one a body. Returns how many did.
  unsigned run(::onnx::GraphProto &graph, Types types);

  /// Whether a node of `graph` needs a body.
  bool isNeeded(const ::onnx::GraphProto &graph) const;

private:
  /// The schema of a function that the onnx dialect has no operation for. ONNX
  /// Runtime had some of them before the standard.
  const ::onnx::OpSchema *getFunction(const ::onnx::NodeProto &node) const;
  bool build(::onnx::NodeProto &node, const ::onnx::OpSchema &schema,
             const Types &types, ::onnx::FunctionProto &function) const;

  ::onnx::ModelProto &model;
  MLIRContext *context;
  /// Of the operator sets, by domain.
  llvm::StringMap<int> versions;
};

const ::onnx::OpSchema *
BodyBuilder::getFunction(const ::onnx::NodeProto &node) const {
  bool isEarlier = node.domain() == "com.microsoft" &&
                   (node.op_type() == "CausalConvWithState" ||
                    node.op_type() == "LinearAttention");
  if (RegisteredOperationName::lookup(
          mlir::onnx::getOperationName(node.domain(), node.op_type()), context))
    return nullptr;
  const ::onnx::OpSchema *schema =
      isEarlier
          ? ::onnx::OpSchemaRegistry::Schema(node.op_type())
          : ::onnx::OpSchemaRegistry::Schema(
                node.op_type(), versions.lookup(node.domain()), node.domain());
  bool isFunction = schema && (schema->HasFunction() ||
                               schema->HasContextDependentFunction());
  return isFunction ? schema : nullptr;
}

bool BodyBuilder::isNeeded(const ::onnx::GraphProto &graph) const {
  for (const ::onnx::NodeProto &node : graph.node()) {
    if (getFunction(node))
      return true;
    for (const ::onnx::AttributeProto &attribute : node.attribute())
      if (attribute.has_g() && isNeeded(attribute.g()))
        return true;
  }
  return false;
}

/// Bodies refer to attributes that may be left out.
void addDefaults(::onnx::NodeProto &node, const ::onnx::OpSchema &schema) {
  llvm::StringMap<bool> given;
  for (const ::onnx::AttributeProto &attribute : node.attribute())
    given[attribute.name()] = true;
  for (const auto &[name, attribute] : schema.attributes()) {
    if (given.contains(name) ||
        attribute.default_value.type() == ::onnx::AttributeProto::UNDEFINED)
      continue;
    ::onnx::AttributeProto &added = *node.add_attribute();
    added = attribute.default_value;
    added.set_name(name);
  }
}

/// Whether an attribute of ONNX Runtime's operator says what the standard's
/// always does: one dimension, and one state.
bool isNeutral(const ::onnx::AttributeProto &attribute) {
  return (attribute.name() == "ndim" && attribute.i() == 1) ||
         (attribute.name() == "state_window" && attribute.i() == 0);
}

bool BodyBuilder::build(::onnx::NodeProto &node, const ::onnx::OpSchema &schema,
                        const Types &types,
                        ::onnx::FunctionProto &function) const {
  int version = schema.domain() == node.domain()
                    ? versions.lookup(node.domain())
                    : ::onnx::OpSchema::kUninitializedSinceVersion;
  if (const ::onnx::FunctionProto *body =
          schema.HasFunction() ? schema.GetFunction(version, false) : nullptr) {
    addDefaults(node, schema);
    function = *body;
    return true;
  }
  if (!schema.HasContextDependentFunction())
    return false;
  // Attributes that the body does not read would be lost.
  for (const ::onnx::AttributeProto &attribute : node.attribute())
    if (!schema.attributes().count(attribute.name()) && !isNeutral(attribute))
      throw std::runtime_error("expected an attribute that '" + node.op_type() +
                               "' has, got '" + attribute.name() + "'");
  std::vector<::onnx::TypeProto> operands;
  for (const std::string &name : node.input()) {
    const ::onnx::TypeProto *type = types.lookup(name);
    operands.push_back(type ? *type : ::onnx::TypeProto());
  }
  addDefaults(node, schema);
  ::onnx::FunctionBodyBuildContextImpl body(node, operands);
  return schema.BuildContextDependentFunction(body, function, version);
}

unsigned BodyBuilder::run(::onnx::GraphProto &graph, Types types) {
  for (auto *values : {&graph.input(), &graph.value_info(), &graph.output()})
    for (const ::onnx::ValueInfoProto &value : *values)
      if (value.has_type())
        types[value.name()] = &value.type();
  std::vector<::onnx::TypeProto> constants(graph.initializer_size());
  for (auto [type, tensor] : llvm::zip(constants, graph.initializer())) {
    type.mutable_tensor_type()->set_elem_type(tensor.data_type());
    for (int64_t extent : tensor.dims())
      type.mutable_tensor_type()->mutable_shape()->add_dim()->set_dim_value(
          extent);
    types[tensor.name()] = &type;
  }
  unsigned count = 0;
  for (::onnx::NodeProto &node : *graph.mutable_node()) {
    for (::onnx::AttributeProto &attribute : *node.mutable_attribute())
      if (attribute.has_g())
        count += run(*attribute.mutable_g(), types);
    const ::onnx::OpSchema *schema = getFunction(node);
    ::onnx::FunctionProto function;
    if (!schema || !build(node, *schema, types, function))
      continue;
    std::string name =
        node.op_type() + "." + std::to_string(model.functions_size());
    function.set_domain(kDomain);
    function.set_name(name);
    *function.mutable_opset_import() = model.opset_import();
    node.set_domain(kDomain);
    node.set_op_type(name);
    *model.add_functions() = std::move(function);
    ++count;
  }
  return count;
}

LogicalResult inlineStandard(Location location, ::onnx::ModelProto &model) {
  for (unsigned round = 0; round < kMaxRounds; ++round) {
    BodyBuilder builder(model, location.getContext());
    if (!builder.isNeeded(model.graph()))
      return success();
    // Bodies may depend on the types of operands.
    ::onnx::shape_inference::InferShapes(model);
    if (builder.run(*model.mutable_graph(), {}) == 0)
      return success();
    ::onnx::OperatorSetIdProto &import = *model.add_opset_import();
    import.set_domain(kDomain);
    import.set_version(1);
    ::onnx::inliner::InlineLocalFunctions(model);
    model.mutable_opset_import()->RemoveLast();
  }
  return emitError(location) << "expected functions that are nested at most "
                             << kMaxRounds << " deep";
}

} // namespace

std::string mlir::onnx::getOperationName(StringRef domain, StringRef name) {
  return ("onnx." + domain + (domain.empty() ? "" : ".") + name).str();
}

LogicalResult mlir::onnx::inlineFunctions(Location location,
                                          ::onnx::ModelProto &model) {
  try {
    if (model.functions_size() > 0)
      ::onnx::inliner::InlineLocalFunctions(model, /*convert_version=*/true);
    return inlineStandard(location, model);
  } catch (const std::exception &error) {
    return emitError(location)
           << "inlining the functions of the model failed: " << error.what();
  }
}
