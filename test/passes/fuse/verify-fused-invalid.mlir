// RUN: moe-opt %s --moe-verify-fused -verify-diagnostics

// Tests that level 1 does not pass the gate.

func.func @left_over(%ids: tensor<?x2xi32>, %w: tensor<?x2xf32>) {
  // expected-error @+1 {{expected no '!moe.routing' after the fuse stage}}
  %r = moe.assign %ids, %w : tensor<?x2xi32>, tensor<?x2xf32> -> !moe.routing<?x2 of 8>
  return
}
