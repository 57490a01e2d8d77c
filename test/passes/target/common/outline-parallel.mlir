// RUN: moe-opt %s --moe-outline-parallel | FileCheck %s

// Tests that rows are spread over tasks while the innermost loop stays whole.

// CHECK-LABEL: func @rows
func.func @rows(%a: memref<?x64xf32>, %rows: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  // CHECK-NOT: scf.parallel
  // CHECK: %[[TASK:.*]] = constant @[[NAME:task_[0-9]+]]
  // CHECK: call @moert_parallel(
  scf.parallel (%i, %j) = (%c0, %c0) to (%rows, %c64) step (%c1, %c1) {
    %v = memref.load %a[%i, %j] : memref<?x64xf32>
    %d = arith.addf %v, %v : f32
    memref.store %d, %a[%i, %j] : memref<?x64xf32>
  }
  return
}

// Tests that loops which differ in their buffers only share a task, and that others do not.

// CHECK-LABEL: func @alike
func.func @alike(%a: memref<?x48xf32>, %b: memref<?x48xf32>, %rows: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c48 = arith.constant 48 : index
  // CHECK: constant @[[ALIKE:task_[0-9]+]]
  scf.parallel (%i, %j) = (%c0, %c0) to (%rows, %c48) step (%c1, %c1) {
    %v = memref.load %a[%i, %j] : memref<?x48xf32>
    %d = arith.mulf %v, %v : f32
    memref.store %d, %a[%i, %j] : memref<?x48xf32>
  }
  // CHECK: constant @[[ALIKE]] :
  scf.parallel (%i, %j) = (%c0, %c0) to (%rows, %c48) step (%c1, %c1) {
    %v = memref.load %b[%i, %j] : memref<?x48xf32>
    %d = arith.mulf %v, %v : f32
    memref.store %d, %b[%i, %j] : memref<?x48xf32>
  }
  // CHECK-NOT: constant @[[ALIKE]] :
  // CHECK: constant @task_
  scf.parallel (%i, %j) = (%c0, %c0) to (%rows, %c48) step (%c1, %c1) {
    %v = memref.load %b[%i, %j] : memref<?x48xf32>
    %d = arith.subf %v, %v : f32
    memref.store %d, %b[%i, %j] : memref<?x48xf32>
  }
  return
}

// Tests that work which is known to be small does not leave the thread.

// CHECK-LABEL: func @small
func.func @small(%a: memref<4xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  // CHECK-NOT: call @moert_parallel
  // CHECK: scf.for
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    %v = memref.load %a[%i] : memref<4xf32>
    memref.store %v, %a[%i] : memref<4xf32>
  }
  return
}

// Tests that a task with loops of its own gets all parallel dimensions, and that inner parallel loops are sequential.

// CHECK-LABEL: func @nested
func.func @nested(%a: memref<?x?x64xf32>, %m: index, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  // CHECK: call @moert_parallel(
  // CHECK-NOT: call @moert_parallel(
  scf.parallel (%i, %j) = (%c0, %c0) to (%m, %n) step (%c1, %c1) {
    scf.parallel (%k) = (%c0) to (%c64) step (%c1) {
      %buffer = memref.alloca() : memref<1xf32>
      %v = memref.load %a[%i, %j, %k] : memref<?x?x64xf32>
      memref.store %v, %buffer[%c0] : memref<1xf32>
      memref.store %v, %a[%i, %j, %k] : memref<?x?x64xf32>
    }
  }
  return
}

// CHECK: func.func private @[[NAME]](%[[CONTEXT:.*]]: !llvm.ptr, %[[BEGIN:.*]]: i64, %[[END:.*]]: i64)
// CHECK: llvm.load
// CHECK: scf.for
// CHECK: scf.for
// CHECK: memref.store

// Tests that a stack buffer is allocated once for a task, not once for an iteration.

// CHECK: func.func private @task_1
// CHECK: memref.alloca
// CHECK: scf.for
// CHECK-NOT: memref.alloca
