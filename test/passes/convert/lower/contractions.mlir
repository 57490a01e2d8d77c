// RUN: moe-opt --convert-onnx-to-linalg --canonicalize %s | FileCheck %s

// Tests that the leading dimensions of a product with a matrix become rows.
// CHECK-LABEL: func.func @matmul_with_matrix
// CHECK: %[[ROWS:.*]] = tensor.collapse_shape %{{.*}} {{\[\[}}0, 1], [2]] : tensor<?x?x64xf32> into tensor<?x64xf32>
// CHECK: %[[PRODUCT:.*]] = linalg.matmul ins(%[[ROWS]], %{{.*}} : tensor<?x64xf32>, tensor<64x32xf32>)
// CHECK: tensor.expand_shape %[[PRODUCT]]
func.func @matmul_with_matrix(%a: tensor<?x?x64xf32>, %b: tensor<64x32xf32>) -> tensor<?x?x32xf32> {
  %y = onnx.MatMul(%a, %b) : (tensor<?x?x64xf32>, tensor<64x32xf32>) -> tensor<?x?x32xf32>
  return %y : tensor<?x?x32xf32>
}

// Tests that two vectors give a scalar.
// CHECK-LABEL: func.func @matmul_of_vectors
// CHECK: linalg.matmul ins(%{{.*}}, %{{.*}} : tensor<1x8xf32>, tensor<8x1xf32>)
// CHECK: return %{{.*}} : tensor<f32>
func.func @matmul_of_vectors(%a: tensor<8xf32>, %b: tensor<8xf32>) -> tensor<f32> {
  %y = onnx.MatMul(%a, %b) : (tensor<8xf32>, tensor<8xf32>) -> tensor<f32>
  return %y : tensor<f32>
}

// Tests that batches broadcast, and that unknown inner extents are checked.
// CHECK-LABEL: func.func @matmul_with_batches
// CHECK: cf.assert %{{.*}}, "expected matrices with equal inner extents"
// CHECK: linalg.batch_matmul ins(%{{.*}}, %{{.*}} : tensor<15x4x?xf32>, tensor<15x?x6xf32>)
// CHECK: return %{{.*}} : tensor<3x5x4x6xf32>
func.func @matmul_with_batches(%a: tensor<5x4x?xf32>, %b: tensor<3x1x?x6xf32>) -> tensor<3x5x4x6xf32> {
  %y = onnx.MatMul(%a, %b) : (tensor<5x4x?xf32>, tensor<3x1x?x6xf32>) -> tensor<3x5x4x6xf32>
  return %y : tensor<3x5x4x6xf32>
}

// Tests that products of narrow numbers are accumulated in f32.
// CHECK-LABEL: func.func @matmul_f16
// CHECK: linalg.matmul ins(%{{.*}} : tensor<2x4xf16>, tensor<4x3xf16>) outs(%{{.*}} : tensor<2x3xf32>)
// CHECK: arith.truncf
func.func @matmul_f16(%a: tensor<2x4xf16>, %b: tensor<4x3xf16>) -> tensor<2x3xf16> {
  %y = onnx.MatMul(%a, %b) : (tensor<2x4xf16>, tensor<4x3xf16>) -> tensor<2x3xf16>
  return %y : tensor<2x3xf16>
}

// Tests that a transposed weight is a view with other strides, and that the
// third operand is added to each row.
// CHECK-LABEL: func.func @gemm_with_transposed_weight
// CHECK: %[[WEIGHT:.*]] = moe.weight "w" [#moe.view<"model.onnx", offset = 128, element = f32, strides = [1, 64]>] : tensor<64x32xf32>
// CHECK: %[[PRODUCT:.*]] = linalg.matmul ins(%{{.*}}, %[[WEIGHT]] : tensor<?x64xf32>, tensor<64x32xf32>)
// CHECK: linalg.generic {{.*}} ins(%[[PRODUCT]], %{{.*}} : tensor<?x32xf32>, tensor<32xf32>)
// CHECK: arith.addf
func.func @gemm_with_transposed_weight(%a: tensor<?x64xf32>, %c: tensor<32xf32>) -> tensor<?x32xf32> {
  %w = moe.weight "w" [#moe.view<"model.onnx", offset = 128, element = f32, strides = [64, 1]>] : tensor<32x64xf32>
  %y = onnx.Gemm(%a, %w, %c) {transB = 1 : i64} : (tensor<?x64xf32>, tensor<32x64xf32>, tensor<32xf32>) -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// Tests the factors and a transposition at run time.
// CHECK-LABEL: func.func @gemm_with_factors
// CHECK-DAG: %[[ALPHA:.*]] = arith.constant 5.000000e-01 : f32
// CHECK-DAG: %[[BETA:.*]] = arith.constant 2.000000e+00 : f32
// CHECK: linalg.transpose ins(%{{.*}} : tensor<4x2xf32>)
// CHECK: linalg.matmul
// CHECK: arith.mulf %{{.*}}, %[[ALPHA]]
// CHECK: arith.mulf %{{.*}}, %[[BETA]]
func.func @gemm_with_factors(%a: tensor<4x2xf32>, %b: tensor<4x3xf32>, %c: tensor<3xf32>) -> tensor<2x3xf32> {
  %y = onnx.Gemm(%a, %b, %c) {alpha = 5.000000e-01 : f32, beta = 2.000000e+00 : f32, transA = 1 : i64}
       : (tensor<4x2xf32>, tensor<4x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// Tests the transposition of the batch: [M, B, K] is B matrices M x K.
// CHECK-LABEL: func.func @fused_matmul
// CHECK: linalg.transpose ins(%{{.*}} : tensor<4x5x8xf32>) outs(%{{.*}} : tensor<5x4x8xf32>) permutation = [1, 0, 2]
// CHECK: linalg.batch_matmul ins(%{{.*}}, %{{.*}} : tensor<5x4x8xf32>, tensor<5x8x6xf32>)
func.func @fused_matmul(%a: tensor<4x5x8xf32>, %b: tensor<5x8x6xf32>) -> tensor<5x4x6xf32> {
  %y = onnx.com.microsoft.FusedMatMul(%a, %b) {transBatchA = 1 : i64}
       : (tensor<4x5x8xf32>, tensor<5x8x6xf32>) -> tensor<5x4x6xf32>
  return %y : tensor<5x4x6xf32>
}
