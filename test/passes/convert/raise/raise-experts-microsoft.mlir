// RUN: moe-opt %s --moe-raise-experts --canonicalize | FileCheck %s

// Tests that interleaved SwiGLU becomes two views of one weight, with alpha, offset and limit from the attributes, and that
// the router is known at once.

// CHECK-LABEL: func @swiglu
// CHECK-SAME: (%[[X:.*]]: tensor<?x4xf32>, %[[Z:.*]]: tensor<?x8xf32>)
func.func @swiglu(%x: tensor<?x4xf32>, %z: tensor<?x8xf32>) -> tensor<?x4xf32> {
  %w1 = moe.weight "fc1" [#moe.view<"m", offset = 0, element = f32, strides = [24, 4, 1]>] : tensor<8x6x4xf32>
  %w2 = moe.weight "fc2" [#moe.view<"m", offset = 768, element = f32, strides = [12, 3, 1]>] : tensor<8x4x3xf32>
  %none = onnx.NoValue : none
  // CHECK-DAG: %[[GATE:.*]] = moe.weight "fc1" [#moe.view<"m", offset = 0, element = f32, strides = [24, 1, 8]>] : tensor<8x4x3xf32>
  // CHECK-DAG: %[[UP:.*]] = moe.weight "fc1" [#moe.view<"m", offset = 16, element = f32, strides = [24, 1, 8]>] : tensor<8x4x3xf32>
  // CHECK-DAG: %[[DOWN:.*]] = moe.weight "fc2" [#moe.view<"m", offset = 768, element = f32, strides = [12, 1, 3]>] : tensor<8x3x4xf32>
  // CHECK-DAG: %[[ROUTING:.*]] = moe.route %[[Z]] top_k(2) {normalize = #moe.normalize<sum>}
  // CHECK: moe.experts %[[X]], %[[ROUTING]] gate(%[[GATE]] : {{.*}}) up(%[[UP]] : {{.*}}) down(%[[DOWN]] : {{.*}})
  // CHECK-SAME: #moe.activation<silu, alpha = 1.702{{[0-9e+]*}}, limit = 7.0{{[0-9e+]*}}, up_offset = 1.0{{[0-9e+]*}}>
  %y = onnx.com.microsoft.MoE(%x, %z, %w1, %none, %w2, %none, %none, %none)
         {k = 2 : i64, activation_type = "swiglu", swiglu_fusion = 1 : i64, swiglu_limit = 7.0 : f32,
          activation_alpha = 1.702 : f32, activation_beta = 1.0 : f32, normalize_routing_weights = 1 : i64}
    : (tensor<?x4xf32>, tensor<?x8xf32>, tensor<8x6x4xf32>, none, tensor<8x4x3xf32>, none, none, none) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// Tests that without normalisation the weights are those of a softmax over all experts, and that fc3 is the up projection.

// CHECK-LABEL: func @separate_up_projection
func.func @separate_up_projection(%x: tensor<?x4xf32>, %z: tensor<?x8xf32>) -> tensor<?x4xf32> {
  %w1 = moe.weight "fc1" [#moe.view<"m", offset = 0, element = f32, strides = [12, 4, 1]>] : tensor<8x3x4xf32>
  %w2 = moe.weight "fc2" [#moe.view<"m", offset = 384, element = f32, strides = [12, 3, 1]>] : tensor<8x4x3xf32>
  %w3 = moe.weight "fc3" [#moe.view<"m", offset = 768, element = f32, strides = [12, 4, 1]>] : tensor<8x3x4xf32>
  %none = onnx.NoValue : none
  // CHECK-DAG: %[[GATE:.*]] = moe.weight "fc1"
  // CHECK-DAG: %[[UP:.*]] = moe.weight "fc3"
  // CHECK-DAG: moe.route %{{.*}} top_k(2) : tensor<?x8xf32>
  // CHECK: moe.experts {{.*}} gate(%[[GATE]] : {{.*}}) up(%[[UP]] :
  %y = onnx.com.microsoft.MoE(%x, %z, %w1, %none, %w2, %none, %w3, %none) {k = 2 : i64, activation_type = "silu"}
    : (tensor<?x4xf32>, tensor<?x8xf32>, tensor<8x3x4xf32>, none, tensor<8x4x3xf32>, none, tensor<8x3x4xf32>, none) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
