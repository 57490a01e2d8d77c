// RUN: moe-opt %s --verify-roundtrip | FileCheck %s

// Tests that weights with their segments parse and print.

kern.segment @down "experts.down" {offset = 4096 : i64, packed = #kern.packed<columns = 16, depth = 1>,
    source_type = tensor<8x32x64xf32>,
    sources = [[#moe.view<"model.onnx", offset = 64, element = f32, strides = [2048, 1, 32]>]]}
    : tensor<8x4x32x16x1xf32>

// CHECK-LABEL: func @weight
func.func @weight() -> tensor<8x4x32x16x1xf32> {
  // CHECK: kern.weight @down : tensor<8x4x32x16x1xf32>
  %w = kern.weight @down : tensor<8x4x32x16x1xf32>
  return %w : tensor<8x4x32x16x1xf32>
}

// Tests that packs and products parse and print, on tensors and on buffers.

// CHECK-LABEL: func @tensors
func.func @tensors(%x: tensor<?x64xf16>, %w: tensor<64x20xf16>, %packed: tensor<2x64x16x1xf16>,
                   %init: tensor<?x20xf32>) -> tensor<?x20xf32> {
  // CHECK: kern.pack ins(%{{.*}} : tensor<64x20xf16>) outs({{.*}}) layout <columns = 16, depth = 1> -> tensor<2x64x16x1xf16>
  %p = kern.pack ins(%w : tensor<64x20xf16>) outs(%packed : tensor<2x64x16x1xf16>)
         layout #kern.packed<columns = 16, depth = 1> -> tensor<2x64x16x1xf16>
  // CHECK: kern.panel_gemm accumulate ins(
  %y = kern.panel_gemm accumulate ins(%x, %p : tensor<?x64xf16>, tensor<2x64x16x1xf16>) outs(%init : tensor<?x20xf32>)
         -> tensor<?x20xf32>
  return %y : tensor<?x20xf32>
}

// CHECK-LABEL: func @buffers
func.func @buffers(%x: memref<4x?x64xf32>, %p: memref<4x2x64x16x1xf32>, %y: memref<4x?x20xf32>) {
  // CHECK: kern.panel_gemm ins(%{{.*}}, %{{.*}} : memref<4x?x64xf32>, memref<4x2x64x16x1xf32>) outs(%{{.*}} : memref<4x?x20xf32>)
  kern.panel_gemm ins(%x, %p : memref<4x?x64xf32>, memref<4x2x64x16x1xf32>) outs(%y : memref<4x?x20xf32>)
  return
}

// Tests that both halves of the experts parse and print with all their operands.

// CHECK-LABEL: func @experts
func.func @experts(%x: tensor<?x64xf32>, %w: tensor<?x2xf32>, %rows: tensor<?xi32>, %offsets: tensor<9xi32>,
                   %up: tensor<8x4x64x16x1xf32>, %down: tensor<8x4x32x16x1xf32>, %bias: tensor<8x32xf32>,
                   %down_bias: tensor<8x64xf32>, %h: tensor<?x32xf32>, %y: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // CHECK: kern.experts_hidden %{{.*}} gate_bias({{.*}}) up_bias({{.*}}) weights({{.*}}) outs({{.*}}) {activation = #moe.activation<silu>, gated, slots = 2 : i64}
  %hidden = kern.experts_hidden %x, %rows, %offsets, %up gate_bias(%bias : tensor<8x32xf32>)
              up_bias(%bias : tensor<8x32xf32>) weights(%w : tensor<?x2xf32>) outs(%h : tensor<?x32xf32>)
              {activation = #moe.activation<silu>, gated, slots = 2}
              : tensor<?x64xf32>, tensor<?xi32>, tensor<9xi32>, tensor<8x4x64x16x1xf32> -> tensor<?x32xf32>
  // CHECK: kern.experts_combine %{{.*}} bias({{.*}}) weights({{.*}}) outs({{.*}}) {slots = 2 : i64}
  %result = kern.experts_combine %hidden, %rows, %offsets, %down bias(%down_bias : tensor<8x64xf32>)
              weights(%w : tensor<?x2xf32>) outs(%y : tensor<?x64xf32>) {slots = 2}
              : tensor<?x32xf32>, tensor<?xi32>, tensor<9xi32>, tensor<8x4x32x16x1xf32> -> tensor<?x64xf32>
  return %result : tensor<?x64xf32>
}

// Tests that quantised panels parse and print.

// CHECK: kern.segment @quantized {{.*}}packed = #kern.packed<columns = 16, depth = 8, quantized = <numbers = ui4, group = 32, scales = f32>>
kern.segment @quantized "quantized" {offset = 65536 : i64,
    packed = #kern.packed<columns = 16, depth = 8, quantized = <numbers = ui4, group = 32, scales = f32>>,
    source_type = tensor<72x50xf32>,
    sources = [[#moe.view<"model.onnx", offset = 64, element = ui4, strides = [1, 72], zero_point = 5>]]}
    : tensor<4x3x16x21xi8>

// CHECK-LABEL: func @quantized_products
func.func @quantized_products(%x: tensor<?x72xf32>, %w: tensor<72x50xf32>, %packed: tensor<4x3x16x18xi8>,
                              %init: tensor<?x50xf32>) -> tensor<?x50xf32> {
  // CHECK: kern.pack ins({{.*}}) outs({{.*}}) layout <columns = 16, depth = 8, quantized = <numbers = i4, group = 32, scales = bf16>>
  %p = kern.pack ins(%w : tensor<72x50xf32>) outs(%packed : tensor<4x3x16x18xi8>)
         layout #kern.packed<columns = 16, depth = 8, quantized = <numbers = i4, group = 32, scales = bf16>>
         -> tensor<4x3x16x18xi8>
  // CHECK: kern.panel_gemm ins({{.*}}) outs({{.*}}) {quantized = #kern.quantized<numbers = i4, group = 32, scales = bf16>}
  %y = kern.panel_gemm ins(%x, %p : tensor<?x72xf32>, tensor<4x3x16x18xi8>) outs(%init : tensor<?x50xf32>)
         {quantized = #kern.quantized<numbers = i4, group = 32, scales = bf16>} -> tensor<?x50xf32>
  return %y : tensor<?x50xf32>
}
