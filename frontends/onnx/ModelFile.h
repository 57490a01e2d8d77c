//===- ModelFile.h - reading, checking and normalising a model --------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FRONTENDS_ONNX_MODELFILE_H
#define FRONTENDS_ONNX_MODELFILE_H

#include "frontends/onnx/Importer.h"

#include "mlir/IR/Location.h"
#include "mlir/Support/LLVM.h"
#include "onnx/onnx_pb.h"

namespace mlir::onnx {

/// Reads the model at `path` into `model`; `location` is where errors point.
LogicalResult readModel(StringRef path, Location location,
                        ::onnx::ModelProto &model);

/// Checks what the importer relies on and brings the graph into the newest
/// form: functions inlined, older operators replaced, types inferred.
LogicalResult prepareModel(Location location, ::onnx::ModelProto &model);

/// Replaces each input NAME that is a sequence of tensors by the inputs NAME.0,
/// NAME.1, ... and makes the sequence of them; `options` says how many.
LogicalResult splitSequences(Location location, const ImportOptions &options,
                             ::onnx::ModelProto &model);

/// Replaces the functions of the model, and those of the standard that the onnx
/// dialect has no operation for, by their bodies.
LogicalResult inlineFunctions(Location location, ::onnx::ModelProto &model);

/// Replaces operators of older operator sets by their newest form.
LogicalResult normalizeModel(Location location, ::onnx::ModelProto &model);

/// Infers the types of all values; what the file states counts only where
/// nothing can be inferred.
LogicalResult inferTypes(Location location, ::onnx::ModelProto &model);

/// The operators of a domain live in one dialect; the domain is part of the
/// mnemonic unless it is the standard's.
std::string getOperationName(StringRef domain, StringRef name);

/// Teaches the ONNX library the operators of other domains that the onnx
/// dialect has, with their type and shape inference.
void registerContribSchemas();

} // namespace mlir::onnx

#endif // FRONTENDS_ONNX_MODELFILE_H
