//===- ToolSupportTest.cpp - files, comparison and sampling of moec -------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/BenchInputs.h"
#include "compiler/tools/moec/Compare.h"
#include "compiler/tools/moec/Npy.h"
#include "compiler/tools/moec/Printable.h"
#include "compiler/tools/moec/RoundedWeights.h"
#include "compiler/tools/moec/Sampler.h"
#include "compiler/tools/moec/TensorFile.h"
#include "compiler/tools/moec/TensorProtoReader.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

template <typename T>
static Tensor makeTensor(moe_dtype_t dtype, std::vector<int64_t> dims,
                         const std::vector<T> &numbers) {
  Tensor tensor(dtype, std::move(dims));
  std::memcpy(tensor.bytes.data(), numbers.data(), tensor.bytes.size());
  return tensor;
}

// Tests that every type and rank survives being written and read.
TEST(NpyTest, RoundTrip) {
  for (int dtype = MOE_DTYPE_F32; dtype <= MOE_DTYPE_BOOL; ++dtype)
    for (std::vector<int64_t> dims :
         {std::vector<int64_t>{}, {3}, {2, 0}, {2, 3, 4}}) {
      Tensor tensor(static_cast<moe_dtype_t>(dtype), dims);
      for (size_t i = 0; i < tensor.bytes.size(); ++i)
        tensor.bytes[i] = i;
      Tensor read;
      std::string error;
      std::string contents = formatNpy(tensor.view());
      EXPECT_EQ((contents.size() - tensor.bytes.size()) % 64, 0u);
      ASSERT_TRUE(parseNpy(contents, read, error)) << error;
      EXPECT_EQ(read.dtype, tensor.dtype);
      EXPECT_EQ(read.dims, tensor.dims);
      EXPECT_EQ(read.bytes, tensor.bytes);
    }
}

/// A version 1 file as NumPy writes it.
static std::string makeNpy(const std::string &header, const std::string &data) {
  std::string contents("\x93NUMPY\1\0", 8);
  contents += static_cast<char>(header.size());
  contents += '\0';
  return contents + header + data;
}

// Tests that files which lie about themselves are refused.
TEST(NpyTest, Malformed) {
  const std::string good = makeNpy(
      "{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }", "12345678");
  Tensor tensor;
  std::string error;
  ASSERT_TRUE(parseNpy(good, tensor, error)) << error;
  EXPECT_EQ(tensor.dims, std::vector<int64_t>{2});
  for (size_t length = 0; length < good.size(); ++length)
    EXPECT_FALSE(parseNpy(good.substr(0, length), tensor, error)) << length;
  EXPECT_FALSE(parseNpy(good + "9", tensor, error));
  for (const char *header :
       {"", "{'descr': '<i4'}", "{'descr': , 'fortran_order': , 'shape': }",
        "{'descr': '<i4', 'fortran_order': True, 'shape': (2,), }",
        "{'descr': '>i4', 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (2, }",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (-2,), }",
        "{'descr': '<i4', 'fortran_order': False, 'shape': "
        "(4611686018427387905,4), }"})
    EXPECT_FALSE(parseNpy(makeNpy(header, "12345678"), tensor, error))
        << header;
}

// Tests that a TensorProto cannot claim more numbers than it has.
TEST(TensorProtoTest, Malformed) {
  std::vector<Tensor> tensors;
  std::string error;
  // data_type: 1 (float), raw_data: 4 bytes.
  std::string good("\x10\x01\x4a\x04\0\0\x80\x3f", 8);
  ASSERT_TRUE(parseTensorProtos(good, tensors, error)) << error;
  ASSERT_EQ(tensors.size(), 1u);
  EXPECT_EQ(readElement(tensors[0].view(), 0), 1.0);
  // dims: 2^40.
  std::string huge = std::string("\x08\x80\x80\x80\x80\x80\x20", 7) + good;
  EXPECT_FALSE(parseTensorProtos(huge, tensors, error));
  EXPECT_EQ(error, "has a shape that does not fit its numbers");
  EXPECT_FALSE(parseTensorProtos("\x08\x02" + good, tensors, error));
  EXPECT_FALSE(parseTensorProtos("garbage", tensors, error));
  EXPECT_FALSE(parseTensorProtos("", tensors, error));
}

// Tests that a list of tensors, as a SequenceProto holds them, is read in
// order.
TEST(TensorProtoTest, List) {
  // Each: data_type: 1 (float), raw_data: 4 bytes.
  std::string one("\x10\x01\x4a\x04\0\0\x80\x3f", 8);
  std::string two("\x10\x01\x4a\x04\0\0\0\x40", 8);
  // name: "seq", elem_type: 1 (tensor), tensor_values.
  std::string list("\x0a\x03seq\x10\x01", 7);
  list += "\x1a\x08" + one + "\x1a\x08" + two;
  std::vector<Tensor> tensors;
  std::string error;
  ASSERT_TRUE(parseTensorProtos(list, tensors, error)) << error;
  ASSERT_EQ(tensors.size(), 2u);
  EXPECT_EQ(readElement(tensors[0].view(), 0), 1.0);
  EXPECT_EQ(readElement(tensors[1].view(), 0), 2.0);
}

// Tests the names of files for outputs.
TEST(TensorFileTest, FileNames) {
  EXPECT_EQ(toFileName("present.0.key"), "present.0.key");
  EXPECT_EQ(toFileName("../a/b c"), "%2E.%2Fa%2Fb%20c");
}

// Tests that names from a model cannot steer a terminal.
TEST(PrintableTest, ControlCharacters) {
  EXPECT_EQ(toPrintable("a\x1b[31m\n\x7fü"), "a\\x1b[31m\\x0a\\x7fü");
}

// Tests tolerances, special numbers and shapes.
TEST(CompareTest, Floats) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  auto compare = [](float got, float want) {
    Tensor left = makeTensor<float>(MOE_DTYPE_F32, {1}, {got});
    Tensor right = makeTensor<float>(MOE_DTYPE_F32, {1}, {want});
    return compareTensors(left.view(), right.view(), {0.01, 0.5}).agrees;
  };
  EXPECT_TRUE(compare(100, 101.5f));
  EXPECT_FALSE(compare(100, 102));
  EXPECT_TRUE(compare(nan, nan));
  EXPECT_FALSE(compare(nan, 0));
  EXPECT_FALSE(compare(0, nan));
  EXPECT_TRUE(compare(infinity, infinity));
  EXPECT_FALSE(compare(infinity, -infinity));
  EXPECT_FALSE(compare(1, infinity));
  EXPECT_FALSE(compare(infinity, 1));
}

// Tests that integers must be equal even where doubles are.
TEST(CompareTest, Integers) {
  int64_t large = int64_t(1) << 60;
  Tensor left = makeTensor<int64_t>(MOE_DTYPE_I64, {2}, {5, large});
  Tensor right = makeTensor<int64_t>(MOE_DTYPE_I64, {2}, {5, large + 1});
  Comparison comparison = compareTensors(left.view(), right.view(), {1, 1});
  EXPECT_FALSE(comparison.agrees);
  EXPECT_EQ(comparison.wrongElements, 1);
}

// Tests that the message of a disagreement names the worst element.
TEST(CompareTest, Reason) {
  Tensor got = makeTensor<float>(MOE_DTYPE_F32, {2, 2}, {1, 2, 3, 9});
  Tensor want = makeTensor<float>(MOE_DTYPE_F32, {2, 2}, {1, 3, 3, 4});
  EXPECT_EQ(compareTensors(got.view(), want.view(), {}).reason,
            "2 of 4 elements disagree; worst at [1, 1]: expected 4, got 9");
  Tensor other = makeTensor<float>(MOE_DTYPE_F32, {4}, {1, 3, 3, 4});
  EXPECT_EQ(compareTensors(got.view(), other.view(), {}).reason,
            "expected f32[4], got f32[2 x 2]");
}

// Tests greedy choice with ties and NaN.
TEST(SamplerTest, Greedy) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Sampler sampler{SamplerOptions()};
  EXPECT_EQ(sampler.choose({1, 5, 5, 2}), 1u);
  EXPECT_EQ(sampler.choose({nan, -5, nan}), 1u);
}

// Tests that limits leave out the unlikely and that a seed repeats its choices.
TEST(SamplerTest, Limits) {
  std::vector<float> logits = {0, 3, 1, 2.9f, -10};
  auto draw = [&](SamplerOptions options) {
    Sampler sampler(options);
    std::vector<int> counts(logits.size());
    for (int i = 0; i < 1000; ++i)
      ++counts[sampler.choose(logits)];
    return counts;
  };
  std::vector<int> all = draw({1, 1, 0, 7});
  EXPECT_GT(all[0], 0);
  EXPECT_GT(all[1], all[2]);
  EXPECT_EQ(all, draw({1, 1, 0, 7}));
  std::vector<int> two = draw({1, 1, 2, 7});
  EXPECT_EQ(two[1] + two[3], 1000);
  EXPECT_GT(two[3], 0);
  EXPECT_EQ(draw({1, 0, 0, 7})[1], 1000);
}

// Tests that a benchmark fills a decoder's inputs with one sequence behind its
// cache, and that extents with one name are equal.
TEST(BenchInputsTest, Decoder) {
  const int64_t unknown[] = {-1, -1}, cache[] = {-1, 2, -1, 8}, flat[] = {-1};
  const int64_t logits[] = {-1, -1, 50};
  const char *ids[] = {"batch", "sequence"}, *mask[] = {"batch", "total"};
  const char *past[] = {"batch", "", "past", ""}, *lengths[] = {"batch"};
  const char *outputs[] = {"batch", "sequence", ""};
  std::vector<moe_value_info_t> inputs = {
      {"seqlens_k", MOE_DTYPE_I32, 1, flat, lengths},
      {"input_ids", MOE_DTYPE_I64, 2, unknown, ids},
      {"attention_mask", MOE_DTYPE_I64, 2, unknown, mask},
      {"past_key_values.0.key", MOE_DTYPE_BF16, 4, cache, past}};
  std::vector<moe_value_info_t> results = {
      {"logits", MOE_DTYPE_F32, 3, logits, outputs}};
  std::mt19937 random(1);
  BenchInputs source(inputs, results, /*pastTokens=*/7);
  EXPECT_TRUE(source.hasTokenExtent());
  std::vector<Tensor> tensors = source.make(3, random);
  ASSERT_EQ(tensors.size(), 4u);
  EXPECT_EQ(tensors[0].dims, std::vector<int64_t>({1}));
  EXPECT_EQ(readElement(tensors[0].view(), 0), 9);
  EXPECT_EQ(tensors[1].dims, std::vector<int64_t>({1, 3}));
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_GE(readElement(tensors[1].view(), i), 0);
    EXPECT_LT(readElement(tensors[1].view(), i), 50);
  }
  EXPECT_EQ(tensors[2].dims, std::vector<int64_t>({1, 10}));
  EXPECT_EQ(readElement(tensors[2].view(), 9), 1);
  EXPECT_EQ(tensors[3].dims, std::vector<int64_t>({1, 2, 7, 8}));
}

// Tests that an error is that of all numbers together, relative to their size.
TEST(RoundedWeightsTest, RelativeError) {
  auto getError = [](std::vector<float> got, std::vector<float> want) {
    std::vector<int64_t> dims = {static_cast<int64_t>(got.size())};
    return getRelativeError(makeTensor(MOE_DTYPE_F32, dims, got).view(),
                            makeTensor(MOE_DTYPE_F32, dims, want).view());
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(getError({3, 4}, {3, 4}), 0);
  EXPECT_DOUBLE_EQ(getError({3, 9}, {3, 4}), 1);
  EXPECT_EQ(getError({}, {}), 0);
  EXPECT_EQ(getError({nan, infinity, 1}, {nan, infinity, 1}), 0);
  EXPECT_EQ(getError({nan, 1}, {2, 1}), infinity);
  EXPECT_EQ(getError({-infinity}, {infinity}), infinity);
  EXPECT_EQ(getError({1}, {0}), infinity);
}

// Tests that only packed weights with another type or layout count as rounded,
// and that errors add up as independent ones.
TEST(RoundedWeightsTest, ExpectedError) {
  const char *kept = R"({"weights": [
    {"name": "a", "type": "tensor<2x8x16x1xf32>", "layout": "panels"},
    {"name": "b", "type": "tensor<2x8x16x1xf32>", "layout": "panels"},
    {"name": "c", "type": "tensor<2x8xf32>", "layout": "row-major"}]})";
  const char *rounded = R"({"weights": [
    {"name": "a", "type": "tensor<2x1x16x34xi8>", "layout": "quantised"},
    {"name": "b", "type": "tensor<2x8x16x1xf32>", "layout": "panels"},
    {"name": "c", "type": "tensor<2x8xf32>", "layout": "row-major"}]})";
  EXPECT_EQ(countRoundedWeights(rounded, kept), 1u);
  EXPECT_EQ(countRoundedWeights(kept, kept), 0u);
  EXPECT_EQ(getExpectedError({"int8", "keep"}, 0), 0);
  EXPECT_DOUBLE_EQ(getExpectedError({"bf16", "keep"}, 16), 1.0 / 128);
  EXPECT_LT(getExpectedError({"bf16", "keep"}, 4),
            getExpectedError({"int8", "keep"}, 4));
  EXPECT_LT(getExpectedError({"int8", "keep"}, 4),
            getExpectedError({"int4", "keep"}, 4));
  EXPECT_DOUBLE_EQ(getExpectedError({"keep", "model"}, 4),
                   getExpectedError({"int8", "keep"}, 4));
  EXPECT_DOUBLE_EQ(getExpectedError({"int8", "int8"}, 4),
                   getExpectedError({"int8", "keep"}, 8));
}
