// RUN: moe-opt %s -moe-fuse-elementwise | FileCheck %s

#map = affine_map<(i) -> (i)>

// Tests that a chain becomes one operation.

// CHECK-LABEL: func @chain
func.func @chain(%x: tensor<8xf32>) -> tensor<8xf32> {
  %init = tensor.empty() : tensor<8xf32>
  // CHECK-COUNT-1: linalg.generic
  %a = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel"]} ins(%x : tensor<8xf32>)
         outs(%init : tensor<8xf32>) {
  ^bb0(%v: f32, %unused: f32):
    %r = math.exp %v : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  // CHECK: math.exp
  // CHECK: arith.negf
  // CHECK-NOT: linalg.generic
  %b = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel"]} ins(%a : tensor<8xf32>)
         outs(%init : tensor<8xf32>) {
  ^bb0(%v: f32, %unused: f32):
    %r = arith.negf %v : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  return %b : tensor<8xf32>
}

// Tests that a product between reshapes stays a product of matrices.

// CHECK-LABEL: func @product
func.func @product(%x: tensor<2x3x8xf32>, %w: tensor<8x4xf32>, %init: tensor<6x4xf32>) -> tensor<2x3x4xf32> {
  %rows = tensor.collapse_shape %x [[0, 1], [2]] : tensor<2x3x8xf32> into tensor<6x8xf32>
  // CHECK: linalg.matmul ins(%{{.*}}, %{{.*}} : tensor<6x8xf32>, tensor<8x4xf32>)
  %y = linalg.matmul ins(%rows, %w : tensor<6x8xf32>, tensor<8x4xf32>) outs(%init : tensor<6x4xf32>) -> tensor<6x4xf32>
  %z = tensor.expand_shape %y [[0, 1], [2]] output_shape [2, 3, 4] : tensor<6x4xf32> into tensor<2x3x4xf32>
  return %z : tensor<2x3x4xf32>
}
