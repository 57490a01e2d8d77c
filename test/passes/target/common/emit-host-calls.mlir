// RUN: moe-opt %s --moe-llvm-pipeline | FileCheck %s

// Tests the calls that pass more than their operands: the descriptor of memory that grows in place, and the choices of a
// router with their types. Outputs that are not returned are left to the host.

// CHECK-LABEL: llvm.func internal @moert_append_f32_2
// CHECK-SAME: (%[[INPUT:.*]]: i64, %[[OUTPUT:.*]]: i64, %[[AXIS:.*]]: i64, %[[EXTENT:.*]]: i64) -> !llvm.struct<(ptr, ptr, i64, array<2 x i64>, array<2 x i64>)>
// CHECK: %[[MEMORY:.*]] = llvm.alloca
// CHECK: %[[FIELD:.*]] = llvm.getelementptr %{{.*}}[0, 9]
// CHECK: %[[HOST:.*]] = llvm.load %[[FIELD]]
// CHECK: llvm.call %[[HOST]](%[[INPUT]], %[[OUTPUT]], %[[AXIS]], %[[EXTENT]], %[[MEMORY]])
// CHECK: %[[RESULT:.*]] = llvm.load %[[MEMORY]]
// CHECK: llvm.return %[[RESULT]]
func.func private @moert_append_f32_2(i64, i64, i64, i64) -> !llvm.struct<(ptr, ptr, i64, array<2 x i64>, array<2 x i64>)>

// CHECK-LABEL: llvm.func internal @moert_record_routing_i64_bf16
// CHECK-DAG: %[[WIDE:.*]] = llvm.mlir.constant(64 : i32)
// CHECK-DAG: %[[HALF:.*]] = llvm.mlir.constant(16 : i32)
// CHECK-DAG: %[[BRAIN:.*]] = llvm.mlir.constant(1 : i32)
// CHECK: llvm.store %[[WIDE]]
// CHECK: llvm.store %[[HALF]]
// CHECK: llvm.store %[[BRAIN]]
// CHECK: llvm.getelementptr %{{.*}}[0, 8]
// CHECK: llvm.call %{{.*}}(%arg0, %{{.*}}) : !llvm.ptr, (i64, !llvm.ptr) -> ()
func.func private @moert_record_routing_i64_bf16(i64, i64, memref<?x?xi64>, memref<?x?xbf16>)

func.func private @moert_thread_index() -> i64

// CHECK-LABEL: llvm.func @moert_main
// CHECK: llvm.getelementptr %{{.*}}[1] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
// CHECK: llvm.getelementptr %arg1[1] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
// CHECK-NOT: getelementptr %arg1
func.func @main(%past: memref<2x?xf32>, %ids: memref<?x?xi64>, %weights: memref<?x?xbf16>) -> memref<2xi64>
    attributes {moe.output_indices = array<i64: 1>, moe.states = []} {
  %c0 = arith.constant 0 : i64
  %c1 = arith.constant 1 : i64
  %i0 = arith.constant 0 : index
  %f = arith.constant 0.0 : f32
  %descriptor = func.call @moert_append_f32_2(%c0, %c0, %c1, %c1) : (i64, i64, i64, i64) -> !llvm.struct<(ptr, ptr, i64, array<2 x i64>, array<2 x i64>)>
  %present = builtin.unrealized_conversion_cast %descriptor : !llvm.struct<(ptr, ptr, i64, array<2 x i64>, array<2 x i64>)> to memref<?x?xf32, strided<[?, 1]>>
  memref.store %f, %present[%i0, %i0] : memref<?x?xf32, strided<[?, 1]>>
  func.call @moert_record_routing_i64_bf16(%c0, %c1, %ids, %weights) : (i64, i64, memref<?x?xi64>, memref<?x?xbf16>) -> ()
  %y = memref.alloc() : memref<2xi64>
  %number = func.call @moert_thread_index() : () -> i64
  memref.store %number, %y[%i0] : memref<2xi64>
  return %y : memref<2xi64>
}
