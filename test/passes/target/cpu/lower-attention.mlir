// RUN: moe-opt %s -kern-lower-attention=isa=x86-64-v4 | FileCheck %s --check-prefixes=CHECK,V4
// RUN: moe-opt %s -kern-lower-attention=isa=x86-64-v3 | FileCheck %s --check-prefixes=CHECK,V3

// Tests that few rows take a task for each block of keys and others a task for each block of rows, that blocks of keys which
// no row sees are left out, and that no buffer of scores is allocated but the one on the stack.

#q = affine_map<(g, r, s, t, d, e) -> (s, g, r, d)>
#k = affine_map<(g, r, s, t, d, e) -> (g, t, d)>
#v = affine_map<(g, r, s, t, d, e) -> (g, t, e)>
#y = affine_map<(g, r, s, t, d, e) -> (s, g, r, e)>

// CHECK-LABEL: func @causal
func.func @causal(%q: memref<?x2x4x128xf32>, %k: memref<2x?x128xf32>, %v: memref<2x?x128xf32>,
                  %y: memref<?x2x4x128xf32>) {
  // CHECK: scf.if
  // CHECK-COUNT-3: memref.alloc(
  // CHECK: scf.parallel
  // CHECK: scf.parallel
  // CHECK: } else {
  // CHECK-NOT: memref.alloc(
  // CHECK: scf.parallel
  // The rows of a task tell the last key.
  // CHECK: %[[SEEN:.*]]:2 = scf.for {{.*}} iter_args
  // CHECK: scf.for %{{.*}} = %{{.*}} to %[[SEEN]]#1
  // CHECK: memref.alloca() {alignment = 64 : i64} : memref<16384xf32>
  // CHECK: call @kern.attention_transpose_f32(
  // CHECK: memref.alloca() {alignment = 64 : i64} : memref<8192xf32>
  // CHECK: call @kern.attention_multiply(
  // CHECK: arith.select
  // CHECK: call @kern.attention_exponentiate(
  // CHECK-NOT: call @kern.attention_copy
  // CHECK: call @kern.attention_multiply(
  // CHECK: call @kern.attention_merge(
  // CHECK: call @kern.attention_finish_f32(
  kern.attention ins(%q, %k, %v : memref<?x2x4x128xf32>, memref<2x?x128xf32>, memref<2x?x128xf32>)
    outs(%y : memref<?x2x4x128xf32>) {indexing_maps = [#q, #k, #v, #y]} score {
  ^bb0(%p: f32, %g: index, %r: index, %s: index, %t: index):
    %least = arith.constant 0xFF800000 : f32
    %seen = arith.cmpi sle, %t, %s : index
    %x = arith.select %seen, %p, %least : f32
    kern.yield %x : f32
  }
  return
}

// Tests that narrow values are copied and that without a mask all keys are visited.

// CHECK-LABEL: func @narrow
func.func @narrow(%q: memref<?x2x4x128xf32>, %k: memref<2x?x128xf16>, %v: memref<2x?x128xf16>,
                  %y: memref<?x2x4x128xf32>) {
  // CHECK-NOT: iter_args
  // CHECK: call @kern.attention_transpose_f16(
  // CHECK: call @kern.attention_copy_f16(
  kern.attention ins(%q, %k, %v : memref<?x2x4x128xf32>, memref<2x?x128xf16>, memref<2x?x128xf16>)
    outs(%y : memref<?x2x4x128xf32>) {indexing_maps = [#q, #k, #v, #y]} score {
  ^bb0(%p: f32, %g: index, %r: index, %s: index, %t: index):
    kern.yield %p : f32
  }
  return
}

// Tests that a tile of six rows keeps its sums in registers.

// CHECK-LABEL: func private @kern.attention_multiply(
// CHECK: default
// V4-COUNT-24: vector.fma {{.*}} : vector<16xf32>
// V3-COUNT-12: vector.fma {{.*}} : vector<8xf32>
// CHECK-NOT: vector.fma
// CHECK: scf.yield
