//===- InferRanks.cpp - types of which only the rank is known ---------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The ONNX library infers no shape at all where an extent depends on a number
// that only a run can tell. The compiler needs the rank; extents may be
// dynamic.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/KnownValues.h"

#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::onnx;

namespace {

using Shape = ::onnx::TensorShapeProto;

Shape makeShape(int64_t rank) {
  Shape shape;
  for (int64_t i = 0; i < rank; ++i)
    shape.add_dim();
  return shape;
}

void setDim(Shape &shape, int i, std::optional<int64_t> extent) {
  shape.mutable_dim(i)->Clear();
  if (extent && *extent >= 0)
    shape.mutable_dim(i)->set_dim_value(*extent);
}

int64_t getInteger(const ::onnx::NodeProto &node, StringRef name,
                   int64_t fallback) {
  for (const ::onnx::AttributeProto &attribute : node.attribute())
    if (attribute.name() == name && attribute.has_i())
      return attribute.i();
  return fallback;
}

bool isComplete(const ::onnx::TypeProto *type) {
  if (!type)
    return false;
  if (type->has_sequence_type())
    return isComplete(&type->sequence_type().elem_type());
  if (type->has_optional_type())
    return isComplete(&type->optional_type().elem_type());
  return type->has_tensor_type() && type->tensor_type().has_shape() &&
         type->tensor_type().elem_type() != 0;
}

/// Shapes of the results of one node.
class RankRules {
public:
  RankRules(const ::onnx::NodeProto &node, const KnownValues &known)
      : node(node), known(known) {}

  /// The shape of result `i`, or nothing.
  std::optional<Shape> getShape(int i);
  /// The operand whose element type result `i` has.
  int getTypeSource() const {
    return node.op_type() == "ConstantOfShape" ? -1 : 0;
  }

private:
  const Shape *getOperand(int i) const {
    return i < node.input_size() ? known.lookupShape(node.input(i)) : nullptr;
  }
  bool hasOperand(int i) const {
    return i < node.input_size() && !node.input(i).empty();
  }
  std::optional<KnownValue> getValue(int i) const {
    return hasOperand(i) ? known.lookup(node.input(i)) : std::nullopt;
  }

  std::optional<Shape> reduce();
  std::optional<Shape> squeeze(const Shape &data);
  std::optional<Shape> split(const Shape &data);
  std::optional<Shape> expand(const Shape &data);
  std::optional<Shape> reshape(const Shape &data);

  const ::onnx::NodeProto &node;
  const KnownValues &known;
};

std::optional<Shape> RankRules::reduce() {
  const Shape *data = getOperand(0);
  if (!data)
    return std::nullopt;
  bool keep = getInteger(node, "keepdims", 1) != 0;
  if (keep)
    return makeShape(data->dim_size());
  std::optional<KnownValue> axes = getValue(1);
  if (!axes)
    return std::nullopt;
  int64_t count = axes->elements.size();
  if (count == 0)
    count = getInteger(node, "noop_with_empty_axes", 0) ? 0 : data->dim_size();
  if (count > data->dim_size())
    return std::nullopt;
  return makeShape(data->dim_size() - count);
}

/// Without axes, those of extent 1 go; dynamic ones are taken to be others.
std::optional<Shape> RankRules::squeeze(const Shape &data) {
  if (hasOperand(1)) {
    std::optional<KnownValue> axes = getValue(1);
    int64_t count = axes ? axes->elements.size() : INT64_MAX;
    return count <= data.dim_size()
               ? std::optional<Shape>(makeShape(data.dim_size() - count))
               : std::nullopt;
  }
  Shape shape;
  for (const Shape::Dimension &dim : data.dim())
    if (!dim.has_dim_value() || dim.dim_value() != 1)
      *shape.add_dim() = dim;
  return shape;
}

std::optional<Shape> RankRules::split(const Shape &data) {
  int64_t axis = getInteger(node, "axis", 0);
  if (axis < 0)
    axis += data.dim_size();
  if (axis < 0 || axis >= data.dim_size())
    return std::nullopt;
  Shape shape = data;
  shape.mutable_dim(axis)->Clear();
  return shape;
}

std::optional<Shape> RankRules::expand(const Shape &data) {
  std::optional<KnownValue> target = getValue(1);
  if (!target || target->isScalar)
    return std::nullopt;
  int64_t count = target->elements.size();
  int64_t rank = std::max<int64_t>(count, data.dim_size());
  Shape shape = makeShape(rank);
  for (int64_t i = 0; i < rank; ++i) {
    int64_t own = i - (rank - data.dim_size()), wanted = i - (rank - count);
    std::optional<int64_t> extent = 1;
    if (own >= 0)
      extent = data.dim(own).has_dim_value()
                   ? std::optional<int64_t>(data.dim(own).dim_value())
                   : std::nullopt;
    std::optional<int64_t> stated =
        wanted >= 0 ? target->elements[wanted] : std::optional<int64_t>(1);
    // An extent other than 1 wins.
    if (stated && *stated != 1)
      setDim(shape, i, stated);
    else if (extent && (*extent != 1 || stated))
      setDim(shape, i, extent);
  }
  return shape;
}

std::optional<Shape> RankRules::reshape(const Shape &data) {
  std::optional<KnownValue> target = getValue(1);
  if (!target || target->isScalar)
    return std::nullopt;
  int64_t rank = target->elements.size();
  Shape shape = makeShape(rank);
  bool copies = getInteger(node, "allowzero", 0) == 0;
  for (int64_t i = 0; i < rank; ++i) {
    std::optional<int64_t> extent = target->elements[i];
    if (extent == 0 && copies) {
      if (i < data.dim_size())
        *shape.mutable_dim(i) = data.dim(i);
    } else {
      setDim(shape, i, extent);
    }
  }
  return shape;
}

std::optional<Shape> RankRules::getShape(int i) {
  StringRef type = node.op_type();
  if (type == "ConstantOfShape") {
    std::optional<KnownValue> target = getValue(0);
    if (!target || target->isScalar)
      return std::nullopt;
    Shape shape = makeShape(target->elements.size());
    for (auto [dim, extent] : llvm::enumerate(target->elements))
      setDim(shape, dim, extent);
    return shape;
  }
  if (type == "Range")
    return makeShape(1);
  if (type.starts_with("Reduce"))
    return reduce();
  const Shape *data = getOperand(0);
  if (!data)
    return std::nullopt;
  static const llvm::StringSet<> keepsRank = {"CenterCropPad", "Pad",  "Resize",
                                              "Slice",         "Tile", "TopK"};
  if (keepsRank.contains(type))
    return makeShape(data->dim_size());
  if (type == "Squeeze")
    return squeeze(*data);
  if (type == "Unsqueeze") {
    std::optional<KnownValue> axes = getValue(1);
    if (!axes)
      return std::nullopt;
    return makeShape(data->dim_size() + axes->elements.size());
  }
  if (type == "Split")
    return split(*data);
  if (type == "Expand")
    return expand(*data);
  if (type == "Reshape")
    return reshape(*data);
  return std::nullopt;
}

class RankInference {
public:
  bool run(::onnx::GraphProto &graph, const KnownValues *outer);

private:
  void state(::onnx::GraphProto &graph, const std::string &name,
             int elementType, const Shape &shape);
  void runNode(::onnx::GraphProto &graph, const ::onnx::NodeProto &node,
               const KnownValues &known);
  void enterLoop(const ::onnx::NodeProto &node, ::onnx::GraphProto &body,
                 const KnownValues &known);
  void leaveLoop(::onnx::GraphProto &graph, const ::onnx::NodeProto &node,
                 const ::onnx::GraphProto &body, const KnownValues &known);

  bool changed = false;
};

void RankInference::state(::onnx::GraphProto &graph, const std::string &name,
                          int elementType, const Shape &shape) {
  ::onnx::ValueInfoProto *info = nullptr;
  for (::onnx::ValueInfoProto &candidate : *graph.mutable_value_info())
    if (candidate.name() == name)
      info = &candidate;
  if (!info) {
    info = graph.add_value_info();
    info->set_name(name);
  }
  auto &type = *info->mutable_type()->mutable_tensor_type();
  if (type.elem_type() == 0)
    type.set_elem_type(elementType);
  *type.mutable_shape() = shape;
  changed = true;
}

/// A state of a loop has the rank that it starts with.
void RankInference::enterLoop(const ::onnx::NodeProto &node,
                              ::onnx::GraphProto &body,
                              const KnownValues &known) {
  for (int i = 2; i < std::min(node.input_size(), body.input_size()); ++i) {
    const ::onnx::TypeProto *initial = known.lookupType(node.input(i));
    ::onnx::TypeProto &type = *body.mutable_input(i)->mutable_type();
    if (isComplete(&type) || !isComplete(initial) ||
        !initial->has_tensor_type())
      continue;
    type.mutable_tensor_type()->set_elem_type(
        initial->tensor_type().elem_type());
    *type.mutable_tensor_type()->mutable_shape() =
        makeShape(initial->tensor_type().shape().dim_size());
    changed = true;
  }
}

void RankInference::leaveLoop(::onnx::GraphProto &graph,
                              const ::onnx::NodeProto &node,
                              const ::onnx::GraphProto &body,
                              const KnownValues &known) {
  KnownValues inner(body, &known);
  int states = node.input_size() - 2;
  if (body.output_size() != node.output_size() + 1)
    return;
  for (int i = 0; i < node.output_size(); ++i) {
    const std::string &name = node.output(i);
    const ::onnx::TypeProto *type = inner.lookupType(body.output(i + 1).name());
    if (name.empty() || isComplete(known.lookupType(name)) ||
        !isComplete(type) || !type->has_tensor_type())
      continue;
    const Shape &part = type->tensor_type().shape();
    Shape shape = part;
    if (i < states) {
      const Shape *initial = known.lookupShape(node.input(i + 2));
      if (!initial || initial->dim_size() != part.dim_size())
        continue;
      for (int d = 0; d < part.dim_size(); ++d)
        if (!initial->dim(d).has_dim_value() || !part.dim(d).has_dim_value() ||
            initial->dim(d).dim_value() != part.dim(d).dim_value())
          shape.mutable_dim(d)->Clear();
    } else {
      shape = makeShape(part.dim_size() + 1);
      for (int d = 0; d < part.dim_size(); ++d)
        if (part.dim(d).has_dim_value())
          setDim(shape, d + 1, part.dim(d).dim_value());
    }
    state(graph, name, type->tensor_type().elem_type(), shape);
  }
}

void RankInference::runNode(::onnx::GraphProto &graph,
                            const ::onnx::NodeProto &node,
                            const KnownValues &known) {
  if (!node.domain().empty())
    return;
  RankRules rules(node, known);
  for (int i = 0; i < node.output_size(); ++i) {
    const std::string &name = node.output(i);
    const ::onnx::TypeProto *type =
        name.empty() ? nullptr : known.lookupType(name);
    if (name.empty() || isComplete(type))
      continue;
    std::optional<Shape> shape = rules.getShape(i);
    if (!shape)
      continue;
    int elementType = type ? type->tensor_type().elem_type() : 0;
    if (elementType == 0 && rules.getTypeSource() >= 0)
      if (const ::onnx::TypeProto *source =
              known.lookupType(node.input(rules.getTypeSource())))
        elementType = source->tensor_type().elem_type();
    if (elementType != 0)
      state(graph, name, elementType, *shape);
  }
}

bool RankInference::run(::onnx::GraphProto &graph, const KnownValues *outer) {
  KnownValues known(graph, outer);
  for (::onnx::NodeProto &node : *graph.mutable_node()) {
    bool isLoop = node.domain().empty() && node.op_type() == "Loop";
    for (::onnx::AttributeProto &attribute : *node.mutable_attribute()) {
      if (!attribute.has_g())
        continue;
      ::onnx::GraphProto &body = *attribute.mutable_g();
      if (isLoop)
        enterLoop(node, body, known);
      run(body, &known);
      if (isLoop)
        leaveLoop(graph, node, body, known);
    }
    known.addNode(node);
    runNode(graph, node, known);
  }
  return changed;
}

} // namespace

static bool hasUnknown(const ::onnx::GraphProto &graph,
                       const KnownValues *outer) {
  KnownValues known(graph, outer);
  for (const ::onnx::NodeProto &node : graph.node()) {
    for (const ::onnx::AttributeProto &attribute : node.attribute())
      if (attribute.has_g() && hasUnknown(attribute.g(), &known))
        return true;
    for (const std::string &name : node.output())
      if (!name.empty() && !isComplete(known.lookupType(name)))
        return true;
  }
  return false;
}

bool mlir::onnx::hasUnknownShapes(const ::onnx::ModelProto &model) {
  return hasUnknown(model.graph(), nullptr);
}

bool mlir::onnx::inferRanks(::onnx::ModelProto &model) {
  return RankInference().run(*model.mutable_graph(), nullptr);
}
