// RUN: moe-opt %s -kern-lower-to-vector=isa=avx512bf16 -canonicalize -cse | FileCheck %s

// Tests that rows and panels of bf16 are multiplied in pairs as they are, without a copy of the rows.
// CHECK-LABEL: func @pairs
// CHECK-NOT: memref.alloc(
// CHECK: call @kern.gemm_bf16_bf16
func.func @pairs(%x: memref<?x8xbf16>, %w: memref<2x4x16x2xbf16>, %y: memref<?x20xf32>) {
  kern.panel_gemm ins(%x, %w : memref<?x8xbf16>, memref<2x4x16x2xbf16>) outs(%y : memref<?x20xf32>)
  return
}

// Tests that rows of f32 stay f32: a product with weights of bf16 does not round them.
// CHECK-LABEL: func @wide
// CHECK: call @kern.gemm_f32_bf16
func.func @wide(%x: memref<?x8xf32>, %w: memref<2x4x16x2xbf16>, %y: memref<?x20xf32>) {
  kern.panel_gemm ins(%x, %w : memref<?x8xf32>, memref<2x4x16x2xbf16>) outs(%y : memref<?x20xf32>)
  return
}

// Tests that of an odd number of rows of the panels the last one has a zero beside it.
// CHECK-LABEL: func.func private @kern.product_bf16_bf16
// CHECK: vector.load %{{.*}} : memref<?xbf16>, vector<32xbf16>
// CHECK: %[[PAIR:.*]] = vector.load %{{.*}} : memref<?xbf16>, vector<2xbf16>
// CHECK: vector.bitcast %[[PAIR]] : vector<2xbf16> to vector<1xi32>
// CHECK: llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%{{.*}}, %{{.*}}, %{{.*}}) : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
// CHECK: vector.insert %{{.*}}, %{{.*}} [0] : bf16 into vector<2xbf16>
