// RUN: moe-opt %s --moe-approximate-math | FileCheck %s

// Tests that functions with bounded range become arithmetic and the others stay.

// CHECK-LABEL: func @vectors
func.func @vectors(%x: vector<16xf32>) -> (vector<16xf32>, vector<16xf32>) {
  // CHECK-NOT: math.exp
  // CHECK-NOT: math.tanh
  %e = math.exp %x : vector<16xf32>
  %t = math.tanh %e : vector<16xf32>
  // CHECK: math.sin
  %s = math.sin %x : vector<16xf32>
  return %t, %s : vector<16xf32>, vector<16xf32>
}
