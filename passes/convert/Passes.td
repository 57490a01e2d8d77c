// Passes of the convert stage.

#ifndef PASSES_CONVERT_PASSES_TD
#define PASSES_CONVERT_PASSES_TD

include "mlir/Pass/PassBase.td"

def FoldOnnxConstants : Pass<"moe-fold-onnx-constants"> {
  let summary = "evaluates onnx operators on small constants";
  let description = [{
    Exporters rebuild shapes from parts. This pass evaluates what of that is constant: arithmetic, comparison, selection,
    casts and movement of data on constants of up to 1024 elements, and `onnx.Shape` of static axes. A slice or an
    element of a shape becomes an `onnx.Shape` that reads only those axes, so that the static axes of a tensor with
    dynamic ones fold too.

    *Guarantees*: results are those of the standard, bit for bit. A division of integers by zero and a cast without
    defined result stay.

    ```mlir
    func.func @width(%x: tensor<?x64xf32>) -> tensor<i64> {
      %shape = onnx.Shape(%x) : (tensor<?x64xf32>) -> tensor<2xi64>
      %one = onnx.Constant() {value = dense<1> : tensor<i64>} : () -> tensor<i64>
      %width = onnx.Gather(%shape, %one) : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
      return %width : tensor<i64>
    }
    ```
  }];
  let dependentDialects = ["::mlir::onnx::ONNXDialect"];
}

def UnrollSequences : Pass<"moe-unroll-sequences"> {
  let summary = "replaces sequences by the tensors they hold";
  let description = [{
    A sequence of which it follows from the graph how many tensors it holds becomes these tensors: what is built, split,
    inserted and erased at known positions. A Loop that reads or builds a sequence becomes copies of its body, an If with
    sequences as results one with tensors. Optional values are replaced by what they hold, or the fact that they hold
    nothing. A sequence that the model returns becomes one result for each tensor, numbered: `parts.0`, `parts.1`.

    *Guarantees*: no value is a sequence or optional afterwards; what only a run can tell is an error.

    ```mlir
    func.func @main(%x: tensor<4x?xf32>) -> tensor<2x?xf32> {
      %size = onnx.Constant() {value = dense<2> : tensor<i64>} : () -> tensor<i64>
      %last = onnx.Constant() {value = dense<-1> : tensor<i64>} : () -> tensor<i64>
      %parts = onnx.SplitToSequence(%x, %size) : (tensor<4x?xf32>, tensor<i64>) -> !onnx.sequence<tensor<2x?xf32>>
      %y = onnx.SequenceAt(%parts, %last) : (!onnx.sequence<tensor<2x?xf32>>, tensor<i64>) -> tensor<2x?xf32>
      return %y : tensor<2x?xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::moe::MoEDialect", "::mlir::onnx::ONNXDialect"];
}

def RefineShapes : Pass<"moe-refine-shapes"> {
  let summary = "writes down extents that constants tell";
  let description = [{
    An exporter that computes the bounds of a slice, the counts of a tile or the shape of a reshape leaves results whose
    types know no extents. Where those operands have become constants (`moe-fold-onnx-constants`), or where operands know
    more than the result, dynamic extents become static.

    *Guarantees*: types of arguments and of what a region returns stay.

    ```mlir
    func.func @main(%x: tensor<?x64xf32>, %starts: tensor<1xi64>) -> tensor<?x?xf32> {
      %0 = onnx.Constant() {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
      %1 = onnx.Constant() {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
      %32 = onnx.Constant() {value = dense<32> : tensor<1xi64>} : () -> tensor<1xi64>
      %half = onnx.Slice(%x, %0, %32, %1, %1) : (tensor<?x64xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>,
        tensor<1xi64>) -> tensor<?x?xf32>  // becomes tensor<?x32xf32>
      %y = onnx.Sigmoid(%half) : (tensor<?x?xf32>) -> tensor<?x?xf32>
      return %y : tensor<?x?xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::onnx::ONNXDialect"];
}

def InferSymbols : Pass<"moe-infer-symbols"> {
  let summary = "names extents in terms of the extents of arguments";
  let description = [{
    Computes the extents of tensors, and the small integer tensors that models compute shapes with, as polynomials in the
    symbols of the arguments. Extents that turn out to be numbers become static; equal polynomials become equal symbols,
    so that later stages know which dimensions agree: `Reshape` to (batch, sequence, -1, 64) of a tensor with 512 columns
    has 8 heads, and keys behind a cache are `past + sequence`.

    *Guarantees*: types of arguments and of what a region returns stay.

    ```mlir
    func.func @main(%x: tensor<?x512xf32, #onnx.dims<"rows", "">>) -> tensor<?x?x64xf32> {
      %0 = onnx.Constant() {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
      %tail = onnx.Constant() {value = dense<[-1, 64]> : tensor<2xi64>} : () -> tensor<2xi64>
      %extents = onnx.Shape(%x) : (tensor<?x512xf32, #onnx.dims<"rows", "">>) -> tensor<2xi64>
      %rows = onnx.Gather(%extents, %0) : (tensor<2xi64>, tensor<1xi64>) -> tensor<1xi64>
      %shape = onnx.Concat(%rows, %tail) {axis = 0 : i64} : (tensor<1xi64>, tensor<2xi64>) -> tensor<3xi64>
      %heads = onnx.Reshape(%x, %shape) : (tensor<?x512xf32, #onnx.dims<"rows", "">>, tensor<3xi64>)
                 -> tensor<?x?x64xf32>  // becomes tensor<?x8x64xf32, #onnx.dims<"rows", "", "">>
      %y = onnx.Sigmoid(%heads) : (tensor<?x?x64xf32>) -> tensor<?x?x64xf32>
      return %y : tensor<?x?x64xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::onnx::ONNXDialect"];
}

def FoldWeightViews : Pass<"moe-fold-weight-views"> {
  let summary = "makes rearranged weights views of the file";
  let description = [{
    A transposition, slice, selection, split, reshape or widening of a `moe.weight` becomes a `moe.weight` with other
    strides. What exporters do to weights at run time is thus done by the weight packer, once, without a copy. So is the
    dequantisation of stored weights: `onnx.DequantizeLinear` becomes a quantised view, `com.microsoft.MatMulNBits` an
    `onnx.MatMul` and `com.microsoft.GatherBlockQuantized` an `onnx.Gather` with one.

    *Guarantees*: operations that cannot be expressed by strides stay.

    ```mlir
    func.func @main() -> tensor<4x8xf32> {
      %w = moe.weight "w" [#moe.view<"m.onnx", offset = 64, element = f32, strides = [4, 1]>] : tensor<8x4xf32>
      %t = onnx.Transpose(%w) {perm = array<i64: 1, 0>} : (tensor<8x4xf32>) -> tensor<4x8xf32>
      return %t : tensor<4x8xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::moe::MoEDialect"];
}

def UnrollLoops : Pass<"moe-unroll-loops"> {
  let summary = "unrolls loops over stacked matrices";
  let description = [{
    A Scan or Loop with a known number of turns whose body multiplies by a matrix of each turn, out of a stack of as many,
    is a loop over experts: it becomes one copy of its body for each turn, which `moe-raise-experts` can read.

    *Guarantees*: other loops stay, and so do those of more than 512 turns or with an end that only a run can tell.

    ```mlir
    func.func @main(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
      %w = moe.weight "w" [#moe.view<"m.onnx", offset = 64, element = f32, strides = [16, 4, 1]>] : tensor<2x4x4xf32>
      %y = onnx.Scan(%x, %w) {
      ^bb0(%state: tensor<?x4xf32>, %matrix: tensor<4x4xf32>):
        %next = onnx.MatMul(%state, %matrix) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
        onnx.Yield %next : tensor<?x4xf32>
      } {num_scan_inputs = 1 : i64} : (tensor<?x4xf32>, tensor<2x4x4xf32>) -> tensor<?x4xf32>
      return %y : tensor<?x4xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::moe::MoEDialect", "::mlir::onnx::ONNXDialect"];
}

def RaiseExperts : Pass<"moe-raise-experts"> {
  let summary = "finds the layers of experts in a graph";
  let description = [{
    Recognises, by what values are computed from, the forms in which exporters write experts, and replaces each by one
    `moe.experts` on a `moe.assign` of the ids and weights that the router computes (see `moe-raise-routers`). The
    indices of a result are followed to the operands through reshapes, transpositions, slices, broadcasts, gathers and
    Einsum, so that one match serves many forms:

    - `com.microsoft.MoE` and `com.microsoft.QMoE`, attribute by attribute;
    - gathered matrices and one batched product for all assignments, also where a product with a one-hot encoding
      gathers (*batched experts*);
    - rows sorted by expert, with one product for the rows of each expert (*grouped experts*);
    - experts that all see all tokens, or the rows that NonZero finds, as a sum of lanes or with stacked matrices, with
      weights that are zero where a token did not choose the expert (*dense experts*). The lanes of a layer are stacked.
      Rows that were not chosen are no longer computed: infinities and NaN in them no longer reach the sum. An If that
      leaves out an expert without tokens is seen through;
    - the same without a choice: every token visits every expert that has a weight for it (*dense mixture*). So do lanes
      whose weights come from a router of an unknown kind, sums with a weight, selections by masks and results that ids
      choose among those of all experts;
    - experts with a block of rows each, which the graph itself brings to them in a way of its own (*dispatched rows*);
    - single products with gathered matrices, where no network of an expert is known: attention heads that tokens choose,
      low-rank updates (*grouped products*, `moe.grouped_matmul`).

    Gate and up projections may be stored separately, side by side or interleaved; they become views.

    *Preconditions*: weights are views (`moe-fold-weight-views`).
    *Guarantees*: blocks that are not recognised stay as they are and get a *missed* remark where they come close to a
    form. Shapes that contradict each other, and more chosen experts than there are, are errors.

    ```mlir
    func.func @main(%x: tensor<?x4xf32>, %z: tensor<?x8xf32>) -> tensor<?x4xf32> {
      %w1 = moe.weight "fc1" [#moe.view<"m.onnx", offset = 0, element = f32, strides = [24, 4, 1]>] : tensor<8x6x4xf32>
      %w2 = moe.weight "fc2" [#moe.view<"m.onnx", offset = 768, element = f32, strides = [24, 6, 1]>] : tensor<8x4x6xf32>
      %none = onnx.NoValue : none
      %y = onnx.com.microsoft.MoE(%x, %z, %w1, %none, %w2, %none, %none, %none) {k = 2 : i64}
        : (tensor<?x4xf32>, tensor<?x8xf32>, tensor<8x6x4xf32>, none, tensor<8x4x6xf32>, none, none, none) -> tensor<?x4xf32>
      return %y : tensor<?x4xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::moe::MoEDialect", "::mlir::onnx::ONNXDialect"];
}

def RaiseRouters : Pass<"moe-raise-routers"> {
  let summary = "finds the formulas of routers";
  let description = [{
    Replaces a `moe.assign` by a `moe.route` where ids and weights are computed by a formula that its attributes can
    state: softmax, sigmoid or sqrt(softplus) before or after the choice, by TopK or ArgMax, a bias for the choice only,
    groups, sums with an epsilon or a lower bound, norms, a scale for all or for each expert, a soft cap on the logits.

    *Guarantees*: other routers stay as they are, with a *missed* remark that names what did not fit; their permutation
    and their experts are fused all the same.

    ```mlir
    func.func @main(%z: tensor<?x8xf32>) -> !moe.routing<?x2 of 8> {
      %k = onnx.Constant() {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
      %v, %ids = onnx.TopK(%z, %k) : (tensor<?x8xf32>, tensor<1xi64>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
      %w = onnx.Softmax(%v) : (tensor<?x2xf32>) -> tensor<?x2xf32>
      %r = moe.assign %ids, %w : tensor<?x2xi64>, tensor<?x2xf32> -> !moe.routing<?x2 of 8>
      return %r : !moe.routing<?x2 of 8>
    }
    ```
  }];
  let dependentDialects = ["::mlir::moe::MoEDialect", "::mlir::onnx::ONNXDialect"];
}

def ConvertONNXToLinalg : Pass<"convert-onnx-to-linalg", "::mlir::ModuleOp"> {
  let summary = "turns onnx operators into linalg, tensor and arith operations";
  let description = [{
    Each operator becomes a few operations on tensors; broadcasting, run-time shapes and the corner cases of the
    standard are explicit afterwards. Sums and products of matrices accumulate in f32 or wider. Shape computations fold
    into arithmetic on `tensor.dim` where exporters rebuild shapes from parts. What only a run can tell (an index out of
    range, a shape that does not fit) becomes a `cf.assert`.

    *Preconditions*: every tensor is ranked; operators have the newest form (see the onnx dialect).
    *Guarantees*: no operation of the onnx dialect is left; types carry neither symbols nor signs. The names of dynamic
    dimensions of arguments and results are kept in the attribute `moe.dims`.

    Operators without a lowering are reported all at once.

    ```mlir
    func.func @main(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
      %y = onnx.Sigmoid(%x) : (tensor<?x64xf32>) -> tensor<?x64xf32>
      return %y : tensor<?x64xf32>
    }
    ```
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::cf::ControlFlowDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::math::MathDialect", "::mlir::moe::MoEDialect", "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect"
  ];
}

def VerifyConverted : Pass<"moe-verify-converted"> {
  let summary = "checks that the onnx dialect is gone";
  let description = [{
    The gate behind the convert stage: an error for every onnx operator, and for every tensor without a rank or with
    symbols or signs in its type.

    ```mlir
    func.func @main(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
      return %x : tensor<?x64xf32>
    }
    ```
  }];
}

#endif // PASSES_CONVERT_PASSES_TD
