// RUN: moe-opt %s --moe-narrow-hidden | FileCheck %s

// Tests that the values between two halves in bf16 become bf16.

// CHECK-LABEL: func @narrow
func.func @narrow(%x: tensor<?x64xbf16>, %rows: tensor<?xi32>, %offsets: tensor<9xi32>, %up: tensor<8x2x32x16x2xbf16>,
                  %down: tensor<8x4x16x16x2xbf16>, %n: index, %init: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // CHECK: %[[INIT:.*]] = tensor.empty(%{{.*}}) : tensor<?x32xbf16>
  // CHECK: kern.experts_hidden {{.*}} outs(%[[INIT]] : tensor<?x32xbf16>)
  %empty = tensor.empty(%n) : tensor<?x32xf32>
  %hidden = kern.experts_hidden %x, %rows, %offsets, %up outs(%empty : tensor<?x32xf32>)
    {activation = #moe.activation<relu>, slots = 2}
    : tensor<?x64xbf16>, tensor<?xi32>, tensor<9xi32>, tensor<8x2x32x16x2xbf16> -> tensor<?x32xf32>
  %y = kern.experts_combine %hidden, %rows, %offsets, %down outs(%init : tensor<?x64xf32>) {slots = 2}
    : tensor<?x32xf32>, tensor<?xi32>, tensor<9xi32>, tensor<8x4x16x16x2xbf16> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// Tests that rows of f32 keep f32.

// CHECK-LABEL: func @wide
// CHECK-NOT: x32xbf16>
func.func @wide(%x: tensor<?x64xf32>, %rows: tensor<?xi32>, %offsets: tensor<9xi32>, %up: tensor<8x2x32x16x2xbf16>,
                %down: tensor<8x4x16x16x2xbf16>, %n: index, %init: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %empty = tensor.empty(%n) : tensor<?x32xf32>
  %hidden = kern.experts_hidden %x, %rows, %offsets, %up outs(%empty : tensor<?x32xf32>)
    {activation = #moe.activation<relu>, slots = 2}
    : tensor<?x64xf32>, tensor<?xi32>, tensor<9xi32>, tensor<8x2x32x16x2xbf16> -> tensor<?x32xf32>
  %y = kern.experts_combine %hidden, %rows, %offsets, %down outs(%init : tensor<?x64xf32>) {slots = 2}
    : tensor<?x32xf32>, tensor<?xi32>, tensor<9xi32>, tensor<8x4x16x16x2xbf16> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
