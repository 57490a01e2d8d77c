// RUN: moe-opt %s -allow-unregistered-dialect -split-input-file -verify-diagnostics

// Tests that every constraint of level 1 is checked.

func.func @route_c1_top_k_exceeds_experts(%z: tensor<?x8xf32>) {
  // expected-error @+1 {{expected 'top_k' in [1, 8], got 9}}
  %ids, %w, %rows, %offsets = moe.route_permute %z top_k(9) : tensor<?x8xf32> -> tensor<?x9xi32>, tensor<?x9xf32>, tensor<?xi32>, tensor<9xi32>
  return
}

// -----

func.func @route_c1_result_has_other_slots(%z: tensor<?x8xf32>) {
  // expected-error @+1 {{expected one number of chosen experts, got 2 in 'top_k' and 3 in 'result'}}
  %r = moe.route %z top_k(2) : tensor<?x8xf32> -> !moe.routing<?x3 of 8>
  return
}

// -----

func.func @route_c2_dynamic_experts(%z: tensor<?x?xf32>) {
  // expected-error @+1 {{expected a static number of experts in 'logits', got 'tensor<?x?xf32>'}}
  %r = moe.route %z top_k(2) : tensor<?x?xf32> -> !moe.routing<?x2 of 8>
  return
}

// -----

func.func @route_c3_bias_has_other_experts(%z: tensor<?x8xf32>, %b: tensor<4xf32>) {
  // expected-error @+1 {{expected one number of experts, got 4 in 'select_bias' and 8 in 'logits'}}
  %r = moe.route %z select_bias(%b : tensor<4xf32>) top_k(2) : tensor<?x8xf32> -> !moe.routing<?x2 of 8>
  return
}

// -----

func.func @route_c4_groups_do_not_divide(%z: tensor<?x8xf32>) {
  // expected-error @+1 {{expected a number of groups that divides 8 experts, got 3}}
  %r = moe.route %z top_k(2) {groups = #moe.groups<count = 3, keep = 2, score = max, mask = zero>} : tensor<?x8xf32> -> !moe.routing<?x2 of 8>
  return
}

// -----

func.func @route_c4_too_few_experts_kept(%z: tensor<?x8xf32>) {
  // expected-error @+1 {{expected at least 3 experts in the kept groups, got 2}}
  %r = moe.route %z top_k(3) {groups = #moe.groups<count = 4, keep = 1, score = max, mask = zero>} : tensor<?x8xf32> -> !moe.routing<?x3 of 8>
  return
}

// -----

func.func @route_c4_top2_sum_of_single_experts(%z: tensor<?x8xf32>) {
  // expected-error @+1 {{expected at least 2 experts per group for 'top2_sum', got 1}}
  %r = moe.route %z top_k(2) {groups = #moe.groups<count = 8, keep = 2, score = top2_sum, mask = zero>} : tensor<?x8xf32> -> !moe.routing<?x2 of 8>
  return
}

// -----

func.func @route_c5_groups_without_early_scores(%z: tensor<?x8xf32>) {
  // expected-error @+1 {{expected no 'groups' where scores come after the choice}}
  %r = moe.route %z top_k(2) {order = #moe.order<select_then_score>, groups = #moe.groups<count = 4, keep = 2, score = max, mask = zero>} : tensor<?x8xf32> -> !moe.routing<?x2 of 8>
  return
}

// -----

func.func @routing_type_more_slots_than_experts() {
  // expected-error @+1 {{expected between 1 and 2 slots (the number of experts), got 3}}
  %r = "test.make"() : () -> !moe.routing<?x3 of 2>
  return
}

// -----

func.func @assign_c1_other_slots(%ids: tensor<?x2xi64>, %w: tensor<?x3xf32>) {
  // expected-error @+1 {{expected one number of slots, got 3 in 'weights' and 2 in 'result'}}
  %r = moe.assign %ids, %w : tensor<?x2xi64>, tensor<?x3xf32> -> !moe.routing<?x2 of 8>
  return
}

// -----

func.func @experts_c1_other_experts(%x: tensor<?x4xf32>, %r: !moe.routing<?x2 of 8>, %up: tensor<8x4x6xf32>, %down: tensor<4x6x4xf32>) {
  // expected-error @+1 {{expected one number of experts, got 4 in 'down' and 8 in 'routing'}}
  %y = moe.experts %x, %r up(%up : tensor<8x4x6xf32>) down(%down : tensor<4x6x4xf32>) {activation = #moe.activation<relu>}
         : tensor<?x4xf32>, !moe.routing<?x2 of 8> -> tensor<?x4xf32>
  return
}

// -----

func.func @experts_c2_other_inner_width(%x: tensor<?x4xf32>, %r: !moe.routing<?x2 of 8>, %up: tensor<8x4x6xf32>, %down: tensor<8x5x4xf32>) {
  // expected-error @+1 {{expected one inner width, got 6 in 'up' and 5 in 'down'}}
  %y = moe.experts %x, %r up(%up : tensor<8x4x6xf32>) down(%down : tensor<8x5x4xf32>) {activation = #moe.activation<relu>}
         : tensor<?x4xf32>, !moe.routing<?x2 of 8> -> tensor<?x4xf32>
  return
}

// -----

func.func @experts_c3_bias_without_gate(%x: tensor<?x4xf32>, %r: !moe.routing<?x2 of 8>, %up: tensor<8x4x6xf32>, %down: tensor<8x6x4xf32>, %b: tensor<8x6xf32>) {
  // expected-error @+1 {{expected 'gate' where there is a 'gate_bias'}}
  %y = moe.experts %x, %r up(%up : tensor<8x4x6xf32>) down(%down : tensor<8x6x4xf32>) gate_bias(%b : tensor<8x6xf32>) {activation = #moe.activation<relu>}
         : tensor<?x4xf32>, !moe.routing<?x2 of 8> -> tensor<?x4xf32>
  return
}

// -----

func.func @experts_c4_other_tokens(%x: tensor<3x4xf32>, %r: !moe.routing<5x2 of 8>, %up: tensor<8x4x6xf32>, %down: tensor<8x6x4xf32>) {
  // expected-error @+1 {{expected one number of tokens, got 3 in 'x' and 5 in 'routing'}}
  %y = moe.experts %x, %r up(%up : tensor<8x4x6xf32>) down(%down : tensor<8x6x4xf32>) {activation = #moe.activation<relu>}
         : tensor<3x4xf32>, !moe.routing<5x2 of 8> -> tensor<3x4xf32>
  return
}

// -----

func.func @shared_c1_other_hidden_width(%x: tensor<?x4xf32>, %up: tensor<5x6xf32>, %down: tensor<6x4xf32>) {
  // expected-error @+1 {{expected one hidden width, got 4 in 'x' and 5 in 'up'}}
  %y = moe.shared %x up(%up : tensor<5x6xf32>) down(%down : tensor<6x4xf32>) {activation = #moe.activation<relu>} : tensor<?x4xf32> -> tensor<?x4xf32>
  return
}

// -----

func.func @shared_c2_wide_token_gate(%x: tensor<?x4xf32>, %up: tensor<4x6xf32>, %down: tensor<6x4xf32>, %g: tensor<?x2xf32>) {
  // expected-error @+1 {{expected one column in 'token_gate', got 'tensor<?x2xf32>'}}
  %y = moe.shared %x up(%up : tensor<4x6xf32>) down(%down : tensor<6x4xf32>) token_gate(%g : tensor<?x2xf32>) {activation = #moe.activation<relu>} : tensor<?x4xf32> -> tensor<?x4xf32>
  return
}

// -----

func.func @activation_unknown_field() -> tensor<1xf32> {
  // expected-error @+1 {{expected alpha, limit or up_offset, got 'beta'}}
  %y = "test.make"() {activation = #moe.activation<silu, beta = 1.0>} : () -> tensor<1xf32>
  return %y : tensor<1xf32>
}

// -----

func.func @route_c3_scale_has_other_experts(%z: tensor<?x8xf32>, %s: tensor<4xf32>) {
  // expected-error @+1 {{expected one number of experts, got 4 in 'expert_scale' and 8 in 'logits'}}
  %r = moe.route %z expert_scale(%s : tensor<4xf32>) top_k(2) : tensor<?x8xf32> -> !moe.routing<?x2 of 8>
  return
}

// -----

func.func @experts_c3_bias_of_other_width(%x: tensor<?x4xf32>, %r: !moe.routing<?x2 of 8>, %up: tensor<8x4x6xf32>, %down: tensor<8x6x4xf32>, %b: tensor<8x5xf32>) {
  // expected-error @+1 {{expected one number of outputs, got 5 in 'up_bias' and 6 in 'up'}}
  %y = moe.experts %x, %r up(%up : tensor<8x4x6xf32>) down(%down : tensor<8x6x4xf32>) up_bias(%b : tensor<8x5xf32>) {activation = #moe.activation<relu>}
         : tensor<?x4xf32>, !moe.routing<?x2 of 8> -> tensor<?x4xf32>
  return
}
