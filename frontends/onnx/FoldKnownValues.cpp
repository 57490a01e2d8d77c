//===- FoldKnownValues.cpp - constants in the place of known values ---------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/KnownValues.h"

#include "onnx/inliner/inliner.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::onnx;

namespace {

::onnx::NodeProto makeConstant(const std::string &name,
                               const KnownValue &value) {
  ::onnx::NodeProto node;
  node.set_op_type("Constant");
  node.set_name(name);
  node.add_output(name);
  ::onnx::AttributeProto &attribute = *node.add_attribute();
  attribute.set_name("value");
  attribute.set_type(::onnx::AttributeProto::TENSOR);
  *attribute.mutable_t() = makeTensor(value);
  return node;
}

class Folder {
public:
  explicit Folder(::onnx::ModelProto &model) : model(model) {}

  bool run() {
    fold(*model.mutable_graph(), nullptr, 0);
    return changed;
  }

private:
  using Nodes = google::protobuf::RepeatedPtrField<::onnx::NodeProto>;

  void fold(::onnx::GraphProto &graph, const KnownValues *outer,
            unsigned depth);
  void repeatConstants(::onnx::GraphProto &graph, const KnownValues &outer,
                       unsigned depth);
  bool replaceIf(::onnx::GraphProto &graph, ::onnx::NodeProto &node,
                 const KnownValues &known, Nodes &nodes);

  ::onnx::ModelProto &model;
  bool changed = false;
};

/// The ONNX library does not look up constants outside of a subgraph.
void Folder::repeatConstants(::onnx::GraphProto &graph,
                             const KnownValues &outer, unsigned depth) {
  KnownValues own(graph, nullptr);
  llvm::StringMap<std::string> copies;
  Nodes constants;
  for (::onnx::NodeProto &node : *graph.mutable_node())
    for (std::string &name : *node.mutable_input()) {
      if (name.empty() || own.defines(name))
        continue;
      if (auto copy = copies.find(name); copy != copies.end()) {
        name = copy->second;
        continue;
      }
      std::optional<KnownValue> value = outer.lookup(name);
      if (!value || !value->getAll())
        continue;
      std::string copy = name + ".copy" + std::to_string(depth);
      *constants.Add() = makeConstant(copy, *value);
      copies[name] = copy;
      name = copy;
    }
  if (constants.empty())
    return;
  changed = true;
  for (::onnx::NodeProto &node : *graph.mutable_node())
    *constants.Add() = std::move(node);
  graph.mutable_node()->Swap(&constants);
}

/// Puts the nodes of the branch that is taken into `nodes`.
bool Folder::replaceIf(::onnx::GraphProto &graph, ::onnx::NodeProto &node,
                       const KnownValues &known, Nodes &nodes) {
  std::optional<KnownValue> condition =
      node.input_size() == 1 ? known.lookup(node.input(0)) : std::nullopt;
  std::optional<int64_t> holds =
      condition ? condition->getOnly() : std::nullopt;
  if (!holds)
    return false;
  ::onnx::GraphProto *branch = nullptr;
  for (::onnx::AttributeProto &attribute : *node.mutable_attribute())
    if (attribute.name() == (*holds ? "then_branch" : "else_branch"))
      branch = attribute.mutable_g();
  if (!branch || branch->output_size() != node.output_size())
    return false;
  llvm::StringSet<> open;
  for (const ::onnx::NodeProto &inner : branch->node())
    for (const std::string &name : inner.output())
      open.insert(name);
  ::onnx::inliner::Renamer renamer(node.output(0), model.graph());
  Nodes copies;
  for (auto [inner, result] : llvm::zip(branch->output(), node.output())) {
    if (result.empty())
      continue;
    if (open.erase(inner.name())) {
      renamer.BindName(inner.name(), result);
      continue;
    }
    ::onnx::NodeProto &copy = *copies.Add();
    copy.set_op_type("Identity");
    copy.set_name(result);
    copy.add_input(inner.name());
    copy.add_output(result);
  }
  for (::onnx::TensorProto &tensor : *branch->mutable_initializer()) {
    tensor.set_name(renamer.BindToUniqueName(tensor.name()));
    *graph.add_initializer() = std::move(tensor);
  }
  for (::onnx::NodeProto &inner : *branch->mutable_node()) {
    renamer.RenameNode(inner);
    *nodes.Add() = std::move(inner);
  }
  for (::onnx::NodeProto &copy : copies) {
    // The result has its name already.
    ::onnx::NodeProto renamed = copy;
    renamed.clear_output();
    renamer.RenameNode(renamed);
    *renamed.mutable_output() = copy.output();
    *nodes.Add() = std::move(renamed);
  }
  return true;
}

void Folder::fold(::onnx::GraphProto &graph, const KnownValues *outer,
                  unsigned depth) {
  if (outer)
    repeatConstants(graph, *outer, depth);
  KnownValues known(graph, outer);
  Nodes old;
  old.Swap(graph.mutable_node());
  for (::onnx::NodeProto &node : old) {
    if (node.domain().empty() && node.op_type() == "If" &&
        node.output_size() > 0 &&
        replaceIf(graph, node, known, *graph.mutable_node())) {
      changed = true;
      continue;
    }
    for (::onnx::AttributeProto &attribute : *node.mutable_attribute())
      if (attribute.has_g())
        fold(*attribute.mutable_g(), &known, depth + 1);
    known.addNode(node);
    bool isOpen = node.op_type() != "Constant" && node.output_size() == 1;
    std::optional<KnownValue> value =
        isOpen ? known.lookup(node.output(0)) : std::nullopt;
    if (value && value->getAll()) {
      node = makeConstant(node.output(0), *value);
      changed = true;
    }
    *graph.add_node() = std::move(node);
  }
}

} // namespace

bool mlir::onnx::foldKnownValues(::onnx::ModelProto &model) {
  return Folder(model).run();
}
