// RUN: moe-opt %s -kern-lower-to-vector=isa=x86-64-v4 -canonicalize -cse | FileCheck %s --check-prefixes=CHECK,V4
// RUN: moe-opt %s -kern-lower-to-vector=isa=x86-64-v3 -canonicalize -cse | FileCheck %s --check-prefixes=CHECK,V3

// Tests that products of one kind share a kernel and that tasks are blocks of rows and columns.

// CHECK-LABEL: func @gemm
func.func @gemm(%x: memref<?x64xf32>, %w: memref<8x64x16x1xf32>, %y: memref<?x128xf32>,
                %x2: memref<12x32xf32>, %w2: memref<2x32x16x1xf32>, %y2: memref<12x32xf32>) {
  // V4: scf.parallel (%{{.*}}, %{{.*}}) = (%c0, %c0) to (%{{.*}}, %c2)
  // V3: scf.parallel (%{{.*}}, %{{.*}}) = (%c0, %c0) to (%{{.*}}, %c4)
  // CHECK: call @kern.gemm_f32_f32(
  kern.panel_gemm ins(%x, %w : memref<?x64xf32>, memref<8x64x16x1xf32>) outs(%y : memref<?x128xf32>)
  // CHECK: call @kern.gemm_f32_f32(
  kern.panel_gemm ins(%x2, %w2 : memref<12x32xf32>, memref<2x32x16x1xf32>) outs(%y2 : memref<12x32xf32>)
  return
}

// Tests that these levels multiply in f32: rows of bf16 are copied.

// CHECK-LABEL: func @hidden
func.func @hidden(%x: memref<?x64xbf16>, %rows: memref<?xi32>, %offsets: memref<9xi32>, %p: memref<8x4x32x16x2xbf16>,
                  %h: memref<?x32xf32>) {
  // CHECK: %[[ROWS:.*]] = memref.alloc(%{{.*}}) : memref<?x64xf32>
  // CHECK: arith.extf
  // CHECK: memref.store %{{.*}}, %[[ROWS]]
  // CHECK: call @kern.hidden_silu_gated_k2_f32_bf16(
  kern.experts_hidden %x, %rows, %offsets, %p outs(%h : memref<?x32xf32>)
    {activation = #moe.activation<silu>, gated, slots = 2}
    : memref<?x64xbf16>, memref<?xi32>, memref<9xi32>, memref<8x4x32x16x2xbf16>
  return
}

// Tests that weights which are part of a wider matrix are copied, since the kernel takes them as one row.

// CHECK-LABEL: func @combine_part_of_weights
func.func @combine_part_of_weights(%h: memref<?x32xf32>, %rows: memref<?xi32>, %offsets: memref<9xi32>, %p: memref<8x4x32x16x1xf32>,
                                   %w: memref<?x2xf32, strided<[4, 1]>>, %y: memref<?x64xf32>) {
  // CHECK: %[[COPY:.*]] = memref.alloc(%{{.*}}) : memref<?x2xf32>
  // CHECK: memref.store %{{.*}}, %[[COPY]]
  // CHECK: call @kern.combine_
  // CHECK: memref.dealloc %[[COPY]]
  kern.experts_combine %h, %rows, %offsets, %p weights(%w : memref<?x2xf32, strided<[4, 1]>>) outs(%y : memref<?x64xf32>)
    {slots = 2} : memref<?x32xf32>, memref<?xi32>, memref<9xi32>, memref<8x4x32x16x1xf32>
  return
}

// CHECK-LABEL: func private @kern.gemm_f32_f32(
// CHECK: call @kern.product_f32_f32(
// CHECK: vector.store
// CHECK: vector.maskedstore

// Tests that a tile of 6 rows keeps all its sums in registers: 24 of 512 bits, or 12 of 256. Two steps at a time.

// CHECK-LABEL: func private @kern.product_f32_f32(
// V3: } else {
// CHECK: scf.index_switch
// CHECK: default
// CHECK: memref.prefetch
// V4-COUNT-48: vector.fma {{.*}} : vector<16xf32>
// V3-COUNT-24: vector.fma {{.*}} : vector<8xf32>
// CHECK-NOT: vector.fma
// CHECK: scf.yield

// Tests that the activation works on vectors.

// CHECK-LABEL: func private @kern.hidden_silu_gated_k2_f32_bf16(
// CHECK: call @kern.product_f32_bf16(
// CHECK: math.exp {{.*}} : vector<16xf32>

// Tests that a pair of narrow numbers is widened where it is read, and that the first one of an incomplete pair is
// multiplied alone.

// CHECK-LABEL: func private @kern.product_f32_bf16(
// V4: vector.load {{.*}} : memref<?xbf16>, vector<32xbf16>
// V4: arith.shli {{.*}} : vector<16xi32>
// V4: arith.andi {{.*}} : vector<16xi32>
// V3: vector.load {{.*}} : memref<?xbf16>, vector<16xbf16>
// V3: arith.shli {{.*}} : vector<8xi32>
// V3: arith.andi {{.*}} : vector<8xi32>
// CHECK-COUNT-2: vector.fma
// CHECK: %[[REST:.*]] = arith.remui
// CHECK: %[[IS_REST:.*]] = arith.cmpi eq, %[[REST]], %c1
// CHECK: scf.if %[[IS_REST]] {
// CHECK: memref.load
// V4-COUNT-4: vector.fma
// V3-COUNT-4: vector.fma
// CHECK-NOT: vector.fma
// CHECK: }
