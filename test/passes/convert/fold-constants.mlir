// RUN: moe-opt %s -split-input-file -moe-fold-onnx-constants | FileCheck %s

// Tests that a static axis of a partly dynamic shape becomes a constant.
// CHECK-LABEL: func.func @static_axis(
// CHECK-NEXT:    %[[WIDTH:.*]] = onnx.Constant() {value = dense<64> : tensor<i64>}
// CHECK-NEXT:    return %[[WIDTH]]
func.func @static_axis(%x: tensor<?x64xf32>) -> tensor<i64> {
  %shape = onnx.Shape(%x) : (tensor<?x64xf32>) -> tensor<2xi64>
  %last = onnx.Constant() {value = dense<-1> : tensor<i64>} : () -> tensor<i64>
  %width = onnx.Gather(%shape, %last) : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
  return %width : tensor<i64>
}

// -----

// Tests that a dynamic axis is read by a narrow Shape.
// CHECK-LABEL: func.func @dynamic_axis(
// CHECK-SAME:      %[[X:.*]]: tensor<2x?x?xf32>
// CHECK-NEXT:    %[[AXES:.*]] = onnx.Shape(%[[X]]) {end = 3 : i64, start = 2 : i64} : (tensor<2x?x?xf32>) -> tensor<1xi64>
// CHECK-NEXT:    return %[[AXES]]
func.func @dynamic_axis(%x: tensor<2x?x?xf32>) -> tensor<1xi64> {
  %none = onnx.NoValue : none
  %shape = onnx.Shape(%x) {start = 1 : i64} : (tensor<2x?x?xf32>) -> tensor<2xi64>
  %start = onnx.Constant() {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %end = onnx.Constant() {value = dense<9223372036854775807> : tensor<1xi64>} : () -> tensor<1xi64>
  %axes = onnx.Slice(%shape, %start, %end, %none, %none) : (tensor<2xi64>, tensor<1xi64>, tensor<1xi64>, none, none) -> tensor<1xi64>
  return %axes : tensor<1xi64>
}

// -----

// Tests that a chain of movement and arithmetic folds.
// CHECK-LABEL: func.func @chain(
// CHECK-NEXT:    %[[SHAPE:.*]] = onnx.Constant() {value = dense<[-1, 32, 2]> : tensor<3xi64>}
// CHECK-NEXT:    return %[[SHAPE]]
func.func @chain(%x: tensor<?x64xf32>) -> tensor<3xi64> {
  %none = onnx.NoValue : none
  %zero = onnx.Constant() {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %two = onnx.Constant() {value = dense<2> : tensor<i64>} : () -> tensor<i64>
  %minus = onnx.Constant() {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %shape = onnx.Shape(%x) {start = 1 : i64} : (tensor<?x64xf32>) -> tensor<1xi64>
  %width = onnx.Squeeze(%shape, %none) : (tensor<1xi64>, none) -> tensor<i64>
  %half = onnx.Div(%width, %two) : (tensor<i64>, tensor<i64>) -> tensor<i64>
  %half1 = onnx.Unsqueeze(%half, %zero) : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %two1 = onnx.Unsqueeze(%two, %zero) : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %result = onnx.Concat(%minus, %half1, %two1) {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
  return %result : tensor<3xi64>
}

// -----

// Tests that Div truncates, that Mod has the sign of the divisor and, with fmod, of the dividend.
// CHECK-LABEL: func.func @division(
// CHECK:         %[[QUOTIENT:.*]] = onnx.Constant() {value = dense<[-3, -3, 3]> : tensor<3xi64>}
// CHECK:         %[[MOD:.*]] = onnx.Constant() {value = dense<[1, -1, -1]> : tensor<3xi64>}
// CHECK:         %[[FMOD:.*]] = onnx.Constant() {value = dense<[-1, 1, -1]> : tensor<3xi64>}
// CHECK:         return %[[QUOTIENT]], %[[MOD]], %[[FMOD]]
func.func @division() -> (tensor<3xi64>, tensor<3xi64>, tensor<3xi64>) {
  %a = onnx.Constant() {value = dense<[-7, 7, -7]> : tensor<3xi64>} : () -> tensor<3xi64>
  %b = onnx.Constant() {value = dense<[2, -2, -2]> : tensor<3xi64>} : () -> tensor<3xi64>
  %quotient = onnx.Div(%a, %b) : (tensor<3xi64>, tensor<3xi64>) -> tensor<3xi64>
  %mod = onnx.Mod(%a, %b) : (tensor<3xi64>, tensor<3xi64>) -> tensor<3xi64>
  %fmod = onnx.Mod(%a, %b) {fmod = 1 : i64} : (tensor<3xi64>, tensor<3xi64>) -> tensor<3xi64>
  return %quotient, %mod, %fmod : tensor<3xi64>, tensor<3xi64>, tensor<3xi64>
}

// -----

// Tests that a division by zero is left for the run.
// CHECK-LABEL: func.func @division_by_zero(
// CHECK:         onnx.Div
func.func @division_by_zero() -> tensor<i64> {
  %a = onnx.Constant() {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %b = onnx.Constant() {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %quotient = onnx.Div(%a, %b) : (tensor<i64>, tensor<i64>) -> tensor<i64>
  return %quotient : tensor<i64>
}

// -----

// Tests comparison, selection with broadcasting, and casts between integers, booleans and floats.
// CHECK-LABEL: func.func @selection(
// CHECK:         %[[SELECTED:.*]] = onnx.Constant() {value = dense<{{\[}}[1, 9], [9, 9]]> : tensor<2x2xi64>}
// CHECK:         %[[REAL:.*]] = onnx.Constant() {value = dense<{{\[}}[5.000000e-01, 4.500000e+00], [4.500000e+00, 4.500000e+00]]> : tensor<2x2xf16>}
// CHECK:         return %[[SELECTED]], %[[REAL]]
func.func @selection() -> (tensor<2x2xi64>, tensor<2x2xf16>) {
  %row = onnx.Constant() {value = dense<[1, 2]> : tensor<2xi64>} : () -> tensor<2xi64>
  %column = onnx.Constant() {value = dense<[[2], [0]]> : tensor<2x1xi64>} : () -> tensor<2x1xi64>
  %nine = onnx.Constant() {value = dense<9> : tensor<i64>} : () -> tensor<i64>
  %less = onnx.Less(%row, %column) : (tensor<2xi64>, tensor<2x1xi64>) -> tensor<2x2xi1>
  %selected = onnx.Where(%less, %row, %nine) : (tensor<2x2xi1>, tensor<2xi64>, tensor<i64>) -> tensor<2x2xi64>
  %wide = onnx.Cast(%selected) {to = 10 : i64} : (tensor<2x2xi64>) -> tensor<2x2xf16>
  %half = onnx.Constant() {value = dense<2.0> : tensor<f16>} : () -> tensor<f16>
  %real = onnx.Div(%wide, %half) : (tensor<2x2xf16>, tensor<f16>) -> tensor<2x2xf16>
  return %selected, %real : tensor<2x2xi64>, tensor<2x2xf16>
}

// -----

// Tests construction: Range, ConstantOfShape, Expand, Tile, Transpose, Split, Slice with a negative step.
// CHECK-LABEL: func.func @construction(
// CHECK-DAG:     %[[REVERSED:.*]] = onnx.Constant() {value = dense<[4, 2]> : tensor<2xi64>}
// CHECK-DAG:     %[[TILED:.*]] = onnx.Constant() {value = dense<{{\[}}[0, 0], [2, 2], [4, 4]]> : tensor<3x2xi64>}
// CHECK-DAG:     %[[SECOND:.*]] = onnx.Constant() {value = dense<4> : tensor<1xi64>}
// CHECK-DAG:     %[[ZEROS:.*]] = onnx.Constant() {value = dense<0.000000e+00> : tensor<2x3xf32>}
// CHECK:         return %[[REVERSED]], %[[TILED]], %[[SECOND]], %[[ZEROS]]
func.func @construction() -> (tensor<2xi64>, tensor<3x2xi64>, tensor<1xi64>, tensor<2x3xf32>) {
  %zero = onnx.Constant() {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %two = onnx.Constant() {value = dense<2> : tensor<i64>} : () -> tensor<i64>
  %six = onnx.Constant() {value = dense<6> : tensor<i64>} : () -> tensor<i64>
  %range = onnx.Range(%zero, %six, %two) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<3xi64>
  %last = onnx.Constant() {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %first = onnx.Constant() {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %reversed = onnx.Slice(%range, %last, %first, %first, %last) : (tensor<3xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %repeats = onnx.Constant() {value = dense<[2, 1]> : tensor<2xi64>} : () -> tensor<2xi64>
  %shape = onnx.Constant() {value = dense<[1, 3]> : tensor<2xi64>} : () -> tensor<2xi64>
  %row = onnx.Expand(%range, %shape) : (tensor<3xi64>, tensor<2xi64>) -> tensor<1x3xi64>
  %rows = onnx.Tile(%row, %repeats) : (tensor<1x3xi64>, tensor<2xi64>) -> tensor<2x3xi64>
  %tiled = onnx.Transpose(%rows) : (tensor<2x3xi64>) -> tensor<3x2xi64>
  %sizes = onnx.Constant() {value = dense<[2, 1]> : tensor<2xi64>} : () -> tensor<2xi64>
  %parts:2 = onnx.Split(%range, %sizes) : (tensor<3xi64>, tensor<2xi64>) -> (tensor<2xi64>, tensor<1xi64>)
  %extents = onnx.Constant() {value = dense<[2, 3]> : tensor<2xi64>} : () -> tensor<2xi64>
  %zeros = onnx.ConstantOfShape(%extents) : (tensor<2xi64>) -> tensor<2x3xf32>
  return %reversed, %tiled, %parts#1, %zeros : tensor<2xi64>, tensor<3x2xi64>, tensor<1xi64>, tensor<2x3xf32>
}

// -----

// Tests that an index outside the axis is left for the run, and that large constants stay.
// CHECK-LABEL: func.func @left_alone(
// CHECK:         onnx.Gather
// CHECK:         onnx.Neg
func.func @left_alone() -> (tensor<i64>, tensor<2000xi64>) {
  %data = onnx.Constant() {value = dense<[1, 2]> : tensor<2xi64>} : () -> tensor<2xi64>
  %index = onnx.Constant() {value = dense<5> : tensor<i64>} : () -> tensor<i64>
  %element = onnx.Gather(%data, %index) : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
  %large = onnx.Constant() {value = dense<1> : tensor<2000xi64>} : () -> tensor<2000xi64>
  %negated = onnx.Neg(%large) : (tensor<2000xi64>) -> tensor<2000xi64>
  return %element, %negated : tensor<i64>, tensor<2000xi64>
}

// Tests that a one-hot of constant indices folds.

// CHECK-LABEL: func @one_hot
func.func @one_hot() -> tensor<2x3xi64> {
  %indices = onnx.Constant() {value = dense<[1, -1]> : tensor<2xi64>} : () -> tensor<2xi64>
  %depth = onnx.Constant() {value = dense<3> : tensor<i64>} : () -> tensor<i64>
  %values = onnx.Constant() {value = dense<[5, 7]> : tensor<2xi64>} : () -> tensor<2xi64>
  // CHECK: dense<{{\[\[}}5, 7, 5], [5, 5, 7]]>
  // CHECK-NOT: onnx.OneHot
  %r = onnx.OneHot(%indices, %depth, %values) : (tensor<2xi64>, tensor<i64>, tensor<2xi64>) -> tensor<2x3xi64>
  return %r : tensor<2x3xi64>
}
