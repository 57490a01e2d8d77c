//===- Manifest.h - what an artifact says about itself --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_ARTIFACT_MANIFEST_H
#define COMPILER_ARTIFACT_MANIFEST_H

#include "compiler/Artifact/ArtifactWriter.h"
#include "compiler/Artifact/Segments.h"

namespace mlir::moe {

/// The manifest of an artifact, as JSON. The same module, options and model
/// give the same text.
FailureOr<std::string> makeManifest(ModuleOp module,
                                    const ArtifactOptions &options,
                                    const SegmentTable &segments);

} // namespace mlir::moe

#endif // COMPILER_ARTIFACT_MANIFEST_H
