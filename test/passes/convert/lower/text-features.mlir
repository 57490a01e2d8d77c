// RUN: moe-opt --convert-onnx-to-linalg --canonicalize %s | FileCheck %s

// Tests that all sequences of the pool whose length is asked for are counted, at all distances of their tokens.
// CHECK-LABEL: func.func @count
// CHECK-DAG: arith.constant dense<{{\[\[}}5, 6], [7, 8]]> : tensor<2x2xi64>
// CHECK-COUNT-5: scf.for
// CHECK: tensor.insert
// CHECK: return %{{.*}} : tensor<2x3xf32>
func.func @count(%x: tensor<2x6xi64>) -> tensor<2x3xf32> {
  %y = onnx.TfIdfVectorizer(%x) {max_gram_length = 2 : i64, max_skip_count = 1 : i64, min_gram_length = 2 : i64, mode = "TF",
    ngram_counts = array<i64: 0, 1>, ngram_indexes = array<i64: 0, 1, 2>, pool_int64s = array<i64: 2, 5, 6, 7, 8>}
    : (tensor<2x6xi64>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}
