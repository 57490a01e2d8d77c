//===- ModelFile.h - reading, checking and normalising a model --------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FRONTENDS_ONNX_MODELFILE_H
#define FRONTENDS_ONNX_MODELFILE_H

#include "mlir/IR/Location.h"
#include "mlir/Support/LLVM.h"
#include "onnx/onnx_pb.h"

namespace mlir::onnx {

/// Reads the model at `path` into `model`; `location` is where errors point.
LogicalResult readModel(StringRef path, Location location,
                        ::onnx::ModelProto &model);

/// Checks what the importer relies on and brings the graph into the newest
/// form: functions of the model inlined, attributes of older operator sets
/// replaced by operands, shapes inferred.
LogicalResult prepareModel(Location location, ::onnx::ModelProto &model);

/// Replaces attribute forms of operator sets older than `opset` (the version of
/// the standard's operators) by the newest form, in `graph` and its subgraphs.
void normalizeGraph(::onnx::GraphProto &graph, int64_t opset);

/// Teaches the ONNX library the operators of other domains that the onnx
/// dialect has, with their type and shape inference.
void registerContribSchemas();

} // namespace mlir::onnx

#endif // FRONTENDS_ONNX_MODELFILE_H
