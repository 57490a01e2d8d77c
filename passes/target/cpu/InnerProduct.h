//===- InnerProduct.h - how an instruction family adds products -------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_CPU_INNERPRODUCT_H
#define PASSES_TARGET_CPU_INNERPRODUCT_H

#include "passes/target/cpu/KernelBuilder.h"
#include "passes/target/cpu/TileTarget.h"

#include <memory>

namespace mlir::moe {

/// The instructions between a panel, a row and the sums of a tile. A tile goes
/// through the inner extent in steps of `getDepth()` rows of the panel. In each
/// step it loads its vectors of the panels once, then takes one row after the
/// other:
///
///   panel[c] = loadPanel(...)                 for each vector c of columns
///   row      = loadRow(...)                   for each row r
///   sum[r,c] = multiply(row, panel[c], sum[r,c])
///
/// Sums are vectors of `lanes` f32. What `loadPanel` and `loadRow` return means
/// something to `multiply` only.
class InnerProduct {
public:
  using Operand = SmallVector<Value, 2>;

  explicit InnerProduct(const TileTarget &target) : target(target) {}
  virtual ~InnerProduct();

  /// The family that multiplies rows and panels of these element types; null if
  /// there is none. Rows of another type than `getRowType()` are converted
  /// before they come here.
  static std::unique_ptr<InnerProduct> get(const TileTarget &target, Type rows,
                                           Type panels);

  /// The element type that rows have.
  virtual Type getRowType(MLIRContext *context) const;

  /// Rows of the panel, entries of a row, that a step takes.
  virtual int64_t getDepth() const { return 1; }

  /// Elements that a panel has for each step.
  virtual int64_t getStepSize() const { return kPanelColumns * getDepth(); }

  /// Rows of a tile with `panels` panels: as many as the registers hold.
  virtual int64_t getTileRows(int64_t panels) const {
    return panels == 1 ? kTileRows : target.wideRows;
  }

  /// The columns from `lane` on of the step that starts at `offset` in
  /// `panels`, a buffer of one dimension.
  virtual Operand loadPanel(KernelBuilder &b, Value panels, Value offset,
                            int64_t lane) const = 0;

  /// `count` entries of a row from `offset` on. Only in the last step are there
  /// less than `getDepth()`; what follows them must not be read.
  virtual Operand loadRow(KernelBuilder &b, Value rows, Value offset,
                          int64_t count) const = 0;

  /// `sum` plus the products, in rising order of the inner extent.
  virtual Value multiply(KernelBuilder &b, const Operand &row,
                         const Operand &panel, Value sum) const = 0;

protected:
  VectorType getVectorType(Type element) const {
    return VectorType::get(target.lanes, element);
  }

  TileTarget target;
};

} // namespace mlir::moe

#endif // PASSES_TARGET_CPU_INNERPRODUCT_H
