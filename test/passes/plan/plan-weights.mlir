// RUN: moe-opt %s -split-input-file -moe-plan-weights | FileCheck %s

// Tests that equal weights share a segment, that large ones begin at a page, and that names become symbols.

// CHECK: kern.segment @weight_0.bias "0.bias" {offset = 0 : i64, {{.*}}} : tensor<20xf32>
// CHECK: kern.segment @a_b "a/b" {offset = 4096 : i64, {{.*}}} : tensor<64x20xf32>
// CHECK: kern.segment @last "last" {offset = 9216 : i64, {{.*}}} : tensor<20xf32>
// CHECK-LABEL: func @rows
func.func @rows() -> (tensor<20xf32>, tensor<64x20xf32>, tensor<64x20xf32>, tensor<20xf32>) {
  %bias = moe.weight "0.bias" [#moe.view<"m.onnx", offset = 0, element = f32, strides = [1]>] : tensor<20xf32>
  %a = moe.weight "a/b" [#moe.view<"m.onnx", offset = 128, element = f32, strides = [20, 1]>] : tensor<64x20xf32>
  %b = moe.weight "b" [#moe.view<"m.onnx", offset = 128, element = f32, strides = [20, 1]>] : tensor<64x20xf32>
  %last = moe.weight "last" [#moe.view<"m.onnx", offset = 64, element = f32, strides = [1]>] : tensor<20xf32>
  // CHECK-NEXT: kern.weight @weight_0.bias
  // CHECK-NEXT: kern.weight @a_b
  // CHECK-NEXT: kern.weight @a_b
  // CHECK-NEXT: kern.weight @last
  return %bias, %a, %b, %last : tensor<20xf32>, tensor<64x20xf32>, tensor<64x20xf32>, tensor<20xf32>
}

// -----

// Tests that a pack of weights becomes a packed segment with one source for each, and that a weight with no other use
// gets no segment of its own.

// CHECK: kern.segment @gate__up "gate, up" {offset = 0 : i64, packed = #kern.packed<columns = 16, depth = 1>,
// CHECK-SAME: source_type = tensor<8x30xf32>, sources = {{\[\[}}#moe.view<{{.*}}offset = 0, {{.*}}>], [#moe.view<{{.*}}offset = 960
// CHECK-SAME: : tensor<4x8x16x1xf32>
// CHECK: kern.segment @up "up" {offset = 2048 : i64
// CHECK-SAME: : tensor<8x30xf32>
// CHECK-NOT: kern.segment
// CHECK-LABEL: func @packs
func.func @packs() -> (tensor<4x8x16x1xf32>, tensor<8x30xf32>) {
  %gate = moe.weight "gate" [#moe.view<"m.onnx", offset = 0, element = f32, strides = [30, 1]>] : tensor<8x30xf32>
  %up = moe.weight "up" [#moe.view<"m.onnx", offset = 960, element = f32, strides = [30, 1]>] : tensor<8x30xf32>
  %empty = tensor.empty() : tensor<4x8x16x1xf32>
  // CHECK: %[[PACKED:.*]] = kern.weight @gate__up : tensor<4x8x16x1xf32>
  // CHECK-NOT: kern.pack
  %p = kern.pack ins(%gate, %up : tensor<8x30xf32>, tensor<8x30xf32>) outs(%empty : tensor<4x8x16x1xf32>)
         layout #kern.packed<columns = 16, depth = 1> -> tensor<4x8x16x1xf32>
  // CHECK: return %[[PACKED]]
  return %p, %up : tensor<4x8x16x1xf32>, tensor<8x30xf32>
}

// -----

// Tests that a pack of anything else stays.

// CHECK-LABEL: func @other
func.func @other(%b: tensor<8x30xf32>) -> tensor<2x8x16x1xf32> {
  %empty = tensor.empty() : tensor<2x8x16x1xf32>
  // CHECK: kern.pack
  %p = kern.pack ins(%b : tensor<8x30xf32>) outs(%empty : tensor<2x8x16x1xf32>)
         layout #kern.packed<columns = 16, depth = 1> -> tensor<2x8x16x1xf32>
  return %p : tensor<2x8x16x1xf32>
}
