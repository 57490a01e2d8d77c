// RUN: moe-opt %s -split-input-file -moe-raise-routers | FileCheck %s

// Tests that scores divided by their sum become a normalisation.
// CHECK-LABEL: func.func @softmax_then_choose(
// CHECK-SAME:      %[[LOGITS:.*]]: tensor<?x8xf32>
// CHECK:         %[[ROUTING:.*]] = moe.route %[[LOGITS]] top_k(2)
// CHECK-SAME:        normalize = #moe.normalize<sum>
// CHECK:         return %[[ROUTING]]
func.func @softmax_then_choose(%z: tensor<?x8xf32>) -> !moe.routing<?x2 of 8> {
  %k = onnx.Constant() {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %last = onnx.Constant() {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %s = onnx.Softmax(%z) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v, %ids = onnx.TopK(%s, %k) : (tensor<?x8xf32>, tensor<1xi64>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %sum = onnx.ReduceSum(%v, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %w = onnx.Div(%v, %sum) : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %r = moe.assign %ids, %w : tensor<?x2xi64>, tensor<?x2xf32> -> !moe.routing<?x2 of 8>
  return %r : !moe.routing<?x2 of 8>
}

// -----

// Tests that a softmax of the chosen logits keeps its place after the choice.
// CHECK-LABEL: func.func @choose_then_softmax(
// CHECK-SAME:      %[[LOGITS:.*]]: tensor<?x8xf32>
// CHECK:         moe.route %[[LOGITS]] top_k(4)
// CHECK-SAME:        order = #moe.order<select_then_score>
func.func @choose_then_softmax(%z: tensor<?x8xf32>) -> !moe.routing<?x4 of 8> {
  %k = onnx.Constant() {value = dense<4> : tensor<1xi64>} : () -> tensor<1xi64>
  %v, %ids = onnx.TopK(%z, %k) : (tensor<?x8xf32>, tensor<1xi64>) -> (tensor<?x4xf32>, tensor<?x4xi64>)
  %w = onnx.Softmax(%v) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %r = moe.assign %ids, %w : tensor<?x4xi64>, tensor<?x4xf32> -> !moe.routing<?x4 of 8>
  return %r : !moe.routing<?x4 of 8>
}

// -----

// Tests that a bias which only the choice sees, an epsilon and a scale become attributes.
// CHECK-LABEL: func.func @biased_sigmoid(
// CHECK-SAME:      %[[LOGITS:[a-z0-9]*]]: tensor<?x4xf32>, %[[BIAS:[a-z0-9]*]]: tensor<4xf32>
// CHECK:         moe.route %[[LOGITS]] select_bias(%[[BIAS]] : tensor<4xf32>) top_k(2)
// CHECK-SAME:        normalize = #moe.normalize<sum>, normalize_epsilon = 1.250000e-01 : f64
// CHECK-SAME:        scale = 2.500000e+00 : f64, score = #moe.score<sigmoid>
func.func @biased_sigmoid(%z: tensor<?x4xf32>, %bias: tensor<4xf32>) -> !moe.routing<?x2 of 4> {
  %k = onnx.Constant() {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %last = onnx.Constant() {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %eps = onnx.Constant() {value = dense<0.125> : tensor<f32>} : () -> tensor<f32>
  %scale = onnx.Constant() {value = dense<2.5> : tensor<f32>} : () -> tensor<f32>
  %s = onnx.Sigmoid(%z) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %c = onnx.Add(%bias, %s) : (tensor<4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %v, %ids = onnx.TopK(%c, %k) : (tensor<?x4xf32>, tensor<1xi64>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %g = onnx.GatherElements(%s, %ids) {axis = 1 : i64} : (tensor<?x4xf32>, tensor<?x2xi64>) -> tensor<?x2xf32>
  %sum = onnx.ReduceSum(%g, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %safe = onnx.Add(%sum, %eps) : (tensor<?x1xf32>, tensor<f32>) -> tensor<?x1xf32>
  %n = onnx.Div(%g, %safe) : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %w = onnx.Mul(%scale, %n) : (tensor<f32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %r = moe.assign %ids, %w : tensor<?x2xi64>, tensor<?x2xf32> -> !moe.routing<?x2 of 4>
  return %r : !moe.routing<?x2 of 4>
}

// -----

// Tests that a choice limited to the best groups becomes an attribute.
// CHECK-LABEL: func.func @groups(
// CHECK-SAME:      %[[LOGITS:.*]]: tensor<6x8xf32>
// CHECK:         moe.route %[[LOGITS]] top_k(2)
// CHECK-SAME:        groups = #moe.groups<count = 4, keep = 2, score = max, mask = zero>
func.func @groups(%z: tensor<6x8xf32>) -> !moe.routing<6x2 of 8> {
  %k = onnx.Constant() {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %last = onnx.Constant() {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %cut = onnx.Constant() {value = dense<[6, 4, 2]> : tensor<3xi64>} : () -> tensor<3xi64>
  %rows = onnx.Constant() {value = dense<[6, 8]> : tensor<2xi64>} : () -> tensor<2xi64>
  %zero = onnx.Constant() {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
  %zeros = onnx.Constant() {value = dense<0.0> : tensor<6x4xf32>} : () -> tensor<6x4xf32>
  %ones = onnx.Constant() {value = dense<1.0> : tensor<6x2xf32>} : () -> tensor<6x2xf32>
  %s = onnx.Softmax(%z) : (tensor<6x8xf32>) -> tensor<6x8xf32>
  %grouped = onnx.Reshape(%s, %cut) : (tensor<6x8xf32>, tensor<3xi64>) -> tensor<6x4x2xf32>
  %best = onnx.ReduceMax(%grouped, %last) {keepdims = 0 : i64} : (tensor<6x4x2xf32>, tensor<1xi64>) -> tensor<6x4xf32>
  %gv, %gi = onnx.TopK(%best, %k) : (tensor<6x4xf32>, tensor<1xi64>) -> (tensor<6x2xf32>, tensor<6x2xi64>)
  %kept = onnx.ScatterElements(%zeros, %gi, %ones) {axis = 1 : i64} : (tensor<6x4xf32>, tensor<6x2xi64>, tensor<6x2xf32>) -> tensor<6x4xf32>
  %column = onnx.Unsqueeze(%kept, %last) : (tensor<6x4xf32>, tensor<1xi64>) -> tensor<6x4x1xf32>
  %wide = onnx.Expand(%column, %cut) : (tensor<6x4x1xf32>, tensor<3xi64>) -> tensor<6x4x2xf32>
  %mask = onnx.Reshape(%wide, %rows) : (tensor<6x4x2xf32>, tensor<2xi64>) -> tensor<6x8xf32>
  %bool = onnx.Cast(%mask) {to = 9 : i64} : (tensor<6x8xf32>) -> tensor<6x8xi1>
  %out = onnx.Not(%bool) : (tensor<6x8xi1>) -> tensor<6x8xi1>
  %c = onnx.Where(%out, %zero, %s) : (tensor<6x8xi1>, tensor<f32>, tensor<6x8xf32>) -> tensor<6x8xf32>
  %v, %ids = onnx.TopK(%c, %k) : (tensor<6x8xf32>, tensor<1xi64>) -> (tensor<6x2xf32>, tensor<6x2xi64>)
  %r = moe.assign %ids, %v : tensor<6x2xi64>, tensor<6x2xf32> -> !moe.routing<6x2 of 8>
  return %r : !moe.routing<6x2 of 8>
}

// -----

// Tests that weights which are no function of the chosen scores stay as they are.
// CHECK-LABEL: func.func @foreign_weights(
// CHECK:         moe.assign
func.func @foreign_weights(%z: tensor<?x8xf32>, %w: tensor<?x2xf32>) -> !moe.routing<?x2 of 8> {
  %k = onnx.Constant() {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %v, %ids = onnx.TopK(%z, %k) : (tensor<?x8xf32>, tensor<1xi64>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %r = moe.assign %ids, %w : tensor<?x2xi64>, tensor<?x2xf32> -> !moe.routing<?x2 of 8>
  return %r : !moe.routing<?x2 of 8>
}

// -----

// Tests that a choice of the smallest scores is no router.
// CHECK-LABEL: func.func @smallest(
// CHECK:         moe.assign
func.func @smallest(%z: tensor<?x8xf32>) -> !moe.routing<?x2 of 8> {
  %k = onnx.Constant() {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %v, %ids = onnx.TopK(%z, %k) {largest = 0 : i64} : (tensor<?x8xf32>, tensor<1xi64>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %w = onnx.Softmax(%v) : (tensor<?x2xf32>) -> tensor<?x2xf32>
  %r = moe.assign %ids, %w : tensor<?x2xi64>, tensor<?x2xf32> -> !moe.routing<?x2 of 8>
  return %r : !moe.routing<?x2 of 8>
}
