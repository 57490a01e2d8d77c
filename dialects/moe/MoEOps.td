// Operations of the moe dialect, by level.

#ifndef DIALECTS_MOE_MOEOPS_TD
#define DIALECTS_MOE_MOEOPS_TD

include "mlir/IR/CommonTypeConstraints.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialects/moe/MoEAttributes.td"
include "dialects/moe/MoETypes.td"

class MoE_Op<string mnemonic, list<Trait> traits = []> : Op<MoE_Dialect, mnemonic, traits # [Pure]> {
  let hasVerifier = 1;
}

def MoE_Ids : TensorRankOf<[I32, I64], [2]>;
def MoE_Scores : TensorRankOf<[F32, F16, BF16], [2]>;
def MoE_Matrix : TensorRankOf<[F32, F16, BF16], [2]>;
def MoE_Vector : TensorRankOf<[F32, F16, BF16], [1]>;
def MoE_Stack : TensorRankOf<[F32, F16, BF16], [3]>;
def MoE_Index : TensorRankOf<[I32], [1]>;

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

def MoE_WeightOp : MoE_Op<"weight", []> {
  let summary = "names numbers that stay in the user's file";
  let description = [{
    The value is the tensor that `views` describe, converted from the stored element type to the result's. With one
    view the strides cover the whole result; with more, view `i` is `result[i, ...]`, so that experts which an exporter
    stored one by one form one stack. Nothing is read before the artifact is written.

    **Constraints**
    - (C1) There is at least one view.
    - (C2) With one view it has as many strides as the result has dimensions; with `n > 1` views each has one stride
      less and the leading dimension of the result is `n`.
    - (C3) The result type is static.

    **Lifespan**: created by the importer; its views change in `moe-fold-weight-views`; gone after the plan stage.

    Example:
    ```mlir
    %w = moe.weight "experts.down" [#moe.view<"model.onnx", offset = 4096, element = f32, strides = [2048, 1, 64]>]
           : tensor<8x64x32xf32>
    ```
  }];
  let arguments = (ins StrAttr:$name, TypedArrayAttrBase<MoE_ViewAttr, "array of #moe.view">:$views);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$name $views attr-dict `:` type($result)";
}

//===----------------------------------------------------------------------===//
// Level 1: routed
//===----------------------------------------------------------------------===//

class MoE_RouterOp<string mnemonic, dag results_> : MoE_Op<mnemonic, [AttrSizedOperandSegments]> {
  let arguments = (ins MoE_Scores:$logits, Optional<MoE_Vector>:$select_bias, Optional<MoE_Vector>:$expert_scale,
                       ConfinedAttr<I64Attr, [IntPositive]>:$top_k,
                       DefaultValuedAttr<MoE_ScoreAttr, "Score::Softmax">:$score,
                       DefaultValuedAttr<MoE_RouteOrderAttr, "RouteOrder::ScoreThenSelect">:$order,
                       DefaultValuedAttr<MoE_NormalizeAttr, "Normalize::None">:$normalize,
                       DefaultValuedAttr<F64Attr, "0.0">:$normalize_epsilon,
                       DefaultValuedAttr<F64Attr, "1.0">:$scale,
                       OptionalAttr<F64Attr>:$softcap,
                       OptionalAttr<MoE_GroupsAttr>:$groups,
                       OptionalAttr<MoE_CapacityAttr>:$capacity,
                       DefaultValuedAttr<F64Attr, "0.01">:$jitter);
  let results = results_;
  let assemblyFormat = [{
    $logits (`select_bias` `(` $select_bias^ `:` type($select_bias) `)`)?
    (`expert_scale` `(` $expert_scale^ `:` type($expert_scale) `)`)?
    `top_k` `(` $top_k `)` attr-dict `:` type($logits) `->` type(results)
  }];
}

def MoE_RouteOp : MoE_RouterOp<"route", (outs MoE_RoutingType:$result)> {
  let summary = "chooses K experts per token and their mixing weights";
  let description = [{
    For each token t, with `z = logits[t, :]` (after `softcap * tanh(z / softcap)` where given):

    - `score_then_select`: `s = score(z)` over all E experts; the K largest entries of `s + select_bias`, limited to
      the kept `groups`, are chosen; the weights are the chosen entries of `s` (without the bias).
    - `select_then_score`: the K largest entries of `z + select_bias` are chosen; the weights are `score` of the chosen
      logits.

    The weights are then divided by `sum + epsilon` (`sum`), `max(sum, epsilon)` (`clamped_sum`) or their 1- or 2-norm,
    and multiplied by `scale` and by `expert_scale[id]`. Ties go to the lower expert id; NaN ranks below every number.
    Scores are computed in f32. `sparse_mixer` is the PhiMoE evaluation formula with `jitter` as its epsilon.

    Shapes: `logits: T x E`, `select_bias, expert_scale: E`, `result: T x K of E`.

    **Constraints**
    - (C1) `1 <= top_k <= E`, and `result` is `T x top_k of E`.
    - (C2) E is static.
    - (C3) `select_bias` and `expert_scale` have E entries.
    - (C4) `groups`: `count` divides E, `1 <= keep <= count`, `keep * E / count >= top_k`; `top2_sum` needs at least 2
      experts per group.
    - (C5) `select_then_score` takes no `groups`.

    **Lifespan**: created by `moe-raise-routers`; absorbed by `moe-fuse-routing-permutation`.

    Example:
    ```mlir
    %r = moe.route %logits top_k(2) {normalize = #moe.normalize<sum>} : tensor<?x8xf32> -> !moe.routing<?x2 of 8>
    ```
  }];
}

def MoE_AssignOp : MoE_Op<"assign"> {
  let summary = "makes a routing from ids and weights that ordinary operations computed";
  let description = [{
    The way in for every router that fits no attribute set of `moe.route` (and for every router before
    `moe-raise-routers` has looked at it): the operations that produce `ids` and `weights` stay as they are, and the
    permutation and the experts are fused all the same.

    Shapes: `ids: T x K`, `weights: T x K`, `result: T x K of E`.

    **Constraints**
    - (C1) `ids`, `weights` and `result` agree on T and K.

    An id outside `[0, E)` is an error at run time; with `drops`, the id -1 means that the slot takes no expert: it
    costs nothing and adds nothing. So a token may visit any number of experts up to K.

    Example:
    ```mlir
    %r = moe.assign %ids, %weights : tensor<?x2xi64>, tensor<?x2xf32> -> !moe.routing<?x2 of 8>
    ```
  }];
  let arguments = (ins MoE_Ids:$ids, MoE_Scores:$weights, UnitAttr:$drops);
  let results = (outs MoE_RoutingType:$result);
  let assemblyFormat = "$ids `,` $weights attr-dict `:` type($ids) `,` type($weights) `->` type($result)";
}

def MoE_ExpertsOp : MoE_Op<"experts", [AttrSizedOperandSegments]> {
  let summary = "sends each token through its experts and adds the weighted results";
  let description = [{
    `y[t] = sum_j w[t,j] * FFN_e(x[t])` with `e = ids[t,j]`, where
    `FFN_e(x) = act(x gate_e + gate_bias_e, x up_e + up_bias_e) down_e + down_bias_e` and `act` as in
    `#moe.activation`. With `apply(input)`: `y[t] = sum_j FFN_e(w[t,j] * x[t])`.

    Shapes: `x: T x H`, `gate, up: E x H x F`, `down: E x F x H'`, `gate_bias, up_bias: E x F`, `down_bias: E x H'`,
    `result: T x H'`.

    Concatenated, interleaved and transposed storage of the projections is a matter of the `moe.weight` views that
    feed them, never of this operation.

    **Constraints**
    - (C1) E of every operand equals E of the routing.
    - (C2) H and F agree between `x`, `gate`, `up` and `down`; the result has the width of `down`.
    - (C3) The biases fit their projections; `gate_bias` needs `gate`.
    - (C4) T of `x`, routing and result agree.

    **Lifespan**: created by `moe-raise-experts`; absorbed by `moe-fuse-experts`.

    Example:
    ```mlir
    %y = moe.experts %x, %r gate(%g : tensor<8x64x32xf32>) up(%u : tensor<8x64x32xf32>) down(%d : tensor<8x32x64xf32>)
           {activation = #moe.activation<silu>} : tensor<?x64xf32>, !moe.routing<?x2 of 8> -> tensor<?x64xf32>
    ```
  }];
  let arguments = (ins MoE_Matrix:$x, MoE_RoutingType:$routing, Optional<MoE_Stack>:$gate, MoE_Stack:$up,
                       MoE_Stack:$down, Optional<MoE_Matrix>:$gate_bias, Optional<MoE_Matrix>:$up_bias,
                       Optional<MoE_Matrix>:$down_bias, MoE_ActivationAttr:$activation,
                       DefaultValuedAttr<MoE_ApplyWeightAttr, "ApplyWeight::Output">:$apply);
  let results = (outs MoE_Matrix:$result);
  let assemblyFormat = [{
    $x `,` $routing (`gate` `(` $gate^ `:` type($gate) `)`)? `up` `(` $up `:` type($up) `)`
    `down` `(` $down `:` type($down) `)`
    (`gate_bias` `(` $gate_bias^ `:` type($gate_bias) `)`)? (`up_bias` `(` $up_bias^ `:` type($up_bias) `)`)?
    (`down_bias` `(` $down_bias^ `:` type($down_bias) `)`)?
    attr-dict `:` type($x) `,` qualified(type($routing)) `->` type($result)
  }];
}

def MoE_SharedOp : MoE_Op<"shared", [AttrSizedOperandSegments]> {
  let summary = "the expert that every token visits";
  let description = [{
    `y = m * (act(x gate, x up) down)` with `m = sigmoid(token_gate)` where `token_gate` is given, else 1.

    Shapes: `x: T x H`, `gate, up: H x F`, `down: F x H'`, `token_gate: T x 1`, `result: T x H'`.

    **Constraints**
    - (C1) H and F agree between `x`, `gate`, `up` and `down`; the result has the width of `down`.
    - (C2) `token_gate` has one column.

    Example:
    ```mlir
    %y = moe.shared %x gate(%g : tensor<64x32xf32>) up(%u : tensor<64x32xf32>) down(%d : tensor<32x64xf32>)
           {activation = #moe.activation<silu>} : tensor<?x64xf32> -> tensor<?x64xf32>
    ```
  }];
  let arguments = (ins MoE_Matrix:$x, Optional<MoE_Matrix>:$gate, MoE_Matrix:$up, MoE_Matrix:$down,
                       Optional<MoE_Matrix>:$token_gate, MoE_ActivationAttr:$activation);
  let results = (outs MoE_Matrix:$result);
  let assemblyFormat = [{
    $x (`gate` `(` $gate^ `:` type($gate) `)`)? `up` `(` $up `:` type($up) `)` `down` `(` $down `:` type($down) `)`
    (`token_gate` `(` $token_gate^ `:` type($token_gate) `)`)? attr-dict `:` type($x) `->` type($result)
  }];
}

//===----------------------------------------------------------------------===//
// Level 2: permuted
//===----------------------------------------------------------------------===//

def MoE_UnpackOp : MoE_Op<"unpack"> {
  let summary = "the ids and the weights of a routing";
  let description = [{
    Shapes: `routing: T x K of E`, `ids: T x K`, `weights: T x K`.

    **Constraints**
    - (C1) `ids` and `weights` have the shape `T x K` of the routing.

    Example:
    ```mlir
    %ids, %weights = moe.unpack %r : !moe.routing<?x2 of 8> -> tensor<?x2xi32>, tensor<?x2xf32>
    ```
  }];
  let arguments = (ins MoE_RoutingType:$routing);
  let results = (outs MoE_Ids:$ids, MoE_Scores:$weights);
  let hasCanonicalizer = 1;
  let assemblyFormat = "$routing attr-dict `:` qualified(type($routing)) `->` type($ids) `,` type($weights)";
}

def MoE_PermuteOp : MoE_Op<"permute"> {
  let summary = "orders assignments by expert";
  let description = [{
    Assignment `a = t * K + j` is slot j of token t. `rows` lists all `S = T * K` assignments, ordered by expert and
    within an expert by `a`; those of expert e are `rows[offsets[e] .. offsets[e + 1])`. With `drops`, assignments with
    the id -1 stand behind those of the last expert, where no offset reaches.

    Shapes: `ids: T x K`, `rows: S`, `offsets: E + 1`.

    **Constraints**
    - (C1) K is static and, with a static T, `rows` has T * K entries.
    - (C2) `offsets` has `experts + 1` entries.

    Example:
    ```mlir
    %rows, %offsets = moe.permute %ids {experts = 8} : tensor<?x2xi32> -> tensor<?xi32>, tensor<9xi32>
    ```
  }];
  let arguments = (ins MoE_Ids:$ids, ConfinedAttr<I64Attr, [IntPositive]>:$experts, UnitAttr:$drops);
  let results = (outs MoE_Index:$rows, MoE_Index:$offsets);
  let assemblyFormat = "$ids attr-dict `:` type($ids) `->` type($rows) `,` type($offsets)";
}

def MoE_GroupedMatmulOp : MoE_Op<"grouped_matmul", [AttrSizedOperandSegments]> {
  let summary = "multiplies each group of rows with the matrix of its expert";
  let description = [{
    For position s of expert e: `result[s] = x[rows[s] / slots] weights[e] + bias[e]`; without `rows`,
    `result[s] = x[s] weights[e] + bias[e]`.

    Shapes: `x: T x H` with `rows`, else `S x H`; `weights: E x H x N`, `bias: E x N`, `offsets: E + 1`, `rows: S`,
    `result: S x N`.

    **Constraints**
    - (C1) E of `weights`, `bias` and `offsets` agree.
    - (C2) H of `x` and `weights` agree, N of `weights`, `bias` and `result`.
    - (C3) `slots` is positive; it is used with `rows` only.

    Example:
    ```mlir
    %h = moe.grouped_matmul %x, %w, %offsets rows(%rows : tensor<?xi32>) {slots = 2}
           : tensor<?x64xf32>, tensor<8x64x32xf32>, tensor<9xi32> -> tensor<?x32xf32>
    ```
  }];
  let arguments = (ins MoE_Matrix:$x, MoE_Stack:$weights, MoE_Index:$offsets, Optional<MoE_Index>:$rows,
                       Optional<MoE_Matrix>:$bias, DefaultValuedAttr<I64Attr, "1">:$slots);
  let results = (outs MoE_Matrix:$result);
  let assemblyFormat = [{
    $x `,` $weights `,` $offsets (`rows` `(` $rows^ `:` type($rows) `)`)? (`bias` `(` $bias^ `:` type($bias) `)`)?
    attr-dict `:` type($x) `,` type($weights) `,` type($offsets) `->` type($result)
  }];
}

def MoE_CombineOp : MoE_Op<"combine"> {
  let summary = "adds the weighted rows of each token";
  let description = [{
    `result[t] = sum_j weights[t, j] * h[s]` over the slots j in rising order, where `rows[s] = t * K + j`.

    Shapes: `h: S x H`, `rows: S`, `weights: T x K`, `result: T x H`.

    **Constraints**
    - (C1) H of `h` and `result` agree, T of `weights` and `result`.

    Example:
    ```mlir
    %y = moe.combine %h, %rows, %weights : tensor<?x64xf32>, tensor<?xi32>, tensor<?x2xf32> -> tensor<?x64xf32>
    ```
  }];
  let arguments = (ins MoE_Matrix:$h, MoE_Index:$rows, MoE_Scores:$weights);
  let results = (outs MoE_Matrix:$result);
  let assemblyFormat = [{
    $h `,` $rows `,` $weights attr-dict `:` type($h) `,` type($rows) `,` type($weights) `->` type($result)
  }];
}

//===----------------------------------------------------------------------===//
// Level 3: fused
//===----------------------------------------------------------------------===//

def MoE_RoutePermuteOp
    : MoE_RouterOp<"route_permute", (outs MoE_Ids:$ids, MoE_Scores:$weights, MoE_Index:$rows, MoE_Index:$offsets)> {
  let summary = "routes and orders assignments by expert in one sweep";
  let description = [{
    `moe.route`, `moe.unpack` and `moe.permute` as one operation, lowered to one loop nest: scores, choice, weights and
    the histogram of a token while its logits are at hand, then the scan and the placement.

    Shapes: `logits: T x E`, `ids, weights: T x K`, `rows: S`, `offsets: E + 1`.

    **Constraints**: (C1) to (C5) of `moe.route`, with `ids` and `weights` in place of its result;
    - (C6) `offsets` has `E + 1` entries.

    **Lifespan**: created by `moe-fuse-routing-permutation`; lowered in the target stage.

    Example:
    ```mlir
    %ids, %weights, %rows, %offsets = moe.route_permute %logits top_k(2) {normalize = #moe.normalize<sum>}
           : tensor<?x8xf32> -> tensor<?x2xi32>, tensor<?x2xf32>, tensor<?xi32>, tensor<9xi32>
    ```
  }];
}

def MoE_FusedFFNOp : MoE_Op<"fused_ffn", [AttrSizedOperandSegments]> {
  let summary = "gathers, applies the gated FFN of each expert and combines, as one grouped operation";
  let description = [{
    The function of `moe.experts` on an explicit permutation. Rows of `x` are gathered where they are read, gate and up
    projections are computed side by side, the activation is applied in registers, and the weighted results are added
    to the output in rising order of experts, so that the bits of a token do not depend on the other tokens.

    Shapes: `x: T x H`, `weights: T x K`, `rows: S`, `offsets: E + 1`, the rest as in `moe.experts`.

    **Constraints**: (C2), (C3) of `moe.experts`;
    - (C1) `offsets` has one entry more than the stacks have experts.
    - (C4) T of `x`, `weights` and result agree.

    **Lifespan**: created by `moe-fuse-experts`; lowered in the target stage.

    Example:
    ```mlir
    %y = moe.fused_ffn %x, %weights, %rows, %offsets gate(%g : tensor<8x64x32xf32>) up(%u : tensor<8x64x32xf32>)
           down(%d : tensor<8x32x64xf32>) {activation = #moe.activation<silu>}
           : tensor<?x64xf32>, tensor<?x2xf32>, tensor<?xi32>, tensor<9xi32> -> tensor<?x64xf32>
    ```
  }];
  let arguments = (ins MoE_Matrix:$x, MoE_Scores:$weights, MoE_Index:$rows, MoE_Index:$offsets,
                       Optional<MoE_Stack>:$gate, MoE_Stack:$up, MoE_Stack:$down, Optional<MoE_Matrix>:$gate_bias,
                       Optional<MoE_Matrix>:$up_bias, Optional<MoE_Matrix>:$down_bias, MoE_ActivationAttr:$activation,
                       DefaultValuedAttr<MoE_ApplyWeightAttr, "ApplyWeight::Output">:$apply);
  let results = (outs MoE_Matrix:$result);
  let assemblyFormat = [{
    $x `,` $weights `,` $rows `,` $offsets (`gate` `(` $gate^ `:` type($gate) `)`)? `up` `(` $up `:` type($up) `)`
    `down` `(` $down `:` type($down) `)`
    (`gate_bias` `(` $gate_bias^ `:` type($gate_bias) `)`)? (`up_bias` `(` $up_bias^ `:` type($up_bias) `)`)?
    (`down_bias` `(` $down_bias^ `:` type($down_bias) `)`)?
    attr-dict `:` type($x) `,` type($weights) `,` type($rows) `,` type($offsets) `->` type($result)
  }];
}

//===----------------------------------------------------------------------===//
// Level 4: placed
//===----------------------------------------------------------------------===//

include "dialects/moe/ExchangeOps.td"

#endif // DIALECTS_MOE_MOEOPS_TD
