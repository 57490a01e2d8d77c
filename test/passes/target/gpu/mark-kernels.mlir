// RUN: moe-opt %s --gpu-mark-kernels | FileCheck %s

// Tests that only kernels are marked, with the threads of a block.

// CHECK: llvm.func @kernel_0(%{{.*}}: i64) attributes {nvvm.kernel, nvvm.maxntid = array<i32: 128>}
llvm.func @kernel_0(%record: i64) attributes {moe.threads = 128} {
  llvm.return
}

// CHECK: llvm.func @helper(%{{.*}}: i64) {
llvm.func @helper(%record: i64) {
  llvm.return
}
