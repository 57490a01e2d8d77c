// RUN: moe-opt %s -split-input-file -verify-diagnostics

// Tests that every constraint of levels 2 and 3 is checked.

func.func @unpack_c1_other_slots(%r: !moe.routing<?x2 of 8>) {
  // expected-error @+1 {{expected one number of slots, got 3 in 'ids' and 2 in 'routing'}}
  %ids, %w = moe.unpack %r : !moe.routing<?x2 of 8> -> tensor<?x3xi32>, tensor<?x2xf32>
  return
}

// -----

func.func @permute_c1_dynamic_slots(%ids: tensor<?x?xi32>) {
  // expected-error @+1 {{expected a static number of slots in 'ids', got 'tensor<?x?xi32>'}}
  %rows, %offsets = moe.permute %ids {experts = 8} : tensor<?x?xi32> -> tensor<?xi32>, tensor<9xi32>
  return
}

// -----

func.func @permute_c1_other_count(%ids: tensor<3x2xi32>) {
  // expected-error @+1 {{expected one number of assignments, got 6 in 'ids' and 5 in 'rows'}}
  %rows, %offsets = moe.permute %ids {experts = 8} : tensor<3x2xi32> -> tensor<5xi32>, tensor<9xi32>
  return
}

// -----

func.func @permute_c2_other_offsets(%ids: tensor<3x2xi32>) {
  // expected-error @+1 {{expected one number of offsets, got 9 in 'experts' and 8 in 'offsets'}}
  %rows, %offsets = moe.permute %ids {experts = 8} : tensor<3x2xi32> -> tensor<6xi32>, tensor<8xi32>
  return
}

// -----

func.func @grouped_matmul_c1_other_offsets(%x: tensor<?x4xf32>, %w: tensor<8x4x6xf32>, %o: tensor<8xi32>) {
  // expected-error @+1 {{expected one number of offsets, got 9 in 'weights' and 8 in 'offsets'}}
  %y = moe.grouped_matmul %x, %w, %o : tensor<?x4xf32>, tensor<8x4x6xf32>, tensor<8xi32> -> tensor<?x6xf32>
  return
}

// -----

func.func @grouped_matmul_c2_other_width(%x: tensor<?x5xf32>, %w: tensor<8x4x6xf32>, %o: tensor<9xi32>) {
  // expected-error @+1 {{expected one inner width, got 5 in 'x' and 4 in 'weights'}}
  %y = moe.grouped_matmul %x, %w, %o : tensor<?x5xf32>, tensor<8x4x6xf32>, tensor<9xi32> -> tensor<?x6xf32>
  return
}

// -----

func.func @grouped_matmul_c3_slots_without_rows(%x: tensor<?x4xf32>, %w: tensor<8x4x6xf32>, %o: tensor<9xi32>) {
  // expected-error @+1 {{expected 'rows' where 'slots' is 2}}
  %y = moe.grouped_matmul %x, %w, %o {slots = 2} : tensor<?x4xf32>, tensor<8x4x6xf32>, tensor<9xi32> -> tensor<?x6xf32>
  return
}

// -----

func.func @combine_c1_other_width(%h: tensor<?x4xf32>, %rows: tensor<?xi32>, %w: tensor<?x2xf32>) {
  // expected-error @+1 {{expected one width, got 4 in 'h' and 5 in 'result'}}
  %y = moe.combine %h, %rows, %w : tensor<?x4xf32>, tensor<?xi32>, tensor<?x2xf32> -> tensor<?x5xf32>
  return
}

// -----

func.func @route_permute_c6_other_offsets(%z: tensor<?x8xf32>) {
  // expected-error @+1 {{expected one number of offsets, got 9 in 'logits' and 8 in 'offsets'}}
  %ids, %w, %rows, %offsets = moe.route_permute %z top_k(2) : tensor<?x8xf32> -> tensor<?x2xi32>, tensor<?x2xf32>, tensor<?xi32>, tensor<8xi32>
  return
}

// -----

func.func @fused_ffn_c1_other_offsets(%x: tensor<?x4xf32>, %w: tensor<?x2xf32>, %rows: tensor<?xi32>, %o: tensor<8xi32>, %up: tensor<8x4x6xf32>, %down: tensor<8x6x4xf32>) {
  // expected-error @+1 {{expected one number of offsets, got 9 in 'up' and 8 in 'offsets'}}
  %y = moe.fused_ffn %x, %w, %rows, %o up(%up : tensor<8x4x6xf32>) down(%down : tensor<8x6x4xf32>) {activation = #moe.activation<relu>}
         : tensor<?x4xf32>, tensor<?x2xf32>, tensor<?xi32>, tensor<8xi32> -> tensor<?x4xf32>
  return
}

// -----

func.func @fused_ffn_c4_other_tokens(%x: tensor<3x4xf32>, %w: tensor<4x2xf32>, %rows: tensor<?xi32>, %o: tensor<9xi32>, %up: tensor<8x4x6xf32>, %down: tensor<8x6x4xf32>) {
  // expected-error @+1 {{expected one number of tokens, got 3 in 'x' and 4 in 'weights'}}
  %y = moe.fused_ffn %x, %w, %rows, %o up(%up : tensor<8x4x6xf32>) down(%down : tensor<8x6x4xf32>) {activation = #moe.activation<relu>}
         : tensor<3x4xf32>, tensor<4x2xf32>, tensor<?xi32>, tensor<9xi32> -> tensor<3x4xf32>
  return
}

// -----

func.func @combine_c1_other_tokens(%h: tensor<?x4xf32>, %rows: tensor<?xi32>, %w: tensor<3x2xf32>) {
  // expected-error @+1 {{expected one number of tokens, got 3 in 'weights' and 5 in 'result'}}
  %y = moe.combine %h, %rows, %w : tensor<?x4xf32>, tensor<?xi32>, tensor<3x2xf32> -> tensor<5x4xf32>
  return
}

// -----

func.func @fused_ffn_c3_bias_without_gate(%x: tensor<?x4xf32>, %w: tensor<?x2xf32>, %rows: tensor<?xi32>, %o: tensor<9xi32>, %up: tensor<8x4x6xf32>, %down: tensor<8x6x4xf32>, %b: tensor<8x6xf32>) {
  // expected-error @+1 {{expected 'gate' where there is a 'gate_bias'}}
  %y = moe.fused_ffn %x, %w, %rows, %o up(%up : tensor<8x4x6xf32>) down(%down : tensor<8x6x4xf32>) gate_bias(%b : tensor<8x6xf32>) {activation = #moe.activation<relu>}
         : tensor<?x4xf32>, tensor<?x2xf32>, tensor<?xi32>, tensor<9xi32> -> tensor<?x4xf32>
  return
}
