// Passes of the convert stage.

#ifndef PASSES_CONVERT_PASSES_TD
#define PASSES_CONVERT_PASSES_TD

include "mlir/Pass/PassBase.td"

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

#endif // PASSES_CONVERT_PASSES_TD
