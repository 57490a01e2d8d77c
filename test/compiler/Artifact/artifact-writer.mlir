// Tests that segments are written in the order of their offsets, with zeros between them, and that the signature
// and the layouts are stated.
// RUN: mkdir -p %t.weights
// RUN: %python -c "import numpy, sys; numpy.arange(100, dtype=numpy.float32).tofile(sys.argv[1])" %t.weights/w.bin
// RUN: moec compile %s --start-from=lower --base-dir %t.weights -o %t.moe
// RUN: moec inspect %t.moe | FileCheck %s
// RUN: moec inspect %t.moe --json > %t.json
// RUN: %python %S/Inputs/print_weights.py %t.json %t.moe | FileCheck %s --check-prefix=BYTES

// CHECK: inputs
// CHECK-NEXT: x: f32[rows x 3 x ?]
// CHECK-NEXT: output
// CHECK-NEXT: result of x: f32[rows x 3 x ?]
// CHECK: {{^}}weights
// CHECK-NEXT: 0 + 12 {{ *}}first: tensor<3xf32> row-major
// CHECK-NEXT: 64 + 64 {{ *}}panels: tensor<1x2x16x1xf16> #kern.packed<columns = 16, depth = 1>
// CHECK-NOT: w.bin

// BYTES: first [90. 80. 70.]
// BYTES: gap 52 zeros
// BYTES: panels [0. 2. 4. 0. 0. 0. 0. 0. 0. 0. 0. 0. 0. 0. 0. 0. 1. 3. 5. 0.
kern.segment @panels "panels" {offset = 64 : i64, packed = #kern.packed<columns = 16, depth = 1>,
  source_type = tensor<2x3xf32>,
  sources = [[#moe.view<"w.bin", offset = 0, element = f32, strides = [1, 2]>]]} : tensor<1x2x16x1xf16>
kern.segment @first "first" {offset = 0 : i64, source_type = tensor<3xf32>,
  sources = [[#moe.view<"w.bin", offset = 360, element = f32, strides = []>,
              #moe.view<"w.bin", offset = 320, element = f32, strides = []>,
              #moe.view<"w.bin", offset = 280, element = f32, strides = []>]]} : tensor<3xf32>

func.func @main(%x: tensor<?x3x?xf32> {moe.name = "x", moe.dims = ["rows", "", ""]})
    -> (tensor<?x3x?xf32> {moe.name = "result of x", moe.dims = ["rows", "", ""]}) {
  return %x : tensor<?x3x?xf32>
}
