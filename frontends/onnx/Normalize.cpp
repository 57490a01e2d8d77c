//===- Normalize.cpp - newest form of older operators -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the standard changed about an operator's signature, from the version in
// which it did so. Changes that only add types or attributes need nothing.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/ModelFile.h"

#include "mlir/IR/Diagnostics.h"
#include "onnx/defs/schema.h"
#include "llvm/ADT/StringMap.h"
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

void addAttribute(::onnx::NodeProto &node, StringRef name, int64_t value) {
  ::onnx::AttributeProto &attribute = *node.add_attribute();
  attribute.set_name(name.str());
  attribute.set_type(::onnx::AttributeProto::INT);
  attribute.set_i(value);
}

/// The first operator set whose softmax has one axis.
constexpr int64_t kNewSoftmax = 13;

void collectRanks(const ::onnx::GraphProto &graph,
                  llvm::StringMap<int64_t> &ranks) {
  for (auto *values : {&graph.input(), &graph.value_info()})
    for (const ::onnx::ValueInfoProto &value : *values)
      if (value.type().tensor_type().has_shape())
        ranks[value.name()] = value.type().tensor_type().shape().dim_size();
}

class Normalizer {
public:
  Normalizer(::onnx::GraphProto &graph, int64_t opset,
             const llvm::StringMap<int64_t> &ranks, Location location)
      : graph(graph), opset(opset), ranks(ranks), location(location) {}

  LogicalResult run() {
    google::protobuf::RepeatedPtrField<::onnx::NodeProto> old;
    old.Swap(graph.mutable_node());
    for (::onnx::NodeProto &node : old) {
      for (::onnx::AttributeProto &attribute : *node.mutable_attribute())
        if (attribute.has_g() &&
            failed(Normalizer(*attribute.mutable_g(), opset, ranks, location)
                       .run()))
          return failure();
      if (node.domain().empty() && node.output_size() > 0 &&
          failed(normalize(node)))
        return failure();
      *graph.add_node() = std::move(node);
      for (::onnx::NodeProto &next : following)
        *graph.add_node() = std::move(next);
      following.clear();
    }
    return success();
  }

private:
  LogicalResult normalize(::onnx::NodeProto &node) {
    StringRef type = node.op_type();
    static const llvm::StringSet<> reductions = {
        "ReduceMean", "ReduceMax",      "ReduceMin",       "ReduceProd",
        "ReduceL1",   "ReduceL2",       "ReduceSumSquare", "ReduceLogSum",
        "ReduceSum",  "ReduceLogSumExp"};
    takeAttribute(node, "consumed_inputs");
    if (opset < 18 && reductions.contains(type))
      moveToOperand(node, "axes", 1);
    else if (type == "Constant")
      normalizeConstant(node);
    else if (type == "Split")
      normalizeSplit(node);
    else if (type == "Squeeze" || type == "Unsqueeze")
      moveToOperand(node, "axes", 1);
    else if (type == "Slice")
      normalizeSlice(node);
    else if (type == "TopK")
      moveToOperand(node, "k", 1);
    else if (type == "Reshape")
      moveToOperand(node, "shape", 1);
    else if (type == "Pad")
      normalizePad(node);
    else if (type == "Clip")
      normalizeClip(node);
    else if (type == "Dropout")
      moveToOperand(node, "ratio", 1);
    else if (type == "DFT" && opset < 20)
      normalizeDFT(node);
    else if (opset < 13 &&
             (type == "Softmax" || type == "LogSoftmax" || type == "Hardmax"))
      normalizeSoftmax(node);
    else if (type == "Scatter")
      node.set_op_type("ScatterElements");
    else if (type == "Upsample")
      normalizeUpsample(node);
    else if (type == "Resize" && opset < 11)
      insertOperand(node, 1, "");
    else if (type == "Scan" && opset < 9)
      return normalizeScan(node);
    else if (type == "BatchNormalization" && opset < 14)
      return normalizeBatchNormalization(node);
    if (opset < 7 && takeAttribute(node, "broadcast") &&
        takeAttribute(node, "axis"))
      return reject(node, 7);
    return success();
  }

  LogicalResult reject(const ::onnx::NodeProto &node, int64_t needed) {
    return emitError(location)
           << "expected '" << node.op_type() << "', node '" << node.name()
           << "', of operator set " << needed << " or newer, got " << opset
           << "; export the model again";
  }

  /// A constant that belongs to `node`; returns its name.
  ::onnx::TensorProto &addConstant(const ::onnx::NodeProto &node,
                                   StringRef name) {
    ::onnx::TensorProto &tensor = *graph.add_initializer();
    tensor.set_name(node.output(0) + "." + name.str());
    return tensor;
  }

  static void setOperand(::onnx::NodeProto &node, int position,
                         const std::string &name) {
    while (node.input_size() <= position)
      node.add_input();
    node.set_input(position, name);
  }

  static void insertOperand(::onnx::NodeProto &node, int position,
                            const std::string &name) {
    node.add_input();
    for (int i = node.input_size() - 1; i > position; --i)
      node.set_input(i, node.input(i - 1));
    node.set_input(position, name);
  }

  /// Turns an attribute of numbers into the operand at `position`: a vector, or
  /// a scalar if it is one number.
  void moveToOperand(::onnx::NodeProto &node, StringRef name, int position) {
    std::optional<::onnx::AttributeProto> attribute = takeAttribute(node, name);
    if (!attribute)
      return;
    ::onnx::TensorProto &tensor = addConstant(node, name);
    switch (attribute->type()) {
    case ::onnx::AttributeProto::FLOAT:
      tensor.set_data_type(::onnx::TensorProto::FLOAT);
      tensor.add_float_data(attribute->f());
      break;
    case ::onnx::AttributeProto::FLOATS:
      tensor.set_data_type(::onnx::TensorProto::FLOAT);
      tensor.add_dims(attribute->floats_size());
      *tensor.mutable_float_data() = attribute->floats();
      break;
    case ::onnx::AttributeProto::INT:
      tensor.set_data_type(::onnx::TensorProto::INT64);
      // The only one is the `k` of TopK, which is a vector.
      tensor.add_dims(1);
      tensor.add_int64_data(attribute->i());
      break;
    default:
      tensor.set_data_type(::onnx::TensorProto::INT64);
      tensor.add_dims(attribute->ints_size());
      *tensor.mutable_int64_data() = attribute->ints();
    }
    setOperand(node, position, tensor.name());
  }

  /// `Constant` has ten ways to state its value; `value` is the general one.
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

  void normalizeSplit(::onnx::NodeProto &node) {
    moveToOperand(node, "split", 1);
    if (opset < 18 && node.input_size() < 2)
      addAttribute(node, "num_outputs", node.output_size());
  }

  void normalizeSlice(::onnx::NodeProto &node) {
    moveToOperand(node, "starts", 1);
    moveToOperand(node, "ends", 2);
    moveToOperand(node, "axes", 3);
  }

  void normalizePad(::onnx::NodeProto &node) {
    moveToOperand(node, "paddings", 1);
    moveToOperand(node, "pads", 1);
    moveToOperand(node, "value", 2);
  }

  void normalizeClip(::onnx::NodeProto &node) {
    moveToOperand(node, "min", 1);
    moveToOperand(node, "max", 2);
  }

  /// The axis was an attribute, and 1 by default.
  void normalizeDFT(::onnx::NodeProto &node) {
    std::optional<::onnx::AttributeProto> axis = takeAttribute(node, "axis");
    ::onnx::TensorProto &tensor = addConstant(node, "axis");
    tensor.set_data_type(::onnx::TensorProto::INT64);
    tensor.add_int64_data(axis ? axis->i() : 1);
    setOperand(node, 2, tensor.name());
  }

  /// All dimensions from `axis` were one, and so were those before it.
  void normalizeSoftmax(::onnx::NodeProto &node) {
    std::optional<::onnx::AttributeProto> given = takeAttribute(node, "axis");
    int64_t axis = given ? given->i() : 1;
    auto rank = ranks.find(node.input(0));
    addAttribute(node, "axis", -1);
    if (axis == -1 || (rank != ranks.end() && axis == rank->second - 1))
      return;
    std::string input = node.input(0), output = node.output(0);
    std::string shape = output + ".shape", flat = output + ".flat",
                result = output + ".rows";
    auto describe = [](::onnx::NodeProto &added, StringRef type,
                       ArrayRef<std::string> inputs, const std::string &name) {
      added.set_op_type(type.str());
      added.set_name(name);
      for (const std::string &operand : inputs)
        added.add_input(operand);
      added.add_output(name);
    };
    describe(*graph.add_node(), "Shape", input, shape);
    ::onnx::NodeProto &flatten = *graph.add_node();
    describe(flatten, "Flatten", input, flat);
    addAttribute(flatten, "axis", axis);
    describe(following.emplace_back(), "Reshape", {result, shape}, output);
    node.set_input(0, flat);
    node.set_output(0, result);
  }

  /// Training was what a node with more results did.
  LogicalResult normalizeBatchNormalization(::onnx::NodeProto &node) {
    takeAttribute(node, "is_test");
    std::optional<::onnx::AttributeProto> spatial =
        takeAttribute(node, "spatial");
    for (int i = 1; i < node.output_size(); ++i)
      if (!node.output(i).empty())
        return reject(node, 14);
    if (spatial && spatial->i() == 0)
      return reject(node, 9);
    while (node.output_size() > 1)
      node.mutable_output()->RemoveLast();
    return success();
  }

  /// The first dimension of all operands was a batch, each entry of which was
  /// scanned on its own: a Scan over the batch whose body is one.
  LogicalResult normalizeScan(::onnx::NodeProto &node) {
    std::optional<::onnx::AttributeProto> directions =
        takeAttribute(node, "directions");
    if (node.input_size() < 2 || !node.input(0).empty())
      return reject(node, 9);
    node.mutable_input()->DeleteSubrange(0, 1);
    ::onnx::NodeProto inner = node, outer = node;
    if (directions) {
      directions->set_name("scan_input_directions");
      *inner.add_attribute() = *directions;
    }
    outer.clear_attribute();
    addAttribute(outer, "num_scan_inputs", node.input_size());
    ::onnx::AttributeProto &attribute = *outer.add_attribute();
    attribute.set_name("body");
    attribute.set_type(::onnx::AttributeProto::GRAPH);
    ::onnx::GraphProto &body = *attribute.mutable_g();
    body.set_name(node.output(0) + ".batch");
    for (std::string &name : *inner.mutable_input()) {
      name = node.output(0) + "." + name;
      body.add_input()->set_name(name);
    }
    for (std::string &name : *inner.mutable_output()) {
      name += ".entry";
      body.add_output()->set_name(name);
    }
    *body.add_node() = std::move(inner);
    node = std::move(outer);
    return success();
  }

  /// `Upsample` became `Resize` with other defaults.
  void normalizeUpsample(::onnx::NodeProto &node) {
    moveToOperand(node, "scales", 1);
    insertOperand(node, 1, "");
    node.set_op_type("Resize");
    auto addString = [&](StringRef name, StringRef value) {
      ::onnx::AttributeProto &attribute = *node.add_attribute();
      attribute.set_name(name.str());
      attribute.set_type(::onnx::AttributeProto::STRING);
      attribute.set_s(value.str());
    };
    addString("coordinate_transformation_mode", "asymmetric");
    addString("nearest_mode", "floor");
  }

  ::onnx::GraphProto &graph;
  int64_t opset;
  const llvm::StringMap<int64_t> &ranks;
  Location location;
  /// Nodes to add behind the current one.
  SmallVector<::onnx::NodeProto> following;
};

} // namespace

LogicalResult mlir::onnx::normalizeModel(Location location,
                                         ::onnx::ModelProto &model) {
  int64_t newest = ::onnx::OpSchemaRegistry::DomainToVersionRange::Instance()
                       .Map()
                       .at("")
                       .second;
  ::onnx::OperatorSetIdProto *import = nullptr;
  for (::onnx::OperatorSetIdProto &candidate : *model.mutable_opset_import())
    if (candidate.domain().empty())
      import = &candidate;
  if (!import)
    return success();
  int64_t opset = import->version();
  if (opset > newest)
    emitWarning(location) << "operator set " << opset
                          << " is newer than the newest that is known; its "
                             "operators are read as those of "
                          << newest;
  llvm::StringMap<int64_t> ranks;
  if (opset < kNewSoftmax) {
    if (failed(inferTypes(location, model)))
      return failure();
    collectRanks(model.graph(), ranks);
  }
  import->set_version(newest);
  return Normalizer(*model.mutable_graph(), opset, ranks, location).run();
}
