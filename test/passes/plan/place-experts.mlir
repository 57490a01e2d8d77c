// RUN: moe-opt %s --moe-place-experts | FileCheck %s

// Tests that experts see the rows that their rank gets, that the sums return as f32, and that stacks of weights are marked.
// CHECK-LABEL: func @placed
// CHECK-SAME: (%[[X:.*]]: tensor<?x4xbf16>, %[[IDS:.*]]: tensor<?x2xi64>, %[[W:.*]]: tensor<?x2xbf16>)
func.func @placed(%x: tensor<?x4xbf16>, %ids: tensor<?x2xi64>, %w: tensor<?x2xbf16>) -> tensor<?x4xbf16> {
  // CHECK-DAG: %[[UP:.*]] = moe.weight "up" {{.*}}moe.expert_layer = 0 : i64
  // CHECK-DAG: %[[DOWN:.*]] = moe.weight "down" {{.*}}moe.expert_layer = 0 : i64
  %up = moe.weight "up" [#moe.view<"m", offset = 0, element = bf16, strides = [24, 6, 1]>] : tensor<3x4x6xbf16>
  %down = moe.weight "down" [#moe.view<"m", offset = 144, element = bf16, strides = [24, 4, 1]>] : tensor<3x6x4xbf16>
  %rows, %offsets = moe.permute %ids {experts = 3} : tensor<?x2xi64> -> tensor<?xi32>, tensor<4xi32>
  // CHECK-DAG: %[[NARROW:.*]] = arith.trunci %[[IDS]] : tensor<?x2xi64> to tensor<?x2xi32>
  // CHECK-DAG: %[[WIDE:.*]] = arith.extf %[[W]] : tensor<?x2xbf16> to tensor<?x2xf32>
  // CHECK: %[[N:.*]] = moe.exchange.begin %[[NARROW]] {layer = 0 : i64, placement = #moe.placement<ranks = 2, experts = {{\[\[}}0], [1], [0, 1]]>}
  // CHECK: %[[R:.*]]:3 = moe.exchange.dispatch ins(%[[X]], %[[WIDE]] : tensor<?x4xbf16>, tensor<?x2xf32>)
  // CHECK: %[[ROWS:.*]], %[[OFFSETS:.*]] = moe.permute %[[R]]#1 {drops, experts = 3 : i64}
  // CHECK: %[[S:.*]] = moe.fused_ffn %[[R]]#0, %[[R]]#2, %[[ROWS]], %[[OFFSETS]] up(%[[UP]] {{.*}}) down(%[[DOWN]] {{.*}}-> tensor<?x4xf32>
  // CHECK: %[[Y:.*]] = moe.exchange.combine ins(%[[S]] : tensor<?x4xf32>)
  // CHECK: arith.truncf %[[Y]] : tensor<?x4xf32> to tensor<?x4xbf16>
  // CHECK-NOT: moe.placement =
  %y = moe.fused_ffn %x, %w, %rows, %offsets up(%up : tensor<3x4x6xbf16>) down(%down : tensor<3x6x4xbf16>)
         {activation = #moe.activation<relu>, moe.placement = #moe.placement<ranks = 2, experts = [[0], [1], [0, 1]]>}
         : tensor<?x4xbf16>, tensor<?x2xbf16>, tensor<?xi32>, tensor<4xi32> -> tensor<?x4xbf16>
  return %y : tensor<?x4xbf16>
}

// Tests that experts without a placement stay as they are.
// CHECK-LABEL: func @elsewhere
// CHECK-NOT: moe.exchange
func.func @elsewhere(%x: tensor<?x4xf32>, %ids: tensor<?x2xi32>, %w: tensor<?x2xf32>, %up: tensor<3x4x6xf32>, %down: tensor<3x6x4xf32>) -> tensor<?x4xf32> {
  %rows, %offsets = moe.permute %ids {experts = 3} : tensor<?x2xi32> -> tensor<?xi32>, tensor<4xi32>
  %y = moe.fused_ffn %x, %w, %rows, %offsets up(%up : tensor<3x4x6xf32>) down(%down : tensor<3x6x4xf32>)
         {activation = #moe.activation<relu>} : tensor<?x4xf32>, tensor<?x2xf32>, tensor<?xi32>, tensor<4xi32> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// Tests that a shared expert is computed while the sums of the others return, wherever it was written, and that what leads to
// the experts stays before them.
// CHECK-LABEL: func @shared
// CHECK: linalg.matmul {{.*}}led
// CHECK: moe.exchange.begin
// CHECK-NOT: linalg.matmul
// CHECK: %[[C:.*]] = moe.exchange.combine {{.*}} {layer = 2 : i64, overlapped}
// CHECK: linalg.matmul {{.*}}before
// CHECK: linalg.matmul {{.*}}behind
// CHECK: %[[Y:.*]] = moe.exchange.wait ins({{.*}}) outs(%[[C]] : tensor<?x4xf32>) {layer = 2 : i64}
// CHECK-NEXT: %[[F:.*]] = tensor.collapse_shape %[[Y]]
// CHECK: linalg.add ins(%{{.*}}, %[[F]]
func.func @shared(%x: tensor<?x4xf32>, %ids: tensor<?x2xi32>, %w: tensor<?x2xf32>, %up: tensor<3x4x6xf32>, %down: tensor<3x6x4xf32>,
                  %m: tensor<4x4xf32>, %e: tensor<?x4xf32>, %f: tensor<?xf32>) -> tensor<?xf32> {
  %led = linalg.matmul {led} ins(%x, %m : tensor<?x4xf32>, tensor<4x4xf32>) outs(%e : tensor<?x4xf32>) -> tensor<?x4xf32>
  %before = linalg.matmul {before} ins(%x, %m : tensor<?x4xf32>, tensor<4x4xf32>) outs(%e : tensor<?x4xf32>) -> tensor<?x4xf32>
  %rows, %offsets = moe.permute %ids {experts = 3} : tensor<?x2xi32> -> tensor<?xi32>, tensor<4xi32>
  %y = moe.fused_ffn %led, %w, %rows, %offsets up(%up : tensor<3x4x6xf32>) down(%down : tensor<3x6x4xf32>)
         {activation = #moe.activation<relu>, moe.placement = #moe.placement<ranks = 2, experts = [[0], [1], [0, 1]]>}
         : tensor<?x4xf32>, tensor<?x2xf32>, tensor<?xi32>, tensor<4xi32> -> tensor<?x4xf32>
  %view = tensor.collapse_shape %y [[0, 1]] : tensor<?x4xf32> into tensor<?xf32>
  %behind = linalg.matmul {behind} ins(%before, %m : tensor<?x4xf32>, tensor<4x4xf32>) outs(%e : tensor<?x4xf32>) -> tensor<?x4xf32>
  %flat = tensor.collapse_shape %behind [[0, 1]] : tensor<?x4xf32> into tensor<?xf32>
  %sum = linalg.add ins(%flat, %view : tensor<?xf32>, tensor<?xf32>) outs(%f : tensor<?xf32>) -> tensor<?xf32>
  return %sum : tensor<?xf32>
}
