// RUN: moe-opt %s --gpu-outline-kernels | FileCheck %s

llvm.mlir.global internal constant @message("out of range\00") {addr_space = 0 : i32}
func.func private @moert_fail(!llvm.ptr, i64)

// Tests that an iteration becomes a thread, and that static extents are no arguments.

// CHECK-LABEL: func @rows
func.func @rows(%a: memref<?x64xf32, 1>, %rows: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  // CHECK-NOT: scf.parallel
  // CHECK: %[[NAME:.*]] = llvm.mlir.addressof @name_of_kernel_0
  // CHECK: call @moert_device_launch(%[[NAME]],
  scf.parallel (%i, %j) = (%c0, %c0) to (%rows, %c64) step (%c1, %c1) {
    %v = memref.load %a[%i, %j] : memref<?x64xf32, 1>
    %d = arith.addf %v, %v : f32
    memref.store %d, %a[%i, %j] : memref<?x64xf32, 1>
  }
  return
}

// Tests that loops which differ in their buffers only share a kernel.

// CHECK-LABEL: func @alike
func.func @alike(%a: memref<?x48xf32, 1>, %b: memref<?x48xf32, 1>, %rows: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c48 = arith.constant 48 : index
  // CHECK: llvm.mlir.addressof @name_of_kernel_1
  scf.parallel (%i, %j) = (%c0, %c0) to (%rows, %c48) step (%c1, %c1) {
    %v = memref.load %a[%i, %j] : memref<?x48xf32, 1>
    memref.store %v, %a[%i, %j] : memref<?x48xf32, 1>
  }
  // CHECK: llvm.mlir.addressof @name_of_kernel_1
  scf.parallel (%i, %j) = (%c0, %c0) to (%rows, %c48) step (%c1, %c1) {
    %v = memref.load %b[%i, %j] : memref<?x48xf32, 1>
    memref.store %v, %b[%i, %j] : memref<?x48xf32, 1>
  }
  return
}

// Tests that a number that a sequential loop computes comes back through the memory of the device.

// CHECK-LABEL: func @sum
func.func @sum(%a: memref<?xf32, 1>, %n: index) -> f32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  // CHECK: %[[ROOM:.*]] = memref.alloc() : memref<f32, 1>
  // CHECK: llvm.mlir.addressof @name_of_kernel_2
  // CHECK: %[[RESULT:.*]] = memref.load %[[ROOM]][]
  // CHECK: return %[[RESULT]]
  %sum = scf.for %i = %c0 to %n step %c1 iter_args(%s = %zero) -> f32 {
    %v = memref.load %a[%i] : memref<?xf32, 1>
    %next = arith.addf %s, %v : f32
    scf.yield %next : f32
  }
  return %sum : f32
}

// Tests that a loop that allocates memory stays, and that those inside of it do not.

// CHECK-LABEL: func @allocates
func.func @allocates(%a: memref<?xf32, 1>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: scf.for
  scf.for %k = %c0 to %n step %c1 {
    %b = memref.alloc(%n) : memref<?xf32, 1>
    // CHECK-NOT: scf.parallel
    // CHECK: llvm.mlir.addressof @name_of_kernel_3
    scf.parallel (%i) = (%c0) to (%n) step (%c1) {
      %v = memref.load %a[%i] : memref<?xf32, 1>
      memref.store %v, %b[%i] : memref<?xf32, 1>
    }
    memref.dealloc %b : memref<?xf32, 1>
  }
  return
}

// Tests that a failed assertion is recorded.

// CHECK-LABEL: func @check
func.func @check(%ids: memref<?xi64, 1>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %none = arith.constant 0 : i64
  %message = llvm.mlir.addressof @message : !llvm.ptr
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %id = memref.load %ids[%i] : memref<?xi64, 1>
    %bad = arith.cmpi slt, %id, %none : i64
    scf.if %bad {
      func.call @moert_fail(%message, %id) : (!llvm.ptr, i64) -> ()
    }
  }
  return
}

// CHECK: module @kernels
// CHECK: func.func private @moe_fail(
// CHECK: llvm.cmpxchg
// CHECK: nvvm.exit
// CHECK: func.func @kernel_0(%arg0: i64, %arg1: i64, %arg2: i64, %arg3: i64)
// CHECK-SAME: moe.threads = 128
// CHECK: nvvm.read.ptx.sreg.tid.x
// CHECK: nvvm.read.ptx.sreg.ctaid.x
// CHECK: scf.if
// CHECK: arith.remui
// CHECK: arith.addf
// CHECK: func.func @kernel_1
// CHECK: func.func @kernel_2
// CHECK-SAME: moe.threads = 1 : i64
// CHECK: func.func @kernel_4(%[[RECORD:arg[0-9]+]]: i64
// CHECK: call @moe_fail(%[[RECORD]],
