// RUN: moe-opt %s -split-input-file -verify-diagnostics

#q = affine_map<(s, t, d, e) -> (s, d)>
#k = affine_map<(s, t, d, e) -> (t, d)>
#v = affine_map<(s, t, d, e) -> (t, e)>
#y = affine_map<(s, t, d, e) -> (s, e)>

// Tests that there is a map for each operand.

func.func @maps(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{expected 4 indexing maps, got 3}}
  %z = kern.attention ins(%x, %x, %x : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>) outs(%x : tensor<?x8xf32>)
         {indexing_maps = [#q, #k, #v]} score {
  ^bb0(%p: f32, %s: index, %t: index):
    kern.yield %p : f32
  } -> tensor<?x8xf32>
  return %z : tensor<?x8xf32>
}

// -----

#q = affine_map<(s, t, d, e) -> (s, d)>
#k = affine_map<(s, t, d, e) -> (t, d)>
#v = affine_map<(s, t, d, e) -> (t, e)>
#y = affine_map<(s, t, d, e) -> (s, e)>

// Tests that extents of one dimension agree.

func.func @extents(%x: tensor<?x8xf32>, %w: tensor<?x9xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{expected extent 8, got 9 in 'tensor<?x9xf32>'}}
  %z = kern.attention ins(%x, %w, %x : tensor<?x8xf32>, tensor<?x9xf32>, tensor<?x8xf32>) outs(%x : tensor<?x8xf32>)
         {indexing_maps = [#q, #k, #v, #y]} score {
  ^bb0(%p: f32, %s: index, %t: index):
    kern.yield %p : f32
  } -> tensor<?x8xf32>
  return %z : tensor<?x8xf32>
}

// -----

#k = affine_map<(s, t, d, e) -> (t, d)>
#v = affine_map<(s, t, d, e) -> (t, e)>
#y = affine_map<(s, t, d, e) -> (s, e)>

// Tests that each dimension has a class: here the queries depend on the keys.

func.func @classes(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{expected batch, row, one key, one depth and one column dimension}}
  %z = kern.attention ins(%x, %x, %x : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>) outs(%x : tensor<?x8xf32>)
         {indexing_maps = [#k, #k, #v, #y]} score {
  ^bb0(%p: f32, %s: index, %t: index):
    kern.yield %p : f32
  } -> tensor<?x8xf32>
  return %z : tensor<?x8xf32>
}

// -----

#q = affine_map<(s, t, d, e) -> (s, d)>
#k = affine_map<(s, t, d, e) -> (t, d)>
#v = affine_map<(s, t, d, e) -> (t, e)>
#y = affine_map<(s, t, d, e) -> (s, e)>

// Tests that head sizes are known.

func.func @sizes(%x: tensor<?x?xf32>, %w: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{expected static extents of depth and columns}}
  %z = kern.attention ins(%x, %x, %w : tensor<?x?xf32>, tensor<?x?xf32>, tensor<?x8xf32>) outs(%w : tensor<?x8xf32>)
         {indexing_maps = [#q, #k, #v, #y]} score {
  ^bb0(%p: f32, %s: index, %t: index):
    kern.yield %p : f32
  } -> tensor<?x8xf32>
  return %z : tensor<?x8xf32>
}

// -----

#q = affine_map<(s, t, d, e) -> (s, d)>
#k = affine_map<(s, t, d, e) -> (t, d)>
#v = affine_map<(s, t, d, e) -> (t, e)>
#y = affine_map<(s, t, d, e) -> (s, e)>

// Tests that the region has an index for each row and key dimension.

func.func @region(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{expected a region with one f32 and 2 indices, got 'f32', 'index'}}
  %z = kern.attention ins(%x, %x, %x : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>) outs(%x : tensor<?x8xf32>)
         {indexing_maps = [#q, #k, #v, #y]} score {
  ^bb0(%p: f32, %s: index):
    kern.yield %p : f32
  } -> tensor<?x8xf32>
  return %z : tensor<?x8xf32>
}
