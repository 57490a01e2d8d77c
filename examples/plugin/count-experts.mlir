// The input of the commands in README.md.
func.func @block(%x: tensor<?x64xf32>, %weights: tensor<?x2xf32>, %rows: tensor<?xi32>, %offsets: tensor<9xi32>,
                 %gate: tensor<8x64x32xf32>, %up: tensor<8x64x32xf32>, %down: tensor<8x32x64xf32>) -> tensor<?x64xf32> {
  %y = moe.fused_ffn %x, %weights, %rows, %offsets gate(%gate : tensor<8x64x32xf32>) up(%up : tensor<8x64x32xf32>)
         down(%down : tensor<8x32x64xf32>) {activation = #moe.activation<silu>}
         : tensor<?x64xf32>, tensor<?x2xf32>, tensor<?xi32>, tensor<9xi32> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
