// RUN: moe-opt %s -kern-align-rows | FileCheck %s

// Tests that rows a multiple of 1024 bytes apart are copied to rows with a cache line between them.

// CHECK-LABEL: func @crowded
// CHECK-SAME: %[[X:.*]]: tensor<?x256xf32>, %[[W:.*]]: tensor<8x
func.func @crowded(%x: tensor<?x256xf32>, %w: tensor<8x256x16x1xf32>, %init: tensor<?x128xf32>) -> tensor<?x128xf32> {
  // CHECK: %[[WHOLE:.*]] = tensor.empty(%{{.*}}) : tensor<?x272xf32>
  // CHECK: %[[ROWS:.*]] = tensor.extract_slice %[[WHOLE]][0, 0] [%{{.*}}, 256] [1, 1]
  // CHECK: %[[COPY:.*]] = linalg.generic {{.*}} ins(%[[X]] : tensor<?x256xf32>) outs(%[[ROWS]] : tensor<?x256xf32>)
  // CHECK: kern.panel_gemm ins(%[[COPY]], %[[W]]
  %y = kern.panel_gemm ins(%x, %w : tensor<?x256xf32>, tensor<8x256x16x1xf32>) outs(%init : tensor<?x128xf32>)
         -> tensor<?x128xf32>
  return %y : tensor<?x128xf32>
}

// Tests that other rows stay where they are, and so do those of a product that is too small for a copy.

// CHECK-LABEL: func @spread
// CHECK-NOT: linalg.generic
func.func @spread(%x: tensor<?x240xf32>, %w: tensor<8x240x16x1xf32>, %init: tensor<?x128xf32>,
                  %a: tensor<?x256xf32>, %v: tensor<4x256x16x1xf32>, %narrow: tensor<?x64xf32>)
    -> (tensor<?x128xf32>, tensor<?x64xf32>) {
  %y = kern.panel_gemm ins(%x, %w : tensor<?x240xf32>, tensor<8x240x16x1xf32>) outs(%init : tensor<?x128xf32>)
         -> tensor<?x128xf32>
  %z = kern.panel_gemm ins(%a, %v : tensor<?x256xf32>, tensor<4x256x16x1xf32>) outs(%narrow : tensor<?x64xf32>)
         -> tensor<?x64xf32>
  return %y, %z : tensor<?x128xf32>, tensor<?x64xf32>
}

// Tests that narrow rows are widened once, and that the values between the halves of the experts are not crowded.

// CHECK-LABEL: func @experts
func.func @experts(%x: tensor<?x64xf16>, %rows: tensor<?xi32>, %offsets: tensor<9xi32>, %p: tensor<8x16x64x16x1xf16>,
                   %n: index) -> tensor<?x256xf32> {
  // CHECK: %[[COPY:.*]] = linalg.generic {{.*}} ins(%{{.*}} : tensor<?x64xf16>) outs(%{{.*}} : tensor<?x64xf32>)
  // CHECK: arith.extf
  // CHECK: %[[WHOLE:.*]] = tensor.empty(%{{.*}}) : tensor<?x272xf32>
  // CHECK: %[[INIT:.*]] = tensor.extract_slice %[[WHOLE]]
  // CHECK: kern.experts_hidden %[[COPY]], {{.*}} outs(%[[INIT]]
  %init = tensor.empty(%n) : tensor<?x256xf32>
  %h = kern.experts_hidden %x, %rows, %offsets, %p outs(%init : tensor<?x256xf32>)
         {activation = #moe.activation<silu>, slots = 2}
         : tensor<?x64xf16>, tensor<?xi32>, tensor<9xi32>, tensor<8x16x64x16x1xf16> -> tensor<?x256xf32>
  return %h : tensor<?x256xf32>
}

// Tests that rows of bf16 stay as they are where the panels are of bf16 too, and nowhere else.

// CHECK-LABEL: func @pairs
func.func @pairs(%x: tensor<?x64xbf16>, %w: tensor<8x32x16x2xbf16>, %v: tensor<8x64x16x1xf32>,
                 %init: tensor<?x128xf32>) -> (tensor<?x128xf32>, tensor<?x128xf32>) {
  // CHECK: kern.panel_gemm ins(%{{.*}}, %{{.*}} : tensor<?x64xbf16>, tensor<8x32x16x2xbf16>)
  %y = kern.panel_gemm ins(%x, %w : tensor<?x64xbf16>, tensor<8x32x16x2xbf16>) outs(%init : tensor<?x128xf32>)
         -> tensor<?x128xf32>
  // CHECK: kern.panel_gemm ins(%{{.*}}, %{{.*}} : tensor<?x64xf32>, tensor<8x64x16x1xf32>)
  %z = kern.panel_gemm ins(%x, %v : tensor<?x64xbf16>, tensor<8x64x16x1xf32>) outs(%init : tensor<?x128xf32>)
         -> tensor<?x128xf32>
  return %y, %z : tensor<?x128xf32>, tensor<?x128xf32>
}
