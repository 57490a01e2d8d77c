// RUN: moe-opt %s --moe-verify-converted -split-input-file -verify-diagnostics

// Tests that onnx operators and their types do not pass the gate.

func.func @operator(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{expected no onnx operator after the convert stage}}
  %y = onnx.Relu(%x) : (tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @symbols(%x: tensor<?xf32, #onnx.dims<"n">>) -> tensor<?xf32, #onnx.dims<"n">> {
  // expected-error @+1 {{expected a ranked tensor without symbols and signs after the convert stage, got 'tensor<?xf32, #onnx.dims<"n">>'}}
  %y = arith.addf %x, %x : tensor<?xf32, #onnx.dims<"n">>
  return %y : tensor<?xf32, #onnx.dims<"n">>
}
