//===- BindInputsTest.cpp - inputs against a signature --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/core/BindInputs.h"

#include <gtest/gtest.h>

using namespace moert;

namespace {

class BindInputsTest : public testing::Test {
protected:
  void SetUp() override {
    const char *json = R"({"host_interface": 4, "outputs": [], "inputs": [
      {"name": "ids", "type": "i64", "dims": ["batch", "sequence"]},
      {"name": "mask", "type": "f32", "dims": ["batch", 4]},
      {"name": "any", "type": "i1", "dims": [""]}]})";
    Status status = Manifest::parse(json, manifest);
    ASSERT_TRUE(status.ok()) << status.message();
  }

  std::string match() {
    std::vector<const moe_tensor_t *> result;
    return matchInputs(manifest.inputs, inputs.data(), inputs.size(), result)
        .message();
  }

  Manifest manifest;
  alignas(8) char data[256] = {};
  int64_t idsDims[2] = {2, 3}, maskDims[2] = {2, 4}, anyDims[1] = {5};
  std::vector<moe_input_t> inputs = {
      {"any", {MOE_DTYPE_BOOL, 1, anyDims, data}},
      {"ids", {MOE_DTYPE_I64, 2, idsDims, data}},
      {"mask", {MOE_DTYPE_F32, 2, maskDims, data}}};
};

} // namespace

// Tests that inputs are found by name in any order.
TEST_F(BindInputsTest, AnyOrder) {
  EXPECT_EQ(match(), "");
  std::vector<const moe_tensor_t *> result;
  ASSERT_TRUE(matchInputs(manifest.inputs, inputs.data(), 3, result).ok());
  EXPECT_EQ(result[0], &inputs[1].tensor);
}

// Tests unknown, missing, repeated and unnamed inputs.
TEST_F(BindInputsTest, Names) {
  inputs[0].name = "an";
  EXPECT_EQ(match(), "unknown input 'an', expected: 'ids', 'mask', 'any'");
  inputs[0].name = "ids";
  EXPECT_EQ(match(), "input 'ids' is given twice");
  inputs[0].name = nullptr;
  EXPECT_EQ(match(), "input 0 has no name");
  inputs.erase(inputs.begin());
  EXPECT_EQ(match(), "input 'any' is missing, expected i1[?]");
}

// Tests wrong types, ranks and extents.
TEST_F(BindInputsTest, Types) {
  inputs[1].tensor.dtype = MOE_DTYPE_I32;
  EXPECT_EQ(match(), "input 'ids': expected i64[batch x sequence], got "
                     "i32[2 x 3]");
  inputs[1].tensor.dtype = MOE_DTYPE_I64;
  inputs[1].tensor.rank = 1;
  EXPECT_EQ(match(), "input 'ids': expected i64[batch x sequence] of rank 2, "
                     "got rank 1");
  inputs[1].tensor.rank = 2;
  maskDims[1] = 5;
  EXPECT_EQ(match(), "input 'mask': expected f32[batch x 4], got f32[2 x 5]");
  maskDims[1] = 4;
  idsDims[1] = -1;
  EXPECT_EQ(match(), "input 'ids': expected i64[batch x sequence], got "
                     "i64[2 x -1]");
  idsDims[1] = INT64_MAX;
  EXPECT_NE(match().find("which is too large"), std::string::npos);
}

// Tests that one symbol stands for one extent.
TEST_F(BindInputsTest, Symbols) {
  maskDims[0] = 3;
  EXPECT_EQ(match(), "input 'mask': expected 'batch' (dimension 0) to be 2 as "
                     "in dimension 0 of input 'ids', got 3");
}

// Tests null and misaligned data, and that no data is needed for no elements.
TEST_F(BindInputsTest, Data) {
  inputs[1].tensor.data = data + 1;
  EXPECT_EQ(match(), "input 'ids': expected data aligned to 8 bytes");
  inputs[1].tensor.data = nullptr;
  EXPECT_EQ(match(), "input 'ids': expected data, got a null pointer");
  idsDims[1] = 0;
  EXPECT_EQ(match(), "");
}

/// The manifest of a program for four ranks with this layout and this exchange
/// of its only layer.
static std::string makeRankManifest(const std::string &layout,
                                    const std::string &exchange) {
  return R"({"host_interface": 4, "inputs": [], "outputs": [], "ranks": 4, )" +
         layout + R"(, "weights": [], "experts": {"layers": [
           {"placement": [[0], [3, 1]], "exchange": )" +
         exchange + "}]}}";
}

// Tests that the layout of ranks and the exchanges of layers are read.
TEST(ManifestTest, Ranks) {
  Manifest manifest;
  ASSERT_TRUE(Manifest::parse(makeRankManifest(
                                  R"("ranks_per_node": 2, "tokens": "own")",
                                  R"([{"algorithm": "gather", "max_tokens": 16},
                          {"algorithm": "two_level"}])"),
                              manifest)
                  .ok());
  EXPECT_EQ(manifest.layout.ranks, 4u);
  EXPECT_EQ(manifest.layout.ranksPerNode, 2u);
  EXPECT_TRUE(manifest.layout.hasOwnTokens);
  const LayerPlacement &placement = manifest.placements[0];
  EXPECT_EQ(placement.experts[1], std::vector<int32_t>({3, 1}));
  ASSERT_EQ(placement.exchanges.size(), 2u);
  EXPECT_EQ(placement.exchanges[0].maxTokens, 16);
  EXPECT_EQ(placement.exchanges[0].algorithm, ExchangeAlgorithm::Gather);
  EXPECT_EQ(placement.exchanges[1].algorithm, ExchangeAlgorithm::TwoLevel);
}

TEST(ManifestTest, MalformedRanks) {
  const std::string layout = R"("ranks_per_node": 2, "tokens": "own")",
                    exchange = R"([{"algorithm": "direct"}])";
  for (const std::string &json :
       {makeRankManifest(R"("tokens": "own")", exchange),
        makeRankManifest(R"("ranks_per_node": 3, "tokens": "own")", exchange),
        makeRankManifest(R"("ranks_per_node": 2, "tokens": "none")", exchange),
        makeRankManifest(layout, "[]"),
        makeRankManifest(layout, R"([{"algorithm": "mail"}])"),
        makeRankManifest(layout,
                         R"([{"algorithm": "direct", "max_tokens": 8}])"),
        makeRankManifest(layout, R"([{"algorithm": "direct", "max_tokens": 8},
                                     {"algorithm": "gather", "max_tokens": 8},
                                     {"algorithm": "direct"}])")}) {
    Manifest manifest;
    EXPECT_EQ(Manifest::parse(json, manifest).code(), MOE_ERROR_ARTIFACT)
        << json;
  }
}

// Tests that malformed manifests are refused without an exception.
TEST(ManifestTest, Malformed) {
  for (const char *json :
       {"", "[]", "{", "{}", R"({"host_interface": "1"})",
        R"({"host_interface": 4, "inputs": {}, "outputs": []})",
        R"({"host_interface": 4, "inputs": [1], "outputs": []})",
        R"({"host_interface": 4, "outputs": [], "inputs":
            [{"name": "x", "type": "f31", "dims": []}]})",
        R"({"host_interface": 4, "outputs": [], "inputs":
            [{"name": "x", "type": "f32", "dims": [-1]}]})",
        R"({"host_interface": 4, "outputs": [], "inputs":
            [{"name": "x", "type": "f32", "dims": [1.5]}]})"}) {
    Manifest manifest;
    EXPECT_EQ(Manifest::parse(json, manifest).code(), MOE_ERROR_ARTIFACT)
        << json;
  }
}
