// RUN: mlir-opt %s --load-dialect-plugin=%build/lib/libMoEPlugin.so --load-pass-plugin=%build/lib/libMoEPlugin.so \
// RUN:   --pass-pipeline='builtin.module(moe-fuse-pipeline)' | FileCheck %s

// Tests that the stock mlir-opt runs our pipelines, here on one routed block.

// CHECK-LABEL: func.func @main
// CHECK: %[[IDS:.*]], %[[WEIGHTS:.*]], %[[ROWS:.*]], %[[OFFSETS:.*]] = moe.route_permute %{{.*}} top_k(2)
// CHECK: %[[RESULT:.*]] = moe.fused_ffn %{{.*}}, %[[WEIGHTS]], %[[ROWS]], %[[OFFSETS]]
// CHECK: return %[[RESULT]]
func.func @main(%x: tensor<?x64xf32> {moe.name = "x"}, %logits: tensor<?x8xf32> {moe.name = "logits"})
    -> (tensor<?x64xf32> {moe.name = "y"}) {
  %gate = moe.weight "gate" [#moe.view<"m.onnx", offset = 0, element = f32, strides = [2048, 1, 64]>] : tensor<8x64x32xf32>
  %up = moe.weight "up" [#moe.view<"m.onnx", offset = 65536, element = f32, strides = [2048, 1, 64]>] : tensor<8x64x32xf32>
  %down = moe.weight "down" [#moe.view<"m.onnx", offset = 131072, element = f32, strides = [2048, 1, 32]>] : tensor<8x32x64xf32>
  %r = moe.route %logits top_k(2) {normalize = #moe.normalize<sum>} : tensor<?x8xf32> -> !moe.routing<?x2 of 8>
  %y = moe.experts %x, %r gate(%gate : tensor<8x64x32xf32>) up(%up : tensor<8x64x32xf32>)
         down(%down : tensor<8x32x64xf32>) {activation = #moe.activation<silu>}
         : tensor<?x64xf32>, !moe.routing<?x2 of 8> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
