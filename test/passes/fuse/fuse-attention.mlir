// RUN: moe-opt %s -moe-fuse-attention -canonicalize -cse | FileCheck %s

#ij = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i, j) -> (i)>
#bhij = affine_map<(b, h, i, j) -> (b, h, i, j)>
#bhi = affine_map<(b, h, i, j) -> (b, h, i)>
#ij4 = affine_map<(b, h, i, j) -> (i, j)>
#group = affine_map<(g, r, t, d) -> (g, t, d)>
#repeat = affine_map<(g, r, t, d) -> (g, r, t, d)>

// Tests that both products and the softmax between them become one operation, and that a factor on the keys is applied to
// the product.

// CHECK-LABEL: func @plain
// CHECK-SAME: %[[Q:[^:]*]]: tensor<?x64xf32>, %[[K:[^:]*]]: tensor<64x?xf32>, %[[V:[^:]*]]: tensor<?x32xf32>
func.func @plain(%q: tensor<?x64xf32>, %k: tensor<64x?xf32>, %v: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %least = arith.constant 0xFF800000 : f32
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 0.5 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %s = tensor.dim %q, %c0 : tensor<?x64xf32>
  %t = tensor.dim %k, %c1 : tensor<64x?xf32>
  %turned = tensor.empty(%t) : tensor<64x?xf32>
  %scaled = linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%k : tensor<64x?xf32>) outs(%turned : tensor<64x?xf32>) {
  ^bb0(%a: f32, %o: f32):
    %c = arith.mulf %a, %half : f32
    linalg.yield %c : f32
  } -> tensor<64x?xf32>
  %scores = tensor.empty(%s, %t) : tensor<?x?xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%scores : tensor<?x?xf32>) -> tensor<?x?xf32>
  %x = linalg.matmul ins(%q, %scaled : tensor<?x64xf32>, tensor<64x?xf32>) outs(%s0 : tensor<?x?xf32>) -> tensor<?x?xf32>
  %r = tensor.empty(%s) : tensor<?xf32>
  %r0 = linalg.fill ins(%least : f32) outs(%r : tensor<?xf32>) -> tensor<?xf32>
  %max = linalg.generic {indexing_maps = [#ij, #i], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<?x?xf32>) outs(%r0 : tensor<?xf32>) {
  ^bb0(%a: f32, %b: f32):
    %c = arith.maximumf %a, %b : f32
    linalg.yield %c : f32
  } -> tensor<?xf32>
  %e = linalg.generic {indexing_maps = [#ij, #i, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x, %max : tensor<?x?xf32>, tensor<?xf32>) outs(%scores : tensor<?x?xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %c = arith.subf %a, %b : f32
    %d = math.exp %c : f32
    linalg.yield %d : f32
  } -> tensor<?x?xf32>
  %r1 = linalg.fill ins(%zero : f32) outs(%r : tensor<?xf32>) -> tensor<?xf32>
  %sum = linalg.generic {indexing_maps = [#ij, #i], iterator_types = ["parallel", "reduction"]}
      ins(%e : tensor<?x?xf32>) outs(%r1 : tensor<?xf32>) {
  ^bb0(%a: f32, %b: f32):
    %c = arith.addf %a, %b : f32
    linalg.yield %c : f32
  } -> tensor<?xf32>
  %w = linalg.generic {indexing_maps = [#ij, #i, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%e, %sum : tensor<?x?xf32>, tensor<?xf32>) outs(%scores : tensor<?x?xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %c = arith.divf %a, %b : f32
    linalg.yield %c : f32
  } -> tensor<?x?xf32>
  // CHECK-NOT: linalg.matmul
  // CHECK: %[[Y:.*]] = kern.attention ins(%[[Q]], %[[K]], %[[V]] :
  // CHECK-NEXT: ^bb0(%[[P:.*]]: f32, %{{.*}}: index, %{{.*}}: index):
  // CHECK-NEXT: %[[X:.*]] = arith.mulf %[[P]], %{{.*}} : f32
  // CHECK-NEXT: kern.yield %[[X]] : f32
  // CHECK: return %[[Y]]
  %y = tensor.empty(%s) : tensor<?x32xf32>
  %y0 = linalg.fill ins(%zero : f32) outs(%y : tensor<?x32xf32>) -> tensor<?x32xf32>
  %z = linalg.matmul ins(%w, %v : tensor<?x?xf32>, tensor<?x32xf32>) outs(%y0 : tensor<?x32xf32>) -> tensor<?x32xf32>
  return %z : tensor<?x32xf32>
}

// Tests that heads are told apart from the batch through reshapes, that keys and values are read before they are repeated
// for groups of heads, the result written behind its transposition, and a mask read in the region.

// CHECK-LABEL: func @grouped
// CHECK-SAME: %[[Q:[^:]*]]: tensor<1x?x8x64xf32>, %[[K:[^:]*]]: tensor<2x?x64xf16>, %[[V:[^:]*]]: tensor<2x?x64xf16>,
// CHECK-SAME: %[[MASK:[^:]*]]: tensor<?x?xf32>
func.func @grouped(%q: tensor<1x?x8x64xf32>, %k: tensor<2x?x64xf16>, %v: tensor<2x?x64xf16>, %mask: tensor<?x?xf32>)
    -> tensor<?x512xf32> {
  %least = arith.constant 0xFF800000 : f32
  %zero = arith.constant 0.0 : f32
  %c1 = arith.constant 1 : index
  %s = tensor.dim %q, %c1 : tensor<1x?x8x64xf32>
  %t = tensor.dim %k, %c1 : tensor<2x?x64xf16>
  // CHECK: %[[VIEW:.*]] = tensor.expand_shape %[[Q]] {{\[\[}}0], [1], [2, 3], [4]] {{.*}} into tensor<1x?x2x4x64xf32>
  %turned = tensor.empty(%s) : tensor<1x8x?x64xf32>
  %qt = linalg.transpose ins(%q : tensor<1x?x8x64xf32>) outs(%turned : tensor<1x8x?x64xf32>) permutation = [0, 2, 1, 3]
  %rows = tensor.collapse_shape %qt [[0, 1], [2], [3]] : tensor<1x8x?x64xf32> into tensor<8x?x64xf32>
  %many = tensor.empty(%t) : tensor<2x4x?x64xf32>
  %ks = linalg.generic {indexing_maps = [#group, #repeat], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%k : tensor<2x?x64xf16>) outs(%many : tensor<2x4x?x64xf32>) {
  ^bb0(%a: f16, %o: f32):
    %c = arith.extf %a : f16 to f32
    linalg.yield %c : f32
  } -> tensor<2x4x?x64xf32>
  %vs = linalg.generic {indexing_maps = [#group, #repeat], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%v : tensor<2x?x64xf16>) outs(%many : tensor<2x4x?x64xf32>) {
  ^bb0(%a: f16, %o: f32):
    %c = arith.extf %a : f16 to f32
    linalg.yield %c : f32
  } -> tensor<2x4x?x64xf32>
  %kr = tensor.collapse_shape %ks [[0, 1], [2], [3]] : tensor<2x4x?x64xf32> into tensor<8x?x64xf32>
  %vr = tensor.collapse_shape %vs [[0, 1], [2], [3]] : tensor<2x4x?x64xf32> into tensor<8x?x64xf32>
  %ke = tensor.empty(%t) : tensor<8x64x?xf32>
  %kt = linalg.transpose ins(%kr : tensor<8x?x64xf32>) outs(%ke : tensor<8x64x?xf32>) permutation = [0, 2, 1]
  %pe = tensor.empty(%s, %t) : tensor<8x?x?xf32>
  %p0 = linalg.fill ins(%zero : f32) outs(%pe : tensor<8x?x?xf32>) -> tensor<8x?x?xf32>
  %p = linalg.batch_matmul ins(%rows, %kt : tensor<8x?x64xf32>, tensor<8x64x?xf32>) outs(%p0 : tensor<8x?x?xf32>)
         -> tensor<8x?x?xf32>
  %px = tensor.expand_shape %p [[0, 1], [2], [3]] output_shape [1, 8, %s, %t] : tensor<8x?x?xf32> into tensor<1x8x?x?xf32>
  %scores = tensor.empty(%s, %t) : tensor<1x8x?x?xf32>
  %x = linalg.generic {indexing_maps = [#bhij, #ij4, #bhij], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%px, %mask : tensor<1x8x?x?xf32>, tensor<?x?xf32>) outs(%scores : tensor<1x8x?x?xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %c = arith.addf %a, %b : f32
    linalg.yield %c : f32
  } -> tensor<1x8x?x?xf32>
  %r = tensor.empty(%s) : tensor<1x8x?xf32>
  %r0 = linalg.fill ins(%least : f32) outs(%r : tensor<1x8x?xf32>) -> tensor<1x8x?xf32>
  %max = linalg.generic {indexing_maps = [#bhij, #bhi], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%x : tensor<1x8x?x?xf32>) outs(%r0 : tensor<1x8x?xf32>) {
  ^bb0(%a: f32, %b: f32):
    %c = arith.maximumf %a, %b : f32
    linalg.yield %c : f32
  } -> tensor<1x8x?xf32>
  %e = linalg.generic {indexing_maps = [#bhij, #bhi, #bhij], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%x, %max : tensor<1x8x?x?xf32>, tensor<1x8x?xf32>) outs(%scores : tensor<1x8x?x?xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %c = arith.subf %a, %b : f32
    %d = math.exp %c : f32
    linalg.yield %d : f32
  } -> tensor<1x8x?x?xf32>
  %r1 = linalg.fill ins(%zero : f32) outs(%r : tensor<1x8x?xf32>) -> tensor<1x8x?xf32>
  %sum = linalg.generic {indexing_maps = [#bhij, #bhi], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%e : tensor<1x8x?x?xf32>) outs(%r1 : tensor<1x8x?xf32>) {
  ^bb0(%a: f32, %b: f32):
    %c = arith.addf %a, %b : f32
    linalg.yield %c : f32
  } -> tensor<1x8x?xf32>
  %w = linalg.generic {indexing_maps = [#bhij, #bhi, #bhij], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%e, %sum : tensor<1x8x?x?xf32>, tensor<1x8x?xf32>) outs(%scores : tensor<1x8x?x?xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %c = arith.divf %a, %b : f32
    linalg.yield %c : f32
  } -> tensor<1x8x?x?xf32>
  // CHECK-NOT: linalg.
  // CHECK: %[[Y:.*]] = kern.attention ins(%[[VIEW]], %[[K]], %[[V]] : tensor<1x?x2x4x64xf32>, tensor<2x?x64xf16>,
  // CHECK-SAME: outs(%{{.*}} : tensor<?x2x4x64xf32>)
  // CHECK-NEXT: ^bb0(%[[P:.*]]: f32, %{{.*}}: index, %{{.*}}: index, %[[S:.*]]: index, %[[T:.*]]: index):
  // CHECK: %[[M:.*]] = tensor.extract %[[MASK]][%[[S]], %[[T]]]
  // CHECK: arith.addf %[[P]], %[[M]]
  // CHECK: %[[ROWS:.*]] = tensor.collapse_shape %[[Y]] {{\[\[}}0], [1, 2, 3]]
  // CHECK: return %[[ROWS]]
  %wr = tensor.collapse_shape %w [[0, 1], [2], [3]] : tensor<1x8x?x?xf32> into tensor<8x?x?xf32>
  %ye = tensor.empty(%s) : tensor<8x?x64xf32>
  %y0 = linalg.fill ins(%zero : f32) outs(%ye : tensor<8x?x64xf32>) -> tensor<8x?x64xf32>
  %y = linalg.batch_matmul ins(%wr, %vr : tensor<8x?x?xf32>, tensor<8x?x64xf32>) outs(%y0 : tensor<8x?x64xf32>)
         -> tensor<8x?x64xf32>
  %he = tensor.empty(%s) : tensor<?x8x64xf32>
  %h = linalg.transpose ins(%y : tensor<8x?x64xf32>) outs(%he : tensor<?x8x64xf32>) permutation = [1, 0, 2]
  %z = tensor.collapse_shape %h [[0], [1, 2]] : tensor<?x8x64xf32> into tensor<?x512xf32>
  return %z : tensor<?x512xf32>
}

// Tests that a softmax over something else than the keys is left alone.

// CHECK-LABEL: func @other_sum
// CHECK-NOT: kern.attention
// CHECK: linalg.matmul
// CHECK: linalg.matmul
func.func @other_sum(%q: tensor<?x64xf32>, %k: tensor<64x?xf32>, %v: tensor<?x32xf32>, %other: tensor<?x?xf32>)
    -> tensor<?x32xf32> {
  %least = arith.constant 0xFF800000 : f32
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %s = tensor.dim %q, %c0 : tensor<?x64xf32>
  %t = tensor.dim %k, %c1 : tensor<64x?xf32>
  %scores = tensor.empty(%s, %t) : tensor<?x?xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%scores : tensor<?x?xf32>) -> tensor<?x?xf32>
  %x = linalg.matmul ins(%q, %k : tensor<?x64xf32>, tensor<64x?xf32>) outs(%s0 : tensor<?x?xf32>) -> tensor<?x?xf32>
  %r = tensor.empty(%s) : tensor<?xf32>
  %r0 = linalg.fill ins(%least : f32) outs(%r : tensor<?xf32>) -> tensor<?xf32>
  %max = linalg.generic {indexing_maps = [#ij, #i], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<?x?xf32>) outs(%r0 : tensor<?xf32>) {
  ^bb0(%a: f32, %b: f32):
    %c = arith.maximumf %a, %b : f32
    linalg.yield %c : f32
  } -> tensor<?xf32>
  %e = linalg.generic {indexing_maps = [#ij, #i, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x, %max : tensor<?x?xf32>, tensor<?xf32>) outs(%scores : tensor<?x?xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %c = arith.subf %a, %b : f32
    %d = math.exp %c : f32
    linalg.yield %d : f32
  } -> tensor<?x?xf32>
  %r1 = linalg.fill ins(%zero : f32) outs(%r : tensor<?xf32>) -> tensor<?xf32>
  %sum = linalg.generic {indexing_maps = [#ij, #i], iterator_types = ["parallel", "reduction"]}
      ins(%other : tensor<?x?xf32>) outs(%r1 : tensor<?xf32>) {
  ^bb0(%a: f32, %b: f32):
    %c = arith.addf %a, %b : f32
    linalg.yield %c : f32
  } -> tensor<?xf32>
  %w = linalg.generic {indexing_maps = [#ij, #i, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%e, %sum : tensor<?x?xf32>, tensor<?xf32>) outs(%scores : tensor<?x?xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %c = arith.divf %a, %b : f32
    linalg.yield %c : f32
  } -> tensor<?x?xf32>
  %y = tensor.empty(%s) : tensor<?x32xf32>
  %y0 = linalg.fill ins(%zero : f32) outs(%y : tensor<?x32xf32>) -> tensor<?x32xf32>
  %z = linalg.matmul ins(%w, %v : tensor<?x?xf32>, tensor<?x32xf32>) outs(%y0 : tensor<?x32xf32>) -> tensor<?x32xf32>
  return %z : tensor<?x32xf32>
}
