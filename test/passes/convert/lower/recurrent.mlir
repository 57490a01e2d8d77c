// RUN: moe-opt --convert-onnx-to-linalg --canonicalize --split-input-file %s | FileCheck %s

// Tests that the inputs of all steps are multiplied at once and that the states are carried from step to step.
// CHECK-LABEL: func.func @lstm
// CHECK: linalg.matmul ins(%{{.*}} : tensor<?x4xf32>, tensor<4x12xf32>)
// CHECK: scf.for {{.*}} -> (tensor<?x1x2x3xf32>, tensor<2x3xf32>, tensor<2x3xf32>)
// CHECK: linalg.matmul ins(%{{.*}} : tensor<2x3xf32>, tensor<3x12xf32>)
// CHECK: math.tanh
func.func @lstm(%x: tensor<?x2x4xf32>, %w: tensor<1x12x4xf32>, %r: tensor<1x12x3xf32>) -> tensor<?x1x2x3xf32> {
  %none = onnx.NoValue : none
  %y, %h, %c = onnx.LSTM(%x, %w, %r, %none, %none, %none, %none, %none)
      : (tensor<?x2x4xf32>, tensor<1x12x4xf32>, tensor<1x12x3xf32>, none, none, none, none, none) -> (tensor<?x1x2x3xf32>, none, none)
  return %y : tensor<?x1x2x3xf32>
}

// -----

// Tests that a GRU multiplies by its reset gate before the product with the state, or after it if asked to.
// CHECK-LABEL: func.func @gru(
// CHECK: scf.for
// CHECK: linalg.matmul ins(%{{.*}} : tensor<2x3xf32>, tensor<3x6xf32>)
// CHECK: arith.mulf
// CHECK: linalg.matmul ins(%{{.*}} : tensor<2x3xf32>, tensor<3x3xf32>)
// CHECK: math.tanh
func.func @gru(%x: tensor<5x2x4xf32>, %w: tensor<1x9x4xf32>, %r: tensor<1x9x3xf32>) -> tensor<1x2x3xf32> {
  %none = onnx.NoValue : none
  %y, %h = onnx.GRU(%x, %w, %r, %none, %none, %none)
      : (tensor<5x2x4xf32>, tensor<1x9x4xf32>, tensor<1x9x3xf32>, none, none, none) -> (none, tensor<1x2x3xf32>)
  return %h : tensor<1x2x3xf32>
}

// CHECK-LABEL: func.func @gru_after(
// CHECK: linalg.matmul ins(%{{.*}} : tensor<2x3xf32>, tensor<3x6xf32>)
// CHECK: linalg.matmul ins(%{{.*}} : tensor<2x3xf32>, tensor<3x3xf32>)
// CHECK: arith.mulf
// CHECK: math.tanh
func.func @gru_after(%x: tensor<5x2x4xf32>, %w: tensor<1x9x4xf32>, %r: tensor<1x9x3xf32>) -> tensor<1x2x3xf32> {
  %none = onnx.NoValue : none
  %y, %h = onnx.GRU(%x, %w, %r, %none, %none, %none) {linear_before_reset = 1 : i64}
      : (tensor<5x2x4xf32>, tensor<1x9x4xf32>, tensor<1x9x3xf32>, none, none, none) -> (none, tensor<1x2x3xf32>)
  return %h : tensor<1x2x3xf32>
}

// -----

// Tests that rows whose sequence is over keep their state, and that named activations take their parameters in order.
// CHECK-LABEL: func.func @rnn
// CHECK-DAG: arith.constant 2.500000e-01 : f32
// CHECK: scf.for
// CHECK: linalg.matmul
// CHECK: arith.cmpi slt
// CHECK: arith.select
func.func @rnn(%x: tensor<5x2x4xf32>, %w: tensor<1x3x4xf32>, %r: tensor<1x3x3xf32>, %n: tensor<2xi32>) -> tensor<1x2x3xf32> {
  %none = onnx.NoValue : none
  %y, %h = onnx.RNN(%x, %w, %r, %none, %n, %none) {activations = ["LeakyRelu"], activation_alpha = array<f32: 0.25>}
      : (tensor<5x2x4xf32>, tensor<1x3x4xf32>, tensor<1x3x3xf32>, none, tensor<2xi32>, none) -> (none, tensor<1x2x3xf32>)
  return %h : tensor<1x2x3xf32>
}
