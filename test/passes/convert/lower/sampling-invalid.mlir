// RUN: moe-opt --convert-onnx-to-linalg %s -split-input-file -verify-diagnostics

// Tests that a grid has a coordinate for each spatial dimension.
func.func @coordinates(%x: tensor<1x1x3x3xf32>, %grid: tensor<1x2x2x3xf32>) -> tensor<1x1x2x2xf32> {
  // expected-error @below {{expected 1 to 3 spatial dimensions and a grid with as many coordinates}}
  %y = onnx.GridSample(%x, %grid) : (tensor<1x1x3x3xf32>, tensor<1x2x2x3xf32>) -> tensor<1x1x2x2xf32>
  return %y : tensor<1x1x2x2xf32>
}

// -----

// Tests that the mode of a pooling is known.
func.func @mode(%x: tensor<1x1x8x8xf32>, %rois: tensor<3x4xf32>, %batch: tensor<3xi64>) -> tensor<3x1x1x1xf32> {
  // expected-error @below {{expected an image of rank 4, regions of rank 2, positive output extents and 'mode' avg or max}}
  %y = onnx.RoiAlign(%x, %rois, %batch) {mode = "min"} : (tensor<1x1x8x8xf32>, tensor<3x4xf32>, tensor<3xi64>) -> tensor<3x1x1x1xf32>
  return %y : tensor<3x1x1x1xf32>
}
