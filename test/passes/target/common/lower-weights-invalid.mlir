// RUN: moe-opt %s --moe-lower-weights -verify-diagnostics

// Tests that a weight without its segment is an error.

func.func @lost() -> memref<16xf32> {
  // expected-error @+1 {{expected a segment, got @nowhere}}
  %w = kern.weight @nowhere : memref<16xf32>
  return %w : memref<16xf32>
}
