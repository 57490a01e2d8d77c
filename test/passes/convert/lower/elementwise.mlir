// RUN: moe-opt %s -split-input-file -convert-onnx-to-linalg -canonicalize -cse | FileCheck %s

// Tests that static unit dimensions broadcast by the map and equal symbols without a check.
// CHECK-DAG:   #[[IDENTITY:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-DAG:   #[[UNIT:.*]] = affine_map<(d0, d1) -> (d0, 0)>
// CHECK-LABEL: func.func @static(
// CHECK-NOT:     cf.assert
// CHECK:         linalg.generic {indexing_maps = [#[[IDENTITY]], #[[UNIT]], #[[IDENTITY]]]
// CHECK:           arith.mulf
func.func @static(%x: tensor<?x8xf32, #onnx.dims<"n", "">>, %y: tensor<?x1xf32, #onnx.dims<"n", "">>) -> tensor<?x8xf32, #onnx.dims<"n", "">> {
  %z = onnx.Mul(%x, %y) : (tensor<?x8xf32, #onnx.dims<"n", "">>, tensor<?x1xf32, #onnx.dims<"n", "">>) -> tensor<?x8xf32, #onnx.dims<"n", "">>
  return %z : tensor<?x8xf32, #onnx.dims<"n", "">>
}

// -----

// Tests that different symbols may broadcast at run time and that other extents end the run.
// CHECK-LABEL: func.func @dynamic(
// CHECK-SAME:      %[[X:[^:]*]]: tensor<?xf32> {moe.dims = ["a"]}
// CHECK-COUNT-2: cf.assert %{{.*}}, "expected extents that are equal or 1"
// CHECK:         linalg.generic
// CHECK:           %[[POSITION:.*]] = arith.select
// CHECK:           tensor.extract %[[X]][%[[POSITION]]]
func.func @dynamic(%x: tensor<?xf32, #onnx.dims<"a">>, %y: tensor<?xf32, #onnx.dims<"b">>) -> tensor<?xf32> {
  %z = onnx.Add(%x, %y) : (tensor<?xf32, #onnx.dims<"a">>, tensor<?xf32, #onnx.dims<"b">>) -> tensor<?xf32>
  return %z : tensor<?xf32>
}

// -----

// Tests that a division of integers by zero does not trap.
// CHECK-LABEL: func.func @division(
// CHECK:         %[[IS_ZERO:.*]] = arith.cmpi eq
// CHECK:         %[[DIVISOR:.*]] = arith.select %[[IS_ZERO]]
// CHECK:         arith.divsi %{{.*}}, %[[DIVISOR]]
func.func @division(%x: tensor<4xi64>, %y: tensor<4xi64>) -> tensor<4xi64> {
  %z = onnx.Div(%x, %y) : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
  return %z : tensor<4xi64>
}

// -----

// Tests that the remainder of floats takes the sign of the divisor unless fmod is given.
// CHECK-LABEL: func.func @remainder(
// CHECK:         arith.remf
// CHECK:         math.copysign
// CHECK:         arith.remf
// CHECK-NOT:     math.copysign
func.func @remainder(%x: tensor<4xf32>, %y: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %z = onnx.Mod(%x, %y) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %w = onnx.Mod(%x, %y) {fmod = 1 : i64} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %z, %w : tensor<4xf32>, tensor<4xf32>
}

// -----

// Tests that functions of halves are computed in f32.
// CHECK-LABEL: func.func @activation(
// CHECK:         %[[WIDE:.*]] = arith.extf %{{.*}} : f16 to f32
// CHECK:         math.expm1 %[[WIDE]] : f32
// CHECK:         arith.truncf %{{.*}} : f32 to f16
func.func @activation(%x: tensor<4xf16>) -> tensor<4xf16> {
  %y = onnx.Elu(%x) : (tensor<4xf16>) -> tensor<4xf16>
  return %y : tensor<4xf16>
}

// -----

// Tests that an amount that is negative or too large gives zero and never a shift without a defined result.
// CHECK-LABEL: func.func @left(
// CHECK:         %[[FITS:.*]] = arith.cmpi ult, %[[AMOUNT:.*]], %c8_i8
// CHECK:         %[[SAFE:.*]] = arith.select %[[FITS]], %[[AMOUNT]], %c0_i8
// CHECK:         %[[SHIFTED:.*]] = arith.shli %{{.*}}, %[[SAFE]]
// CHECK:         arith.select %[[FITS]], %[[SHIFTED]], %c0_i8
func.func @left(%x: tensor<4xi8>, %y: tensor<4xi8>) -> tensor<4xi8> {
  %z = onnx.BitShift(%x, %y) {direction = "LEFT"} : (tensor<4xi8>, tensor<4xi8>) -> tensor<4xi8>
  return %z : tensor<4xi8>
}

// -----

// Tests that a shift to the right keeps the sign of signed integers only.
// CHECK-LABEL: func.func @right(
// CHECK:         arith.shrsi
// CHECK:         arith.shrui
func.func @right(%x: tensor<4xi8>, %y: tensor<4xui8>) -> (tensor<4xi8>, tensor<4xui8>) {
  %a = onnx.BitShift(%x, %x) {direction = "RIGHT"} : (tensor<4xi8>, tensor<4xi8>) -> tensor<4xi8>
  %b = onnx.BitShift(%y, %y) {direction = "RIGHT"} : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
  return %a, %b : tensor<4xi8>, tensor<4xui8>
}

// -----

// Tests that the bits stay, and that a boolean is a byte.
// CHECK-LABEL: func.func @bits
// CHECK: arith.bitcast %{{.*}} : f32 to i32
// CHECK: arith.extui %{{.*}} : i1 to i8
func.func @bits(%x: tensor<4xf32>, %b: tensor<4xi1>) -> (tensor<4xui32>, tensor<4xui8>) {
  %y = onnx.BitCast(%x) {to = 12 : i64} : (tensor<4xf32>) -> tensor<4xui32>
  %z = onnx.BitCast(%b) {to = 2 : i64} : (tensor<4xi1>) -> tensor<4xui8>
  return %y, %z : tensor<4xui32>, tensor<4xui8>
}
