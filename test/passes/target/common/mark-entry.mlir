// RUN: moe-opt %s --moe-mark-entry | FileCheck %s

// Tests that only the entry function gets a C interface.

// CHECK: func.func @main() attributes {llvm.emit_c_interface}
func.func @main() {
  return
}

// CHECK: func.func @other() {
func.func @other() {
  return
}
