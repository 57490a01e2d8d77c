// RUN: moe-opt %s --moe-lower-weights | FileCheck %s

// Tests that a weight is found at the offset of its segment and that segments go.

// CHECK: llvm.mlir.global external @moert_weights() {{.*}} : !llvm.ptr
// CHECK-NOT: kern.segment
kern.segment @bias "bias" {offset = 4096 : i64, sources = [[#moe.view<"m", offset = 0, element = f32, strides = [1]>]], source_type = tensor<16xf32>} : tensor<16xf32>

// CHECK-LABEL: func @first
func.func @first() -> f32 {
  %c0 = arith.constant 0 : index
  // CHECK: %[[BASE:.*]] = llvm.load %{{.*}} invariant {alignment = 8 : i64} : !llvm.ptr -> !llvm.ptr
  // CHECK: %[[OFFSET:.*]] = llvm.mlir.constant(4096 : i64) : i64
  // CHECK: llvm.getelementptr inbounds %[[BASE]][%[[OFFSET]]]
  // CHECK-NOT: kern.weight
  %bias = kern.weight @bias : memref<16xf32>
  %v = memref.load %bias[%c0] : memref<16xf32>
  return %v : f32
}
