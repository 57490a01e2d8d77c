// RUN: moe-opt --convert-onnx-to-linalg --canonicalize --split-input-file %s | FileCheck %s

// Tests that a transform along any axis is one of three dimensions, with the roots of unity in tables.
// CHECK-LABEL: func.func @dft
// CHECK: math.cos
// CHECK: math.sin
// CHECK: linalg.generic
// CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel", "reduction"]
// CHECK-SAME: outs(%{{.*}}, %{{.*}} : tensor<2x8x3xf64>, tensor<2x8x3xf64>)
// CHECK: return %{{.*}} : tensor<2x8x3x2xf32>
func.func @dft(%x: tensor<2x8x3x1xf32>) -> tensor<2x8x3x2xf32> {
  %none = onnx.NoValue : none
  %axis = onnx.Constant() {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %y = onnx.DFT(%x, %none, %axis) : (tensor<2x8x3x1xf32>, none, tensor<i64>) -> tensor<2x8x3x2xf32>
  return %y : tensor<2x8x3x2xf32>
}

// -----

// Tests that frames are cut from the signal, multiplied by the window and transformed, half of the bins being left out.
// CHECK-LABEL: func.func @stft
// CHECK: cf.assert %{{.*}}, "STFT: the signal is shorter than a frame"
// CHECK: linalg.generic
// CHECK: tensor.extract %{{.*}} : tensor<1x?x1xf32>
// CHECK: arith.mulf
// CHECK: return %{{.*}} : tensor<1x?x5x2xf32>
func.func @stft(%x: tensor<1x?x1xf32>, %window: tensor<8xf32>) -> tensor<1x?x5x2xf32> {
  %none = onnx.NoValue : none
  %step = onnx.Constant() {value = dense<4> : tensor<i64>} : () -> tensor<i64>
  %y = onnx.STFT(%x, %step, %window, %none) : (tensor<1x?x1xf32>, tensor<i64>, tensor<8xf32>, none) -> tensor<1x?x5x2xf32>
  return %y : tensor<1x?x5x2xf32>
}

// -----

// Tests that the filters of the mel scale are generated.
// CHECK-LABEL: func.func @mel
// CHECK: math.log1p
// CHECK: linalg.generic
// CHECK: math.expm1
// CHECK: math.floor
func.func @mel(%count: tensor<i64>, %length: tensor<i64>, %rate: tensor<i64>, %low: tensor<f32>, %high: tensor<f32>) -> tensor<?x?xf32> {
  %y = onnx.MelWeightMatrix(%count, %length, %rate, %low, %high)
      : (tensor<i64>, tensor<i64>, tensor<i64>, tensor<f32>, tensor<f32>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}
