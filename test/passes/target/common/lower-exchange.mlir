// RUN: moe-opt %s --moe-lower-exchange | FileCheck %s

// Tests that the runtime gets addresses, distances of rows and extents; those of rows in bytes, two for a bf16.
// CHECK-LABEL: func @exchange
func.func @exchange(%x: memref<?x4xbf16, strided<[40, 1], offset: 2>>, %ids: memref<?x2xi32>, %w: memref<?x2xf32>,
                    %a: memref<?x4xbf16>, %b: memref<?x2xi32>, %c: memref<?x2xf32>, %s: memref<?x4xf32>, %y: memref<?x4xf32>) -> index {
  // CHECK: %[[T:.*]] = memref.dim
  // CHECK: %[[COUNT:.*]] = call @moert_exchange_begin({{.*}}) : (i64, !llvm.ptr, i64, i64, i64) -> i64
  // CHECK: %[[N:.*]] = arith.index_cast %[[COUNT]] : i64 to index
  %n = moe.exchange.begin %ids {layer = 3 : i64, placement = #moe.placement<ranks = 2, experts = [[0], [1]]>} : memref<?x2xi32>
  // CHECK: %[[BYTES:.*]] = arith.constant 2 : i64
  // CHECK: arith.muli
  // CHECK: call @moert_exchange_dispatch({{.*}}) : (i64, !llvm.ptr, i64, i64, !llvm.ptr, i64, !llvm.ptr, !llvm.ptr, !llvm.ptr) -> ()
  moe.exchange.dispatch ins(%x, %w : memref<?x4xbf16, strided<[40, 1], offset: 2>>, memref<?x2xf32>)
    outs(%a, %b, %c : memref<?x4xbf16>, memref<?x2xi32>, memref<?x2xf32>) {layer = 3 : i64}
  // CHECK: %[[AT_ONCE:.*]] = arith.constant 0 : i64
  // CHECK: call @moert_exchange_combine({{.*}}, %[[AT_ONCE]]) : (i64, !llvm.ptr, i64, i64, !llvm.ptr, i64, i64) -> ()
  moe.exchange.combine ins(%s : memref<?x4xf32>) outs(%y : memref<?x4xf32>) {layer = 3 : i64}
  // CHECK: %[[LATER:.*]] = arith.constant 1 : i64
  // CHECK: call @moert_exchange_combine({{.*}}, %[[LATER]])
  moe.exchange.combine ins(%s : memref<?x4xf32>) outs(%y : memref<?x4xf32>) {layer = 4 : i64, overlapped}
  // CHECK: call @moert_exchange_wait({{.*}}) : (i64) -> ()
  moe.exchange.wait ins(%s : memref<?x4xf32>) outs(%y : memref<?x4xf32>) {layer = 4 : i64}
  // CHECK: return %[[N]]
  return %n : index
}
