// RUN: moe-opt %s --moe-raise-experts --canonicalize | FileCheck %s

// Tests that interleaved SwiGLU of integers with blocks becomes two quantised views, and that weights are normalised.

// CHECK-LABEL: func @blocks
// CHECK-SAME: (%[[X:.*]]: tensor<?x64xf32>, %[[Z:.*]]: tensor<?x8xf32>)
func.func @blocks(%x: tensor<?x64xf32>, %z: tensor<?x8xf32>) -> tensor<?x64xf32> {
  %w1 = moe.weight "fc1" [#moe.view<"m", offset = 0, element = ui8, strides = [2048, 32, 1]>] : tensor<8x64x32xui8>
  %s1 = moe.weight "s1" [#moe.view<"m", offset = 16384, element = f32, strides = [128, 2, 1]>] : tensor<8x64x2xf32>
  %w2 = moe.weight "fc2" [#moe.view<"m", offset = 20480, element = ui8, strides = [1024, 16, 1]>] : tensor<8x64x16xui8>
  %s2 = moe.weight "s2" [#moe.view<"m", offset = 28672, element = f32, strides = [64, 1, 1]>] : tensor<8x64x1xf32>
  %none = onnx.NoValue : none
  // CHECK-DAG: %[[GATE:.*]] = moe.weight "fc1" [#moe.view<"m", offset = 0, element = ui4, strides = [4096, 1, 128], scales = [#moe.view<"m", offset = 16384, element = f32, strides = [128, 1, 4], blocks = [1, 32, 1]>], zero_point = 8>] : tensor<8x64x32xf32>
  // CHECK-DAG: %[[UP:.*]] = moe.weight "fc1" [#moe.view<"m", offset = 32, element = ui4, strides = [4096, 1, 128], scales = [#moe.view<"m", offset = 16392, element = f32, strides = [128, 1, 4], blocks = [1, 32, 1]>], zero_point = 8>] : tensor<8x64x32xf32>
  // CHECK-DAG: %[[DOWN:.*]] = moe.weight "fc2" [#moe.view<"m", offset = 20480, element = ui4, strides = [2048, 1, 32], scales = [#moe.view<"m", offset = 28672, element = f32, strides = [64, 0, 1]>], zero_point = 8>] : tensor<8x32x64xf32>
  // CHECK-DAG: %[[ROUTING:.*]] = moe.route %[[Z]] top_k(2) {normalize = #moe.normalize<sum>}
  // CHECK: moe.experts %[[X]], %[[ROUTING]] gate(%[[GATE]] : {{.*}}) up(%[[UP]] : {{.*}}) down(%[[DOWN]] : {{.*}})
  %y = onnx.com.microsoft.QMoE(%x, %z, %w1, %s1, %none, %w2, %s2, %none, %none, %none, %none, %none, %none, %none, %none, %none, %none, %none, %none)
         {k = 2 : i64, activation_type = "swiglu", swiglu_fusion = 1 : i64, block_size = 32 : i64}
    : (tensor<?x64xf32>, tensor<?x8xf32>, tensor<8x64x32xui8>, tensor<8x64x2xf32>, none, tensor<8x64x16xui8>,
       tensor<8x64x1xf32>, none, none, none, none, none, none, none, none, none, none, none, none) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// Tests that other weights for mixing are gathered where the logits choose, and normalised only if the node says so.

// CHECK-LABEL: func @router_weights
// CHECK-SAME: (%{{.*}}, %[[Z:.*]]: tensor<?x8xf32>, %[[R:.*]]: tensor<?x8xf32>)
func.func @router_weights(%x: tensor<?x64xf32>, %z: tensor<?x8xf32>, %r: tensor<?x8xf32>) -> tensor<?x64xf32> {
  %w1 = moe.weight "fc1" [#moe.view<"m", offset = 0, element = ui8, strides = [2048, 64, 1]>] : tensor<8x32x64xui8>
  %s1 = moe.weight "s1" [#moe.view<"m", offset = 16384, element = f32, strides = [32, 1]>] : tensor<8x32xf32>
  %w2 = moe.weight "fc2" [#moe.view<"m", offset = 20480, element = ui8, strides = [2048, 32, 1]>] : tensor<8x64x32xui8>
  %s2 = moe.weight "s2" [#moe.view<"m", offset = 40960, element = f32, strides = [64, 1]>] : tensor<8x64xf32>
  %none = onnx.NoValue : none
  // CHECK: %{{.*}}, %[[IDS:.*]] = onnx.TopK(%[[Z]], %{{.*}})
  // CHECK: %[[W:.*]] = onnx.GatherElements(%[[R]], %[[IDS]])
  // CHECK-NOT: onnx.Div
  // CHECK: moe.assign %[[IDS]], %[[W]]
  %y = onnx.com.microsoft.QMoE(%x, %z, %w1, %s1, %none, %w2, %s2, %none, %none, %none, %none, %none, %none, %none, %r, %none, %none, %none, %none)
         {k = 2 : i64, activation_type = "relu", expert_weight_bits = 8 : i64}
    : (tensor<?x64xf32>, tensor<?x8xf32>, tensor<8x32x64xui8>, tensor<8x32xf32>, none, tensor<8x64x32xui8>,
       tensor<8x64xf32>, none, none, none, none, none, none, none, tensor<?x8xf32>, none, none, none, none) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// Tests four-bit floats, which share bytes along the outputs, with exponents of blocks as bytes and a scale for each
// expert: the view of the up projection begins within a byte.

// CHECK-LABEL: func @float4
func.func @float4(%x: tensor<?x64xf32>, %z: tensor<?x8xf32>) -> tensor<?x64xf32> {
  %w1 = moe.weight "fc1" [#moe.view<"m", offset = 0, element = ui8, strides = [2048, 32, 1]>] : tensor<8x64x32xui8>
  %s1 = moe.weight "s1" [#moe.view<"m", offset = 16384, element = ui8, strides = [128, 2, 1]>] : tensor<8x64x2xui8>
  %g1 = moe.weight "g1" [#moe.view<"m", offset = 17408, element = f32, strides = [1]>] : tensor<8xf32>
  %w2 = moe.weight "fc2" [#moe.view<"m", offset = 20480, element = ui8, strides = [1024, 32, 1]>] : tensor<8x32x32xui8>
  %s2 = moe.weight "s2" [#moe.view<"m", offset = 28672, element = f8E8M0FNU, strides = [64, 1, 1]>] : tensor<8x64x1xf8E8M0FNU>
  %none = onnx.NoValue : none
  // CHECK-DAG: moe.weight "fc1" [#moe.view<"m", offset = 0, element = f4E2M1FN, strides = [4096, 64, 2], scales = [#moe.view<"m", offset = 16384, element = f8E8M0FNU, strides = [128, 1, 4], blocks = [1, 32, 1]>, #moe.view<"m", offset = 17408, element = f32, strides = [1, 0, 0]>]>] : tensor<8x64x32xf32>
  // CHECK-DAG: moe.weight "fc1" [#moe.view<"m", offset = 0, element = f4E2M1FN, strides = [4096, 64, 2], first = 1, scales = [#moe.view<"m", offset = 16386, element = f8E8M0FNU, strides = [128, 1, 4], blocks = [1, 32, 1]>, #moe.view<"m", offset = 17408, element = f32, strides = [1, 0, 0]>]>] : tensor<8x64x32xf32>
  // CHECK-DAG: moe.weight "fc2" [#moe.view<"m", offset = 20480, element = f4E2M1FN, strides = [2048, 64, 1], scales = [#moe.view<"m", offset = 28672, element = f8E8M0FNU, strides = [64, 0, 1]>]>] : tensor<8x32x64xf32>
  %y = onnx.com.microsoft.QMoE(%x, %z, %w1, %s1, %none, %w2, %s2, %none, %none, %none, %none, %none, %none, %none, %none, %g1, %none, %none, %none)
         {k = 2 : i64, activation_type = "swiglu", swiglu_fusion = 1 : i64, quant_type = "fp4"}
    : (tensor<?x64xf32>, tensor<?x8xf32>, tensor<8x64x32xui8>, tensor<8x64x2xui8>, none, tensor<8x32x32xui8>,
       tensor<8x64x1xf8E8M0FNU>, none, none, none, none, none, none, none, none, tensor<8xf32>, none, none, none) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// Tests zero points of four bits, one for each output: those of the up projection begin within a byte.

// CHECK-LABEL: func @zero_points_of_outputs
func.func @zero_points_of_outputs(%x: tensor<?x64xf32>, %z: tensor<?x8xf32>) -> tensor<?x64xf32> {
  %w1 = moe.weight "fc1" [#moe.view<"m", offset = 0, element = ui8, strides = [2048, 32, 1]>] : tensor<8x64x32xui8>
  %s1 = moe.weight "s1" [#moe.view<"m", offset = 16384, element = f32, strides = [64, 1]>] : tensor<8x64xf32>
  %z1 = moe.weight "z1" [#moe.view<"m", offset = 18432, element = ui8, strides = [32, 1]>] : tensor<8x32xui8>
  %w2 = moe.weight "fc2" [#moe.view<"m", offset = 20480, element = ui8, strides = [1024, 16, 1]>] : tensor<8x64x16xui8>
  %s2 = moe.weight "s2" [#moe.view<"m", offset = 28672, element = f32, strides = [64, 1]>] : tensor<8x64xf32>
  %none = onnx.NoValue : none
  // CHECK-DAG: zero_points = #moe.view<"m", offset = 18432, element = ui4, strides = [64, 0, 2]>>] : tensor<8x64x32xf32>
  // CHECK-DAG: zero_points = #moe.view<"m", offset = 18432, element = ui4, strides = [64, 0, 2], first = 1>>] : tensor<8x64x32xf32>
  %y = onnx.com.microsoft.QMoE(%x, %z, %w1, %s1, %none, %w2, %s2, %none, %none, %none, %none, %z1, %none, %none, %none, %none, %none, %none, %none)
         {k = 2 : i64, activation_type = "swiglu", swiglu_fusion = 1 : i64}
    : (tensor<?x64xf32>, tensor<?x8xf32>, tensor<8x64x32xui8>, tensor<8x64xf32>, none, tensor<8x64x16xui8>,
       tensor<8x64xf32>, none, none, none, none, tensor<8x32xui8>, none, none, none, none, none, none, none) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
