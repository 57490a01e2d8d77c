//===- AttentionKernels.h - the kernels of attention ------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_CPU_ATTENTIONKERNELS_H
#define PASSES_TARGET_CPU_ATTENTIONKERNELS_H

#include "passes/target/cpu/KernelBuilder.h"

#include "mlir/IR/SymbolTable.h"

namespace mlir::moe {

/// A matrix within a one-dimensional buffer: where it starts and how far apart
/// its rows are; the entries of a row are side by side.
struct RowBlock {
  Value buffer, offset, stride;
};

/// The pieces of attention that do not depend on its region: private functions
/// of a module, shared by all layers. Extents and strides are arguments. All
/// sums run in an order that the number of rows does not change.
class AttentionKernels {
public:
  /// `lanes`: numbers of f32 in a vector register.
  AttentionKernels(ModuleOp module, int64_t lanes)
      : symbols(module), lanes(lanes) {}

  /// Vectors that the kernels work on; widths of scratch buffers are multiples.
  static constexpr int64_t kWidth = 16;

  /// A matrix whose rows and columns lie any distance apart.
  struct Strided {
    Value buffer, offset, rowStride, columnStride;
  };

  /// Copies `rows` x `columns` numbers as f32, with zeros behind each row up to
  /// a multiple of kWidth.
  void copy(KernelBuilder &b, const Strided &from, const RowBlock &to,
            Value rows, Value columns);

  /// The same with rows as columns: `to` has `columns` rows of `rows` numbers.
  void transpose(KernelBuilder &b, const Strided &from, const RowBlock &to,
                 Value rows, Value columns);

  /// `result = left * right`: rows x depth times depth x columns. `columns` is
  /// rounded up to a multiple of kWidth.
  void multiply(KernelBuilder &b, const RowBlock &left, const RowBlock &right,
                const RowBlock &result, Value rows, Value depth, Value columns);

  /// For each row of `keys` scores: their maximum to `maxima[row]`, the powers
  /// `exp(score - maximum)` in place of the scores and their sum to
  /// `sums[row]`.
  void exponentiate(KernelBuilder &b, const RowBlock &scores, Value rows,
                    Value keys, const RowBlock &maxima, const RowBlock &sums);

  /// What a block of keys gives for some rows: weighted sums of values, and the
  /// maximum and the sum of the powers (as "rows" of these).
  struct Partial {
    RowBlock values, maxima, sums;
  };
  /// Joins `added`, of keys further back, to `state`.
  void merge(KernelBuilder &b, const Partial &state, const Partial &added,
             Value rows, Value columns);

  /// One row of the result, `columnStride` apart, from row `row` of `state`. A
  /// row in which no key counts becomes `empty`.
  void finish(KernelBuilder &b, const Partial &state, Value row, Value sink,
              Value empty, const Strided &to, Value columns);

private:
  using Body = function_ref<void(KernelBuilder &, ArrayRef<Value>)>;
  func::FuncOp getOrCreate(StringRef name, TypeRange types, Body body);
  void emitTiles(KernelBuilder &b, ArrayRef<Value> arguments, Value begin,
                 Value end, int64_t vectors);

  SymbolTable symbols;
  int64_t lanes;
};

} // namespace mlir::moe

#endif // PASSES_TARGET_CPU_ATTENTIONKERNELS_H
