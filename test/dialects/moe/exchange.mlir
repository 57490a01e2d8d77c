// RUN: moe-opt %s --verify-roundtrip | moe-opt | FileCheck %s

// Tests that an exchange of a layer prints as it is read.
// CHECK-LABEL: func @exchange
func.func @exchange(%x: tensor<?x4xbf16>, %ids: tensor<?x2xi32>, %w: tensor<?x2xf32>, %s: tensor<?x4xf32>, %t: index) -> tensor<?x4xf32> {
  // CHECK: %[[N:.*]] = moe.exchange.begin %{{.*}} {layer = 0 : i64, placement = #moe.placement<ranks = 2, experts = {{\[\[}}0], [1], [0, 1]]>} : tensor<?x2xi32>
  %n = moe.exchange.begin %ids {layer = 0 : i64, placement = #moe.placement<ranks = 2, experts = [[0], [1], [0, 1]]>} : tensor<?x2xi32>
  %a = tensor.empty(%n) : tensor<?x4xbf16>
  %b = tensor.empty(%n) : tensor<?x2xi32>
  %c = tensor.empty(%n) : tensor<?x2xf32>
  // CHECK: moe.exchange.dispatch ins(%{{.*}}, %{{.*}} : tensor<?x4xbf16>, tensor<?x2xf32>) outs(%{{.*}}, %{{.*}}, %{{.*}} : tensor<?x4xbf16>, tensor<?x2xi32>, tensor<?x2xf32>) {layer = 0 : i64} -> tensor<?x4xbf16>, tensor<?x2xi32>, tensor<?x2xf32>
  %r:3 = moe.exchange.dispatch ins(%x, %w : tensor<?x4xbf16>, tensor<?x2xf32>)
           outs(%a, %b, %c : tensor<?x4xbf16>, tensor<?x2xi32>, tensor<?x2xf32>) {layer = 0 : i64}
           -> tensor<?x4xbf16>, tensor<?x2xi32>, tensor<?x2xf32>
  %init = tensor.empty(%t) : tensor<?x4xf32>
  // CHECK: moe.exchange.combine ins(%{{.*}} : tensor<?x4xf32>) outs(%{{.*}} : tensor<?x4xf32>) {layer = 0 : i64} -> tensor<?x4xf32>
  %y = moe.exchange.combine ins(%s : tensor<?x4xf32>) outs(%init : tensor<?x4xf32>) {layer = 0 : i64} -> tensor<?x4xf32>
  // CHECK: moe.exchange.combine {{.*}} {layer = 1 : i64, overlapped}
  %c1 = moe.exchange.combine ins(%s : tensor<?x4xf32>) outs(%init : tensor<?x4xf32>) {layer = 1 : i64, overlapped} -> tensor<?x4xf32>
  // CHECK: moe.exchange.wait ins(%{{.*}} : tensor<?x4xf32>) outs(%{{.*}} : tensor<?x4xf32>) {layer = 1 : i64} -> tensor<?x4xf32>
  %z = moe.exchange.wait ins(%s : tensor<?x4xf32>) outs(%c1 : tensor<?x4xf32>) {layer = 1 : i64} -> tensor<?x4xf32>
  // CHECK: moe.exchange.begin {{.*}}exchange = ["gather", 16, "direct"]>
  %m = moe.exchange.begin %ids {layer = 2 : i64, placement = #moe.placement<ranks = 2, experts = [[0]], exchange = ["gather", 16, "direct"]>} : tensor<?x2xi32>
  return %y : tensor<?x4xf32>
}
