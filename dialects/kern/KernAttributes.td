// Attributes of the kern dialect.

#ifndef DIALECTS_KERN_KERNATTRIBUTES_TD
#define DIALECTS_KERN_KERNATTRIBUTES_TD

include "mlir/IR/AttrTypeBase.td"
include "dialects/kern/KernDialect.td"

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

    Example: `#kern.packed<columns = 16, depth = 1>`
  }];
  let parameters = (ins "int64_t":$columns, "int64_t":$depth);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// The layout in which kernels read numbers of type `element`.
    static PackedAttr getFor(::mlir::Type element);

    /// The physical shape of `sources` matrices, or stacks of them, of the shape `source`.
    ::llvm::SmallVector<int64_t> getPackedShape(::llvm::ArrayRef<int64_t> source, int64_t sources) const;
  }];
}

#endif // DIALECTS_KERN_KERNATTRIBUTES_TD
