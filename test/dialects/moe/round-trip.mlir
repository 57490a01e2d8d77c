// RUN: moe-opt %s --verify-roundtrip | FileCheck %s

// Tests that the operations of a routed block parse and print.

// CHECK-LABEL: func @routed
func.func @routed(%x: tensor<?x64xf32>, %logits: tensor<?x8xf32>) -> tensor<?x64xf32> {
  %gate = moe.weight "gate" [#moe.view<"m.onnx", offset = 0, element = f32, strides = [4096, 1, 64]>] : tensor<8x64x32xf32>
  %up = moe.weight "up" [#moe.view<"m.onnx", offset = 8192, element = f32, strides = [4096, 1, 64]>] : tensor<8x64x32xf32>
  %down = moe.weight "down" [#moe.view<"m.onnx", offset = 65536, element = f32, strides = [2048, 1, 32]>] : tensor<8x32x64xf32>
  // CHECK: moe.route %{{.*}} top_k(2) {normalize = #moe.normalize<sum>} : tensor<?x8xf32> -> !moe.routing<?x2 of 8>
  %r = moe.route %logits top_k(2) {normalize = #moe.normalize<sum>} : tensor<?x8xf32> -> !moe.routing<?x2 of 8>
  // CHECK: moe.experts
  // CHECK-SAME: #moe.activation<silu, alpha = 1.702{{[0-9e+]*}}, limit = 7.0{{[0-9e+]*}}>
  %y = moe.experts %x, %r gate(%gate : tensor<8x64x32xf32>) up(%up : tensor<8x64x32xf32>)
         down(%down : tensor<8x32x64xf32>) {activation = #moe.activation<silu, alpha = 1.702, limit = 7.0>}
         : tensor<?x64xf32>, !moe.routing<?x2 of 8> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
