// Row i of an input and row j of a buffer: nothing checks that they exist.
func.func @main(%x: tensor<?x3xf32> {moe.name = "x"}, %i: tensor<1xi64> {moe.name = "i"}, %j: tensor<1xi64> {moe.name = "j"})
    -> (tensor<1xf32> {moe.name = "y"}) {
  %c0 = arith.constant 0 : index
  %i64 = tensor.extract %i[%c0] : tensor<1xi64>
  %row = arith.index_cast %i64 : i64 to index
  %a = tensor.extract %x[%row, %c0] : tensor<?x3xf32>
  %ids, %weights, %rows, %offsets = moe.route_permute %x top_k(1)
    : tensor<?x3xf32> -> tensor<?x1xi32>, tensor<?x1xf32>, tensor<?xi32>, tensor<4xi32>
  %j64 = tensor.extract %j[%c0] : tensor<1xi64>
  %assignment = arith.index_cast %j64 : i64 to index
  %b = tensor.extract %weights[%assignment, %c0] : tensor<?x1xf32>
  %sum = arith.addf %a, %b : f32
  %y = tensor.from_elements %sum : tensor<1xf32>
  return %y : tensor<1xf32>
}
