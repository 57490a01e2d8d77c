//===- KernelSet.h - the panel kernels of a module --------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_CPU_KERNELSET_H
#define PASSES_TARGET_CPU_KERNELSET_H

#include "dialects/kern/KernDialect.h"
#include "passes/target/cpu/PanelTile.h"

namespace mlir::moe {

/// Creates kernels on demand: functions that multiply at most `taskRows` rows
/// with one block of panels and then do what their operation asks for with the
/// sums. Extents and strides are arguments, so that all the layers of a model
/// share them. Every buffer that a kernel takes is one-dimensional.
class KernelSet {
public:
  KernelSet(ModuleOp module, TileTarget target)
      : target(target), symbols(module) {}

  const TileTarget &getTarget() const { return target; }

  /// The element type of the rows that kernels for these operands take; i8 and
  /// i24 stand for records of `ByteRows` of one and three digits.
  Type getRowType(Value rows, Value panels,
                  kern::QuantizedAttr quantized) const;

  /// Whether kernels multiply such rows and panels by matrix registers, which
  /// take rows that are equally far apart.
  bool usesMatrices(Type rows, Type panels) const {
    return target.hasMatrices && rows.isBF16() && panels.isBF16();
  }

  /// Arguments: rows, row offset, row stride, panels, panel offset, inner
  /// extent, result, result offset, result stride, number of rows, number of
  /// columns.
  func::FuncOp getGemm(kern::PanelGemmOp op);

  /// The arguments of `getGemm`, where rows are those of tokens or, if the
  /// kernel uses matrices, of positions; then `rows` of the op with an offset,
  /// and each of gate bias, up bias and weights that the op has with an offset.
  func::FuncOp getHidden(kern::ExpertsHiddenOp op);

  /// The arguments of `getGemm`, then `rows` of the op with an offset, and each
  /// of bias and weights that the op has with an offset.
  func::FuncOp getCombine(kern::ExpertsCombineOp op);

private:
  struct Arguments;

  /// What decides on the types of a kernel.
  struct Operands {
    Value rows, panels, result;
    kern::QuantizedAttr quantized;
  };

  /// A new private function with the arguments of `getGemm` and `extra` pairs
  /// of a buffer and an offset, or the one that has `name` already.
  func::FuncOp
  getOrCreate(const Twine &name, const Operands &operands, TypeRange extra,
              function_ref<void(KernelBuilder &, Arguments &)> body);

  /// A function with the arguments that `PanelProduct` lists.
  func::FuncOp getProduct(Location loc, Type rows, Type panels,
                          kern::QuantizedAttr quantized);

  /// Emits the product of a kernel; returns the buffer of the sums.
  Value multiply(KernelBuilder &b, const Arguments &arguments, int64_t sources,
                 function_ref<Value(Value row)> getRowOffset);

  TileTarget target;
  SymbolTable symbols;
};

} // namespace mlir::moe

#endif // PASSES_TARGET_CPU_KERNELSET_H
