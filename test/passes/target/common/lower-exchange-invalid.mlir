// RUN: moe-opt %s --moe-lower-exchange -split-input-file -verify-diagnostics

// Tests that exchanges need buffers with rows in one piece.

func.func @tensors(%s: tensor<?x4xf32>, %y: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{expected buffers}}
  %r = moe.exchange.combine ins(%s : tensor<?x4xf32>) outs(%y : tensor<?x4xf32>) {layer = 0 : i64} -> tensor<?x4xf32>
  return %r : tensor<?x4xf32>
}

// -----

func.func @gaps(%s: memref<?x4xf32, strided<[8, 2]>>, %y: memref<?x4xf32>) {
  // expected-error @+1 {{expected rows without gaps between their numbers, got 'memref<?x4xf32, strided<[8, 2]>>'}}
  moe.exchange.combine ins(%s : memref<?x4xf32, strided<[8, 2]>>) outs(%y : memref<?x4xf32>) {layer = 0 : i64}
  return
}
