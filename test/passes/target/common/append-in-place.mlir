// RUN: moe-opt %s -split-input-file -moe-append-in-place | FileCheck %s
// RUN: moe-opt %s -split-input-file -moe-bufferize-pipeline | FileCheck %s --check-prefix=BUFFER

// Tests that a cache which grows along an inner dimension becomes memory of the host, that its other readers read it
// there, and that the results which are left know their places.

// CHECK: func.func private @moert_append_f32_4(i64, i64, i64, i64) -> !llvm.struct<(ptr, ptr, i64, array<4 x i64>, array<4 x i64>)>
// CHECK-LABEL: func @main
// CHECK-SAME: %[[PAST:[a-z0-9]+]]: tensor<?x2x?x16xf32> {moe.name = "past"}, %[[NEW:[a-z0-9]+]]: tensor<?x2x?x16xf32>
// CHECK-SAME: -> (tensor<?x2x?x16xf32> {moe.name = "negated"})
// CHECK-SAME: moe.output_indices = array<i64: 1>
// CHECK-SAME: moe.states = [{attributes = {moe.name = "present"}, axis = 2 : i64, input = 0 : i64, output = 0 : i64, type = tensor<?x2x?x16xf32>}]
// BUFFER-LABEL: func @main
func.func @main(%past: tensor<?x2x?x16xf32> {moe.name = "past"}, %new: tensor<?x2x?x16xf32>)
    -> (tensor<?x2x?x16xf32> {moe.name = "present"}, tensor<?x2x?x16xf32> {moe.name = "negated"}) {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %batch = tensor.dim %past, %c0 : tensor<?x2x?x16xf32>
  // CHECK: %[[HELD:.*]] = tensor.dim %[[PAST]], %c2
  %held = tensor.dim %past, %c2 : tensor<?x2x?x16xf32>
  %added = tensor.dim %new, %c2 : tensor<?x2x?x16xf32>
  // CHECK: %[[TOTAL:.*]] = arith.addi
  %total = arith.addi %held, %added : index
  %empty = tensor.empty(%batch, %total) : tensor<?x2x?x16xf32>
  // CHECK: %[[EXTENT:.*]] = arith.subi %[[TOTAL]]
  // CHECK: %[[EXTENT64:.*]] = arith.index_cast %[[EXTENT]]
  // CHECK: %[[DESCRIPTOR:.*]] = call @moert_append_f32_4(%{{.*}}, %{{.*}}, %{{.*}}, %[[EXTENT64]])
  // CHECK: %[[MEMORY:.*]] = builtin.unrealized_conversion_cast %[[DESCRIPTOR]] : {{.*}} to memref<?x?x?x?xf32, strided<[?, ?, ?, 1]>>
  // CHECK: %[[CAST:.*]] = memref.cast %[[MEMORY]] : {{.*}} to memref<?x2x?x16xf32, strided<[?, ?, 16, 1]>>
  // CHECK: %[[TENSOR:.*]] = bufferization.to_tensor %[[CAST]] restrict writable
  %copy = tensor.insert_slice %past into %empty[0, 0, 0, 0] [%batch, 2, %held, 16] [1, 1, 1, 1]
            : tensor<?x2x?x16xf32> into tensor<?x2x?x16xf32>
  // CHECK: %[[PRESENT:.*]] = tensor.insert_slice %[[NEW]] into %[[TENSOR]][0, 0, %[[HELD]], 0]
  %present = tensor.insert_slice %new into %copy[0, 0, %held, 0] [%batch, 2, %added, 16] [1, 1, 1, 1]
            : tensor<?x2x?x16xf32> into tensor<?x2x?x16xf32>
  // CHECK: linalg.generic {{.*}} ins(%[[PRESENT]]
  // Only the new entries are copied.
  // BUFFER: %[[VIEW:.*]] = memref.subview %{{.*}}[0, 0, %{{.*}}, 0]
  // BUFFER: scf.parallel
  // BUFFER: memref.store %{{.*}}, %[[VIEW]]
  // BUFFER: memref.alloc
  // BUFFER: scf.parallel
  // BUFFER-NOT: scf.parallel
  // BUFFER-NOT: memref.copy
  %init = tensor.empty(%batch, %total) : tensor<?x2x?x16xf32>
  %negated = linalg.generic {indexing_maps = [affine_map<(a, b, c, d) -> (a, b, c, d)>, affine_map<(a, b, c, d) -> (a, b, c, d)>],
                             iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%present : tensor<?x2x?x16xf32>) outs(%init : tensor<?x2x?x16xf32>) {
  ^bb0(%in: f32, %out: f32):
    %n = arith.negf %in : f32
    linalg.yield %n : f32
  } -> tensor<?x2x?x16xf32>
  // CHECK: bufferization.materialize_in_destination %[[PRESENT]] in restrict writable %[[CAST]]
  // CHECK: return %{{[^,]*}} : tensor<?x2x?x16xf32>
  return %present, %negated : tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>
}

// -----

// Tests that an input which something else reads is copied as before: its rows might have gaps.

// CHECK-LABEL: func @main
// CHECK-NOT: moert_append
// BUFFER-LABEL: func @main
func.func @main(%past: tensor<1x?xf32>, %new: tensor<1x?xf32>) -> (tensor<1x?xf32>, tensor<?xf32>) {
  %c1 = arith.constant 1 : index
  %held = tensor.dim %past, %c1 : tensor<1x?xf32>
  %added = tensor.dim %new, %c1 : tensor<1x?xf32>
  %total = arith.addi %held, %added : index
  %empty = tensor.empty(%total) : tensor<1x?xf32>
  %copy = tensor.insert_slice %past into %empty[0, 0] [1, %held] [1, 1] : tensor<1x?xf32> into tensor<1x?xf32>
  %present = tensor.insert_slice %new into %copy[0, %held] [1, %added] [1, 1] : tensor<1x?xf32> into tensor<1x?xf32>
  %flat = tensor.collapse_shape %past [[0, 1]] : tensor<1x?xf32> into tensor<?xf32>
  return %present, %flat : tensor<1x?xf32>, tensor<?xf32>
}

// -----

// Tests that new entries before the old ones, and a result that is returned twice, are left alone.

// CHECK-LABEL: func @main
// CHECK-NOT: moert_append
// BUFFER-LABEL: func @main
func.func @main(%past: tensor<1x?xf32>, %other: tensor<1x?xf32>, %new: tensor<1x4xf32>)
    -> (tensor<1x?xf32>, tensor<1x?xf32>, tensor<1x?xf32>) {
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %held = tensor.dim %past, %c1 : tensor<1x?xf32>
  %total = arith.addi %held, %c4 : index
  %empty = tensor.empty(%total) : tensor<1x?xf32>
  %copy = tensor.insert_slice %past into %empty[0, 4] [1, %held] [1, 1] : tensor<1x?xf32> into tensor<1x?xf32>
  %front = tensor.insert_slice %new into %copy[0, 0] [1, 4] [1, 1] : tensor<1x4xf32> into tensor<1x?xf32>
  %length = tensor.dim %other, %c1 : tensor<1x?xf32>
  %sum = arith.addi %length, %c4 : index
  %space = tensor.empty(%sum) : tensor<1x?xf32>
  %same = tensor.insert_slice %other into %space[0, 0] [1, %length] [1, 1] : tensor<1x?xf32> into tensor<1x?xf32>
  %twice = tensor.insert_slice %new into %same[0, %length] [1, 4] [1, 1] : tensor<1x4xf32> into tensor<1x?xf32>
  return %front, %twice, %twice : tensor<1x?xf32>, tensor<1x?xf32>, tensor<1x?xf32>
}

// -----

// Tests that new entries are written though nothing else reads them, without a question of who frees the memory.

// CHECK: func.func private @moert_append_i64_2
// CHECK-LABEL: func @main
// BUFFER-LABEL: func @main
func.func @main(%past: tensor<1x?xi64>, %new: tensor<1x?xi64>) -> tensor<1x?xi64> {
  %c1 = arith.constant 1 : index
  %held = tensor.dim %past, %c1 : tensor<1x?xi64>
  %added = tensor.dim %new, %c1 : tensor<1x?xi64>
  %total = arith.addi %held, %added : index
  %empty = tensor.empty(%total) : tensor<1x?xi64>
  // CHECK: call @moert_append_i64_2
  // BUFFER: call @moert_append_i64_2
  %copy = tensor.insert_slice %past into %empty[0, 0] [1, %held] [1, 1] : tensor<1x?xi64> into tensor<1x?xi64>
  // CHECK: tensor.insert_slice
  // BUFFER: memref.subview
  // BUFFER: scf.parallel
  // BUFFER-NOT: scf.parallel
  // BUFFER-NOT: memref.copy
  // BUFFER-NOT: dealloc
  // BUFFER: return
  %present = tensor.insert_slice %new into %copy[0, %held] [1, %added] [1, 1] : tensor<1x?xi64> into tensor<1x?xi64>
  return %present : tensor<1x?xi64>
}

// -----

// Tests a cache whose rows are written by a loop, at places of their own, into zeros: only the entries behind the old ones
// become zero, and extents that nobody has compared are compared.

// CHECK: func.func private @moert_append_f32_3
// CHECK-LABEL: func @main
// CHECK-SAME: %[[PAST:[a-z0-9]+]]: tensor<?x?x?xf32>
// BUFFER-LABEL: func @main
func.func @main(%past: tensor<?x?x?xf32>, %new: tensor<?x?x8xf32>, %places: tensor<?xindex>, %total: index) -> tensor<?x?x8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %batch = tensor.dim %new, %c0 : tensor<?x?x8xf32>
  %added = tensor.dim %new, %c1 : tensor<?x?x8xf32>
  %rows = tensor.dim %past, %c0 : tensor<?x?x?xf32>
  %held = tensor.dim %past, %c1 : tensor<?x?x?xf32>
  %cast = tensor.cast %past : tensor<?x?x?xf32> to tensor<?x?x8xf32>
  %length = arith.maxsi %held, %total : index
  %empty = tensor.empty(%batch, %length) : tensor<?x?x8xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  // CHECK: %[[ROWS:.*]] = tensor.dim %[[PAST]], %c0{{.*}} : tensor<?x?x?xf32>
  // CHECK: %[[SAME_BATCH:.*]] = arith.cmpi eq, %{{.*}}, %{{.*}}
  // CHECK: cf.assert %[[SAME_BATCH]], "expected a state and what is appended to it to have the same other extents"
  // CHECK: %[[SAME_WIDTH:.*]] = arith.cmpi eq, %c8{{.*}}, %{{.*}}
  // CHECK: cf.assert %[[SAME_WIDTH]]
  // CHECK: call @moert_append_f32_3
  // CHECK: %[[MEMORY:.*]] = memref.cast
  // CHECK: %[[TENSOR:.*]] = bufferization.to_tensor %[[MEMORY]]
  // CHECK: %[[TAIL:.*]] = tensor.extract_slice %[[TENSOR]][0, %[[HELD:.*]], 0]
  // CHECK: %[[ZEROS:.*]] = linalg.fill {{.*}} outs(%[[TAIL]]
  // CHECK: %[[PREPARED:.*]] = tensor.insert_slice %[[ZEROS]] into %[[TENSOR]][0, %[[HELD]], 0]
  %copy = tensor.insert_slice %cast into %zeros[0, 0, 0] [%rows, %held, 8] [1, 1, 1]
            : tensor<?x?x8xf32> into tensor<?x?x8xf32>
  // CHECK: %[[PRESENT:.*]] = scf.for {{.*}} iter_args(%{{.*}} = %[[PREPARED]])
  // BUFFER: call @moert_append_f32_3
  // BUFFER: scf.parallel
  // BUFFER: scf.for
  // BUFFER-NOT: memref.copy
  // BUFFER-NOT: memref.alloc
  // BUFFER: return
  %present = scf.for %b = %c0 to %batch step %c1 iter_args(%cache = %copy) -> tensor<?x?x8xf32> {
    %place = tensor.extract %places[%b] : tensor<?xindex>
    %row = tensor.extract_slice %new[%b, 0, 0] [1, %added, 8] [1, 1, 1] : tensor<?x?x8xf32> to tensor<1x?x8xf32>
    %next = tensor.insert_slice %row into %cache[%b, %place, 0] [1, %added, 8] [1, 1, 1]
              : tensor<1x?x8xf32> into tensor<?x?x8xf32>
    scf.yield %next : tensor<?x?x8xf32>
  }
  // CHECK: materialize_in_destination %[[PRESENT]] in restrict writable %[[MEMORY]]
  return %present : tensor<?x?x8xf32>
}
