// RUN: moe-opt %s -moe-lower-reductions | FileCheck %s

#rows = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
#column = affine_map<(i, j) -> (j)>

// Tests that a sum along rows is carried in a register and stored once.

// CHECK-LABEL: func @sums
// CHECK-SAME: %[[A:.*]]: memref<?x64xf32>, %[[SUMS:.*]]: memref<?xf32>
func.func @sums(%a: memref<?x64xf32>, %sums: memref<?xf32>) {
  // CHECK: scf.parallel (%[[I:.*]]) =
  // CHECK-NEXT: %[[OLD:.*]] = memref.load %[[SUMS]][%[[I]]]
  // CHECK: %[[SUM:.*]] = scf.for %[[J:.*]] = {{.*}} iter_args(%[[CARRIED:.*]] = %[[OLD]])
  // CHECK-NEXT: %[[X:.*]] = memref.load %[[A]][%[[I]], %[[J]]]
  // CHECK-NEXT: %[[NEXT:.*]] = arith.addf %[[CARRIED]], %[[X]] fastmath<reassoc>
  // CHECK-NEXT: scf.yield %[[NEXT]]
  // CHECK: memref.store %[[SUM]], %[[SUMS]][%[[I]]]
  linalg.generic {indexing_maps = [#rows, #row], iterator_types = ["parallel", "reduction"]}
      ins(%a : memref<?x64xf32>) outs(%sums : memref<?xf32>) {
  ^bb0(%x: f32, %sum: f32):
    %next = arith.addf %sum, %x fastmath<reassoc> : f32
    linalg.yield %next : f32
  }
  return
}

// Tests that a sum along columns, whose entries do not lie side by side, is left to loops over rows.

// CHECK-LABEL: func @columns
func.func @columns(%a: memref<?x64xf32>, %sums: memref<64xf32>) {
  // CHECK: linalg.generic
  linalg.generic {indexing_maps = [#rows, #column], iterator_types = ["reduction", "parallel"]}
      ins(%a : memref<?x64xf32>) outs(%sums : memref<64xf32>) {
  ^bb0(%x: f32, %sum: f32):
    %next = arith.addf %sum, %x fastmath<reassoc> : f32
    linalg.yield %next : f32
  }
  return
}

// Tests a reduction of everything and one with two results.

// CHECK-LABEL: func @all
func.func @all(%a: memref<?xi64>, %least: memref<i64>, %greatest: memref<i64>) {
  // CHECK-NOT: scf.parallel
  // CHECK: %{{.*}}:2 = scf.for {{.*}} iter_args(%[[LEAST:.*]] = %{{.*}}, %[[GREATEST:.*]] = %{{.*}}) -> (i64, i64)
  // CHECK: arith.minsi %[[LEAST]]
  // CHECK: arith.maxsi %[[GREATEST]]
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>, affine_map<(i) -> ()>],
                  iterator_types = ["reduction"]} ins(%a : memref<?xi64>) outs(%least, %greatest : memref<i64>, memref<i64>) {
  ^bb0(%x: i64, %low: i64, %high: i64):
    %nextLow = arith.minsi %low, %x : i64
    %nextHigh = arith.maxsi %high, %x : i64
    linalg.yield %nextLow, %nextHigh : i64, i64
  }
  return
}
