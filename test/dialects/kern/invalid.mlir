// RUN: moe-opt %s -split-input-file -verify-diagnostics

// Tests that a segment begins at a cache line.

// expected-error @+1 {{expected an offset that is a multiple of 64, got 32}}
kern.segment @w "w" {offset = 32 : i64, source_type = tensor<4xf32>,
    sources = [[#moe.view<"m.onnx", offset = 0, element = f32, strides = [1]>]]} : tensor<4xf32>

// -----

// Tests that the physical shape of a packed segment follows from its source.

// expected-error @+1 {{expected 'tensor<3x8x16x1xf32>', got 'tensor<2x8x16x1xf32>'}}
kern.segment @w "w" {offset = 0 : i64, packed = #kern.packed<columns = 16, depth = 1>, source_type = tensor<8x40xf32>,
    sources = [[#moe.view<"m.onnx", offset = 0, element = f32, strides = [40, 1]>]]} : tensor<2x8x16x1xf32>

// -----

// Tests that a row-major segment has one source.

// expected-error @+1 {{expected one source without packing, got 2}}
kern.segment @w "w" {offset = 0 : i64, source_type = tensor<4xf32>,
    sources = [[#moe.view<"m.onnx", offset = 0, element = f32, strides = [1]>],
               [#moe.view<"m.onnx", offset = 16, element = f32, strides = [1]>]]} : tensor<4xf32>

// -----

// Tests that a layout has columns.

// expected-error @+1 {{expected positive columns and depth, got 0 and 1}}
func.func private @f() attributes {layout = #kern.packed<columns = 0, depth = 1>}

// -----

// Tests that the sources of a pack have one type.

func.func @pack(%a: tensor<8x16xf32>, %b: tensor<8x20xf32>, %init: tensor<2x8x16x1xf32>) {
  // expected-error @+1 {{expected sources of equal types}}
  %p = kern.pack ins(%a, %b : tensor<8x16xf32>, tensor<8x20xf32>) outs(%init : tensor<2x8x16x1xf32>)
         layout #kern.packed<columns = 16, depth = 1> -> tensor<2x8x16x1xf32>
  return
}

// -----

// Tests that inner extents of a product agree.

func.func @inner(%x: tensor<?x64xf32>, %p: tensor<2x32x16x1xf32>, %init: tensor<?x20xf32>) {
  // expected-error @+1 {{expected equal inner extents in units of the depth, got 64 and 32}}
  %y = kern.panel_gemm ins(%x, %p : tensor<?x64xf32>, tensor<2x32x16x1xf32>) outs(%init : tensor<?x20xf32>)
         -> tensor<?x20xf32>
  return
}

// -----

// Tests that a product has panels for all of its columns.

func.func @panels(%x: tensor<?x64xf32>, %p: tensor<2x64x16x1xf32>, %init: tensor<?x40xf32>) {
  // expected-error @+1 {{expected equal numbers of panels, got 3 and 2}}
  %y = kern.panel_gemm ins(%x, %p : tensor<?x64xf32>, tensor<2x64x16x1xf32>) outs(%init : tensor<?x40xf32>)
         -> tensor<?x40xf32>
  return
}

// -----

// Tests that only gated experts have a gate bias.

func.func @bias(%x: tensor<?x64xf32>, %rows: tensor<?xi32>, %offsets: tensor<9xi32>, %p: tensor<8x2x64x16x1xf32>,
                %bias: tensor<8x32xf32>, %init: tensor<?x32xf32>) {
  // expected-error @+1 {{expected gated for a gate bias}}
  %h = kern.experts_hidden %x, %rows, %offsets, %p gate_bias(%bias : tensor<8x32xf32>) outs(%init : tensor<?x32xf32>)
         {activation = #moe.activation<silu>, slots = 2}
         : tensor<?x64xf32>, tensor<?xi32>, tensor<9xi32>, tensor<8x2x64x16x1xf32> -> tensor<?x32xf32>
  return
}

// -----

// Tests that offsets and panels count the same experts.

func.func @experts(%h: tensor<?x32xf32>, %rows: tensor<?xi32>, %offsets: tensor<8xi32>, %p: tensor<8x4x32x16x1xf32>,
                   %init: tensor<?x64xf32>) {
  // expected-error @+1 {{expected equal numbers of experts, plus 1, got 8 and 9}}
  %y = kern.experts_combine %h, %rows, %offsets, %p outs(%init : tensor<?x64xf32>) {slots = 2}
         : tensor<?x32xf32>, tensor<?xi32>, tensor<8xi32>, tensor<8x4x32x16x1xf32> -> tensor<?x64xf32>
  return
}

// -----

// Tests that panels of bf16 hold pairs of rows.

func.func @pairs(%x: tensor<?x64xbf16>, %p: tensor<2x64x16x1xbf16>, %init: tensor<?x20xf32>) -> tensor<?x20xf32> {
  // expected-error @+1 {{expected panels of 16 columns and depth 2, got 16 and 1}}
  %y = kern.panel_gemm ins(%x, %p : tensor<?x64xbf16>, tensor<2x64x16x1xbf16>) outs(%init : tensor<?x20xf32>)
         -> tensor<?x20xf32>
  return %y : tensor<?x20xf32>
}

// -----

// Tests that panels hold narrow numbers only.

// expected-error @+1 {{expected numbers i4, i8, ui4, ui8, f4E2M1FN, f8E4M3FN or f8E5M2, got 'i16'}}
func.func private @f() attributes {layout = #kern.quantized<numbers = i16, group = 32, scales = f32>}

// -----

// Tests that groups are whole steps of kernels.

// expected-error @+1 {{expected groups of a multiple of 8 up to 256 rows, got 20}}
func.func private @f() attributes {layout = #kern.quantized<numbers = i4, group = 20, scales = f32>}

// -----

// Tests that scales are floats.

// expected-error @+1 {{expected scales of f32, f16 or bf16, got 'f64'}}
func.func private @f() attributes {layout = #kern.quantized<numbers = i4, group = 32, scales = f64>}

// -----

// expected-error @+1 {{expected rows of i8 and numbers that are integers, got rows of 'i8' and numbers of 'f8E5M2'}}
func.func private @f() attributes {layout = #kern.quantized<numbers = f8E5M2, group = 32, scales = f32, rows = i8>}

// -----

// Tests that the depth of quantised panels follows from their numbers.

// expected-error @+1 {{expected depth 8 for quantised numbers of 4 bits and 1 for those of 8 bits, got 4}}
func.func private @f() attributes {layout = #kern.packed<columns = 16, depth = 4, quantized = <numbers = i8, group = 32, scales = f32>>}

// -----

// Tests that bytes are panels only where it is said what they hold.

func.func @bytes(%x: memref<?x64xf32>, %p: memref<2x2x16x34xi8>, %y: memref<?x20xf32>) {
  // expected-error @+1 {{expected panels of i8 if they are quantised, and no others of i8, got}}
  kern.panel_gemm ins(%x, %p : memref<?x64xf32>, memref<2x2x16x34xi8>) outs(%y : memref<?x20xf32>)
  return
}

// -----

// Tests that the size of quantised panels follows from what they hold.

func.func @size(%x: memref<?x64xf32>, %p: memref<2x2x16x34xi8>, %y: memref<?x20xf32>) {
  // expected-error @+1 {{expected panels of 16 columns and depth 36, got 16 and 34}}
  kern.panel_gemm ins(%x, %p : memref<?x64xf32>, memref<2x2x16x34xi8>) outs(%y : memref<?x20xf32>)
    {quantized = #kern.quantized<numbers = i8, group = 32, scales = f32>}
  return
}
