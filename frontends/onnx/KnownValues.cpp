//===- KnownValues.cpp - what is known of shapes before a run ---------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/KnownValues.h"

#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/MathExtras.h"

#include <cstring>

using namespace mlir;
using namespace mlir::onnx;

namespace {

using Elements = SmallVector<std::optional<int64_t>>;
using TensorProto = ::onnx::TensorProto;

/// Longer tensors are data.
constexpr int64_t kMaxElements = 64;

bool isIndexType(int32_t type) {
  return type == TensorProto::INT64 || type == TensorProto::INT32 ||
         type == TensorProto::BOOL;
}

bool hasShape(const ::onnx::TypeProto *type) {
  return type && type->tensor_type().has_shape();
}

std::optional<KnownValue> readConstant(const TensorProto &tensor) {
  int64_t count = tensor.dims_size() == 1 ? tensor.dims(0) : 1;
  if (tensor.dims_size() > 1 || count < 0 || count > kMaxElements ||
      !isIndexType(tensor.data_type()) ||
      tensor.data_location() == TensorProto::EXTERNAL)
    return std::nullopt;
  KnownValue value{tensor.data_type(), tensor.dims_size() == 0, {}};
  if (tensor.has_raw_data()) {
    size_t width = tensor.data_type() == TensorProto::INT64   ? 8
                   : tensor.data_type() == TensorProto::INT32 ? 4
                                                              : 1;
    if (tensor.raw_data().size() != width * count)
      return std::nullopt;
    for (int64_t i = 0; i < count; ++i) {
      uint64_t bits = 0;
      std::memcpy(&bits, tensor.raw_data().data() + i * width, width);
      value.elements.push_back(width == 4 ? int64_t(int32_t(bits))
                                          : int64_t(bits));
    }
  } else if (tensor.data_type() == TensorProto::INT64) {
    value.elements.append(tensor.int64_data().begin(),
                          tensor.int64_data().end());
  } else {
    value.elements.append(tensor.int32_data().begin(),
                          tensor.int32_data().end());
  }
  if (static_cast<int64_t>(value.elements.size()) != count)
    return std::nullopt;
  return value;
}

int64_t getInteger(const ::onnx::NodeProto &node, StringRef name,
                   int64_t fallback) {
  for (const ::onnx::AttributeProto &attribute : node.attribute())
    if (attribute.name() == name && attribute.has_i())
      return attribute.i();
  return fallback;
}

std::optional<int64_t> combine(StringRef type, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflows = false;
  if (type == "Add")
    overflows = llvm::AddOverflow(a, b, result);
  else if (type == "Sub")
    overflows = llvm::SubOverflow(a, b, result);
  else if (type == "Mul")
    overflows = llvm::MulOverflow(a, b, result);
  else if (type == "Div" || type == "Mod") {
    if (b == 0 || b == -1)
      return b == 0 || type == "Mod" || a == INT64_MIN
                 ? std::nullopt
                 : std::optional<int64_t>(-a);
    // The remainder has the sign of the divisor.
    int64_t rest = a % b;
    result =
        type == "Div" ? a / b : rest + (rest && (rest < 0) != (b < 0) ? b : 0);
  } else
    result = llvm::StringSwitch<int64_t>(type)
                 .Case("Min", std::min(a, b))
                 .Case("Max", std::max(a, b))
                 .Case("Equal", a == b)
                 .Case("Less", a < b)
                 .Case("LessOrEqual", a <= b)
                 .Case("Greater", a > b)
                 .Case("GreaterOrEqual", a >= b)
                 .Case("And", a && b)
                 .Case("Or", a || b)
                 .Default(0);
  return overflows ? std::nullopt : std::optional<int64_t>(result);
}

bool isArithmetic(StringRef type) {
  return llvm::is_contained({"Add", "Sub", "Mul", "Div", "Mod", "Min", "Max"},
                            type);
}

bool isComparison(StringRef type) {
  return llvm::is_contained({"Equal", "Less", "LessOrEqual", "Greater",
                             "GreaterOrEqual", "And", "Or"},
                            type);
}

/// Element by element; a scalar, or a single element, meets all of the other.
std::optional<KnownValue> combine(StringRef type, const KnownValue &a,
                                  const KnownValue &b) {
  size_t countA = a.elements.size(), countB = b.elements.size();
  if (countA != countB && countA != 1 && countB != 1)
    return std::nullopt;
  KnownValue result{isComparison(type) ? int32_t(TensorProto::BOOL)
                                       : a.dataType,
                    a.isScalar && b.isScalar,
                    {}};
  size_t count = countA == 1 ? countB : countA;
  for (size_t i = 0; i < count; ++i) {
    std::optional<int64_t> left = a.elements[countA == 1 ? 0 : i];
    std::optional<int64_t> right = b.elements[countB == 1 ? 0 : i];
    result.elements.push_back(left && right ? combine(type, *left, *right)
                                            : std::nullopt);
  }
  return result;
}

/// A part of a vector, as Slice cuts it.
std::optional<KnownValue> slice(const KnownValue &data,
                                std::optional<int64_t> start,
                                std::optional<int64_t> end,
                                std::optional<int64_t> step) {
  if (!start || !end || step != 1)
    return std::nullopt;
  int64_t count = data.elements.size();
  auto clamp = [&](int64_t i) {
    return std::clamp<int64_t>(i < 0 ? i + count : i, 0, count);
  };
  int64_t first = clamp(*start), last = std::max(first, clamp(*end));
  KnownValue result{data.dataType, false, {}};
  result.elements.append(data.elements.begin() + first,
                         data.elements.begin() + last);
  return result;
}

std::optional<KnownValue> makeRange(const KnownValue &start,
                                    const KnownValue &limit,
                                    const KnownValue &delta) {
  std::optional<int64_t> first = start.getOnly(), last = limit.getOnly(),
                         step = delta.getOnly();
  if (!first || !last || !step || *step == 0)
    return std::nullopt;
  KnownValue result{start.dataType, false, {}};
  for (int64_t i = *first; *step > 0 ? i < *last : i > *last;) {
    if (result.elements.size() == kMaxElements)
      return std::nullopt;
    result.elements.push_back(i);
    if (llvm::AddOverflow(i, *step, i))
      return std::nullopt;
  }
  return result;
}

} // namespace

std::optional<SmallVector<int64_t>> KnownValue::getAll() const {
  SmallVector<int64_t> all;
  for (std::optional<int64_t> element : elements) {
    if (!element)
      return std::nullopt;
    all.push_back(*element);
  }
  return all;
}

std::optional<int64_t> KnownValue::getOnly() const {
  return elements.size() == 1 ? elements.front() : std::nullopt;
}

TensorProto mlir::onnx::makeTensor(const KnownValue &value) {
  TensorProto tensor;
  tensor.set_data_type(value.dataType);
  if (!value.isScalar)
    tensor.add_dims(value.elements.size());
  for (std::optional<int64_t> element : value.elements) {
    if (value.dataType == TensorProto::INT64)
      tensor.add_int64_data(*element);
    else
      tensor.add_int32_data(static_cast<int32_t>(*element));
  }
  return tensor;
}

KnownValues::KnownValues(const ::onnx::GraphProto &graph,
                         const KnownValues *outer)
    : outer(outer) {
  for (auto *infos : {&graph.value_info(), &graph.input(), &graph.output()})
    for (const ::onnx::ValueInfoProto &info : *infos)
      if (info.has_type() && !hasShape(types.lookup(info.name())))
        types[info.name()] = &info.type();
  for (const ::onnx::ValueInfoProto &input : graph.input())
    defined[input.name()] = true;
  for (const TensorProto &tensor : graph.initializer()) {
    defined[tensor.name()] = true;
    if (std::optional<KnownValue> value = readConstant(tensor))
      values[tensor.name()] = std::move(*value);
  }
  for (const ::onnx::NodeProto &node : graph.node())
    for (const std::string &name : node.output())
      defined[name] = true;
}

void KnownValues::addNode(const ::onnx::NodeProto &node) {
  if (!node.domain().empty() || node.output_size() != 1)
    return;
  if (std::optional<KnownValue> value = evaluate(node))
    values[node.output(0)] = std::move(*value);
}

const ::onnx::TypeProto *KnownValues::lookupType(StringRef name) const {
  if (const ::onnx::TypeProto *type = types.lookup(name))
    return type;
  return outer && !defines(name) ? outer->lookupType(name) : nullptr;
}

const ::onnx::TensorShapeProto *KnownValues::lookupShape(StringRef name) const {
  const ::onnx::TypeProto *type = lookupType(name);
  return hasShape(type) ? &type->tensor_type().shape() : nullptr;
}

std::optional<KnownValue> KnownValues::lookup(StringRef name) const {
  if (name.empty())
    return std::nullopt;
  if (auto found = values.find(name); found != values.end())
    return found->second;
  if (outer && !defines(name))
    return outer->lookup(name);
  const ::onnx::TensorShapeProto *shape = lookupShape(name);
  if (!shape || shape->dim_size() > 1 ||
      !isIndexType(lookupType(name)->tensor_type().elem_type()))
    return std::nullopt;
  bool isScalar = shape->dim_size() == 0;
  if (!isScalar &&
      (!shape->dim(0).has_dim_value() || shape->dim(0).dim_value() < 0 ||
       shape->dim(0).dim_value() > kMaxElements))
    return std::nullopt;
  return KnownValue{lookupType(name)->tensor_type().elem_type(), isScalar,
                    Elements(isScalar ? 1 : shape->dim(0).dim_value())};
}

std::optional<KnownValue>
KnownValues::evaluate(const ::onnx::NodeProto &node) const {
  StringRef type = node.op_type();
  auto operand = [&](int i) {
    return i < node.input_size() ? lookup(node.input(i)) : std::nullopt;
  };
  if (type == "Constant") {
    if (node.attribute_size() != 1 || !node.attribute(0).has_t())
      return std::nullopt;
    return readConstant(node.attribute(0).t());
  }
  if (type == "Shape" || type == "Size") {
    const ::onnx::TensorShapeProto *shape = lookupShape(node.input(0));
    if (!shape || shape->dim_size() > kMaxElements)
      return std::nullopt;
    KnownValue result;
    for (const auto &dim : shape->dim())
      result.elements.push_back(dim.has_dim_value()
                                    ? std::optional<int64_t>(dim.dim_value())
                                    : std::nullopt);
    if (type == "Shape")
      return slice(result, getInteger(node, "start", 0),
                   getInteger(node, "end", shape->dim_size()), 1);
    std::optional<int64_t> product = 1;
    for (std::optional<int64_t> extent : result.elements)
      product =
          product && extent ? combine("Mul", *product, *extent) : std::nullopt;
    return KnownValue{TensorProto::INT64, true, {product}};
  }
  if (type == "Concat") {
    KnownValue result;
    for (int i = 0; i < node.input_size(); ++i) {
      std::optional<KnownValue> part = operand(i);
      if (!part || part->isScalar)
        return std::nullopt;
      result.dataType = part->dataType;
      result.elements.append(part->elements);
    }
    return result.elements.size() <= kMaxElements
               ? std::optional<KnownValue>(result)
               : std::nullopt;
  }
  std::optional<KnownValue> first = operand(0), second = operand(1),
                            third = operand(2);
  if (!first)
    return std::nullopt;
  if (type == "Identity")
    return first;
  if (type == "Cast") {
    first->dataType = static_cast<int32_t>(getInteger(node, "to", 0));
    if (!isIndexType(first->dataType))
      return std::nullopt;
    for (std::optional<int64_t> &element : first->elements)
      if (element && first->dataType == TensorProto::BOOL)
        element = *element != 0;
      else if (element && first->dataType == TensorProto::INT32 &&
               !llvm::isInt<32>(*element))
        element = std::nullopt;
    return first;
  }
  if (type == "Unsqueeze" && first->isScalar && second &&
      second->elements.size() == 1) {
    first->isScalar = false;
    return first;
  }
  if (type == "Squeeze" && !first->isScalar && first->elements.size() == 1) {
    first->isScalar = true;
    return first;
  }
  if (type == "Reshape" && second && second->elements.size() <= 1) {
    first->isScalar = second->elements.empty();
    return first;
  }
  if ((type == "Neg" || type == "Not") && first) {
    for (std::optional<int64_t> &element : first->elements)
      if (element)
        element = type == "Not" ? std::optional<int64_t>(!*element)
                                : combine("Sub", 0, *element);
    return first;
  }
  if (type == "Slice" && !first->isScalar && second && third) {
    std::optional<KnownValue> step = operand(4);
    bool hasStep = node.input_size() > 4 && !node.input(4).empty();
    return slice(*first, second->getOnly(), third->getOnly(),
                 !hasStep ? 1 : (step ? step->getOnly() : std::nullopt));
  }
  if (type == "Gather" && !first->isScalar && second) {
    KnownValue result{first->dataType, second->isScalar, {}};
    int64_t count = first->elements.size();
    for (std::optional<int64_t> index : second->elements) {
      int64_t place = index ? (*index < 0 ? *index + count : *index) : -1;
      if (index && (place < 0 || place >= count))
        return std::nullopt;
      result.elements.push_back(index ? first->elements[place] : std::nullopt);
    }
    return result;
  }
  if (type == "Range" && second && third)
    return makeRange(*first, *second, *third);
  if ((isArithmetic(type) || isComparison(type)) && second &&
      node.input_size() == 2)
    return combine(type, *first, *second);
  return std::nullopt;
}
