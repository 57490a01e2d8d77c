// RUN: moe-opt %s -moe-expand-bf16 | FileCheck %s

// Tests that widening moves the bits to the upper half.

// CHECK-LABEL: func @widen
// CHECK-SAME: %[[X:.*]]: vector<16xbf16>
func.func @widen(%x: vector<16xbf16>) -> vector<16xf32> {
  // CHECK: %[[HALF:.*]] = arith.bitcast %[[X]] : vector<16xbf16> to vector<16xi16>
  // CHECK: %[[BITS:.*]] = arith.extui %[[HALF]]
  // CHECK: %[[SHIFTED:.*]] = arith.shli %[[BITS]], %{{.*}}
  // CHECK: %[[Y:.*]] = arith.bitcast %[[SHIFTED]] : vector<16xi32> to vector<16xf32>
  // CHECK: return %[[Y]]
  %y = arith.extf %x : vector<16xbf16> to vector<16xf32>
  return %y : vector<16xf32>
}

// Tests that rounding keeps NaN and chooses between integers.

// CHECK-LABEL: func @round
// CHECK-SAME: %[[X:.*]]: f32
func.func @round(%x: f32) -> bf16 {
  // CHECK-DAG: %[[IS_NAN:.*]] = arith.cmpf uno, %[[X]], %[[X]]
  // CHECK-DAG: %[[QUIET:.*]] = arith.ori %{{.*}}, %c4194304_i32
  // CHECK: arith.select %[[IS_NAN]], %[[QUIET]], %{{.*}} : i32
  // CHECK: arith.bitcast %{{.*}} : i16 to bf16
  %y = arith.truncf %x : f32 to bf16
  return %y : bf16
}

// Tests that conversions of other types are left alone.

// CHECK-LABEL: func @half
func.func @half(%x: f32) -> f16 {
  // CHECK: arith.truncf %{{.*}} : f32 to f16
  %y = arith.truncf %x : f32 to f16
  return %y : f16
}

// Tests that a choice is one between integers.

// CHECK-LABEL: func @choose
func.func @choose(%c: i1, %a: bf16, %b: bf16) -> bf16 {
  // CHECK: arith.select %{{.*}}, %{{.*}}, %{{.*}} : i16
  %y = arith.select %c, %a, %b : bf16
  return %y : bf16
}
