// RUN: moe-opt %s -split-input-file -kern-lower-to-vector -verify-diagnostics

// Tests that kernels ask for buffers.

func.func @tensors(%x: tensor<?x64xf32>, %p: tensor<2x64x16x1xf32>, %init: tensor<?x20xf32>) -> tensor<?x20xf32> {
  // expected-error @+1 {{expected buffers}}
  %y = kern.panel_gemm ins(%x, %p : tensor<?x64xf32>, tensor<2x64x16x1xf32>) outs(%init : tensor<?x20xf32>)
         -> tensor<?x20xf32>
  return %y : tensor<?x20xf32>
}
