// RUN: moe-opt %s --moe-expose-routing -split-input-file -verify-diagnostics

// Tests that a module without a model is refused.

// expected-error @below {{expected a function @main with a body}}
module {
  func.func @other() {
    return
  }
}
