// Enumerations and attributes of the moe dialect.

#ifndef DIALECTS_MOE_MOEATTRIBUTES_TD
#define DIALECTS_MOE_MOEATTRIBUTES_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "dialects/moe/MoEDialect.td"

class MoE_Enum<string name, string summary_, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary_, cases> {
  let cppNamespace = "::mlir::moe";
  let genSpecializedAttr = 0;
}

class MoE_EnumAttr<EnumInfo enum, string mnemonic> : EnumAttr<MoE_Dialect, enum, mnemonic> {
  let assemblyFormat = "`<` $value `>`";
}

def MoE_Score : MoE_Enum<"Score", "how a router turns logits into scores", [
    I32EnumAttrCase<"Softmax", 0, "softmax">, I32EnumAttrCase<"Sigmoid", 1, "sigmoid">,
    I32EnumAttrCase<"SqrtSoftplus", 2, "sqrt_softplus">, I32EnumAttrCase<"Identity", 3, "identity">,
    I32EnumAttrCase<"SparseMixer", 4, "sparse_mixer">]>;
def MoE_ScoreAttr : MoE_EnumAttr<MoE_Score, "score">;

def MoE_RouteOrder : MoE_Enum<"RouteOrder", "whether scores are computed before or after the choice", [
    I32EnumAttrCase<"ScoreThenSelect", 0, "score_then_select">,
    I32EnumAttrCase<"SelectThenScore", 1, "select_then_score">]>;
def MoE_RouteOrderAttr : MoE_EnumAttr<MoE_RouteOrder, "order">;

def MoE_Normalize : MoE_Enum<"Normalize", "how the K chosen scores are normalised", [
    I32EnumAttrCase<"None", 0, "none">, I32EnumAttrCase<"Sum", 1, "sum">,
    I32EnumAttrCase<"ClampedSum", 2, "clamped_sum">, I32EnumAttrCase<"Norm1", 3, "norm1">,
    I32EnumAttrCase<"Norm2", 4, "norm2">]>;
def MoE_NormalizeAttr : MoE_EnumAttr<MoE_Normalize, "normalize">;

def MoE_GroupScore : MoE_Enum<"GroupScore", "how a group of experts is scored", [
    I32EnumAttrCase<"Max", 0, "max">, I32EnumAttrCase<"Top2Sum", 1, "top2_sum">]>;

def MoE_GroupMask : MoE_Enum<"GroupMask", "what replaces the scores of groups not kept", [
    I32EnumAttrCase<"Zero", 0, "zero">, I32EnumAttrCase<"NegativeInfinity", 1, "negative_infinity">]>;

def MoE_GroupsAttr : AttrDef<MoE_Dialect, "Groups"> {
  let mnemonic = "groups";
  let summary = "restricts the choice to the best groups of experts";
  let description = [{
    The E experts form `count` consecutive groups of `E / count`; the `keep` groups with the largest group score stay
    candidates, the scores of the others are replaced by `mask` before the choice.
    Example: `#moe.groups<count = 8, keep = 4, score = top2_sum, mask = negative_infinity>`
  }];
  let parameters = (ins "int64_t":$count, "int64_t":$keep, EnumParameter<MoE_GroupScore>:$score,
                        EnumParameter<MoE_GroupMask>:$mask);
  let assemblyFormat = "`<` struct(params) `>`";
}

def MoE_CapacityOrder : MoE_Enum<"CapacityOrder", "who gets a place in a full expert", [
    I32EnumAttrCase<"Token", 0, "token">, I32EnumAttrCase<"SlotThenToken", 1, "slot_then_token">]>;

def MoE_CapacityAttr : AttrDef<MoE_Dialect, "Capacity"> {
  let mnemonic = "capacity";
  let summary = "drops assignments beyond a number of places per expert";
  let description = [{
    Within each run of `group` consecutive tokens (0: all tokens) an expert takes at most `places` assignments, in
    `order`; the weight of an assignment beyond that is 0.
    Example: `#moe.capacity<places = 64, group = 128, order = token>`
  }];
  let parameters = (ins "int64_t":$places, "int64_t":$group, EnumParameter<MoE_CapacityOrder>:$order);
  let assemblyFormat = "`<` struct(params) `>`";
}

def MoE_ActivationKind : MoE_Enum<"ActivationKind", "the non-linear function of an expert", [
    I32EnumAttrCase<"Silu", 0, "silu">, I32EnumAttrCase<"Gelu", 1, "gelu">, I32EnumAttrCase<"GeluTanh", 2, "gelu_tanh">,
    I32EnumAttrCase<"Relu", 3, "relu">, I32EnumAttrCase<"Relu2", 4, "relu2">,
    I32EnumAttrCase<"Identity", 5, "identity">, I32EnumAttrCase<"Tanh", 6, "tanh">,
    I32EnumAttrCase<"Sigmoid", 7, "sigmoid">, I32EnumAttrCase<"LeakyRelu", 8, "leaky_relu">,
    I32EnumAttrCase<"Elu", 9, "elu">]>;

def MoE_ActivationAttr : AttrDef<MoE_Dialect, "Activation"> {
  let mnemonic = "activation";
  let summary = "the activation of an expert with its parameters";
  let description = [{
    With a gate `g` and an up projection `u`: `h = act(min(g, limit)) * (clamp(u, -limit, limit) + up_offset)`; without
    a gate: `h = act(u)`. `silu` is `x * sigmoid(alpha * x)`; below zero, `leaky_relu` is `alpha * x` and `elu` is
    `alpha * (exp(x) - 1)`. `limit` is +inf where there is no clamp.
    Examples: `#moe.activation<silu>`, `#moe.activation<silu, alpha = 1.702, limit = 7.0, up_offset = 1.0>`
  }];
  let parameters = (ins EnumParameter<MoE_ActivationKind>:$kind, "::mlir::FloatAttr":$alpha, "::mlir::FloatAttr":$limit,
                        "::mlir::FloatAttr":$up_offset);
  let builders = [AttrBuilder<(ins "ActivationKind":$kind, CArg<"double", "1.0">:$alpha,
                                   CArg<"double", "HUGE_VAL">:$limit, CArg<"double", "0.0">:$up_offset)>];
  let hasCustomAssemblyFormat = 1;
}

def MoE_ApplyWeight : MoE_Enum<"ApplyWeight", "where the mixing weight multiplies", [
    I32EnumAttrCase<"Output", 0, "output">, I32EnumAttrCase<"Input", 1, "input">]>;
def MoE_ApplyWeightAttr : MoE_EnumAttr<MoE_ApplyWeight, "apply">;

def MoE_ViewAttr : AttrDef<MoE_Dialect, "View"> {
  let mnemonic = "view";
  let summary = "a strided view of numbers in a file";
  let description = [{
    Element `(i0, i1, ...)` of the view is element number `i0 / blocks[0] * strides[0] + i1 / blocks[1] * strides[1] +
    ...` of those that are stored side by side from byte `offset` of `file` on (`/` rounds down; without `blocks`, all
    are 1). `element` is the type stored there; elements of 2 or 4 bits share a byte, the lowest bits first, and `first`
    more of them (default: 0) come before number 0, so that a view may begin within a byte. A relative `file` is relative
    to the folder of the model. A transposition, slice or broadcast of a weight changes only its view.

    A quantised view stands for `(stored - zero) * factor`, computed in f32: `zero` is the constant `zero_point` or an
    element of `zero_points`; `factor` is the constant `scale` times an element of each of `scales`. These inner views
    have the same dimensions, and blocks where neighbours share a scale.

    Examples: `#moe.view<"model.onnx.data", offset = 4096, element = f32, strides = [64, 1]>`; integers of four bits
    with a scale for 32 of them: `#moe.view<"m.onnx", offset = 0, element = ui4, strides = [64, 1], zero_point = 8,
    scales = [#moe.view<"m.onnx", offset = 2048, element = f16, strides = [2, 1], blocks = [1, 32]>]>`
  }];
  let parameters = (ins "::mlir::StringAttr":$file, "int64_t":$offset, "::mlir::Type":$element,
                        ArrayRefParameter<"int64_t">:$strides, ArrayRefParameter<"int64_t">:$blocks,
                        ArrayRefParameter<"::mlir::moe::ViewAttr">:$scales, "::mlir::moe::ViewAttr":$zero_points,
                        "int64_t":$zero_point, "::mlir::FloatAttr":$scale, "int64_t":$first);
  let builders = [
    AttrBuilder<(ins "StringAttr":$file, "int64_t":$offset, "Type":$element, "::llvm::ArrayRef<int64_t>":$strides)>
  ];
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Whether numbers are computed from what is stored.
    bool isQuantized() const;
    /// The block of dimension `dim`.
    int64_t getBlock(size_t dim) const { return getBlocks().empty() ? 1 : getBlocks()[dim]; }
    /// The same view with `change` made to its place, and to the places of its scales and zero points; null where
    /// `change` returns null.
    ViewAttr transform(::llvm::function_ref<ViewAttr(ViewAttr)> change) const;
    /// The size of an element in the file.
    int64_t getElementBits() const;
    /// Another place for what is stored: `elements` further on, with other strides and blocks.
    ViewAttr move(int64_t elements, ::llvm::ArrayRef<int64_t> strides, ::llvm::ArrayRef<int64_t> blocks) const;
  }];
}

def MoE_PlacementAttr : AttrDef<MoE_Dialect, "Placement"> {
  let mnemonic = "placement";
  let summary = "which ranks hold which experts of a layer";
  let description = [{
    `experts[e]` lists the ranks that hold expert e. The j-th assignment (from 0) to expert e among the tokens that rank
    r owns goes to `experts[e][(r + j) mod n]`, n being the length of the list; a rank that is listed twice has a double
    share. `exchange` says how rows travel: names of algorithms (`gather`, `direct`, `two_level`; docs/placement.md has
    them), each but the last one followed by the most tokens of a step that it is for.

    As the discardable attribute `moe.placement` of a `moe.fused_ffn` it is a decision that `moe-place-experts` carries out.

    **Constraints**
    - (C1) There is at least one rank and one expert; every list has a rank.
    - (C2) Ranks are below `ranks`.
    - (C3) `exchange` has names of algorithms with rising numbers between them.

    Example: `#moe.placement<ranks = 2, experts = [[0], [1], [0, 1]], exchange = ["gather", 16, "direct"]>`
  }];
  let parameters = (ins "int64_t":$ranks, "::mlir::ArrayAttr":$experts, OptionalParameter<"::mlir::ArrayAttr">:$exchange);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

#endif // DIALECTS_MOE_MOEATTRIBUTES_TD
