// RUN: not moe-opt %s -kern-lower-to-vector=isa=sparc 2>&1 | FileCheck %s

// Tests that an unknown instruction set level is an error.

// CHECK: error: expected x86-64-v3, x86-64-v4, avx512bf16 or amx, got 'sparc'
module {}
