// Passes of the plan stage.

#ifndef PASSES_PLAN_PASSES_TD
#define PASSES_PLAN_PASSES_TD

include "mlir/Pass/PassBase.td"

def LowerToKern : Pass<"moe-lower-to-kern"> {
  let summary = "turns products of matrices and the fused experts into panel kernels";
  let description = [{
    `linalg.matmul` and `linalg.batch_matmul` with sums in f32 become a `kern.pack` of the right operand and a
    `kern.panel_gemm`; `moe.fused_ffn` becomes `kern.experts_hidden` and `kern.experts_combine`, with the gate and the up
    projection side by side in one pack. Packs of weights disappear in `moe-plan-weights`.

    Integers and narrow floats of the file stay as they are in the panels where one scale is for 16 rows or more; others
    become floats. `weights` says what becomes of weights that the file has as floats: `bf16` rounds them, `int8` and
    `int4` quantise them, with a scale for 128 or 32 rows of a column; weights of routers keep their type. `activations`
    says when the rows that quantised weights multiply may be rounded to bytes (`rows` of `#kern.quantized`): on processors
    that multiply bytes that is faster, and as inexact as eight bits are.

    ```mlir
    func.func @main(%x: tensor<?x8xf32>, %w: tensor<8x4xf32>, %init: tensor<?x4xf32>) -> tensor<?x4xf32> {
      %y = linalg.matmul ins(%x, %w : tensor<?x8xf32>, tensor<8x4xf32>) outs(%init : tensor<?x4xf32>) -> tensor<?x4xf32>
      return %y : tensor<?x4xf32>
    }
    ```
  }];
  let options = [Option<"weights", "weights", "std::string", /*default=*/"\"keep\"",
                        "what becomes of floats in weights: keep, bf16, int8 or int4">,
                 Option<"activations", "activations", "std::string", /*default=*/"\"keep\"",
                        "when rows that quantised weights multiply are rounded to eight bits: keep (never), model (where "
                        "the model allows it) or int8 (always)">];
  let dependentDialects = ["::mlir::kern::KernDialect", "::mlir::tensor::TensorDialect", "::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect"];
}

def RecordRouting : Pass<"moe-record-routing", "::mlir::ModuleOp"> {
  let summary = "tells the runtime which experts the routers choose";
  let description = [{
    Before each `moe.fused_ffn` of known extents a call of `moert_record_routing_IDS_WEIGHTS` with the number of the layer,
    the number of experts, the ids and the weights. A session that records nothing returns at once.

    ```mlir
    func.func @main(%x: tensor<?x64xf32>, %ids: tensor<?x2xi64>, %w: tensor<?x2xf32>, %up: tensor<8x64x32xf32>,
                    %down: tensor<8x32x64xf32>) -> tensor<?x64xf32> {
      %rows, %offsets = moe.permute %ids {experts = 8} : tensor<?x2xi64> -> tensor<?xi32>, tensor<9xi32>
      %y = moe.fused_ffn %x, %w, %rows, %offsets up(%up : tensor<8x64x32xf32>) down(%down : tensor<8x32x64xf32>)
             {activation = #moe.activation<relu>}
             : tensor<?x64xf32>, tensor<?x2xf32>, tensor<?xi32>, tensor<9xi32> -> tensor<?x64xf32>
      return %y : tensor<?x64xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::tensor::TensorDialect"];
}

def PlaceExperts : Pass<"moe-place-experts", "::mlir::ModuleOp"> {
  let summary = "puts exchanges between ranks around experts that have a placement";
  let description = [{
    A `moe.fused_ffn` with the attribute `moe.placement` becomes `moe.exchange.begin` and `moe.exchange.dispatch`, a
    `moe.fused_ffn` of the rows that this rank gets, and `moe.exchange.combine`. All ranks run the same code; experts keep
    their numbers, and those that lie elsewhere have no rows. Stacks of experts that are a `moe.weight` are marked with the
    number of the layer, since a rank needs a part of them only. Products of matrices that neither lead to the experts nor
    need their result, such as those of a shared expert, come behind an `overlapped` combine and before the
    `moe.exchange.wait` that ends it: they are computed while rows are on their way.

    *Guarantees*: no `moe.placement` is left on a `moe.fused_ffn`.

    ```mlir
    func.func @main(%x: tensor<?x64xf32>, %ids: tensor<?x2xi64>, %w: tensor<?x2xf32>, %up: tensor<3x64x32xf32>,
                    %down: tensor<3x32x64xf32>) -> tensor<?x64xf32> {
      %rows, %offsets = moe.permute %ids {experts = 3} : tensor<?x2xi64> -> tensor<?xi32>, tensor<4xi32>
      %y = moe.fused_ffn %x, %w, %rows, %offsets up(%up : tensor<3x64x32xf32>) down(%down : tensor<3x32x64xf32>)
             {activation = #moe.activation<relu>, moe.placement = #moe.placement<ranks = 2, experts = [[0], [1], [0, 1]]>}
             : tensor<?x64xf32>, tensor<?x2xf32>, tensor<?xi32>, tensor<4xi32> -> tensor<?x64xf32>
      return %y : tensor<?x64xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::tensor::TensorDialect"];
}

def PlanWeights : Pass<"moe-plan-weights", "::mlir::ModuleOp"> {
  let summary = "gives every weight its place in the artifact";
  let description = [{
    Each `kern.pack` of weights becomes a packed `kern.segment` of the weights section and a `kern.weight` that names it;
    each other use of a `moe.weight` a row-major one. Equal numbers in the same layout share one segment.

    *Guarantees*: no `moe.weight` is left; offsets are multiples of 64, of 4096 for segments of 4096 bytes and more.

    ```mlir
    func.func @main() -> tensor<8x4xf32> {
      %w = moe.weight "w" [#moe.view<"m.onnx", offset = 64, element = f32, strides = [4, 1]>] : tensor<8x4xf32>
      return %w : tensor<8x4xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::kern::KernDialect"];
}

#endif // PASSES_PLAN_PASSES_TD
