// RUN: moe-opt %s | moe-opt | FileCheck %s
// RUN: moe-opt %s -one-shot-bufferize="bufferize-function-boundaries" | FileCheck %s --check-prefix=BUFFER

// Tests that attention prints and parses, and that on buffers it writes where its destination is and reads what its region
// captures.

#q = affine_map<(g, r, s, t, d, e) -> (s, g, r, d)>
#k = affine_map<(g, r, s, t, d, e) -> (g, t, d)>
#v = affine_map<(g, r, s, t, d, e) -> (g, t, e)>
#y = affine_map<(g, r, s, t, d, e) -> (s, g, r, e)>

// CHECK-LABEL: func @attention
// BUFFER-LABEL: func @attention
// BUFFER-SAME: %[[MASK:[^:]*]]: memref<?x?xf32, {{[^)]*}}) -> memref
func.func @attention(%q: tensor<?x2x4x64xf32>, %k: tensor<2x?x64xf16>, %v: tensor<2x?x32xf16>, %n: index,
                     %mask: tensor<?x?xf32>) -> tensor<?x2x4x32xf32> {
  // BUFFER: %[[RESULT:.*]] = memref.alloc(%{{.*}}) {{.*}} : memref<?x2x4x32xf32>
  %init = tensor.empty(%n) : tensor<?x2x4x32xf32>
  // CHECK: kern.attention ins(%{{.*}}, %{{.*}}, %{{.*}} : tensor<?x2x4x64xf32>, tensor<2x?x64xf16>, tensor<2x?x32xf16>)
  // CHECK-SAME: outs(%{{.*}} : tensor<?x2x4x32xf32>)
  // CHECK-SAME: masked_is_zero
  // CHECK: ^bb0(%{{.*}}: f32, %{{.*}}: index, %{{.*}}: index, %{{.*}}: index, %{{.*}}: index):
  // CHECK: kern.yield %{{.*}} : f32
  // BUFFER: kern.attention {{.*}} outs(%[[RESULT]] : memref<?x2x4x32xf32>)
  // BUFFER: memref.load %[[MASK]]
  // BUFFER-NOT: memref.copy
  // BUFFER: return %[[RESULT]]
  %z = kern.attention ins(%q, %k, %v : tensor<?x2x4x64xf32>, tensor<2x?x64xf16>, tensor<2x?x32xf16>)
         outs(%init : tensor<?x2x4x32xf32>) {indexing_maps = [#q, #k, #v, #y], masked_is_zero} score {
  ^bb0(%p: f32, %g: index, %r: index, %s: index, %t: index):
    %m = tensor.extract %mask[%s, %t] : tensor<?x?xf32>
    %x = arith.addf %p, %m : f32
    kern.yield %x : f32
  } -> tensor<?x2x4x32xf32>
  return %z : tensor<?x2x4x32xf32>
}

// Tests that a score may come with a sink.

// CHECK-LABEL: func @sink
func.func @sink(%q: tensor<?x8xf32>, %k: tensor<?x8xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK: kern.yield %{{.*}}, %{{.*}} : f32, f32
  %z = kern.attention ins(%q, %k, %k : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>)
         outs(%init : tensor<?x8xf32>)
         {indexing_maps = [affine_map<(s, t, d, e) -> (s, d)>, affine_map<(s, t, d, e) -> (t, d)>,
                           affine_map<(s, t, d, e) -> (t, e)>, affine_map<(s, t, d, e) -> (s, e)>]} score {
  ^bb0(%p: f32, %s: index, %t: index):
    %one = arith.constant 1.0 : f32
    kern.yield %p, %one : f32, f32
  } -> tensor<?x8xf32>
  return %z : tensor<?x8xf32>
}
