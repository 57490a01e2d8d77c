//===- Importer.cpp - from an ONNX file to the onnx dialect -----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Importer.h"

#include "dialects/moe/MoEDialect.h"
#include "dialects/onnx/ONNXDialect.h"
#include "frontends/onnx/GraphBuilder.h"
#include "frontends/onnx/ModelFile.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "llvm/Support/Path.h"

using namespace mlir;

OwningOpRef<ModuleOp> mlir::onnx::importModel(StringRef path,
                                              MLIRContext &context,
                                              const ImportOptions &options) {
  context.loadDialect<ONNXDialect, moe::MoEDialect, func::FuncDialect>();
  Location location = FileLineColLoc::get(&context, path, 0, 0);
  ::onnx::ModelProto model;
  WeightLocator locator;
  if (failed(readModel(path, location, model)) ||
      failed(locator.scan(path, location)) ||
      failed(splitSequences(location, options, model)) ||
      failed(prepareModel(location, model)))
    return {};
  StringRef folder = llvm::sys::path::parent_path(path);
  OwningOpRef<ModuleOp> module = ModuleOp::create(location);
  if (failed(buildGraph(model, folder.empty() ? "." : folder, options, locator,
                        *module)) ||
      failed(verify(*module)))
    return {};
  return module;
}
