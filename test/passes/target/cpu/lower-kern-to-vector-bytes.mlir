// RUN: moe-opt %s -kern-lower-to-vector=isa=avx512bf16 -canonicalize -cse | FileCheck %s
// RUN: moe-opt %s -kern-lower-to-vector=isa=x86-64-v4 | FileCheck %s --check-prefix=FLOATS

// Tests that rows become records of bytes, scales and sums, of which there are 64 more bytes than needed: 40 bytes, two
// scales and two sums in two lines.
// CHECK-LABEL: func @bytes
// CHECK: %[[RECORDS:.*]] = memref.alloc({{.*}}) : memref<?xi8>
// CHECK: scf.parallel
// CHECK: math.absf
// CHECK: vector.reduction <maximumf>
// CHECK: arith.trunci {{.*}} : vector<8xi32> to vector<8xi8>
// CHECK: vector.shuffle {{.*}} [0, 2, 4, 6, 1, 3, 5, 7]
// CHECK: vector.reduction <add>
// CHECK: call @kern.gemm_i8_qi4x24_f32
// FLOATS: call @kern.gemm_f32_qi4x24_f32
func.func @bytes(%x: memref<?x40xf32>, %w: memref<1x2x16x16xi8>, %y: memref<?x16xf32>) {
  kern.panel_gemm ins(%x, %w : memref<?x40xf32>, memref<1x2x16x16xi8>) outs(%y : memref<?x16xf32>)
    {quantized = #kern.quantized<numbers = i4, group = 24, scales = f32, rows = i8>}
  return
}

// Tests that rows that may not be rounded have three digits of eight bits, the scale of a group being a power of two.
// CHECK-LABEL: func @digits
// CHECK: arith.bitcast %{{.*}} : f32 to i32
// CHECK: arith.shli
// CHECK-COUNT-3: arith.trunci {{.*}} : vector<8xi32> to vector<8xi8>
// CHECK: call @kern.gemm_i24_qi8x24_f32
func.func @digits(%x: memref<?x40xf32>, %w: memref<1x2x16x28xi8>, %y: memref<?x16xf32>) {
  kern.panel_gemm ins(%x, %w : memref<?x40xf32>, memref<1x2x16x28xi8>) outs(%y : memref<?x16xf32>)
    {quantized = #kern.quantized<numbers = i8, group = 24, scales = f32>}
  return
}

// Tests that the products of a group begin with what the offset of signed numbers adds, and are exact until they are scaled.
// CHECK-LABEL: func.func private @kern.product_i8_qi4x24_f32
// CHECK: %[[MIDDLE:.*]] = arith.constant -8 : i32
// CHECK: arith.muli %{{.*}}, %[[MIDDLE]] : i32
// CHECK: llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%{{.*}}, %{{.*}}, %{{.*}}) : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
// CHECK: arith.sitofp %{{.*}} : vector<16xi32> to vector<16xf32>
