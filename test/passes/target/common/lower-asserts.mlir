// RUN: moe-opt %s --moe-lower-asserts | FileCheck %s

// Tests that a failed assertion calls the host with its message, and that equal messages are stored once.

// CHECK-DAG: func.func private @moert_fail(!llvm.ptr, i64)
// CHECK-DAG: llvm.mlir.global internal constant @[[MESSAGE:.*]]("out of range\00")
// CHECK-NOT: llvm.mlir.global

// CHECK-LABEL: func @check
// CHECK-SAME: (%[[OK:[a-z0-9]*]]: i1
func.func @check(%ok: i1, %also: i1) {
  // CHECK: %[[FAILED:.*]] = arith.xori %[[OK]], %true
  // CHECK: scf.if %[[FAILED]]
  // CHECK: %[[TEXT:.*]] = llvm.mlir.addressof @[[MESSAGE]]
  // CHECK: func.call @moert_fail(%[[TEXT]], %{{.*}})
  cf.assert %ok, "out of range"
  // CHECK: llvm.mlir.addressof @[[MESSAGE]]
  // CHECK-NOT: cf.assert
  cf.assert %also, "out of range"
  return
}
