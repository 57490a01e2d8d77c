// RUN: moe-opt %s --moe-fuse-experts -verify-diagnostics

// Tests that experts need a routing with known ids.

func.func @routing_from_outside(%x: tensor<?x4xf32>, %r: !moe.routing<?x2 of 8>, %up: tensor<8x4x6xf32>, %down: tensor<8x6x4xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{expected a routing from 'moe.assign' at this stage}}
  %y = moe.experts %x, %r up(%up : tensor<8x4x6xf32>) down(%down : tensor<8x6x4xf32>) {activation = #moe.activation<relu>}
         : tensor<?x4xf32>, !moe.routing<?x2 of 8> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
