//===- SplitSequences.cpp - inputs for the tensors of a sequence ------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/ModelFile.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::onnx;

/// A longer sequence is refused.
static constexpr int64_t kMaxLength = 1024;

/// The type of the tensors of a sequence, or of an optional one; else null.
static const ::onnx::TypeProto *getTensorType(const ::onnx::TypeProto &type) {
  const ::onnx::TypeProto &held =
      type.has_optional_type() ? type.optional_type().elem_type() : type;
  if (!held.has_sequence_type())
    return nullptr;
  const ::onnx::TypeProto &tensor = held.sequence_type().elem_type();
  return tensor.has_tensor_type() ? &tensor : nullptr;
}

/// The nodes that make the sequence `input` of the tensors `parts`.
static std::vector<::onnx::NodeProto>
makeSequence(const ::onnx::ValueInfoProto &input, ArrayRef<std::string> parts,
             int elementType) {
  std::vector<::onnx::NodeProto> nodes(1);
  ::onnx::NodeProto &sequence = nodes.front();
  sequence.set_name(input.name());
  for (const std::string &part : parts)
    sequence.add_input(part);
  sequence.set_op_type("SequenceConstruct");
  if (parts.empty()) {
    sequence.set_op_type("SequenceEmpty");
    ::onnx::AttributeProto *dtype = sequence.add_attribute();
    dtype->set_name("dtype");
    dtype->set_type(::onnx::AttributeProto::INT);
    dtype->set_i(elementType);
  }
  sequence.add_output(input.name());
  if (input.type().has_optional_type()) {
    sequence.set_output(0, input.name() + ".sequence");
    ::onnx::NodeProto &optional = nodes.emplace_back();
    optional.set_name(input.name());
    optional.set_op_type("Optional");
    optional.add_input(nodes.front().output(0));
    optional.add_output(input.name());
  }
  return nodes;
}

LogicalResult mlir::onnx::splitSequences(Location location,
                                         const ImportOptions &options,
                                         ::onnx::ModelProto &model) {
  std::map<std::string, int64_t> stated = options.sequenceLengths;
  ::onnx::GraphProto &graph = *model.mutable_graph();
  llvm::StringSet<> names;
  for (const ::onnx::ValueInfoProto &input : graph.input())
    names.insert(input.name());
  std::vector<::onnx::ValueInfoProto> inputs;
  std::vector<::onnx::NodeProto> nodes;
  for (auto [index, input] : llvm::enumerate(graph.input())) {
    const ::onnx::TypeProto *tensor = getTensorType(input.type());
    std::optional<int64_t> length;
    std::optional<std::vector<int64_t>> ranks;
    if (auto found = stated.find(input.name());
        tensor && found != stated.end()) {
      length = found->second;
      stated.erase(found);
    } else if (tensor && options.getSequenceRanks) {
      ranks = options.getSequenceRanks(index);
      if (ranks)
        length = ranks->size();
    }
    if (!length) {
      inputs.push_back(input);
      continue;
    }
    if (*length < 0 || *length > kMaxLength)
      return emitError(location)
             << "expected at most " << kMaxLength << " tensors in input '"
             << input.name() << "', got " << *length;
    std::vector<std::string> parts;
    for (int64_t i = 0; i < *length; ++i) {
      ::onnx::ValueInfoProto &part = inputs.emplace_back();
      part.set_name(input.name() + "." + std::to_string(i));
      *part.mutable_type() = *tensor;
      ::onnx::TypeProto::Tensor &type =
          *part.mutable_type()->mutable_tensor_type();
      // A name stands for an extent that may be another one in each tensor.
      if (type.has_shape()) {
        for (auto &dim : *type.mutable_shape()->mutable_dim())
          dim.clear_dim_param();
      } else if (ranks) {
        type.mutable_shape();
        for (int64_t axis = 0; axis < (*ranks)[i]; ++axis)
          type.mutable_shape()->add_dim();
      }
      if (!names.insert(part.name()).second)
        return emitError(location) << "expected no input '" << part.name()
                                   << "' beside the sequence '" << input.name()
                                   << "'; rename one of them";
      parts.push_back(part.name());
    }
    for (::onnx::NodeProto &node :
         makeSequence(input, parts, tensor->tensor_type().elem_type()))
      nodes.push_back(std::move(node));
  }
  if (!stated.empty())
    return emitError(location) << "expected an input '" << stated.begin()->first
                               << "' that is a sequence of tensors";
  if (nodes.empty())
    return success();
  for (const ::onnx::NodeProto &node : graph.node())
    nodes.push_back(node);
  graph.mutable_input()->Assign(inputs.begin(), inputs.end());
  graph.mutable_node()->Assign(nodes.begin(), nodes.end());
  return success();
}
