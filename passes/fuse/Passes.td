// Passes of the fuse stage.

#ifndef PASSES_FUSE_PASSES_TD
#define PASSES_FUSE_PASSES_TD

include "mlir/Pass/PassBase.td"

def FuseRoutingPermutation : Pass<"moe-fuse-routing-permutation"> {
  let summary = "fuses each router with the permutation of its tokens";
  let description = [{
    A `moe.route` becomes a `moe.route_permute`, which yields the order by expert together with ids and weights, and a
    `moe.assign` for whoever uses the routing. A router that was kept as ordinary operations (`moe.assign`) cannot be
    merged into the loop nest; its permutation is made by `moe-fuse-experts`.

    *Guarantees*: no `moe.route` is left.

    ```mlir
    func.func @router(%logits: tensor<?x8xf32>) -> !moe.routing<?x2 of 8> {
      %r = moe.route %logits top_k(2) {normalize = #moe.normalize<sum>} : tensor<?x8xf32> -> !moe.routing<?x2 of 8>
      return %r : !moe.routing<?x2 of 8>
    }
    ```
  }];
  let dependentDialects = ["::mlir::moe::MoEDialect"];
}

def FuseExperts : Pass<"moe-fuse-experts"> {
  let summary = "turns the experts of a layer into one grouped operation";
  let description = [{
    A `moe.experts` becomes a `moe.fused_ffn` on the permutation of its routing: that of the `moe.route_permute` which
    yields the ids, or a new `moe.permute` of ids from elsewhere.

    *Preconditions*: `moe-fuse-routing-permutation` has run; routings come from `moe.assign`.
    *Guarantees*: no operation on `!moe.routing` is left.

    ```mlir
    func.func @experts(%x: tensor<?x64xf32>, %ids: tensor<?x2xi64>, %w: tensor<?x2xf32>, %up: tensor<8x64x32xf32>,
                       %down: tensor<8x32x64xf32>) -> tensor<?x64xf32> {
      %r = moe.assign %ids, %w : tensor<?x2xi64>, tensor<?x2xf32> -> !moe.routing<?x2 of 8>
      %y = moe.experts %x, %r up(%up : tensor<8x64x32xf32>) down(%down : tensor<8x32x64xf32>)
             {activation = #moe.activation<relu>} : tensor<?x64xf32>, !moe.routing<?x2 of 8> -> tensor<?x64xf32>
      return %y : tensor<?x64xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::moe::MoEDialect"];
}

def VerifyFused : Pass<"moe-verify-fused"> {
  let summary = "checks that level 1 of the moe dialect is gone";
  let description = [{
    The gate behind the fuse stage: an error for every operation that makes or uses a `!moe.routing`.

    ```mlir
    func.func @nothing_left(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
      return %x : tensor<?x64xf32>
    }
    ```
  }];
}

def ExposeRouting : Pass<"moe-expose-routing", "::mlir::ModuleOp"> {
  let summary = "returns the chosen experts of every router from @main";
  let description = [{
    Adds the expert ids of each `moe.route`, `moe.assign` and `moe.route_permute` in the body of `@main` to its results,
    in the order of the routers, under the names `routing.0`, `routing.1` and so on. It is no part of a pipeline; who
    wants to see what a model chooses runs it between two phases.

    *Preconditions*: a function `@main` with a body.

    *Guarantees*: the other results keep their places.

    ```mlir
    func.func @main(%logits: tensor<?x8xf32>) -> (tensor<?x2xf32> {moe.name = "weights"}) {
      %ids, %weights, %rows, %offsets = moe.route_permute %logits top_k(2)
          : tensor<?x8xf32> -> tensor<?x2xi32>, tensor<?x2xf32>, tensor<?xi32>, tensor<9xi32>
      return %weights : tensor<?x2xf32>  // becomes: return %weights, %ids
    }
    ```
  }];
  let dependentDialects = ["::mlir::moe::MoEDialect"];
}

def FuseAttention : Pass<"moe-fuse-attention"> {
  let summary = "turns softmax of products of queries and keys, times values, into one operation";
  let description = [{
    Looks from each product of matrices back through element-wise operations, reductions and reshapes: where one element
    of its left operand is a softmax over the inner dimension and the scores come from one other product, both products
    and all between them become a `kern.attention`. Scales, masks that are added or select, soft caps, windows and sinks
    are the region of the operation; queries, keys and values are read before transpositions, repetitions for groups of
    heads and widening conversions, and the result is written behind transpositions and a narrowing conversion.

    Numbers between the products are f32 unless the model converts scores; probabilities and sums are not rounded to a
    narrower type, and a factor on queries or keys is applied to the product. What is left of the old operations goes
    with the next canonicalisation.

    *Guarantees*: values of dimensions are followed by what reshapes say about them, so that heads, groups and positions
    are told apart in every order of dimensions; where that only seems to be so, a `cf.assert` checks it; otherwise a
    *missed* remark says what was expected.

    ```mlir
    func.func @attention(%q: tensor<?x64xf32>, %k: tensor<64x?xf32>, %v: tensor<?x32xf32>, %s: tensor<?x?xf32>,
                         %r: tensor<?xf32>, %y: tensor<?x32xf32>) -> tensor<?x32xf32> {
      %zero = arith.constant 0.0 : f32
      %least = arith.constant 0xFF800000 : f32
      %s0 = linalg.fill ins(%zero : f32) outs(%s : tensor<?x?xf32>) -> tensor<?x?xf32>
      %p = linalg.matmul ins(%q, %k : tensor<?x64xf32>, tensor<64x?xf32>) outs(%s0 : tensor<?x?xf32>) -> tensor<?x?xf32>
      %r0 = linalg.fill ins(%least : f32) outs(%r : tensor<?xf32>) -> tensor<?xf32>
      %max = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>],
                             iterator_types = ["parallel", "reduction"]}
          ins(%p : tensor<?x?xf32>) outs(%r0 : tensor<?xf32>) {
      ^bb0(%x: f32, %m: f32):
        %n = arith.maximumf %x, %m : f32
        linalg.yield %n : f32
      } -> tensor<?xf32>
      %e = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>,
                                            affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
          ins(%p, %max : tensor<?x?xf32>, tensor<?xf32>) outs(%s : tensor<?x?xf32>) {
      ^bb0(%x: f32, %m: f32, %o: f32):
        %d = arith.subf %x, %m : f32
        %n = math.exp %d : f32
        linalg.yield %n : f32
      } -> tensor<?x?xf32>
      %r1 = linalg.fill ins(%zero : f32) outs(%r : tensor<?xf32>) -> tensor<?xf32>
      %sum = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>],
                             iterator_types = ["parallel", "reduction"]}
          ins(%e : tensor<?x?xf32>) outs(%r1 : tensor<?xf32>) {
      ^bb0(%x: f32, %m: f32):
        %n = arith.addf %x, %m : f32
        linalg.yield %n : f32
      } -> tensor<?xf32>
      %w = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>,
                                            affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
          ins(%e, %sum : tensor<?x?xf32>, tensor<?xf32>) outs(%s : tensor<?x?xf32>) {
      ^bb0(%x: f32, %m: f32, %o: f32):
        %n = arith.divf %x, %m : f32
        linalg.yield %n : f32
      } -> tensor<?x?xf32>
      %y0 = linalg.fill ins(%zero : f32) outs(%y : tensor<?x32xf32>) -> tensor<?x32xf32>
      %z = linalg.matmul ins(%w, %v : tensor<?x?xf32>, tensor<?x32xf32>) outs(%y0 : tensor<?x32xf32>) -> tensor<?x32xf32>
      return %z : tensor<?x32xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::cf::ControlFlowDialect", "::mlir::kern::KernDialect",
                           "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

def FuseElementwise : Pass<"moe-fuse-elementwise"> {
  let summary = "makes one loop nest of each chain of element-wise operations";
  let description = [{
    Fuses element-wise `linalg.generic` operations with their producers and moves reshapes out of their way. Unlike
    `linalg-fuse-elementwise-ops` it leaves products of matrices alone, since a product with a reshape in it is no longer
    one that kernels know.

    ```mlir
    func.func @main(%x: tensor<2x3x8xf32>, %w: tensor<8x4xf32>, %init: tensor<6x4xf32>) -> tensor<6x4xf32> {
      %rows = tensor.collapse_shape %x [[0, 1], [2]] : tensor<2x3x8xf32> into tensor<6x8xf32>
      %y = linalg.matmul ins(%rows, %w : tensor<6x8xf32>, tensor<8x4xf32>) outs(%init : tensor<6x4xf32>)
             -> tensor<6x4xf32>
      return %y : tensor<6x4xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

#endif // PASSES_FUSE_PASSES_TD
