// RUN: moe-opt --convert-onnx-to-linalg --canonicalize --split-input-file %s | FileCheck %s

// Tests groups, padding and a stride: the window of output o is 2 * o + tap.
// CHECK: #[[WINDOW:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1, d4, d3 * 2 + d5)>
// CHECK-LABEL: func.func @conv
// CHECK: tensor.insert_slice %{{.*}} into %{{.*}}[0, 0, 1] [1, 4, 7] [1, 1, 1] : tensor<1x4x7xf32> into tensor<1x4x9xf32>
// CHECK: linalg.generic {indexing_maps = [#[[WINDOW]],
// CHECK-SAME: ins(%{{.*}}, %{{.*}} : tensor<1x2x2x9xf32>, tensor<2x3x2x3xf32>) outs(%{{.*}} : tensor<1x2x3x4xf32>)
// CHECK: return %{{.*}} : tensor<1x6x4xf32>
func.func @conv(%x: tensor<1x4x7xf32>, %w: tensor<6x2x3xf32>) -> tensor<1x6x4xf32> {
  %none = onnx.NoValue : none
  %y = onnx.Conv(%x, %w, %none) {group = 2 : i64, pads = array<i64: 1, 1>, strides = array<i64: 2>}
       : (tensor<1x4x7xf32>, tensor<6x2x3xf32>, none) -> tensor<1x6x4xf32>
  return %y : tensor<1x6x4xf32>
}

// -----

// Tests that an unknown extent is compared with the kernel.
// CHECK-LABEL: func.func @conv_dynamic
// CHECK: cf.assert %{{.*}}, "the input is smaller than the window that slides over it"
// CHECK: linalg.generic
func.func @conv_dynamic(%x: tensor<?x4x?xf32>, %w: tensor<4x4x3xf32>, %b: tensor<4xf32>) -> tensor<?x4x?xf32> {
  %y = onnx.Conv(%x, %w, %b) : (tensor<?x4x?xf32>, tensor<4x4x3xf32>, tensor<4xf32>) -> tensor<?x4x?xf32>
  return %y : tensor<?x4x?xf32>
}

// -----

// Tests that four-bit weights are unpacked with their zero point.
// CHECK-LABEL: func.func @matmul_nbits
// CHECK: %[[WORD:.*]] = arith.extui %{{.*}} : i8 to i32
// CHECK: %[[SHIFTED:.*]] = arith.shrui %[[WORD]]
// CHECK: arith.andi %[[SHIFTED]], %c15_i32
// CHECK: arith.subf %{{.*}}, %cst
// CHECK: linalg.matmul ins(%{{.*}}, %{{.*}} : tensor<?x32xf32>, tensor<32x4xf32>)
func.func @matmul_nbits(%a: tensor<?x32xf32>, %b: tensor<4x2x8xui8>, %s: tensor<8xf32>) -> tensor<?x4xf32> {
  %none = onnx.NoValue : none
  %y = onnx.com.microsoft.MatMulNBits(%a, %b, %s, %none, %none, %none) {K = 32 : i64, N = 4 : i64, bits = 4 : i64, block_size = 16 : i64}
       : (tensor<?x32xf32>, tensor<4x2x8xui8>, tensor<8xf32>, none, none, none) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// Tests that a transposed convolution spreads its input by the stride and turns the kernel around.
// CHECK: #[[TURNED:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d1, d4, d2, -d5 + 2)>
// CHECK-LABEL: func.func @conv_transpose
// CHECK: tensor.insert_slice %{{.*}} into %{{.*}}[0, 0, 2] [1, 4, 3] [1, 1, 2] : tensor<1x4x3xf32> into tensor<1x4x9xf32>
// CHECK: linalg.generic {indexing_maps = [#{{.*}}, #[[TURNED]],
// CHECK: return %{{.*}} : tensor<1x6x7xf32>
func.func @conv_transpose(%x: tensor<1x4x3xf32>, %w: tensor<4x6x3xf32>) -> tensor<1x6x7xf32> {
  %none = onnx.NoValue : none
  %y = onnx.ConvTranspose(%x, %w, %none) {strides = array<i64: 2>} : (tensor<1x4x3xf32>, tensor<4x6x3xf32>, none) -> tensor<1x6x7xf32>
  return %y : tensor<1x6x7xf32>
}

// -----

// Tests that a deformed window is gathered, pixels outside counting as zero, and then multiplied like any other.
// CHECK-LABEL: func.func @deform_conv
// CHECK: math.floor
// CHECK: arith.select
// CHECK: linalg.generic
// CHECK-SAME: ins(%{{.*}}, %{{.*}} : tensor<1x1x1x4x4xf32>, tensor<1x1x1x2x2xf32>)
func.func @deform_conv(%x: tensor<1x1x3x3xf32>, %w: tensor<1x1x2x2xf32>, %o: tensor<1x8x2x2xf32>) -> tensor<1x1x2x2xf32> {
  %none = onnx.NoValue : none
  %y = onnx.DeformConv(%x, %w, %o, %none, %none) : (tensor<1x1x3x3xf32>, tensor<1x1x2x2xf32>, tensor<1x8x2x2xf32>, none, none) -> tensor<1x1x2x2xf32>
  return %y : tensor<1x1x2x2xf32>
}

// -----

// Tests that each pixel sums the blocks that cover it, and that the number of columns is checked.
// CHECK-LABEL: func.func @col2im
// CHECK: cf.assert %{{.*}}, "Col2Im: the columns do not fit image and block"
// CHECK: linalg.generic
// CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]
func.func @col2im(%x: tensor<1x5x5xf32>, %i: tensor<2xi64>, %b: tensor<2xi64>) -> tensor<1x1x5x5xf32> {
  %y = onnx.Col2Im(%x, %i, %b) : (tensor<1x5x5xf32>, tensor<2xi64>, tensor<2xi64>) -> tensor<1x1x5x5xf32>
  return %y : tensor<1x1x5x5xf32>
}
