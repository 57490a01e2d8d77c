// RUN: not moe-opt %s --gpu-device-math 2>&1 | FileCheck %s

// Tests that a function that devices cannot compute is an error.

func.func @exp(%x: f64) -> f64 {
  // CHECK: error: expected a function that devices have or that can be computed in f32, got math.exp of 'f64'
  %y = math.exp %x : f64
  return %y : f64
}
