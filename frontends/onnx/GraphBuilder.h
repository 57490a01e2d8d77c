//===- GraphBuilder.h - operations of the onnx dialect for a graph ----------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FRONTENDS_ONNX_GRAPHBUILDER_H
#define FRONTENDS_ONNX_GRAPHBUILDER_H

#include "frontends/onnx/Importer.h"
#include "frontends/onnx/WeightLocator.h"

namespace mlir::onnx {

/// Builds `func.func @main` for the graph of `model` in `module`. `locator` has
/// scanned the model file.
LogicalResult buildGraph(const ::onnx::ModelProto &model, StringRef folder,
                         const ImportOptions &options, WeightLocator &locator,
                         ModuleOp module);

} // namespace mlir::onnx

#endif // FRONTENDS_ONNX_GRAPHBUILDER_H
