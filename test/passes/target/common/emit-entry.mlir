// RUN: moe-opt %s --moe-llvm-pipeline | FileCheck %s

// Tests what a code object exports: the entry and two variables; the rest is internal. Allocation goes through the host.

// CHECK-DAG: llvm.mlir.global external @moert_host()
// CHECK-DAG: llvm.mlir.global external @moert_weights()
// CHECK-DAG: llvm.func internal @_mlir_memref_to_llvm_aligned_alloc
// CHECK-DAG: llvm.func internal @main
// CHECK-LABEL: llvm.func @moert_main(%{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr)
// CHECK: llvm.call @_mlir_ciface_main
// CHECK: llvm.store %{{.*}}, %{{.*}} : !llvm.struct<(ptr, ptr, i64, array<1 x i64>, array<1 x i64>)>, !llvm.ptr
func.func @main(%x: memref<?xf32>, %n: memref<i64>) -> memref<?xf32> {
  %c0 = arith.constant 0 : index
  %d = memref.dim %x, %c0 : memref<?xf32>
  %y = memref.alloc(%d) : memref<?xf32>
  memref.copy %x, %y : memref<?xf32> to memref<?xf32>
  return %y : memref<?xf32>
}
