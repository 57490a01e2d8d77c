// RUN: moe-opt %s --gpu-place-buffers | FileCheck %s

// Tests that an input of a parallel loop is copied to the device and a result from there.

// CHECK-LABEL: func @main
// CHECK-SAME: (%[[X:.*]]: memref<?x64xf32>) -> memref<?x64xf32>
func.func @main(%x: memref<?x64xf32>) -> memref<?x64xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  // CHECK: %[[ROWS:.*]] = memref.dim %[[X]]
  // CHECK: %[[INPUT:.*]] = memref.alloc(%[[ROWS]]) : memref<?x64xf32, 1>
  // CHECK: memref.copy %[[X]], %[[INPUT]]
  %rows = memref.dim %x, %c0 : memref<?x64xf32>
  // CHECK: %[[Y:.*]] = memref.alloc(%{{.*}}) : memref<?x64xf32, 1>
  %y = memref.alloc(%rows) : memref<?x64xf32>
  // CHECK: scf.parallel
  scf.parallel (%i, %j) = (%c0, %c0) to (%rows, %c64) step (%c1, %c1) {
    // CHECK: memref.load %[[INPUT]][{{.*}}] : memref<?x64xf32, 1>
    %v = memref.load %x[%i, %j] : memref<?x64xf32>
    memref.store %v, %y[%i, %j] : memref<?x64xf32>
  }
  // CHECK: %[[RESULT:.*]] = memref.alloc(%{{.*}}) : memref<?x64xf32>
  // CHECK: memref.copy %[[Y]], %[[RESULT]]
  // CHECK: return %[[RESULT]]
  return %y : memref<?x64xf32>
}

// Tests that a sequential loop follows the buffers of parallel loops, through views and branches.

// CHECK-LABEL: func @follows
func.func @follows(%c: i1, %n: index) -> f32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  // CHECK: memref.alloc(%{{.*}}) : memref<?x8xf32, 1>
  %a = memref.alloc(%n) : memref<?x8xf32>
  // CHECK: memref.alloc() : memref<f32, 1>
  %sum = memref.alloc() : memref<f32>
  // CHECK: memref.collapse_shape {{.*}} : memref<?x8xf32, 1> into memref<?xf32, 1>
  %flat = memref.collapse_shape %a [[0, 1]] : memref<?x8xf32> into memref<?xf32>
  // CHECK: scf.if {{.*}} -> (memref<?xf32, 1>)
  %either = scf.if %c -> memref<?xf32> {
    scf.yield %flat : memref<?xf32>
  } else {
    // CHECK: memref.alloc(%{{.*}}) : memref<?xf32, 1>
    %other = memref.alloc(%n) : memref<?xf32>
    scf.yield %other : memref<?xf32>
  }
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    memref.store %zero, %either[%i] : memref<?xf32>
  }
  scf.for %i = %c0 to %n step %c1 {
    %v = memref.load %either[%i] : memref<?xf32>
    memref.store %v, %sum[] : memref<f32>
  }
  %result = memref.load %sum[] : memref<f32>
  return %result : f32
}

// Tests that loops over shapes stay on the host, and so do buffers that only the host's code uses.

// CHECK-LABEL: func @shapes
// CHECK-NOT: , 1>
func.func @shapes(%shape: memref<4xi64>) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %a = memref.alloc() : memref<4xi64>
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    %v = memref.load %shape[%i] : memref<4xi64>
    memref.store %v, %a[%i] : memref<4xi64>
  }
  %v = memref.load %a[%c1] : memref<4xi64>
  return %v : i64
}

// Tests that a weight is taken from the device's copy and that constants are copied there.

// CHECK-LABEL: func @constants
memref.global "private" constant @table : memref<32xf32> = dense<1.0>
kern.segment @bias "bias" {offset = 64 : i64, sources = [], source_type = tensor<32xf32>} : tensor<32xf32>
func.func @constants() -> memref<32xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c32 = arith.constant 32 : index
  // CHECK-DAG: kern.weight @bias : memref<32xf32, 1>
  // CHECK-DAG: %[[TABLE:.*]] = memref.get_global @table : memref<32xf32>
  // CHECK-DAG: memref.memory_space_cast %[[TABLE]] : memref<32xf32> to memref<32xf32, 1>
  %bias = kern.weight @bias : memref<32xf32>
  %table = memref.get_global @table : memref<32xf32>
  %y = memref.alloc() : memref<32xf32>
  scf.parallel (%i) = (%c0) to (%c32) step (%c1) {
    %a = memref.load %bias[%i] : memref<32xf32>
    %b = memref.load %table[%i] : memref<32xf32>
    %s = arith.addf %a, %b : f32
    memref.store %s, %y[%i] : memref<32xf32>
  }
  return %y : memref<32xf32>
}
