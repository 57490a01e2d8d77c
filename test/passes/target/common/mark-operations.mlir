// RUN: moe-opt %s -moe-mark-operations | FileCheck %s

// Tests that loops and copies are named after their nodes, each run of loops from the same nodes once; that loops with
// parallel loops inside are entered; and that operations without a node go by their own name.

// CHECK-DAG: llvm.mlir.global internal constant @[[NORM:operation_[0-9]+]]("norm\00")
// CHECK-DAG: llvm.mlir.global internal constant @[[BOTH:operation_[0-9]+]]("add + mul\00")
// CHECK-DAG: llvm.mlir.global internal constant @[[STEP:operation_[0-9]+]]("step\00")
// CHECK-DAG: llvm.mlir.global internal constant @[[COPY:operation_[0-9]+]]("memref.copy\00")
// CHECK-LABEL: func @main
func.func @main(%a: memref<?xf32>, %b: memref<?xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: %[[A:.*]] = llvm.mlir.addressof @[[NORM]]
  // CHECK-NEXT: call @moert_mark(%[[A]])
  // CHECK-NEXT: scf.parallel
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %v = memref.load %a[%i] : memref<?xf32>
    memref.store %v, %b[%i] : memref<?xf32>
  } loc("norm")
  // CHECK-NOT: moert_mark
  // CHECK: scf.for
  scf.for %i = %c0 to %n step %c1 {
    %v = memref.load %a[%i] : memref<?xf32>
    memref.store %v, %b[%i] : memref<?xf32>
  } loc("norm")
  // CHECK: addressof @[[BOTH]]
  // CHECK-NEXT: call @moert_mark
  // CHECK-NEXT: scf.for
  scf.for %i = %c0 to %n step %c1 {
    %v = memref.load %a[%i] : memref<?xf32>
    memref.store %v, %b[%i] : memref<?xf32>
  } loc(fused["add", "mul"])
  // CHECK-NOT: moert_mark
  // CHECK: scf.for
  // CHECK: addressof @[[STEP]]
  // CHECK-NEXT: call @moert_mark
  // CHECK-NEXT: scf.parallel
  scf.for %i = %c0 to %n step %c1 {
    scf.parallel (%j) = (%c0) to (%n) step (%c1) {
      %v = memref.load %a[%j] : memref<?xf32>
      memref.store %v, %b[%j] : memref<?xf32>
    } loc("step")
  } loc("loop")
  // CHECK: addressof @[[COPY]]
  // CHECK-NEXT: call @moert_mark
  // CHECK-NEXT: memref.copy
  memref.copy %a, %b : memref<?xf32> to memref<?xf32>
  return
}
