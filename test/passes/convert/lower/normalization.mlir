// RUN: moe-opt --convert-onnx-to-linalg --canonicalize --split-input-file %s | FileCheck %s

// Tests that the maximum is subtracted before the exponential.
// CHECK-LABEL: func.func @softmax
// CHECK: arith.maximumf
// CHECK: arith.subf
// CHECK: math.exp
// CHECK: arith.addf
// CHECK: arith.divf
func.func @softmax(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y = onnx.Softmax(%x) {axis = -1 : i64} : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// Tests that the logarithm of the sum is subtracted.
// CHECK-LABEL: func.func @log_softmax
// CHECK: arith.maximumf
// CHECK: %[[SHIFTED:.*]] = arith.subf
// CHECK: math.exp
// CHECK: %[[LOG:.*]] = math.log
// CHECK: arith.subf %{{.*}}, %[[LOG]]
func.func @log_softmax(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y = onnx.LogSoftmax(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// Tests that the root mean square of narrow numbers is computed in f32.
// CHECK-LABEL: func.func @rms_normalization
// CHECK: arith.extf
// CHECK-NOT: arith.subf
// CHECK: arith.mulf
// CHECK: math.sqrt %{{.*}} : f32
// CHECK: arith.truncf
func.func @rms_normalization(%x: tensor<?x8xf16>, %scale: tensor<8xf16>) -> tensor<?x8xf16> {
  %y = onnx.RMSNormalization(%x, %scale) {epsilon = 1.0e-06 : f32} : (tensor<?x8xf16>, tensor<8xf16>) -> tensor<?x8xf16>
  return %y : tensor<?x8xf16>
}

// -----

// Tests that all dimensions from the axis are normalised, and the results that
// may be left out.
// CHECK-LABEL: func.func @layer_normalization
// CHECK: linalg.generic {{.*}}iterator_types = ["parallel", "reduction", "reduction"]
// CHECK: arith.subf
// CHECK: return %{{.*}}, %{{.*}} : tensor<?x3x4xf32>, tensor<?x1x1xf32>
func.func @layer_normalization(%x: tensor<?x3x4xf32>, %scale: tensor<3x4xf32>) -> (tensor<?x3x4xf32>, tensor<?x1x1xf32>) {
  %none = onnx.NoValue : none
  %y, %mean, %deviation = onnx.LayerNormalization(%x, %scale, %none) {axis = 1 : i64}
      : (tensor<?x3x4xf32>, tensor<3x4xf32>, none) -> (tensor<?x3x4xf32>, tensor<?x1x1xf32>, none)
  return %y, %mean : tensor<?x3x4xf32>, tensor<?x1x1xf32>
}

// -----

// Tests that the sum with the skip connection is a result of its own.
// CHECK-LABEL: func.func @skip
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<?x8xf32>
// CHECK-SAME: %[[SKIP:[a-z0-9]+]]: tensor<?x8xf32>
// CHECK: %[[SUM:.*]] = linalg.generic {{.*}} ins(%[[X]], %[[SKIP]]
// CHECK: return %{{.*}}, %[[SUM]]
func.func @skip(%x: tensor<?x8xf32, #onnx.dims<"t", "">>, %skip: tensor<?x8xf32, #onnx.dims<"t", "">>, %scale: tensor<8xf32>)
    -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %none = onnx.NoValue : none
  %y, %mean, %deviation, %sum = onnx.com.microsoft.SkipSimplifiedLayerNormalization(%x, %skip, %scale, %none)
      : (tensor<?x8xf32, #onnx.dims<"t", "">>, tensor<?x8xf32, #onnx.dims<"t", "">>, tensor<8xf32>, none)
        -> (tensor<?x8xf32>, none, none, tensor<?x8xf32>)
  return %y, %sum : tensor<?x8xf32>, tensor<?x8xf32>
}

// -----

// Tests that groups of channels are normalised together.
// CHECK-LABEL: func.func @group_normalization
// CHECK: tensor.expand_shape %{{.*}} : tensor<{{.*}}> into tensor<2x3x{{.*}}xf32>
// CHECK: iterator_types = ["parallel", "parallel", "reduction"]
func.func @group_normalization(%x: tensor<2x6x5xf32>, %scale: tensor<6xf32>, %bias: tensor<6xf32>) -> tensor<2x6x5xf32> {
  %y = onnx.GroupNormalization(%x, %scale, %bias) {num_groups = 3 : i64}
       : (tensor<2x6x5xf32>, tensor<6xf32>, tensor<6xf32>) -> tensor<2x6x5xf32>
  return %y : tensor<2x6x5xf32>
}

// -----

// Tests that a norm of zero gives zeros.
// CHECK-LABEL: func.func @norm(
// CHECK:         %[[ROOT:.*]] = math.sqrt
// CHECK:         %[[ZERO:.*]] = arith.cmpf oeq, %[[ROOT]]
// CHECK:         arith.select %[[ZERO]], %cst
func.func @norm(%x: tensor<2x5xf32>) -> tensor<2x5xf32> {
  %y = onnx.LpNormalization(%x) : (tensor<2x5xf32>) -> tensor<2x5xf32>
  return %y : tensor<2x5xf32>
}
