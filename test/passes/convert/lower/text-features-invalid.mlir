// RUN: moe-opt --convert-onnx-to-linalg %s -verify-diagnostics

// Tests that every sequence of the pool has a column.
func.func @columns(%x: tensor<6xi64>) -> tensor<1xf32> {
  // expected-error @below {{expected an entry of 'ngram_indexes' for every sequence in the pool, got 1}}
  %y = onnx.TfIdfVectorizer(%x) {max_gram_length = 1 : i64, max_skip_count = 0 : i64, min_gram_length = 1 : i64, mode = "TF",
    ngram_counts = array<i64: 0>, ngram_indexes = array<i64: 0>, pool_int64s = array<i64: 2, 5>}
    : (tensor<6xi64>) -> tensor<1xf32>
  return %y : tensor<1xf32>
}
