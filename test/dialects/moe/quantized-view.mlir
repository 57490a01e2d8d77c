// RUN: moe-opt %s --verify-roundtrip | FileCheck %s

// Tests that quantised views parse and print.

// CHECK-LABEL: func @views
func.func @views() -> (tensor<8x64xf32>, tensor<8x64xf32>, tensor<8x64xf32>, tensor<8xf32>) {
  // CHECK: moe.weight "a" [#moe.view<"m", offset = 0, element = ui4, strides = [64, 1], scales = [#moe.view<"m", offset = 256, element = f16, strides = [2, 1], blocks = [1, 32]>], zero_point = 8>]
  %a = moe.weight "a" [#moe.view<"m", offset = 0, element = ui4, strides = [64, 1], zero_point = 8,
         scales = [#moe.view<"m", offset = 256, element = f16, strides = [2, 1], blocks = [1, 32]>]>] : tensor<8x64xf32>
  // CHECK: zero_points = #moe.view<"m", offset = 300, element = ui8, strides = [1, 0]>, scale = 5.000000e-01>]
  %b = moe.weight "b" [#moe.view<"m", offset = 0, element = ui8, strides = [64, 1], scale = 0.5,
         zero_points = #moe.view<"m", offset = 300, element = ui8, strides = [1, 0]>>] : tensor<8x64xf32>
  // CHECK: element = f4E2M1FN, strides = [64, 1], scales = [#moe.view<"m", offset = 256, element = f8E8M0FNU, {{.*}}>, #moe.view<"m", offset = 300, element = f32, strides = [0, 0]>]>]
  %c = moe.weight "c" [#moe.view<"m", offset = 0, element = f4E2M1FN, strides = [64, 1],
         scales = [#moe.view<"m", offset = 256, element = f8E8M0FNU, strides = [2, 1], blocks = [1, 32]>,
                   #moe.view<"m", offset = 300, element = f32, strides = [0, 0]>]>] : tensor<8x64xf32>
  // CHECK: moe.weight "d" [#moe.view<"m", offset = 0, element = ui2, strides = [4], first = 3>]
  %d = moe.weight "d" [#moe.view<"m", offset = 0, element = ui2, strides = [4], first = 3>] : tensor<8xf32>
  return %a, %b, %c, %d : tensor<8x64xf32>, tensor<8x64xf32>, tensor<8x64xf32>, tensor<8xf32>
}
