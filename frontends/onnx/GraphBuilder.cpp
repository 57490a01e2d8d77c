//===- GraphBuilder.cpp - operations of the onnx dialect for a graph --------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/GraphBuilder.h"

#include "dialects/moe/MoEDialect.h"
#include "dialects/onnx/ONNXDialect.h"
#include "frontends/onnx/ModelFile.h"
#include "frontends/onnx/Tensors.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Diagnostics.h"
#include "onnx/defs/schema.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::onnx;

namespace {

/// Subgraphs nested deeper than this are refused.
constexpr unsigned kMaxDepth = 64;

class GraphBuilder {
public:
  GraphBuilder(StringRef folder, const ImportOptions &options,
               WeightLocator &locator, MLIRContext *context)
      : folder(folder), options(options), locator(locator), context(context),
        builder(context) {}

  LogicalResult buildMain(const ::onnx::GraphProto &graph, ModuleOp module);

private:
  /// What a graph defines; subgraphs see the scopes around them.
  struct Scope {
    llvm::StringMap<Value> values;
    llvm::StringMap<Type> types;
  };

  LogicalResult listUnknownOperators(const ::onnx::GraphProto &graph,
                                     unsigned depth);
  void enterScope(const ::onnx::GraphProto &graph);
  ArrayAttr getStatedDims(const ::onnx::ValueInfoProto &output, Type type);
  LogicalResult buildBody(const ::onnx::GraphProto &graph);
  LogicalResult buildInitializer(const ::onnx::TensorProto &tensor);
  FailureOr<Value> buildTensor(const ::onnx::TensorProto &tensor,
                               StringRef name, Location location);
  moe::ViewAttr getView(const WeightPlace &place, RankedTensorType type);
  LogicalResult buildNode(const ::onnx::NodeProto &node);
  LogicalResult addOperands(const ::onnx::NodeProto &node,
                            const ::onnx::OpSchema *schema,
                            OperationState &state);
  LogicalResult addResults(const ::onnx::NodeProto &node,
                           const ::onnx::OpSchema *schema,
                           OperationState &state);
  LogicalResult addAttributes(const ::onnx::NodeProto &node,
                              const ::onnx::OpSchema *schema,
                              OperationState &state);
  LogicalResult buildRegions(const ::onnx::NodeProto &node, Operation *op);
  FailureOr<Attribute> buildAttribute(const ::onnx::AttributeProto &attribute,
                                      Location location);

  Value lookup(StringRef name);
  Type lookupType(StringRef name) { return scopes.back().types.lookup(name); }
  Location getLocation(const ::onnx::NodeProto &node);
  Value getNoValue(Location location) {
    return NoValueOp::create(builder, location, builder.getNoneType());
  }

  StringRef folder;
  const ImportOptions &options;
  WeightLocator &locator;
  MLIRContext *context;
  OpBuilder builder;
  std::vector<Scope> scopes;
};

/// What a type is that no input may have.
StringRef describeType(const ::onnx::TypeProto &type) {
  if (type.has_sequence_type())
    return ", got a sequence; state how many tensors it holds "
           "(--sequence NAME=N)";
  if (type.has_optional_type())
    return ", got an optional value";
  if (type.tensor_type().elem_type() == ::onnx::TensorProto::STRING)
    return ", got strings";
  return "";
}

Location GraphBuilder::getLocation(const ::onnx::NodeProto &node) {
  std::string name = node.name();
  if (name.empty())
    name = node.output_size() > 0 ? node.output(0) : node.op_type();
  return NameLoc::get(StringAttr::get(context, name));
}

Value GraphBuilder::lookup(StringRef name) {
  for (Scope &scope : llvm::reverse(scopes))
    if (Value value = scope.values.lookup(name))
      return value;
  return {};
}

LogicalResult
GraphBuilder::listUnknownOperators(const ::onnx::GraphProto &graph,
                                   unsigned depth) {
  if (depth > kMaxDepth)
    return emitError(UnknownLoc::get(context))
           << "expected at most " << kMaxDepth << " levels of subgraphs";
  bool known = true;
  for (const ::onnx::NodeProto &node : graph.node()) {
    std::string name = getOperationName(node.domain(), node.op_type());
    if (!RegisteredOperationName::lookup(name, context)) {
      InFlightDiagnostic error = emitError(getLocation(node));
      error << "operator '" << node.op_type() << "' of domain '"
            << (node.domain().empty() ? "ai.onnx" : node.domain())
            << "' is not supported";
      known = false;
    }
    for (const ::onnx::AttributeProto &attribute : node.attribute())
      if (attribute.has_g() &&
          failed(listUnknownOperators(attribute.g(), depth + 1)))
        known = false;
  }
  return success(known);
}

void GraphBuilder::enterScope(const ::onnx::GraphProto &graph) {
  llvm::StringMap<Type> &types = scopes.emplace_back().types;
  // The outputs of the main graph are as the file states them, which counts
  // only for those that are inputs.
  for (auto *values : {&graph.input(), &graph.value_info(), &graph.output()})
    for (const ::onnx::ValueInfoProto &value : *values)
      if (Type type = getValueType(value.type(), context))
        types.try_emplace(value.name(), type);
}

LogicalResult GraphBuilder::buildMain(const ::onnx::GraphProto &graph,
                                      ModuleOp module) {
  if (failed(listUnknownOperators(graph, 0)))
    return failure();
  enterScope(graph);
  llvm::StringSet<> initializers;
  for (const ::onnx::TensorProto &tensor : graph.initializer())
    initializers.insert(tensor.name());

  SmallVector<Type> inputs;
  SmallVector<Attribute> inputNames;
  SmallVector<StringRef> arguments;
  for (const ::onnx::ValueInfoProto &input : graph.input()) {
    if (initializers.contains(input.name()))
      continue;
    Type type = lookupType(input.name());
    // An optional tensor must be given.
    if (auto optional = dyn_cast_or_null<OptionalType>(type))
      type = optional.getElement();
    if (!isa_and_present<RankedTensorType>(type))
      return emitError(module.getLoc())
             << "expected input '" << input.name()
             << "' to be a tensor with a rank and a supported element type"
             << describeType(input.type());
    arguments.push_back(input.name());
    inputs.push_back(type);
    inputNames.push_back(builder.getStringAttr(input.name()));
  }
  builder.setInsertionPointToEnd(module.getBody());
  auto function = func::FuncOp::create(builder, module.getLoc(), "main",
                                       builder.getFunctionType(inputs, {}));
  Block *entry = function.addEntryBlock();
  builder.setInsertionPointToEnd(entry);
  for (auto [name, argument] :
       llvm::zip_equal(arguments, entry->getArguments()))
    scopes.back().values[name] = argument;
  if (failed(buildBody(graph)))
    return failure();

  SmallVector<Value> outputs;
  for (const ::onnx::ValueInfoProto &output : graph.output()) {
    Value value = lookup(output.name());
    if (!value)
      return emitError(module.getLoc())
             << "output '" << output.name() << "' is never computed";
    outputs.push_back(value);
  }
  func::ReturnOp::create(builder, module.getLoc(), outputs);
  function.setFunctionType(
      builder.getFunctionType(inputs, ValueRange(outputs).getTypes()));
  for (auto [i, name] : llvm::enumerate(inputNames))
    function.setArgAttr(i, moe::MoEDialect::kNameAttr, name);
  for (auto [i, output] : llvm::enumerate(graph.output())) {
    function.setResultAttr(i, moe::MoEDialect::kNameAttr,
                           builder.getStringAttr(output.name()));
    if (ArrayAttr dims = getStatedDims(output, outputs[i].getType()))
      function.setResultAttr(i, moe::MoEDialect::kDimsAttr, dims);
  }
  return success();
}

/// The names that the file gives the dimensions of an output. They say nothing
/// about the extents, unlike those of the type.
ArrayAttr GraphBuilder::getStatedDims(const ::onnx::ValueInfoProto &output,
                                      Type type) {
  RankedTensorType stated = getTensorType(output.type(), context);
  auto actual = dyn_cast<RankedTensorType>(type);
  auto names =
      stated ? dyn_cast_or_null<DimsAttr>(stated.getEncoding()) : DimsAttr();
  if (!names || !actual || actual.getRank() != stated.getRank())
    return {};
  return builder.getArrayAttr(SmallVector<Attribute>(names.getSymbols().begin(),
                                                     names.getSymbols().end()));
}

LogicalResult GraphBuilder::buildBody(const ::onnx::GraphProto &graph) {
  for (const ::onnx::TensorProto &tensor : graph.initializer())
    if (failed(buildInitializer(tensor)))
      return failure();
  for (const ::onnx::NodeProto &node : graph.node())
    if (failed(buildNode(node)))
      return failure();
  return success();
}

LogicalResult
GraphBuilder::buildInitializer(const ::onnx::TensorProto &tensor) {
  Location location = NameLoc::get(StringAttr::get(context, tensor.name()));
  FailureOr<Value> value = buildTensor(tensor, tensor.name(), location);
  if (failed(value))
    return failure();
  scopes.back().values[tensor.name()] = *value;
  return success();
}

FailureOr<Value> GraphBuilder::buildTensor(const ::onnx::TensorProto &tensor,
                                           StringRef name, Location location) {
  FailureOr<RankedTensorType> type = getTensorType(tensor, location);
  if (failed(type))
    return failure();
  FailureOr<std::optional<WeightPlace>> place =
      locator.locate(tensor, name, location);
  if (failed(place))
    return failure();
  Type element = type->getElementType();
  bool isFloat = isa<FloatType>(element);
  int64_t limit = isFloat ? options.maxConstantElements
                          : options.maxIntegerConstantElements;
  // Narrow numbers are constants: nothing multiplies them as they are stored.
  bool isNarrow = element.getIntOrFloatBitWidth() < (isFloat ? 16 : 8) &&
                  !element.isInteger(1);
  bool isWeight = *place && !isNarrow && type->getNumElements() > limit;
  if (isWeight && type->getRank() <= 1 &&
      type->getNumElements() <= options.maxUniformElements) {
    // Zeros and ones that exporters store are not worth a look into the file.
    FailureOr<DenseElementsAttr> value = readTensor(tensor, folder, location);
    if (failed(value))
      return failure();
    if (value->isSplat())
      return ConstantOp::create(builder, location, *type, *value).getResult();
  }
  if (isWeight)
    return moe::WeightOp::create(
               builder, location, *type, builder.getStringAttr(name),
               builder.getArrayAttr({getView(**place, *type)}))
        .getResult();
  FailureOr<DenseElementsAttr> value = readTensor(tensor, folder, location);
  if (failed(value))
    return failure();
  auto constant = ConstantOp::create(builder, location, *type, *value);
  // Quantised numbers and their scales may serve as parts of a weight.
  bool isShape =
      element.isInteger(1) || element.isInteger(32) || element.isInteger(64);
  if (*place && !isShape && !value->isSplat())
    constant->setAttr(moe::kPlaceAttr, getView(**place, *type));
  return constant.getResult();
}

moe::ViewAttr GraphBuilder::getView(const WeightPlace &place,
                                    RankedTensorType type) {
  SmallVector<int64_t> strides(type.getRank(), 1);
  for (int64_t i = type.getRank() - 1; i > 0; --i)
    strides[i - 1] = strides[i] * type.getDimSize(i);
  return moe::ViewAttr::get(context, builder.getStringAttr(place.file),
                            place.offset, type.getElementType(), strides);
}

LogicalResult GraphBuilder::buildNode(const ::onnx::NodeProto &node) {
  Location location = getLocation(node);
  if (node.domain().empty() && node.op_type() == "Constant") {
    if (node.attribute_size() != 1 || !node.attribute(0).has_t())
      return emitError(location) << "expected a constant tensor";
    FailureOr<Value> value =
        buildTensor(node.attribute(0).t(), node.output(0), location);
    if (failed(value))
      return failure();
    scopes.back().values[node.output(0)] = *value;
    return success();
  }
  const ::onnx::OpSchema *schema =
      ::onnx::OpSchemaRegistry::Schema(node.op_type(), node.domain());
  OperationState state(location,
                       getOperationName(node.domain(), node.op_type()));
  if (failed(addOperands(node, schema, state)) ||
      failed(addResults(node, schema, state)) ||
      failed(addAttributes(node, schema, state)))
    return failure();
  for (const ::onnx::AttributeProto &attribute : node.attribute())
    if (attribute.has_g())
      state.addRegion();
  Operation *op = builder.create(state);
  if (failed(buildRegions(node, op)))
    return failure();
  for (auto [name, result] : llvm::zip(node.output(), op->getResults()))
    if (!name.empty())
      scopes.back().values[name] = result;
  return success();
}

LogicalResult GraphBuilder::addOperands(const ::onnx::NodeProto &node,
                                        const ::onnx::OpSchema *schema,
                                        OperationState &state) {
  for (const std::string &name : node.input()) {
    Value value = name.empty() ? getNoValue(state.location) : lookup(name);
    if (!value)
      return emitError(state.location)
             << "operand '" << name << "' is not computed before its use";
    state.operands.push_back(value);
  }
  // Trailing optional operands may be left out altogether.
  bool variadic =
      schema && !schema->inputs().empty() &&
      schema->inputs().back().GetOption() == ::onnx::OpSchema::Variadic;
  if (schema && !variadic)
    while (state.operands.size() < schema->inputs().size())
      state.operands.push_back(getNoValue(state.location));
  // Only operands that the standard calls optional may be left out.
  if (schema)
    for (auto [operand, parameter] :
         llvm::zip(state.operands, schema->inputs()))
      if (isa<NoneType>(operand.getType()) &&
          parameter.GetOption() == ::onnx::OpSchema::Single)
        return emitError(state.location)
               << "expected operand '" << parameter.GetName() << "' of '"
               << node.op_type() << "', which is left out";
  return success();
}

LogicalResult GraphBuilder::addResults(const ::onnx::NodeProto &node,
                                       const ::onnx::OpSchema *schema,
                                       OperationState &state) {
  for (const std::string &name : node.output()) {
    if (name.empty()) {
      state.types.push_back(builder.getNoneType());
      continue;
    }
    Type type = lookupType(name);
    if (!type)
      return emitError(state.location)
             << "the shape of result '" << name
             << "' cannot be inferred; export the model with static ranks";
    state.types.push_back(type);
  }
  bool variadic =
      schema && !schema->outputs().empty() &&
      schema->outputs().back().GetOption() == ::onnx::OpSchema::Variadic;
  if (schema && !variadic)
    while (state.types.size() < schema->outputs().size())
      state.types.push_back(builder.getNoneType());
  return success();
}

/// Whether `attribute` only states the default of its operator.
bool isDefault(const ::onnx::AttributeProto &attribute,
               const ::onnx::OpSchema *schema) {
  if (!schema)
    return false;
  auto found = schema->attributes().find(attribute.name());
  if (found == schema->attributes().end())
    return false;
  const ::onnx::AttributeProto &value = found->second.default_value;
  if (value.type() != attribute.type())
    return false;
  switch (attribute.type()) {
  case ::onnx::AttributeProto::INT:
    return value.i() == attribute.i();
  case ::onnx::AttributeProto::FLOAT:
    return value.f() == attribute.f();
  case ::onnx::AttributeProto::STRING:
    return value.s() == attribute.s();
  default:
    return false;
  }
}

/// Whether any version of the operator has `attribute`. What older versions had
/// has been brought into the newest form by then.
bool isKnown(const ::onnx::AttributeProto &attribute,
             const ::onnx::NodeProto &node, const ::onnx::OpSchema *schema,
             RegisteredOperationName operation) {
  for (StringAttr name : operation.getAttributeNames())
    if (name == StringRef(attribute.name()))
      return true;
  for (int version = schema ? schema->SinceVersion() : 0; version > 0;) {
    const ::onnx::OpSchema *older = ::onnx::OpSchemaRegistry::Schema(
        node.op_type(), version, node.domain());
    if (!older)
      return false;
    if (older->attributes().count(attribute.name()))
      return true;
    version = older->SinceVersion() - 1;
  }
  return false;
}

LogicalResult GraphBuilder::addAttributes(const ::onnx::NodeProto &node,
                                          const ::onnx::OpSchema *schema,
                                          OperationState &state) {
  for (const ::onnx::AttributeProto &attribute : node.attribute()) {
    // The type of an optional value is that of the result.
    bool isType = attribute.type() == ::onnx::AttributeProto::TYPE_PROTO;
    if (attribute.has_g() || isType)
      continue;
    if (!isKnown(attribute, node, schema, *state.name.getRegisteredInfo()))
      return emitError(state.location)
             << "expected an attribute that '" << node.op_type()
             << "' has, got '" << attribute.name() << "'";
    if (isDefault(attribute, schema))
      continue;
    FailureOr<Attribute> value = buildAttribute(attribute, state.location);
    if (failed(value))
      return failure();
    state.addAttribute(attribute.name(), *value);
  }
  return success();
}

FailureOr<Attribute>
GraphBuilder::buildAttribute(const ::onnx::AttributeProto &attribute,
                             Location location) {
  switch (attribute.type()) {
  case ::onnx::AttributeProto::INT:
    return Attribute(builder.getI64IntegerAttr(attribute.i()));
  case ::onnx::AttributeProto::FLOAT:
    return Attribute(builder.getF32FloatAttr(attribute.f()));
  case ::onnx::AttributeProto::STRING:
    return Attribute(builder.getStringAttr(attribute.s()));
  case ::onnx::AttributeProto::INTS:
    return Attribute(builder.getDenseI64ArrayAttr(SmallVector<int64_t>(
        attribute.ints().begin(), attribute.ints().end())));
  case ::onnx::AttributeProto::FLOATS:
    return Attribute(builder.getDenseF32ArrayAttr(SmallVector<float>(
        attribute.floats().begin(), attribute.floats().end())));
  case ::onnx::AttributeProto::STRINGS: {
    SmallVector<StringRef> strings(attribute.strings().begin(),
                                   attribute.strings().end());
    return Attribute(builder.getStrArrayAttr(strings));
  }
  case ::onnx::AttributeProto::TENSOR: {
    FailureOr<DenseElementsAttr> value =
        readTensor(attribute.t(), folder, location);
    if (failed(value))
      return failure();
    return Attribute(*value);
  }
  default:
    return emitError(location) << "attribute '" << attribute.name()
                               << "' has a kind that is not supported";
  }
}

LogicalResult GraphBuilder::buildRegions(const ::onnx::NodeProto &node,
                                         Operation *op) {
  // ODS lists regions by the alphabetical order of their attributes.
  SmallVector<const ::onnx::AttributeProto *> bodies;
  for (const ::onnx::AttributeProto &attribute : node.attribute())
    if (attribute.has_g())
      bodies.push_back(&attribute);
  llvm::sort(bodies, [](const auto *a, const auto *b) {
    return a->name() < b->name();
  });
  for (auto [attribute, region] : llvm::zip_equal(bodies, op->getRegions())) {
    OpBuilder::InsertionGuard guard(builder);
    Block *block = builder.createBlock(&region);
    enterScope(attribute->g());
    for (const ::onnx::ValueInfoProto &input : attribute->g().input()) {
      Type type = lookupType(input.name());
      if (!type)
        return emitError(op->getLoc())
               << "the shape of '" << input.name() << "' cannot be inferred";
      scopes.back().values[input.name()] =
          block->addArgument(type, op->getLoc());
    }
    if (failed(buildBody(attribute->g())))
      return failure();
    SmallVector<Value> results;
    for (const ::onnx::ValueInfoProto &output : attribute->g().output()) {
      Value value = lookup(output.name());
      if (!value)
        return emitError(op->getLoc())
               << "output '" << output.name() << "' is never computed";
      results.push_back(value);
    }
    YieldOp::create(builder, op->getLoc(), results);
    scopes.pop_back();
  }
  return success();
}

} // namespace

LogicalResult mlir::onnx::buildGraph(const ::onnx::ModelProto &model,
                                     StringRef folder,
                                     const ImportOptions &options,
                                     WeightLocator &locator, ModuleOp module) {
  return GraphBuilder(folder, options, locator, module.getContext())
      .buildMain(model.graph(), module);
}
