// RUN: moe-opt %s -split-input-file -kern-lower-attention -verify-diagnostics

// Tests that the loops ask for buffers.

func.func @tensors(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{expected buffers}}
  %z = kern.attention ins(%x, %x, %x : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>) outs(%x : tensor<?x8xf32>)
         {indexing_maps = [affine_map<(s, t, d, e) -> (s, d)>, affine_map<(s, t, d, e) -> (t, d)>,
                           affine_map<(s, t, d, e) -> (t, e)>, affine_map<(s, t, d, e) -> (s, e)>]} score {
  ^bb0(%p: f32, %s: index, %t: index):
    kern.yield %p : f32
  } -> tensor<?x8xf32>
  return %z : tensor<?x8xf32>
}
