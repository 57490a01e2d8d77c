// RUN: moe-opt --convert-onnx-to-linalg --canonicalize --cse %s | FileCheck %s

// Tests that rows are exchanged for the greatest pivot, which multiplies the determinant, before elimination.
// CHECK-LABEL: func.func @det
// CHECK: scf.for
// CHECK: math.absf
// CHECK: arith.cmpf ogt
// CHECK: arith.divf
// CHECK: arith.mulf
// CHECK: return %{{.*}} : tensor<?xf32>
func.func @det(%x: tensor<?x3x3xf32>) -> tensor<?xf32> {
  %y = onnx.Det(%x) : (tensor<?x3x3xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}
