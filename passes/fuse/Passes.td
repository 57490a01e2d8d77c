// Passes of the fuse stage.

#ifndef PASSES_FUSE_PASSES_TD
#define PASSES_FUSE_PASSES_TD

include "mlir/Pass/PassBase.td"

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

#endif // PASSES_FUSE_PASSES_TD
