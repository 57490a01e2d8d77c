// The moe dialect. Rationale.md beside this file has the symbols, the levels and their invariants.

#ifndef DIALECTS_MOE_MOEDIALECT_TD
#define DIALECTS_MOE_MOEDIALECT_TD

include "mlir/IR/OpBase.td"

def MoE_Dialect : Dialect {
  let name = "moe";
  let cppNamespace = "::mlir::moe";
  let summary = "mixture-of-experts layers, from routing decisions to fused kernels";
  let description = [{
    `onnx.* -> moe.* + linalg/tensor -> kern + vector/scf -> llvm`

    Symbols in shapes: `T` tokens, `H` hidden width, `F` inner width of an expert, `E` experts, `K` experts chosen for
    a token, `S = T*K` assignments, `C` capacity of an expert.

    - level 1, **routed**: `moe.route`, `moe.assign`, `moe.experts`, `moe.shared`. A `!moe.routing` value is one
      abstract decision; no order of tokens is fixed.
    - level 2, **permuted**: `moe.unpack`, `moe.permute`, `moe.grouped_matmul`, `moe.combine`. Ids, weights, the order
      by expert and the offsets of the experts are explicit tensors.
    - level 3, **fused**: `moe.route_permute`, `moe.fused_ffn`.
    - level 4, **placed**: `moe.exchange.begin`, `moe.exchange.dispatch`, `moe.exchange.combine` around the experts of a
      rank.

    Every operation of the first levels is a pure function of tensors; `passes/target/common` gives each its executable
    meaning. Exchanges are what all ranks do together, in the same order.
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let dependentDialects = ["::mlir::tensor::TensorDialect"];
  let extraClassDeclaration = [{
    void registerAttributes();
    void registerTypes();

    /// Discardable attribute of function arguments and results: their name in the model.
    static constexpr llvm::StringLiteral kNameAttr = "moe.name";

    /// The same: names of their dynamic dimensions, empty where there is none.
    static constexpr llvm::StringLiteral kDimsAttr = "moe.dims";

    /// Discardable attribute of moe.fused_ffn, a #moe.placement: where its experts shall be.
    static constexpr llvm::StringLiteral kPlacementAttr = "moe.placement";

    /// Discardable attribute of moe.weight, a unit: the model says that rows may be rounded to eight bits before they are
    /// multiplied with it.
    static constexpr llvm::StringLiteral kByteRowsAttr = "moe.byte_rows";

    /// Discardable attribute of moe.weight: the number of the placed layer whose experts its leading dimension counts.
    static constexpr llvm::StringLiteral kExpertLayerAttr = "moe.expert_layer";
  }];
}

#endif // DIALECTS_MOE_MOEDIALECT_TD
