// RUN: moe-opt %s --gpu-lower-device-buffers --canonicalize | FileCheck %s

// Tests that accesses to single numbers copy them, and that booleans are bytes.

// CHECK-LABEL: func @numbers
func.func @numbers(%x: memref<?xf32, 1>, %b: memref<i1, 1>, %i: index) -> (f32, i1) {
  // CHECK-DAG: %[[FOUR:.*]] = arith.constant 4 : i64
  // CHECK-DAG: %[[ONE:.*]] = arith.constant 1 : i64
  // CHECK: call @moert_device_read(%[[ROOM:.*]], %{{.*}}, %[[FOUR]])
  // CHECK: llvm.load %[[ROOM]] : !llvm.ptr -> f32
  %v = memref.load %x[%i] : memref<?xf32, 1>
  // CHECK: call @moert_device_write(%{{.*}}, %{{.*}}, %[[FOUR]])
  memref.store %v, %x[%i] : memref<?xf32, 1>
  // CHECK: call @moert_device_read(%{{.*}}, %{{.*}}, %[[ONE]])
  // CHECK: arith.trunci {{.*}} : i8 to i1
  %c = memref.load %b[] : memref<i1, 1>
  return %v, %c : f32, i1
}

// Tests that memory is allocated with the bytes of the extents, and given back.

// CHECK-LABEL: func @memory
func.func @memory(%n: index) {
  // CHECK: %[[C24:.*]] = arith.constant 24 : index
  // CHECK: %[[BYTES:.*]] = arith.muli %{{.*}}, %[[C24]]
  // CHECK: %[[BYTES64:.*]] = arith.index_cast %[[BYTES]]
  // CHECK: %[[MEMORY:.*]] = call @moert_device_allocate(%[[BYTES64]])
  // CHECK: call @moert_device_release
  %a = memref.alloc(%n) : memref<?x12xbf16, 1>
  memref.dealloc %a : memref<?x12xbf16, 1>
  return
}

// Tests the three directions of a copy.

// CHECK-LABEL: func @copies
func.func @copies(%host: memref<8xf32>, %a: memref<8xf32, 1>, %b: memref<8xf32, 1>) {
  // CHECK: call @moert_device_write(
  memref.copy %host, %a : memref<8xf32> to memref<8xf32, 1>
  // CHECK: call @moert_device_copy(
  memref.copy %a, %b : memref<8xf32, 1> to memref<8xf32, 1>
  // CHECK: call @moert_device_read(
  memref.copy %b, %host : memref<8xf32, 1> to memref<8xf32>
  return
}

// Tests that weights and constants come from the device.

memref.global "private" constant @table : memref<32xf32> = dense<1.0>
kern.segment @bias "bias" {offset = 64 : i64, sources = [], source_type = tensor<32xf32>} : tensor<32xf32>

// CHECK-LABEL: func @constants
func.func @constants() -> (memref<32xf32, 1>, memref<32xf32, 1>) {
  // CHECK: call @moert_device_weights()
  %bias = kern.weight @bias : memref<32xf32, 1>
  %table = memref.get_global @table : memref<32xf32>
  // CHECK: call @moert_device_constant(
  %copy = memref.memory_space_cast %table : memref<32xf32> to memref<32xf32, 1>
  return %bias, %copy : memref<32xf32, 1>, memref<32xf32, 1>
}
