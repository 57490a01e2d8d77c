// RUN: moe-opt %s -moe-infer-symbols | FileCheck %s

// Tests that the open extent of a reshape is found, also where the shape is computed and a comparison with -1 is part of it,
// and that keys behind a cache get the sum of both extents for a symbol.

// CHECK-LABEL: func @heads
func.func @heads(%x: tensor<?x?x512xf32, #onnx.dims<"b", "s", "">>,
                 %past: tensor<?x8x?x64xf32, #onnx.dims<"b", "", "p", "">>) -> tensor<?x?x?x?xf32> {
  %one = onnx.Constant() {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %none = onnx.NoValue : none
  %zero = onnx.Constant() {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %two = onnx.Constant() {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %minus = onnx.Constant() {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %tail = onnx.Constant() {value = dense<[-1, 64]> : tensor<2xi64>} : () -> tensor<2xi64>
  %extents = onnx.Shape(%x) : (tensor<?x?x512xf32, #onnx.dims<"b", "s", "">>) -> tensor<3xi64>
  %lead = onnx.Slice(%extents, %zero, %two, %none, %none)
            : (tensor<3xi64>, tensor<1xi64>, tensor<1xi64>, none, none) -> tensor<2xi64>
  %isOpen = onnx.Equal(%lead, %minus) : (tensor<2xi64>, tensor<1xi64>) -> tensor<2xi1>
  %chosen = onnx.Where(%isOpen, %one, %lead) : (tensor<2xi1>, tensor<1xi64>, tensor<2xi64>) -> tensor<2xi64>
  %shape = onnx.Concat(%chosen, %tail) {axis = 0 : i64} : (tensor<2xi64>, tensor<2xi64>) -> tensor<4xi64>
  // CHECK: onnx.Reshape{{.*}} -> tensor<?x?x8x64xf32, #onnx.dims<"b", "s", "", "">>
  %split = onnx.Reshape(%x, %shape) : (tensor<?x?x512xf32, #onnx.dims<"b", "s", "">>, tensor<4xi64>) -> tensor<?x?x?x64xf32>
  // CHECK: onnx.Transpose{{.*}} -> tensor<?x8x?x64xf32, #onnx.dims<"b", "", "s", "">>
  %turned = onnx.Transpose(%split) {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x?x64xf32>) -> tensor<?x?x?x64xf32>
  // CHECK: onnx.Concat{{.*}} -> tensor<?x8x?x64xf32, #onnx.dims<"b", "", "p + s", "">>
  %all = onnx.Concat(%past, %turned) {axis = 2 : i64}
           : (tensor<?x8x?x64xf32, #onnx.dims<"b", "", "p", "">>, tensor<?x?x?x64xf32>) -> tensor<?x?x?x64xf32>
  %keys = onnx.Transpose(%all) {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x?x?x64xf32>) -> tensor<?x?x64x?xf32>
  // CHECK: onnx.MatMul{{.*}} -> tensor<?x8x?x?xf32, #onnx.dims<"b", "", "s", "p + s">>
  %scores = onnx.MatMul(%turned, %keys) : (tensor<?x?x?x64xf32>, tensor<?x?x64x?xf32>) -> tensor<?x?x?x?xf32>
  %y = onnx.Softmax(%scores) : (tensor<?x?x?x?xf32>) -> tensor<?x?x?x?xf32>
  return %y : tensor<?x?x?x?xf32>
}

// Tests that dimensions of different symbols, one of which may be 1, get a symbol of their own.

// CHECK-LABEL: func @unlike
func.func @unlike(%x: tensor<?xf32, #onnx.dims<"a">>, %y: tensor<?xf32, #onnx.dims<"b">>) -> tensor<?xf32> {
  // CHECK: onnx.Add{{.*}} -> tensor<?xf32, #onnx.dims<"[[OWN:.*]]">>
  %sum = onnx.Add(%x, %y) : (tensor<?xf32, #onnx.dims<"a">>, tensor<?xf32, #onnx.dims<"b">>) -> tensor<?xf32>
  // CHECK: onnx.Sigmoid{{.*}} -> tensor<?xf32>
  %z = onnx.Sigmoid(%sum) : (tensor<?xf32>) -> tensor<?xf32>
  return %z : tensor<?xf32>
}

// Tests that a division that may leave a remainder is not taken for an extent.

// CHECK-LABEL: func @remainder
func.func @remainder(%x: tensor<?xf32, #onnx.dims<"n">>) -> tensor<?x?xf32> {
  %shape = onnx.Constant() {value = dense<[-1, 4]> : tensor<2xi64>} : () -> tensor<2xi64>
  // CHECK: onnx.Reshape{{.*}} -> tensor<?x4xf32, #onnx.dims<"?{{[0-9]+}}", "">>
  %rows = onnx.Reshape(%x, %shape) : (tensor<?xf32, #onnx.dims<"n">>, tensor<2xi64>) -> tensor<?x4xf32>
  %z = onnx.Sigmoid(%rows) : (tensor<?x4xf32>) -> tensor<?x?xf32>
  return %z : tensor<?x?xf32>
}
