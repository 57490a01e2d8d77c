//===- InlineFunctions.cpp - functions become their bodies ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/ModelFile.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/OperationSupport.h"
#include "onnx/defs/schema.h"
#include "onnx/inliner/inliner.h"

using namespace mlir;

namespace {

/// Functions of the standard that the onnx dialect has no operation for.
class WithoutOperation : public ::onnx::inliner::FunctionIdSet {
public:
  WithoutOperation(MLIRContext *context) : context(context) {}

  bool Contains(const std::string &domain,
                const std::string &name) const override {
    std::string operation = mlir::onnx::getOperationName(domain, name);
    return !RegisteredOperationName::lookup(operation, context);
  }

private:
  MLIRContext *context;
};

bool contains(const ::onnx::GraphProto &graph,
              const ::onnx::inliner::FunctionIdSet &functions) {
  for (const ::onnx::NodeProto &node : graph.node()) {
    if (functions.Contains(node.domain(), node.op_type()))
      return true;
    for (const ::onnx::AttributeProto &attribute : node.attribute())
      if (attribute.has_g() && contains(attribute.g(), functions))
        return true;
  }
  return false;
}

} // namespace

std::string mlir::onnx::getOperationName(StringRef domain, StringRef name) {
  return ("onnx." + domain + (domain.empty() ? "" : ".") + name).str();
}

LogicalResult mlir::onnx::inlineFunctions(Location location,
                                          ::onnx::ModelProto &model) {
  WithoutOperation functions(location.getContext());
  try {
    if (model.functions_size() > 0)
      ::onnx::inliner::InlineLocalFunctions(model, /*convert_version=*/true);
    if (contains(model.graph(), functions))
      ::onnx::inliner::InlineSelectedFunctions(
          model, functions, ::onnx::OpSchemaRegistry::Instance());
  } catch (const std::exception &error) {
    return emitError(location)
           << "inlining the functions of the model failed: " << error.what();
  }
  return success();
}
