// RUN: moe-opt %s -split-input-file -verify-diagnostics

// Tests what placements and exchanges must not be.

// placement_c1
// expected-error @+1 {{expected at least one rank and one expert, got 0 and 1}}
#none = #moe.placement<ranks = 0, experts = [[0]]>

// -----

// expected-error @+1 {{expected a list of ranks for expert 1, got []}}
#empty = #moe.placement<ranks = 2, experts = [[0], []]>

// -----

// placement_c2
// expected-error @+1 {{expected a rank below 2 for expert 0, got 2}}
#beyond = #moe.placement<ranks = 2, experts = [[2]]>

// -----

// exchange_begin_c1
func.func @slots(%ids: tensor<?x?xi32>) {
  // expected-error @+1 {{expected a known number of slots}}
  %n = moe.exchange.begin %ids {layer = 0 : i64, placement = #moe.placement<ranks = 1, experts = [[0]]>} : tensor<?x?xi32>
  return
}

// -----

// exchange_dispatch_c1
func.func @two(%x: memref<?x4xf32>, %w: memref<?x2xf32>, %b: memref<?x2xi32>) {
  // expected-error @+1 {{expected three buffers to write to, got 2}}
  moe.exchange.dispatch ins(%x, %w : memref<?x4xf32>, memref<?x2xf32>) outs(%x, %b : memref<?x4xf32>, memref<?x2xi32>) {layer = 0 : i64}
  return
}

// -----

func.func @types(%x: memref<?x4xbf16>, %w: memref<?x2xf32>, %a: memref<?x4xf32>, %b: memref<?x2xi32>) {
  // expected-error @+1 {{expected numbers of type 'bf16' in output 0, got 'f32'}}
  moe.exchange.dispatch ins(%x, %w : memref<?x4xbf16>, memref<?x2xf32>)
    outs(%a, %b, %w : memref<?x4xf32>, memref<?x2xi32>, memref<?x2xf32>) {layer = 0 : i64}
  return
}

// -----

func.func @widths(%x: memref<?x4xf32>, %w: memref<?x2xf32>, %b: memref<?x3xi32>) {
  // expected-error @+1 {{width}}
  moe.exchange.dispatch ins(%x, %w : memref<?x4xf32>, memref<?x2xf32>)
    outs(%x, %b, %w : memref<?x4xf32>, memref<?x3xi32>, memref<?x2xf32>) {layer = 0 : i64}
  return
}

// -----

// exchange_combine_c1
func.func @sums(%s: memref<?x4xf32>, %y: memref<?x5xf32>) {
  // expected-error @+1 {{width}}
  moe.exchange.combine ins(%s : memref<?x4xf32>) outs(%y : memref<?x5xf32>) {layer = 0 : i64}
  return
}

// -----

// exchange_wait_c1
func.func @waits(%s: memref<?x4xf32>, %y: memref<?x5xf32>) {
  // expected-error @+1 {{width}}
  moe.exchange.wait ins(%s : memref<?x4xf32>) outs(%y : memref<?x5xf32>) {layer = 0 : i64}
  return
}

// -----

// placement_c3
// expected-error @+1 {{expected gather, direct or two_level in the exchange, got "mail"}}
#unknown = #moe.placement<ranks = 2, experts = [[0]], exchange = ["mail"]>

// -----

// expected-error @+1 {{expected a number above the one before in the exchange, got 4}}
#falling = #moe.placement<ranks = 2, experts = [[0]], exchange = ["gather", 8, "direct", 4, "gather"]>

// -----

// expected-error @+1 {{expected an exchange that ends with the name of an algorithm}}
#open = #moe.placement<ranks = 2, experts = [[0]], exchange = ["gather", 8]>
