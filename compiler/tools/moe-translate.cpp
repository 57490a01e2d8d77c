//===- moe-translate.cpp - mlir-translate for models ------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Register.h"
#include "frontends/onnx/Importer.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-translate/MlirTranslateMain.h"
#include "mlir/Tools/mlir-translate/Translation.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;

int main(int argc, char **argv) {
  TranslateToMLIRRegistration importOnnx(
      "import-onnx", "import an ONNX model (.onnx, .onnxtxt)",
      [](llvm::SourceMgr &sources, MLIRContext *context) {
        // The importer reads the file itself: weights refer to its folder.
        StringRef path = sources.getMemoryBuffer(sources.getMainFileID())
                             ->getBufferIdentifier();
        return OwningOpRef<Operation *>(
            onnx::importModel(path, *context, onnx::ImportOptions()).release());
      },
      [](DialectRegistry &registry) { moe::registerDialects(registry); });
  return failed(mlirTranslateMain(argc, argv, "moe-translate"));
}
