// Passes of the plan stage.

#ifndef PASSES_PLAN_PASSES_TD
#define PASSES_PLAN_PASSES_TD

include "mlir/Pass/PassBase.td"

def PlanWeights : Pass<"moe-plan-weights", "::mlir::ModuleOp"> {
  let summary = "gives every weight its place in the artifact";
  let description = [{
    Each `moe.weight` becomes a `kern.segment` of the weights section and a `kern.weight` that names it. Weights with
    the same views and the same type share one segment.

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
