// RUN: moe-opt --convert-onnx-to-linalg --canonicalize --split-input-file %s | FileCheck %s

// Tests that a pixel between others is the weighted sum of four, those outside the image being zero.
// CHECK-LABEL: func.func @linear
// CHECK: linalg.generic
// CHECK: math.floor
// CHECK: math.floor
// CHECK-COUNT-4: tensor.extract %{{.*}} : tensor<1x1x3x3xf32>
func.func @linear(%x: tensor<1x1x3x3xf32>, %grid: tensor<1x2x2x2xf32>) -> tensor<1x1x2x2xf32> {
  %y = onnx.GridSample(%x, %grid) : (tensor<1x1x3x3xf32>, tensor<1x2x2x2xf32>) -> tensor<1x1x2x2xf32>
  return %y : tensor<1x1x2x2xf32>
}

// -----

// Tests that the nearest pixel is read once, after mirroring.
// CHECK-LABEL: func.func @nearest
// CHECK: math.roundeven
// CHECK: tensor.extract %{{.*}} : tensor<1x1x3x3xf32>
// CHECK-NOT: tensor.extract %{{.*}} : tensor<1x1x3x3xf32>
func.func @nearest(%x: tensor<1x1x3x3xf32>, %grid: tensor<1x2x2x2xf32>) -> tensor<1x1x2x2xf32> {
  %y = onnx.GridSample(%x, %grid) {mode = "nearest", padding_mode = "reflection"} : (tensor<1x1x3x3xf32>, tensor<1x2x2x2xf32>) -> tensor<1x1x2x2xf32>
  return %y : tensor<1x1x2x2xf32>
}

// -----

// Tests that a region is divided into bins whose samples are averaged, after the images that it names are checked.
// CHECK-LABEL: func.func @roi_align
// CHECK: cf.assert %{{.*}}, "index out of range"
// CHECK: scf.for
// CHECK: scf.for
// CHECK: tensor.extract %{{.*}} : tensor<1x1x8x8xf32>
func.func @roi_align(%x: tensor<1x1x8x8xf32>, %rois: tensor<3x4xf32>, %batch: tensor<3xi64>) -> tensor<3x1x2x2xf32> {
  %y = onnx.RoiAlign(%x, %rois, %batch) {output_height = 2 : i64, output_width = 2 : i64, sampling_ratio = 2 : i64}
      : (tensor<1x1x8x8xf32>, tensor<3x4xf32>, tensor<3xi64>) -> tensor<3x1x2x2xf32>
  return %y : tensor<3x1x2x2xf32>
}
