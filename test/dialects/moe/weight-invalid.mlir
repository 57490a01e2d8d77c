// RUN: moe-opt %s -split-input-file -verify-diagnostics

// Tests that a weight must say where each of its elements lies.

func.func @weight_c1_no_view() {
  // expected-error @+1 {{expected at least one view}}
  %w = moe.weight "w" [] : tensor<4xf32>
  return
}

// -----

func.func @weight_c2_missing_stride() {
  // expected-error @+1 {{expected 2 strides in each view, got 1}}
  %w = moe.weight "w" [#moe.view<"m", offset = 0, element = f32, strides = [1]>] : tensor<4x2xf32>
  return
}

// -----

func.func @weight_c2_stack_of_other_height() {
  // expected-error @+1 {{expected 2 entries in the first dimension, one for each view, got 'tensor<3x4xf32>'}}
  %w = moe.weight "w" [#moe.view<"m", offset = 0, element = f32, strides = [1]>,
                       #moe.view<"m", offset = 64, element = f32, strides = [1]>] : tensor<3x4xf32>
  return
}

// -----

func.func @weight_c3_dynamic_type() {
  // expected-error @+1 {{statically shaped tensor}}
  %w = moe.weight "w" [#moe.view<"m", offset = 0, element = f32, strides = [1]>] : tensor<?xf32>
  return
}

// -----

func.func @view_blocks() {
  // expected-error @+1 {{expected one block for each of 2 strides, got 1}}
  %w = moe.weight "w" [#moe.view<"m", offset = 0, element = f32, strides = [4, 1], blocks = [2]>] : tensor<4x2xf32>
  return
}

// -----

func.func @view_scales() {
  // expected-error @+1 {{expected plain inner views with 2 strides, got}}
  %w = moe.weight "w" [#moe.view<"m", offset = 0, element = i8, strides = [4, 1],
                       scales = [#moe.view<"m", offset = 64, element = f32, strides = [1]>]>] : tensor<4x2xf32>
  return
}

// -----

func.func @view_two_zero_points() {
  // expected-error @+1 {{expected zero_point or zero_points, got both}}
  %w = moe.weight "w" [#moe.view<"m", offset = 0, element = i8, strides = [1], zero_point = 3,
                       zero_points = #moe.view<"m", offset = 64, element = i8, strides = [1]>>] : tensor<4xf32>
  return
}

// -----

func.func @view_key() {
  // expected-error @+1 {{expected first, blocks, scales, zero_points, zero_point or scale, got 'bias'}}
  %w = moe.weight "w" [#moe.view<"m", offset = 0, element = i8, strides = [1], bias = 3>] : tensor<4xf32>
  return
}

// -----

func.func @view_first() {
  // expected-error @+1 {{expected the first element within the first byte, got number 2}}
  %w = moe.weight "w" [#moe.view<"m", offset = 0, element = ui4, strides = [1], first = 2>] : tensor<4xf32>
  return
}
