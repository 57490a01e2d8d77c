// RUN: moe-opt %s --moe-mark-entry -verify-diagnostics

// Tests that a module without an entry is an error.

// expected-error @+1 {{expected a function @main}}
module {
}
