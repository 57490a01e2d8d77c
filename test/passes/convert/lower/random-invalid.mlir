// RUN: moe-opt --convert-onnx-to-linalg %s -verify-diagnostics

// Tests that extents are not negative.
func.func @shape() -> tensor<?xf32> {
  // expected-error @below {{expected extents that are not negative, got -1}}
  %y = onnx.RandomNormal() {shape = array<i64: -1>} : () -> tensor<?xf32>
  return %y : tensor<?xf32>
}
