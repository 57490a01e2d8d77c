// Attributes of the kern dialect.

#ifndef DIALECTS_KERN_KERNATTRIBUTES_TD
#define DIALECTS_KERN_KERNATTRIBUTES_TD

include "mlir/IR/AttrTypeBase.td"
include "dialects/kern/KernDialect.td"

def Kern_QuantizedAttr : AttrDef<Kern_Dialect, "Quantized"> {
  let mnemonic = "quantized";
  let summary = "how panels hold numbers of four or eight bits";
  let description = [{
    `group` consecutive rows of a column share a scale, and a zero point where `numbers` is unsigned: a weight is
    `scale * (number - zero)`, or `scale * number`. Panels are bytes. Each group of rows of a panel holds

    1. the numbers: eight bits row by row; of four bits, eight rows of a column side by side in 32 bits, the first row
       in the lowest;
    2. a scale of type `scales` for each column;
    3. a zero point, an unsigned byte, for each column, if there are any.

    The last group is padded with zeros.

    Where `rows` is i8, the rows that these numbers multiply may be rounded to eight bits, with a scale for each group of
    each of them, on processors that multiply bytes; it says nothing about the panels.

    **Constraints**
    - (C1) `numbers` is i4, i8, ui4, ui8, f4E2M1FN, f8E4M3FN or f8E5M2; f8E4M3FN without NaN.
    - (C2) `group` is a multiple of 8 up to 256.
    - (C3) `scales` is f32, f16 or bf16.
    - (C4) `rows` is i8, and `numbers` are integers then.

    Example: `#kern.quantized<numbers = ui4, group = 32, scales = f32>`
  }];
  let parameters = (ins "::mlir::Type":$numbers, "int64_t":$group, "::mlir::Type":$scales,
                        OptionalParameter<"::mlir::Type">:$rows);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    bool hasZeroPoints() const { return getNumbers().isUnsignedInteger(); }
    /// The bytes of a group for each column.
    int64_t getColumnBytes() const;
  }];
}

def Kern_PackedAttr : AttrDef<Kern_Dialect, "Packed"> {
  let mnemonic = "packed";
  let summary = "the panel layout of a matrix or a stack of matrices";
  let description = [{
    A K x N matrix is cut into panels of `columns` columns (the last one padded with zeros); a panel stores, for each
    group of `depth` consecutive rows, the `depth` entries of each column side by side: physical shape
    `panels x ceil(K / depth) x columns x depth`. With `n` sources (gate and up projection), panel `p` of source `i` is
    physical panel `p * n + i`. A stack of E matrices gets a leading dimension E.

    16 columns are one cache line of f32, one zmm or two ymm registers, so that AVX2, AVX-512 and AMX code share one copy
    of the weights. Kernels read f32 and f16 in depth 1 and bf16 in depth 2: instructions that multiply bf16 take pairs
    of rows, and others widen a pair by a shift and a mask.

    With `quantized`, panels are bytes, as it says: `panels x ceil(K / group) x columns x bytes of a column`; numbers of
    four bits have depth 8, those of eight bits depth 1.

    Examples: `#kern.packed<columns = 16, depth = 1>`,
    `#kern.packed<columns = 16, depth = 8, quantized = <numbers = i4, group = 32, scales = bf16>>`
  }];
  let parameters = (ins "int64_t":$columns, "int64_t":$depth, OptionalParameter<"QuantizedAttr">:$quantized);
  let builders = [AttrBuilder<(ins "int64_t":$columns, "int64_t":$depth), [{
    return $_get($_ctxt, columns, depth, QuantizedAttr());
  }]>];
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// The layout in which kernels read numbers of type `element`.
    static PackedAttr getFor(::mlir::Type element);
    /// The layout in which kernels read quantised numbers.
    static PackedAttr getFor(QuantizedAttr quantized);

    /// The rows that the unit of a panel holds, and its size for each column: the last dimension but two counts units,
    /// the last one is their size.
    int64_t getUnitRows() const;
    int64_t getUnitSize() const;

    /// The physical shape of `sources` matrices, or stacks of them, of the shape `source`.
    ::llvm::SmallVector<int64_t> getPackedShape(::llvm::ArrayRef<int64_t> source, int64_t sources) const;
  }];
}

#endif // DIALECTS_KERN_KERNATTRIBUTES_TD
