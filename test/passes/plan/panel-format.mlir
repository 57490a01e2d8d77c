// RUN: moe-opt %s -moe-lower-to-kern | FileCheck %s --check-prefixes=CHECK,KEEP
// RUN: moe-opt %s -moe-lower-to-kern=weights=bf16 | FileCheck %s --check-prefixes=CHECK,BF16
// RUN: moe-opt %s -moe-lower-to-kern=weights=int8 | FileCheck %s --check-prefixes=CHECK,INT8
// RUN: moe-opt %s -moe-lower-to-kern=weights=int4 -moe-plan-weights | FileCheck %s --check-prefix=INT4
// RUN: moe-opt %s -moe-lower-to-kern="weights=int8 activations=int8" | FileCheck %s --check-prefix=BYTES
// RUN: moe-opt %s -moe-lower-to-kern=activations=model | FileCheck %s --check-prefix=MODEL
// RUN: not moe-opt %s -moe-lower-to-kern=weights=int3 2>&1 | FileCheck %s --check-prefix=ERROR

// ERROR: error: expected weights keep, bf16, int8 or int4 and activations keep, model or int8, got 'int3' and 'keep'

// Tests that floats of the file become what the option says, and that a short matrix has a short group.

// INT4: kern.segment @floats{{.*}} "floats" {offset = 0 : i64, packed = #kern.packed<columns = 16, depth = 8, quantized = <numbers = i4, group = 32, scales = bf16>>, {{.*}} : tensor<2x10x16x18xi8>

// CHECK-LABEL: func @floats
func.func @floats(%x: tensor<?x320xf32>, %y: tensor<?x40xf32>, %i: tensor<?x20xf32>, %j: tensor<?x20xf32>)
    -> (tensor<?x20xf32>, tensor<?x20xf32>) {
  %w = moe.weight "floats" [#moe.view<"m", offset = 0, element = f32, strides = [20, 1]>] : tensor<320x20xf32>
  %v = moe.weight "short" [#moe.view<"m", offset = 65536, element = f16, strides = [20, 1]>] : tensor<40x20xf32>
  // KEEP: kern.pack {{.*}} -> tensor<2x320x16x1xf32>
  // BF16: kern.pack {{.*}} layout <columns = 16, depth = 2> -> tensor<2x160x16x2xbf16>
  // INT8: kern.pack {{.*}} quantized = <numbers = i8, group = 128, scales = bf16>> -> tensor<2x3x16x130xi8>
  // INT8: kern.panel_gemm {{.*}} {quantized = #kern.quantized<numbers = i8, group = 128, scales = bf16>}
  %a = linalg.matmul ins(%x, %w : tensor<?x320xf32>, tensor<320x20xf32>) outs(%i : tensor<?x20xf32>) -> tensor<?x20xf32>
  // INT8: kern.pack {{.*}} quantized = <numbers = i8, group = 40, scales = bf16>> -> tensor<2x1x16x42xi8>
  %b = linalg.matmul ins(%y, %v : tensor<?x40xf32>, tensor<40x20xf32>) outs(%j : tensor<?x20xf32>) -> tensor<?x20xf32>
  return %a, %b : tensor<?x20xf32>, tensor<?x20xf32>
}

// Tests that what the file has quantised stays so, whatever the option says.

// CHECK-LABEL: func @stored
func.func @stored(%x: tensor<?x64xf32>, %init: tensor<?x20xf32>) -> tensor<?x20xf32> {
  // Symmetric numbers of four bits with a scale of f16 for 32 rows.
  %w = moe.weight "w" [#moe.view<"m", offset = 0, element = ui4, strides = [1, 64], zero_point = 8,
         scales = [#moe.view<"m", offset = 640, element = f16, strides = [1, 2], blocks = [32, 1]>]>] : tensor<64x20xf32>
  // CHECK: quantized = <numbers = i4, group = 32, scales = f16>> -> tensor<2x2x16x18xi8>
  %a = linalg.matmul ins(%x, %w : tensor<?x64xf32>, tensor<64x20xf32>) outs(%init : tensor<?x20xf32>) -> tensor<?x20xf32>
  // Two bits with zero points, and a scale for each column.
  %v = moe.weight "v" [#moe.view<"m", offset = 0, element = ui2, strides = [1, 64],
         zero_points = #moe.view<"m", offset = 640, element = ui2, strides = [0, 1]>,
         scales = [#moe.view<"m", offset = 648, element = f32, strides = [0, 1]>]>] : tensor<64x20xf32>
  // CHECK: quantized = <numbers = ui4, group = 64, scales = f32>> -> tensor<2x1x16x37xi8>
  %b = linalg.matmul ins(%x, %v : tensor<?x64xf32>, tensor<64x20xf32>) outs(%a : tensor<?x20xf32>) -> tensor<?x20xf32>
  // Signed bytes, and zero points that are no middle.
  %u = moe.weight "u" [#moe.view<"m", offset = 0, element = i8, strides = [20, 1], zero_point = 5, scale = 0.5>] : tensor<64x20xf32>
  // CHECK: quantized = <numbers = ui8, group = 64, scales = f32>> -> tensor<2x1x16x69xi8>
  %c = linalg.matmul ins(%x, %u : tensor<?x64xf32>, tensor<64x20xf32>) outs(%b : tensor<?x20xf32>) -> tensor<?x20xf32>
  // Narrow floats with powers of two.
  %t = moe.weight "t" [#moe.view<"m", offset = 0, element = f4E2M1FN, strides = [20, 1],
         scales = [#moe.view<"m", offset = 640, element = f8E8M0FNU, strides = [1, 2], blocks = [32, 1]>]>] : tensor<64x20xf32>
  // CHECK: quantized = <numbers = f4E2M1FN, group = 32, scales = bf16>> -> tensor<2x2x16x18xi8>
  %d = linalg.matmul ins(%x, %t : tensor<?x64xf32>, tensor<64x20xf32>) outs(%c : tensor<?x20xf32>) -> tensor<?x20xf32>
  // Blocks of 48 rows: 48 is the longest group that has one scale.
  %s = moe.weight "s" [#moe.view<"m", offset = 0, element = i8, strides = [20, 1],
         scales = [#moe.view<"m", offset = 640, element = f32, strides = [1, 2], blocks = [48, 1]>]>] : tensor<64x20xf32>
  // CHECK: quantized = <numbers = i8, group = 48, scales = f32>> -> tensor<2x2x16x52xi8>
  %e = linalg.matmul ins(%x, %s : tensor<?x64xf32>, tensor<64x20xf32>) outs(%d : tensor<?x20xf32>) -> tensor<?x20xf32>
  return %e : tensor<?x20xf32>
}

// Tests that numbers become floats where panels cannot hold them: scales for single rows, zero points that are floats.

// CHECK-LABEL: func @widened
func.func @widened(%x: tensor<?x64xf32>, %init: tensor<?x20xf32>) -> tensor<?x20xf32> {
  %w = moe.weight "w" [#moe.view<"m", offset = 0, element = i8, strides = [20, 1],
         scales = [#moe.view<"m", offset = 2000, element = f32, strides = [1, 0]>]>] : tensor<64x20xf32>
  // CHECK: kern.pack {{.*}} -> tensor<2x64x16x1xf32>
  %a = linalg.matmul ins(%x, %w : tensor<?x64xf32>, tensor<64x20xf32>) outs(%init : tensor<?x20xf32>) -> tensor<?x20xf32>
  %v = moe.weight "v" [#moe.view<"m", offset = 0, element = ui8, strides = [20, 1],
         zero_points = #moe.view<"m", offset = 2000, element = f32, strides = [0, 1]>,
         scales = [#moe.view<"m", offset = 3000, element = f32, strides = [0, 1]>]>] : tensor<64x20xf32>
  // CHECK: kern.pack {{.*}} -> tensor<2x64x16x1xf32>
  %b = linalg.matmul ins(%x, %v : tensor<?x64xf32>, tensor<64x20xf32>) outs(%a : tensor<?x20xf32>) -> tensor<?x20xf32>
  return %b : tensor<?x20xf32>
}

// Tests that the weights of a router keep their type, also behind a bias.

// CHECK-LABEL: func @router
func.func @router(%x: tensor<?x64xf32>, %init: tensor<?x8xf32>, %bias: tensor<8xf32>) -> !moe.routing<?x2 of 8> {
  %w = moe.weight "router" [#moe.view<"m", offset = 0, element = f32, strides = [8, 1]>] : tensor<64x8xf32>
  // CHECK: kern.pack {{.*}} -> tensor<1x64x16x1xf32>
  %z = linalg.matmul ins(%x, %w : tensor<?x64xf32>, tensor<64x8xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  %logits = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>],
                            iterator_types = ["parallel", "parallel"]}
      ins(%z, %bias : tensor<?x8xf32>, tensor<8xf32>) outs(%init : tensor<?x8xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %sum = arith.addf %a, %b : f32
      linalg.yield %sum : f32
  } -> tensor<?x8xf32>
  %routing = moe.route %logits top_k(2) : tensor<?x8xf32> -> !moe.routing<?x2 of 8>
  return %routing : !moe.routing<?x2 of 8>
}

// Tests that rows may be bytes where the option says so, or where the model does; never beside floats of few bits or routers.

// CHECK-LABEL: func @rows
// KEEP-NOT: rows = i8
// BYTES-LABEL: func @rows
// MODEL-LABEL: func @rows
func.func @rows(%x: tensor<?x32xf32>, %i: tensor<?x16xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>) {
  %w = moe.weight "allowed" [#moe.view<"m", offset = 0, element = ui8, strides = [16, 1], scale = 0.5, zero_point = 128>] {moe.byte_rows} : tensor<32x16xf32>
  %v = moe.weight "silent" [#moe.view<"m", offset = 512, element = ui8, strides = [16, 1], scale = 0.5, zero_point = 128>] : tensor<32x16xf32>
  %u = moe.weight "floats" [#moe.view<"m", offset = 1024, element = f8E4M3FN, strides = [16, 1], scale = 0.5>] : tensor<32x16xf32>
  // BYTES: kern.panel_gemm {{.*}}numbers = i8, group = 32, scales = f32, rows = i8>
  // MODEL: kern.panel_gemm {{.*}}numbers = i8, group = 32, scales = f32, rows = i8>
  %a = linalg.matmul ins(%x, %w : tensor<?x32xf32>, tensor<32x16xf32>) outs(%i : tensor<?x16xf32>) -> tensor<?x16xf32>
  // BYTES: kern.panel_gemm {{.*}}numbers = i8, group = 32, scales = f32, rows = i8>
  // MODEL: kern.panel_gemm {{.*}}numbers = i8, group = 32, scales = f32>
  %b = linalg.matmul ins(%x, %v : tensor<?x32xf32>, tensor<32x16xf32>) outs(%i : tensor<?x16xf32>) -> tensor<?x16xf32>
  // BYTES: kern.panel_gemm {{.*}}numbers = f8E4M3FN, group = 32, scales = f32>
  %c = linalg.matmul ins(%x, %u : tensor<?x32xf32>, tensor<32x16xf32>) outs(%i : tensor<?x16xf32>) -> tensor<?x16xf32>
  return %a, %b, %c : tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>
}
