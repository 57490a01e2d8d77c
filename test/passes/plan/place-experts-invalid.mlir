// RUN: moe-opt %s --moe-place-experts -split-input-file -verify-diagnostics

// Tests that what cannot be placed is an error at the layer.

func.func @count(%x: tensor<?x4xf32>, %ids: tensor<?x2xi32>, %w: tensor<?x2xf32>, %up: tensor<3x4x6xf32>, %down: tensor<3x6x4xf32>) -> tensor<?x4xf32> {
  %rows, %offsets = moe.permute %ids {experts = 3} : tensor<?x2xi32> -> tensor<?xi32>, tensor<4xi32>
  // expected-error @+1 {{expected a place for each of 3 experts, got 2}}
  %y = moe.fused_ffn %x, %w, %rows, %offsets up(%up : tensor<3x4x6xf32>) down(%down : tensor<3x6x4xf32>)
         {activation = #moe.activation<relu>, moe.placement = #moe.placement<ranks = 2, experts = [[0], [1]]>}
         : tensor<?x4xf32>, tensor<?x2xf32>, tensor<?xi32>, tensor<4xi32> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @order(%x: tensor<?x4xf32>, %rows: tensor<?xi32>, %offsets: tensor<4xi32>, %w: tensor<?x2xf32>, %up: tensor<3x4x6xf32>, %down: tensor<3x6x4xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{expected rows in the order of moe.permute or moe.route_permute, which tells the experts of a token}}
  %y = moe.fused_ffn %x, %w, %rows, %offsets up(%up : tensor<3x4x6xf32>) down(%down : tensor<3x6x4xf32>)
         {activation = #moe.activation<relu>, moe.placement = #moe.placement<ranks = 2, experts = [[0], [1], [0]]>}
         : tensor<?x4xf32>, tensor<?x2xf32>, tensor<?xi32>, tensor<4xi32> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
