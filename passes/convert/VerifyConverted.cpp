//===- VerifyConverted.cpp - the gate behind the convert stage --------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/onnx/ONNXDialect.h"
#include "passes/convert/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_VERIFYCONVERTED
#include "passes/convert/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Ranked, without symbols, of a signless element type.
bool isPlain(Type type) {
  if (!isa<TensorType>(type))
    return true;
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || tensor.getEncoding())
    return false;
  auto integer = dyn_cast<IntegerType>(tensor.getElementType());
  return !integer || integer.isSignless();
}

struct VerifyConverted
    : public moe::impl::VerifyConvertedBase<VerifyConverted> {
  void runOnOperation() override {
    bool clean = true;
    getOperation()->walk(
        [&](Operation *op) {
          if (isa<onnx::ONNXDialect>(op->getDialect())) {
            op->emitOpError()
                << "expected no onnx operator after the convert stage";
            clean = false;
            return;
          }
          for (Type type : op->getResultTypes())
            if (!isPlain(type)) {
              op->emitOpError()
                  << "expected a ranked tensor without symbols and "
                     "signs after the convert stage, got "
                  << type;
              clean = false;
            }
        });
    if (!clean)
      signalPassFailure();
  }
};

} // namespace
