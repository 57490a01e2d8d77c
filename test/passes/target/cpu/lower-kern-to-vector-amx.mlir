// RUN: moe-opt %s -kern-lower-to-vector=isa=amx -canonicalize -cse | FileCheck %s

// Tests that rows of experts, which matrix registers take at equal distances, are copied one behind the other, and that other
// rows are not.
// CHECK-LABEL: func @experts
// CHECK: %[[GATHERED:.*]] = memref.alloc(%{{.*}}) {{.*}}: memref<?xbf16>
// CHECK: scf.parallel
// CHECK: vector.load %{{.*}} : memref<?xbf16>, vector<32xbf16>
// CHECK: vector.store %{{.*}}, %[[GATHERED]]
// CHECK: call @kern.hidden_{{.*}}(%[[GATHERED]]
func.func @experts(%x: memref<?x72xbf16>, %rows: memref<?xi32>, %offsets: memref<3xi32>, %w: memref<2x1x36x16x2xbf16>,
                   %h: memref<?x16xbf16>) {
  kern.experts_hidden %x, %rows, %offsets, %w outs(%h : memref<?x16xbf16>)
    {activation = #moe.activation<relu>, slots = 2}
    : memref<?x72xbf16>, memref<?xi32>, memref<3xi32>, memref<2x1x36x16x2xbf16>
  return
}

// CHECK-LABEL: func @rows
// CHECK-NOT: memref.alloc(
// CHECK: call @kern.gemm_bf16_bf16
func.func @rows(%x: memref<?x8xbf16>, %w: memref<2x4x16x2xbf16>, %y: memref<?x20xf32>) {
  kern.panel_gemm ins(%x, %w : memref<?x8xbf16>, memref<2x4x16x2xbf16>) outs(%y : memref<?x20xf32>)
  return
}

// Tests that a function for two tiles of rows and of panels has its sums in four registers from beginning to end, and that
// registers get their shapes before it is called and are free when all is done.
// CHECK-LABEL: func.func private @kern.product_bf16_bf16
// CHECK: llvm.call_intrinsic "llvm.x86.ldtilecfg"
// CHECK: call @kern.tiles_bf16_2x2
// CHECK: llvm.call_intrinsic "llvm.x86.tilerelease"
// CHECK-LABEL: func.func private @kern.tiles_bf16_2x2
// CHECK-COUNT-4: llvm.call_intrinsic "llvm.x86.tileloadd64"
// CHECK: scf.for
// CHECK: memref.prefetch
// CHECK: llvm.call_intrinsic "llvm.x86.tileloadd64"
// CHECK: llvm.call_intrinsic "llvm.x86.tileloadd64"
// CHECK: llvm.call_intrinsic "llvm.x86.tileloadd64"
// CHECK-COUNT-2: llvm.call_intrinsic "llvm.x86.tdpbf16ps"
// CHECK: llvm.call_intrinsic "llvm.x86.tileloadd64"
// CHECK-COUNT-2: llvm.call_intrinsic "llvm.x86.tdpbf16ps"
// CHECK: }
// CHECK-COUNT-4: llvm.call_intrinsic "llvm.x86.tilestored64"
