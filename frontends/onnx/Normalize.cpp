//===- Normalize.cpp - newest form of older operators -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/ModelFile.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace {

/// Removes the attribute `name` from `node` and returns it, if it is there.
std::optional<::onnx::AttributeProto> takeAttribute(::onnx::NodeProto &node,
                                                    StringRef name) {
  for (int i = 0; i < node.attribute_size(); ++i) {
    if (node.attribute(i).name() != name.str())
      continue;
    ::onnx::AttributeProto attribute = node.attribute(i);
    node.mutable_attribute()->DeleteSubrange(i, 1);
    return attribute;
  }
  return std::nullopt;
}

class Normalizer {
public:
  Normalizer(::onnx::GraphProto &graph, int64_t opset)
      : graph(graph), opset(opset) {}

  void run() {
    for (::onnx::NodeProto &node : *graph.mutable_node()) {
      if (node.domain() == "ai.onnx")
        node.clear_domain();
      if (node.domain().empty())
        normalize(node);
      for (::onnx::AttributeProto &attribute : *node.mutable_attribute())
        if (attribute.has_g())
          Normalizer(*attribute.mutable_g(), opset).run();
    }
  }

private:
  void normalize(::onnx::NodeProto &node) {
    StringRef type = node.op_type();
    static const llvm::StringSet<> reductions = {
        "ReduceMean", "ReduceMax",      "ReduceMin",       "ReduceProd",
        "ReduceL1",   "ReduceL2",       "ReduceSumSquare", "ReduceLogSum",
        "ReduceSum",  "ReduceLogSumExp"};
    if (opset < 18 && reductions.contains(type))
      moveToOperand(node, "axes", 1);
    if (opset < 18 && type == "Split" && node.input_size() < 2)
      addAttribute(node, "num_outputs", node.output_size());
    if (type == "Constant")
      normalizeConstant(node);
  }

  /// Turns an attribute of integers into the operand at `position`.
  void moveToOperand(::onnx::NodeProto &node, StringRef name, int position) {
    std::optional<::onnx::AttributeProto> attribute = takeAttribute(node, name);
    if (!attribute)
      return;
    ::onnx::TensorProto &tensor = *graph.add_initializer();
    tensor.set_name(node.output(0) + "." + name.str());
    tensor.set_data_type(::onnx::TensorProto::INT64);
    tensor.add_dims(attribute->ints_size());
    for (int64_t value : attribute->ints())
      tensor.add_int64_data(value);
    while (node.input_size() <= position)
      node.add_input();
    node.set_input(position, tensor.name());
  }

  static void addAttribute(::onnx::NodeProto &node, StringRef name,
                           int64_t value) {
    ::onnx::AttributeProto &attribute = *node.add_attribute();
    attribute.set_name(name.str());
    attribute.set_type(::onnx::AttributeProto::INT);
    attribute.set_i(value);
  }

  /// `Constant` has seven ways to state its value; `value` is the general one.
  static void normalizeConstant(::onnx::NodeProto &node) {
    ::onnx::TensorProto tensor;
    if (auto attribute = takeAttribute(node, "value_int")) {
      tensor.set_data_type(::onnx::TensorProto::INT64);
      tensor.add_int64_data(attribute->i());
    } else if (auto attribute = takeAttribute(node, "value_ints")) {
      tensor.set_data_type(::onnx::TensorProto::INT64);
      tensor.add_dims(attribute->ints_size());
      *tensor.mutable_int64_data() = attribute->ints();
    } else if (auto attribute = takeAttribute(node, "value_float")) {
      tensor.set_data_type(::onnx::TensorProto::FLOAT);
      tensor.add_float_data(attribute->f());
    } else if (auto attribute = takeAttribute(node, "value_floats")) {
      tensor.set_data_type(::onnx::TensorProto::FLOAT);
      tensor.add_dims(attribute->floats_size());
      *tensor.mutable_float_data() = attribute->floats();
    } else {
      return;
    }
    ::onnx::AttributeProto &attribute = *node.add_attribute();
    attribute.set_name("value");
    attribute.set_type(::onnx::AttributeProto::TENSOR);
    *attribute.mutable_t() = std::move(tensor);
  }

  ::onnx::GraphProto &graph;
  int64_t opset;
};

} // namespace

void mlir::onnx::normalizeGraph(::onnx::GraphProto &graph, int64_t opset) {
  Normalizer(graph, opset).run();
}
