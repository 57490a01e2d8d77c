// RUN: moe-opt %s -split-input-file --moe-raise-experts --canonicalize | FileCheck %s

// Tests that experts whose weights come from an unknown router are mixed by a matrix with a column for each, and that
// what has no weight is dropped. One weight is a score, one a mask times another score.
// CHECK-LABEL: func @unknown_router
// CHECK-SAME: (%[[X:[a-z0-9]*]]: tensor<?x4xf32>, %[[A:[a-z0-9]*]]: tensor<?x1xf32>, %[[B:[a-z0-9]*]]: tensor<?x1xf32>, %[[M:[a-z0-9]*]]: tensor<?x1xi1>)
func.func @unknown_router(%x: tensor<?x4xf32>, %a: tensor<?x1xf32>, %b: tensor<?x1xf32>, %mask: tensor<?x1xi1>) -> tensor<?x4xf32> {
  // CHECK-DAG: %[[F:.*]] = onnx.Cast(%[[M]])
  // CHECK-DAG: %[[W:.*]] = onnx.Mul
  // CHECK-DAG: %[[G:.*]] = onnx.Concat(%[[A]], %[[W]]) {axis = 1 : i64}
  // CHECK-DAG: %[[ZERO:.*]] = onnx.Equal(%[[G]]
  // CHECK-DAG: %[[IDS:.*]] = onnx.Where(%[[ZERO]]
  // CHECK: %[[R:.*]] = moe.assign %[[IDS]], %[[G]] {drops}
  // CHECK: %[[Y:.*]] = moe.experts %[[X]], %[[R]] up(%{{.*}} : tensor<2x4x3xf32>) down(%{{.*}} : tensor<2x3x4xf32>) {activation = #moe.activation<tanh>}
  // CHECK-NOT: onnx.MatMul
  %u0 = moe.weight "u0" [#moe.view<"m", offset = 0, element = f32, strides = [3, 1]>] : tensor<4x3xf32>
  %u1 = moe.weight "u1" [#moe.view<"m", offset = 48, element = f32, strides = [3, 1]>] : tensor<4x3xf32>
  %d0 = moe.weight "d0" [#moe.view<"m", offset = 96, element = f32, strides = [4, 1]>] : tensor<3x4xf32>
  %d1 = moe.weight "d1" [#moe.view<"m", offset = 144, element = f32, strides = [4, 1]>] : tensor<3x4xf32>
  %h0 = onnx.MatMul(%x, %u0) : (tensor<?x4xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
  %t0 = onnx.Tanh(%h0) : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %y0 = onnx.MatMul(%t0, %d0) : (tensor<?x3xf32>, tensor<3x4xf32>) -> tensor<?x4xf32>
  %o0 = onnx.Mul(%y0, %a) : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %h1 = onnx.MatMul(%x, %u1) : (tensor<?x4xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
  %t1 = onnx.Tanh(%h1) : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %y1 = onnx.MatMul(%t1, %d1) : (tensor<?x3xf32>, tensor<3x4xf32>) -> tensor<?x4xf32>
  %f = onnx.Cast(%mask) {to = 1 : i64} : (tensor<?x1xi1>) -> tensor<?x1xf32>
  %m = onnx.Mul(%f, %y1) : (tensor<?x1xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %o1 = onnx.Mul(%m, %b) : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %sum = onnx.Add(%o0, %o1) : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %sum : tensor<?x4xf32>
}

// -----

// Tests that a selection of one expert or the other by a mask is a mixture with a weight of 0 or 1.
// CHECK-LABEL: func @selected
func.func @selected(%x: tensor<?x4xf32>, %mask: tensor<?x1xi1>) -> tensor<?x4xf32> {
  // CHECK: onnx.Not
  // CHECK: moe.assign %{{.*}}, %{{.*}} {drops} : tensor<?x2xi64>, tensor<?x2xf32>
  // CHECK: moe.experts
  // CHECK-NOT: onnx.MatMul
  %u0 = moe.weight "u0" [#moe.view<"m", offset = 0, element = f32, strides = [3, 1]>] : tensor<4x3xf32>
  %u1 = moe.weight "u1" [#moe.view<"m", offset = 48, element = f32, strides = [3, 1]>] : tensor<4x3xf32>
  %d0 = moe.weight "d0" [#moe.view<"m", offset = 96, element = f32, strides = [4, 1]>] : tensor<3x4xf32>
  %d1 = moe.weight "d1" [#moe.view<"m", offset = 144, element = f32, strides = [4, 1]>] : tensor<3x4xf32>
  %h0 = onnx.MatMul(%x, %u0) : (tensor<?x4xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
  %t0 = onnx.Relu(%h0) : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %y0 = onnx.MatMul(%t0, %d0) : (tensor<?x3xf32>, tensor<3x4xf32>) -> tensor<?x4xf32>
  %h1 = onnx.MatMul(%x, %u1) : (tensor<?x4xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
  %t1 = onnx.Relu(%h1) : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %y1 = onnx.MatMul(%t1, %d1) : (tensor<?x3xf32>, tensor<3x4xf32>) -> tensor<?x4xf32>
  %y = onnx.Where(%mask, %y0, %y1) : (tensor<?x1xi1>, tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %sum = onnx.Add(%y, %x) : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %sum : tensor<?x4xf32>
}

// -----

// Tests that results of all experts of which ids choose some need not be computed where they are not chosen.
// CHECK-LABEL: func @chosen_results
// CHECK-SAME: (%[[X:[a-z0-9]*]]: tensor<?x4xf32>, %[[IDS:[a-z0-9]*]]: tensor<?x2xi64>, %[[W:[a-z0-9]*]]: tensor<?x2xf32>)
func.func @chosen_results(%x: tensor<?x4xf32>, %ids: tensor<?x2xi64>, %w: tensor<?x2xf32>) -> tensor<?x4xf32> {
  // CHECK: %[[R:.*]] = moe.assign %[[IDS]], %[[W]] : tensor<?x2xi64>, tensor<?x2xf32> -> <?x2 of 3>
  // CHECK: moe.experts %[[X]], %[[R]]
  // CHECK-NOT: onnx.Einsum
  %last = onnx.Constant() {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %one = onnx.Constant() {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %shape = onnx.Constant() {value = dense<[1, 1, 4]> : tensor<3xi64>} : () -> tensor<3xi64>
  %w1 = moe.weight "w1" [#moe.view<"m", offset = 0, element = f32, strides = [12, 3, 1]>] : tensor<3x4x3xf32>
  %w2 = moe.weight "w2" [#moe.view<"m", offset = 144, element = f32, strides = [12, 4, 1]>] : tensor<3x3x4xf32>
  %h = onnx.Einsum(%x, %w1) {equation = "td,edf->tef"} : (tensor<?x4xf32>, tensor<3x4x3xf32>) -> tensor<?x3x3xf32>
  %a = onnx.Relu(%h) : (tensor<?x3x3xf32>) -> tensor<?x3x3xf32>
  %y = onnx.Einsum(%a, %w2) {equation = "tef,efd->ted"} : (tensor<?x3x3xf32>, tensor<3x3x4xf32>) -> tensor<?x3x4xf32>
  %i1 = onnx.Unsqueeze(%ids, %last) : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?x2x1xi64>
  %i2 = onnx.Expand(%i1, %shape) : (tensor<?x2x1xi64>, tensor<3xi64>) -> tensor<?x2x4xi64>
  %chosen = onnx.GatherElements(%y, %i2) {axis = 1 : i64} : (tensor<?x3x4xf32>, tensor<?x2x4xi64>) -> tensor<?x2x4xf32>
  %w3 = onnx.Unsqueeze(%w, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %m = onnx.Mul(%chosen, %w3) : (tensor<?x2x4xf32>, tensor<?x2x1xf32>) -> tensor<?x2x4xf32>
  %sum = onnx.ReduceSum(%m, %one) {keepdims = 0 : i64} : (tensor<?x2x4xf32>, tensor<1xi64>) -> tensor<?x4xf32>
  return %sum : tensor<?x4xf32>
}

// -----

// Tests that a weight that stands for all tokens of a sequence is repeated.
// CHECK-LABEL: func @weight_of_a_sequence
func.func @weight_of_a_sequence(%x: tensor<?x?x4xf32>, %w: tensor<?x1x2xf32>) -> tensor<?x?x4xf32> {
  // CHECK: onnx.Expand
  // CHECK: moe.assign
  // CHECK: moe.experts
  // CHECK-NOT: onnx.Einsum
  %w1 = moe.weight "w1" [#moe.view<"m", offset = 0, element = f32, strides = [12, 3, 1]>] : tensor<2x4x3xf32>
  %w2 = moe.weight "w2" [#moe.view<"m", offset = 96, element = f32, strides = [12, 4, 1]>] : tensor<2x3x4xf32>
  %h = onnx.Einsum(%x, %w1) {equation = "btd,edf->btef"} : (tensor<?x?x4xf32>, tensor<2x4x3xf32>) -> tensor<?x?x2x3xf32>
  %a = onnx.Relu(%h) : (tensor<?x?x2x3xf32>) -> tensor<?x?x2x3xf32>
  %y = onnx.Einsum(%a, %w2) {equation = "btef,efd->bted"} : (tensor<?x?x2x3xf32>, tensor<2x3x4xf32>) -> tensor<?x?x2x4xf32>
  %last = onnx.Constant() {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %two = onnx.Constant() {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %w3 = onnx.Unsqueeze(%w, %last) : (tensor<?x1x2xf32>, tensor<1xi64>) -> tensor<?x1x2x1xf32>
  %m = onnx.Mul(%y, %w3) : (tensor<?x?x2x4xf32>, tensor<?x1x2x1xf32>) -> tensor<?x?x2x4xf32>
  %sum = onnx.ReduceSum(%m, %two) {keepdims = 0 : i64} : (tensor<?x?x2x4xf32>, tensor<1xi64>) -> tensor<?x?x4xf32>
  return %sum : tensor<?x?x4xf32>
}

// -----

// Tests that for one token, the row that is added to an expert is no bias of it.
// CHECK-LABEL: func @one_token
// CHECK-SAME: (%[[X:[a-z0-9]*]]: tensor<1x4xf32>
func.func @one_token(%x: tensor<1x4xf32>, %a: tensor<1x1xf32>, %b: tensor<1x1xf32>) -> tensor<1x4xf32> {
  // CHECK: %[[Y:.*]] = moe.experts %[[X]], %{{.*}} up(%{{.*}} : tensor<2x4x3xf32>) down(%{{.*}} : tensor<2x3x4xf32>) {activation = #moe.activation<relu>}
  // CHECK: onnx.Add(%{{.*}}, %{{.*}})
  %u0 = moe.weight "u0" [#moe.view<"m", offset = 0, element = f32, strides = [3, 1]>] : tensor<4x3xf32>
  %u1 = moe.weight "u1" [#moe.view<"m", offset = 48, element = f32, strides = [3, 1]>] : tensor<4x3xf32>
  %u2 = moe.weight "u2" [#moe.view<"m", offset = 192, element = f32, strides = [3, 1]>] : tensor<4x3xf32>
  %d0 = moe.weight "d0" [#moe.view<"m", offset = 96, element = f32, strides = [4, 1]>] : tensor<3x4xf32>
  %d1 = moe.weight "d1" [#moe.view<"m", offset = 144, element = f32, strides = [4, 1]>] : tensor<3x4xf32>
  %d2 = moe.weight "d2" [#moe.view<"m", offset = 240, element = f32, strides = [4, 1]>] : tensor<3x4xf32>
  %h0 = onnx.MatMul(%x, %u0) : (tensor<1x4xf32>, tensor<4x3xf32>) -> tensor<1x3xf32>
  %t0 = onnx.Relu(%h0) : (tensor<1x3xf32>) -> tensor<1x3xf32>
  %y0 = onnx.MatMul(%t0, %d0) : (tensor<1x3xf32>, tensor<3x4xf32>) -> tensor<1x4xf32>
  %o0 = onnx.Mul(%y0, %a) : (tensor<1x4xf32>, tensor<1x1xf32>) -> tensor<1x4xf32>
  %h1 = onnx.MatMul(%x, %u1) : (tensor<1x4xf32>, tensor<4x3xf32>) -> tensor<1x3xf32>
  %t1 = onnx.Relu(%h1) : (tensor<1x3xf32>) -> tensor<1x3xf32>
  %y1 = onnx.MatMul(%t1, %d1) : (tensor<1x3xf32>, tensor<3x4xf32>) -> tensor<1x4xf32>
  %o1 = onnx.Mul(%y1, %b) : (tensor<1x4xf32>, tensor<1x1xf32>) -> tensor<1x4xf32>
  %routed = onnx.Add(%o0, %o1) : (tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x4xf32>
  %h2 = onnx.MatMul(%x, %u2) : (tensor<1x4xf32>, tensor<4x3xf32>) -> tensor<1x3xf32>
  %t2 = onnx.Relu(%h2) : (tensor<1x3xf32>) -> tensor<1x3xf32>
  %y2 = onnx.MatMul(%t2, %d2) : (tensor<1x3xf32>, tensor<3x4xf32>) -> tensor<1x4xf32>
  %sum = onnx.Add(%routed, %y2) : (tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x4xf32>
  return %sum : tensor<1x4xf32>
}

// -----

// Tests that experts of a single product are groups of rows, combined by the weights of the router.
// CHECK-LABEL: func @linear_experts
// CHECK-SAME: (%[[X:[a-z0-9]*]]: tensor<?x4xf32>, %[[IDS:[a-z0-9]*]]: tensor<?x2xi64>, %[[W:[a-z0-9]*]]: tensor<?x2xf32>)
func.func @linear_experts(%x: tensor<?x4xf32>, %ids: tensor<?x2xi64>, %w: tensor<?x2xf32>) -> tensor<?x5xf32> {
  // CHECK: %[[R:.*]] = moe.assign %[[IDS]], %[[W]]
  // CHECK: %[[I:.*]], %[[G:.*]] = moe.unpack %[[R]]
  // CHECK: %[[ROWS:.*]], %[[OFFSETS:.*]] = moe.permute %[[I]] {experts = 3 : i64}
  // CHECK: %[[H:.*]] = moe.grouped_matmul %[[X]], %{{.*}}, %[[OFFSETS]] rows(%[[ROWS]] : tensor<?xi32>) bias(%{{.*}} : tensor<3x5xf32>) {slots = 2 : i64}
  // CHECK: moe.combine %[[H]], %[[ROWS]], %[[G]]
  // CHECK-NOT: onnx.MatMul
  %m = moe.weight "m" [#moe.view<"m", offset = 0, element = f32, strides = [20, 5, 1]>] : tensor<3x4x5xf32>
  %b = moe.weight "b" [#moe.view<"m", offset = 240, element = f32, strides = [5, 1]>] : tensor<3x5xf32>
  %one = onnx.Constant() {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %two = onnx.Constant() {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %both = onnx.Constant() {value = dense<[1, 2]> : tensor<2xi64>} : () -> tensor<2xi64>
  %g = onnx.Gather(%m, %ids) : (tensor<3x4x5xf32>, tensor<?x2xi64>) -> tensor<?x2x4x5xf32>
  %c = onnx.Gather(%b, %ids) : (tensor<3x5xf32>, tensor<?x2xi64>) -> tensor<?x2x5xf32>
  %x1 = onnx.Unsqueeze(%x, %both) : (tensor<?x4xf32>, tensor<2xi64>) -> tensor<?x1x1x4xf32>
  %y1 = onnx.MatMul(%x1, %g) : (tensor<?x1x1x4xf32>, tensor<?x2x4x5xf32>) -> tensor<?x2x1x5xf32>
  %y2 = onnx.Squeeze(%y1, %two) : (tensor<?x2x1x5xf32>, tensor<1xi64>) -> tensor<?x2x5xf32>
  %y3 = onnx.Add(%y2, %c) : (tensor<?x2x5xf32>, tensor<?x2x5xf32>) -> tensor<?x2x5xf32>
  %w1 = onnx.Unsqueeze(%w, %two) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %p = onnx.Mul(%y3, %w1) : (tensor<?x2x5xf32>, tensor<?x2x1xf32>) -> tensor<?x2x5xf32>
  %y = onnx.ReduceSum(%p, %one) {keepdims = 0 : i64} : (tensor<?x2x5xf32>, tensor<1xi64>) -> tensor<?x5xf32>
  return %y : tensor<?x5xf32>
}

// -----

// Tests that weights of inputs stay weights of inputs, and that experts are not dropped where they are zero: a sigmoid of
// zero is not.
// CHECK-LABEL: func @weighted_inputs
// CHECK-NOT: drops
// CHECK: moe.experts {{.*}}apply = #moe.apply<input>
func.func @weighted_inputs(%x: tensor<?x4xf32>, %gates: tensor<?x2xf32>) -> tensor<?x4xf32> {
  %zero = onnx.Constant() {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %one = onnx.Constant() {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %two = onnx.Constant() {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %u0 = moe.weight "u0" [#moe.view<"m", offset = 0, element = f32, strides = [3, 1]>] : tensor<4x3xf32>
  %u1 = moe.weight "u1" [#moe.view<"m", offset = 48, element = f32, strides = [3, 1]>] : tensor<4x3xf32>
  %d0 = moe.weight "d0" [#moe.view<"m", offset = 96, element = f32, strides = [4, 1]>] : tensor<3x4xf32>
  %d1 = moe.weight "d1" [#moe.view<"m", offset = 144, element = f32, strides = [4, 1]>] : tensor<3x4xf32>
  %g0 = onnx.Slice(%gates, %zero, %one, %one, %one) : (tensor<?x2xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xf32>
  %g1 = onnx.Slice(%gates, %one, %two, %one, %one) : (tensor<?x2xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xf32>
  %x0 = onnx.Mul(%x, %g0) : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %x1 = onnx.Mul(%x, %g1) : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %h0 = onnx.MatMul(%x0, %u0) : (tensor<?x4xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
  %t0 = onnx.Sigmoid(%h0) : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %y0 = onnx.MatMul(%t0, %d0) : (tensor<?x3xf32>, tensor<3x4xf32>) -> tensor<?x4xf32>
  %h1 = onnx.MatMul(%x1, %u1) : (tensor<?x4xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
  %t1 = onnx.Sigmoid(%h1) : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %y1 = onnx.MatMul(%t1, %d1) : (tensor<?x3xf32>, tensor<3x4xf32>) -> tensor<?x4xf32>
  %sum = onnx.Add(%y0, %y1) : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %sum : tensor<?x4xf32>
}
