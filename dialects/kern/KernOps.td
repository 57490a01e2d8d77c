// Operations of the kern dialect.

#ifndef DIALECTS_KERN_KERNOPS_TD
#define DIALECTS_KERN_KERNOPS_TD

include "mlir/IR/CommonTypeConstraints.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialects/moe/MoEAttributes.td"
include "dialects/kern/KernAttributes.td"

class Kern_Op<string mnemonic, list<Trait> traits = []> : Op<Kern_Dialect, mnemonic, traits> {
  let hasVerifier = 1;
}

def Kern_Float : AnyTypeOf<[F32, F16, BF16]>;
class Kern_Array<Type element, list<int> ranks>
    : AnyTypeOf<[TensorRankOf<[element], ranks>, MemRefRankOf<[element], ranks>]>;
def Kern_Matrices : Kern_Array<Kern_Float, [2, 3]>;
def Kern_Panels : Kern_Array<AnyTypeOf<[Kern_Float, I8]>, [4, 5]>;
def Kern_Rows : Kern_Array<Kern_Float, [2]>;
def Kern_Results : Kern_Array<F32, [2, 3]>;
def Kern_Index : Kern_Array<I32, [1]>;
def Kern_Heads : AnyTypeOf<[RankedTensorOf<[F32, F16, BF16]>, MemRefOf<[F32, F16, BF16]>]>;

/// Writes its result into `init`, a tensor or a buffer.
class Kern_DestinationOp<string mnemonic, list<Trait> traits = []>
    : Kern_Op<mnemonic, traits # [DestinationStyleOpInterface, DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getInitMutable(); }
  }];
}

def Kern_SegmentOp : Kern_Op<"segment", [Symbol]> {
  let summary = "a piece of the weights section of the artifact";
  let description = [{
    The bytes at `offset` of the weights section hold a tensor of type `type`. Its numbers come from `sources`: each is
    an array of `#moe.view`, read as in `moe.weight`, of type `source_type`, and converted to the element type of `type`.
    With `expert_layer` the leading dimension of `type` counts the experts of that layer, and a rank that does not hold an
    expert does not need its numbers.
    Without `packed` there is one source and `type` is `source_type`, row-major, up to the element type.

    **Constraints**
    - (C1) `offset` is a multiple of 64.
    - (C2) without `packed`: one source of the shape of `type`; with it: the physical shape of `#kern.packed`.

    Example:
    ```mlir
    kern.segment @experts_down "experts.down" {offset = 4096 : i64, packed = #kern.packed<columns = 16, depth = 1>,
      source_type = tensor<8x32x64xf32>,
      sources = [[#moe.view<"model.onnx", offset = 64, element = f32, strides = [2048, 1, 32]>]]}
      : tensor<8x4x32x16x1xf32>
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrAttr:$weight_name, I64Attr:$offset, ArrayAttr:$sources,
                       TypeAttr:$source_type, OptionalAttr<Kern_PackedAttr>:$packed, TypeAttr:$type,
                       OptionalAttr<I64Attr>:$expert_layer);
  let assemblyFormat = "$sym_name $weight_name attr-dict `:` $type";
}

def Kern_WeightOp : Kern_Op<"weight", [Pure]> {
  let summary = "the numbers of a segment, read-only";
  let description = [{
    Example:
    ```mlir
    %w = kern.weight @experts_down : tensor<8x4x32x16x1xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$segment);
  let results = (outs AnyTypeOf<[AnyStaticShapeTensor, AnyMemRef]>:$result);
  let hasVerifier = 0;
  let assemblyFormat = "$segment attr-dict `:` type($result)";
}

def Kern_PackOp : Kern_DestinationOp<"pack"> {
  let summary = "cuts matrices into panels";
  let description = [{
    `init` receives the numbers of `sources` in the layout of `#kern.packed`. A pack of weights costs nothing at run
    time: `moe-plan-weights` turns it into a segment that the artifact writer packs, and only such a pack may quantise
    numbers or round them to another element type.

    Shapes: `sources: K x N` or `E x K x N`, all the same; `init`: as `#kern.packed` says.

    **Constraints**
    - (C1) There is at least one source; all have the same type up to the layout of a buffer.
    - (C2) `init` has the physical shape of `layout`, and bytes as elements if that is quantised.

    Example:
    ```mlir
    %p = kern.pack ins(%k : tensor<4x32x?xf32>) outs(%init : tensor<4x?x32x16x1xf32>)
           layout #kern.packed<columns = 16, depth = 1> -> tensor<4x?x32x16x1xf32>
    ```
  }];
  let arguments = (ins Variadic<Kern_Matrices>:$sources, Kern_Panels:$init, Kern_PackedAttr:$layout);
  let assemblyFormat = [{
    `ins` `(` $sources `:` type($sources) `)` `outs` `(` $init `:` type($init) `)` `layout` $layout attr-dict
    (`->` type($results)^)?
  }];
}

def Kern_PanelGemmOp : Kern_DestinationOp<"panel_gemm"> {
  let summary = "multiplies rows with packed panels";
  let description = [{
    `init = a * b`, or `init += a * b` with `accumulate`, where `b` is a packed matrix of as many columns as `init`. Sums
    are taken in f32 in rising order of K, so that a row of the result does not depend on the other rows. With
    `quantized`, the panels are bytes, and the sum over each group is multiplied by the scale of the group.

    Shapes: `a: M x K`, `b: panels x ceil(K / depth) x columns x depth`, `init: M x N`; or all with the same leading dimension.

    **Constraints**
    - (C1) `a` and `init` have the same rank, `b` two dimensions more.
    - (C2) K of `a` and `b` agree, in units of the depth, M and the leading dimension of `a` and `init`, the leading dimension of `b` too.
    - (C3) `b` has the layout of `#kern.packed` for its element type or for `quantized`, and as many panels as `init` needs.

    Example:
    ```mlir
    %y = kern.panel_gemm ins(%x, %w : tensor<?x64xf32>, tensor<2x64x16x1xf32>) outs(%init : tensor<?x32xf32>)
           -> tensor<?x32xf32>
    ```
  }];
  let arguments = (ins Kern_Matrices:$a, Kern_Panels:$b, Kern_Results:$init, UnitAttr:$accumulate,
                       OptionalAttr<Kern_QuantizedAttr>:$quantized);
  let assemblyFormat = [{
    (`accumulate` $accumulate^)? `ins` `(` $a `,` $b `:` type($a) `,` type($b) `)`
    `outs` `(` $init `:` type($init) `)` attr-dict (`->` type($results)^)?
  }];
}

def Kern_ExpertsHiddenOp : Kern_DestinationOp<"experts_hidden", [AttrSizedOperandSegments]> {
  let summary = "the first half of the experts: gathered rows through gate and up projections and the activation";
  let description = [{
    For position s of expert e, with `t = rows[s] / slots`:
    `init[s] = act(w * (x[t] gate_e) + gate_bias_e, w * (x[t] up_e) + up_bias_e)`, where w is `weights[rows[s]]` of the
    flattened `weights`, or 1 without them. `panels` holds the up projection, with `gated` the gate and the up
    projection as two sources.

    The experts are two operations, not one, so that the values between them are an ordinary buffer, which the memory
    plan sees.

    Shapes: `x: T x H`, `rows: S`, `offsets: E + 1`, `panels: E x panels x ceil(H / depth) x columns x depth`,
    biases: `E x F`, `weights: T x K`, `init: S x F`, which rounds to its element type.

    **Constraints**
    - (C1) E of `panels`, `offsets` and the biases agree; H of `x` and `panels`; S of `rows` and `init`.
    - (C2) `panels` has the layout of `#kern.packed` for its element type or for `quantized` and as many panels as F needs.
    - (C3) `gate_bias` needs `gated`.

    Example:
    ```mlir
    %h = kern.experts_hidden %x, %rows, %offsets, %panels outs(%init : tensor<?x32xf32>)
           {activation = #moe.activation<silu>, gated, slots = 2}
           : tensor<?x64xf32>, tensor<?xi32>, tensor<9xi32>, tensor<8x4x64x16x1xf32> -> tensor<?x32xf32>
    ```
  }];
  let arguments = (ins Kern_Rows:$x, Kern_Index:$rows, Kern_Index:$offsets, Kern_Panels:$panels,
                       Optional<Kern_Array<F32, [2]>>:$gate_bias, Optional<Kern_Array<F32, [2]>>:$up_bias,
                       Optional<Kern_Array<F32, [2]>>:$weights, Kern_Array<AnyTypeOf<[F32, BF16]>, [2]>:$init,
                       MoE_ActivationAttr:$activation, UnitAttr:$gated, ConfinedAttr<I64Attr, [IntPositive]>:$slots,
                       OptionalAttr<Kern_QuantizedAttr>:$quantized);
  let assemblyFormat = [{
    $x `,` $rows `,` $offsets `,` $panels (`gate_bias` `(` $gate_bias^ `:` type($gate_bias) `)`)?
    (`up_bias` `(` $up_bias^ `:` type($up_bias) `)`)? (`weights` `(` $weights^ `:` type($weights) `)`)?
    `outs` `(` $init `:` type($init) `)` attr-dict
    `:` type($x) `,` type($rows) `,` type($offsets) `,` type($panels) (`->` type($results)^)?
  }];
}

def Kern_ExpertsCombineOp : Kern_DestinationOp<"experts_combine", [AttrSizedOperandSegments]> {
  let summary = "the second half of the experts: down projections, mixing weights and the sum per token";
  let description = [{
    `init[t]` is the sum of `w * (h[s] down_e + bias_e)` over the positions s of token t, `rows[s] / slots = t`, in
    rising order of experts; w is `weights[rows[s]]` of the flattened `weights`, or 1 without them.

    Tasks own columns of the result and go through the experts in order: no atomic operation, and the bits of a token do
    not depend on the other tokens or on the number of threads.

    Shapes: `h: S x F`, `rows: S`, `offsets: E + 1`, `panels: E x panels x ceil(F / depth) x columns x depth`,
    `bias: E x H`, `weights: T x K`, `init: T x H`.

    **Constraints**
    - (C1) E of `panels`, `offsets` and `bias` agree; F of `h` and `panels`; S of `rows` and `h`.
    - (C2) `panels` has the layout of `#kern.packed` for its element type or for `quantized` and as many panels as H needs.

    Example:
    ```mlir
    %y = kern.experts_combine %h, %rows, %offsets, %panels weights(%w : tensor<?x2xf32>) outs(%init : tensor<?x64xf32>)
           {slots = 2}
           : tensor<?x32xf32>, tensor<?xi32>, tensor<9xi32>, tensor<8x4x32x16x1xf32> -> tensor<?x64xf32>
    ```
  }];
  let arguments = (ins Kern_Rows:$h, Kern_Index:$rows, Kern_Index:$offsets, Kern_Panels:$panels,
                       Optional<Kern_Array<F32, [2]>>:$bias, Optional<Kern_Array<F32, [2]>>:$weights,
                       Kern_Array<F32, [2]>:$init, ConfinedAttr<I64Attr, [IntPositive]>:$slots,
                       OptionalAttr<Kern_QuantizedAttr>:$quantized);
  let assemblyFormat = [{
    $h `,` $rows `,` $offsets `,` $panels (`bias` `(` $bias^ `:` type($bias) `)`)?
    (`weights` `(` $weights^ `:` type($weights) `)`)? `outs` `(` $init `:` type($init) `)` attr-dict
    `:` type($h) `,` type($rows) `,` type($offsets) `,` type($panels) (`->` type($results)^)?
  }];
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

def Kern_AttentionOp : Kern_DestinationOp<"attention", [RecursiveMemoryEffects]> {
  let summary = "softmax of changed products of queries and keys, times values, without the scores in memory";
  let description = [{
    `indexing_maps` say for `query`, `key`, `value` and `init` which dimension of the iteration space each of their
    dimensions is, as those of `linalg.generic` do. Where a dimension occurs says what it is:

    | class | query | key | value | init | for example |
    |---|---|---|---|---|---|
    | batch | x | x | x | x | entry of the batch, group of heads that share keys and values |
    | row | x | | | x | head within such a group, position of the query |
    | key | | x | x | | position of the key |
    | depth | x | x | | | what the products sum over |
    | column | | | x | x | entry of a value |

    With `p[row, key] = sum over depth of query * key`, in f32, and `x[row, key] = score(p, batch.., row.., key)`:
    `init[row, column] = sum over key of w[row, key] * value[key, column]`, where `w` is the softmax of `x` over the
    keys. `score` may yield a second number, the sink: it takes part in the softmax like the score of one more key whose
    value is zero. It may read `score`'s indices, but neither the product nor the key.

    The order of all sums depends on the positions of the keys alone: the result of a row does not depend on the other
    rows. A key with weight zero may be left out, so its value does not matter even where it is not finite. A row whose
    scores are all negative infinity, the sink included, gives NaN as the softmax does, or zero with `masked_is_zero`;
    without any key the result is zero.

    **Constraints**
    - (C1) The maps are projected permutations of one iteration space; a result may be the constant 0.
    - (C2) Each dimension belongs to one of the classes; there is one key, one depth and one column dimension.
    - (C3) Extents of one dimension agree; those of depth and columns are static.
    - (C4) `score` takes f32 and one index for each batch, row and key dimension, in the order of the iteration space,
      and yields one or two f32.

    Example: grouped heads, causal.
    ```mlir
    %y = kern.attention ins(%q, %k, %v : tensor<?x2x4x64xf32>, tensor<2x?x64xf32>, tensor<2x?x64xf32>)
           outs(%init : tensor<?x2x4x64xf32>)
           {indexing_maps = [affine_map<(g, r, s, t, d, e) -> (s, g, r, d)>, affine_map<(g, r, s, t, d, e) -> (g, t, d)>,
                             affine_map<(g, r, s, t, d, e) -> (g, t, e)>, affine_map<(g, r, s, t, d, e) -> (s, g, r, e)>]}
           score {
    ^bb0(%p: f32, %g: index, %r: index, %s: index, %t: index):
      %scale = arith.constant 0.125 : f32
      %least = arith.constant 0xFF800000 : f32
      %scaled = arith.mulf %p, %scale : f32
      %seen = arith.cmpi sle, %t, %s : index
      %x = arith.select %seen, %scaled, %least : f32
      kern.yield %x : f32
    } -> tensor<?x2x4x64xf32>
    ```
  }];
  let arguments = (ins Kern_Heads:$query, Kern_Heads:$key, Kern_Heads:$value, Kern_Heads:$init,
                       AffineMapArrayAttr:$indexing_maps, UnitAttr:$masked_is_zero);
  let regions = (region SizedRegion<1>:$score);
  let assemblyFormat = [{
    `ins` `(` $query `,` $key `,` $value `:` type($query) `,` type($key) `,` type($value) `)`
    `outs` `(` $init `:` type($init) `)` attr-dict `score` $score (`->` type($results)^)?
  }];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getInitMutable(); }
    /// The dimensions of the iteration space by class.
    AttentionDims getDims();
    /// The map of operand `i`.
    ::mlir::AffineMap getMap(unsigned i) {
      return ::llvm::cast<::mlir::AffineMapAttr>(getIndexingMaps()[i]).getValue();
    }
    /// The sink that `score` yields, or null.
    ::mlir::Value getSink();
  }];
  let hasRegionVerifier = 1;
}

def Kern_YieldOp : Kern_Op<"yield", [Pure, Terminator, ReturnLike, ParentOneOf<["AttentionOp"]>]> {
  let summary = "ends the region of an attention";
  let description = [{
    Example: see `kern.attention`.
  }];
  let arguments = (ins Variadic<F32>:$values);
  let hasVerifier = 0;
  let assemblyFormat = "$values attr-dict `:` type($values)";
}

#endif // DIALECTS_KERN_KERNOPS_TD
