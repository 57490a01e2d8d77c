//===- SessionStateTest.cpp - states that grow in place -------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/runtime/core/SessionFixture.h"

using namespace moert;

namespace {

const char kStateManifest[] = R"({"host_interface": 4,
  "inputs": [{"name": "x", "type": "f32", "dims": ["n"]},
             {"name": "mode", "type": "i64", "dims": []},
             {"name": "past", "type": "f32", "dims": [2, "p"]}],
  "outputs": [{"name": "y", "type": "f32", "dims": ["n"]},
              {"name": "present", "type": "f32", "dims": [2, "q"]}],
  "states": [{"input": 2, "output": 1, "axis": 1}]})";

class SessionStateTest : public SessionTest {
protected:
  void SetUp() override {
    open(MOE_WEIGHTS_READ, /*threads=*/1, kStateManifest);
  }

  /// Appends `values`; to `past`, or to what the session holds.
  moe_status_t append(std::vector<float> values,
                      const std::vector<float> *past = nullptr) {
    int64_t mode = Append, size = values.size();
    int64_t dims[2] = {2, past ? int64_t(past->size()) / 2 : 0};
    moe_input_t inputs[] = {
        {"x", {MOE_DTYPE_F32, 1, &size, values.data()}},
        {"mode", {MOE_DTYPE_I64, 0, nullptr, &mode}},
        {"past", {MOE_DTYPE_F32, 2, dims, past ? past->data() : nullptr}}};
    return moe_session_run(session, inputs, past ? 3 : 2);
  }

  /// The two rows of the state, one after the other.
  std::vector<float> getPresent() {
    moe_tensor_t tensor = {};
    EXPECT_EQ(moe_session_output(session, 1, &tensor), MOE_OK)
        << moe_error_message();
    if (!tensor.data)
      return {};
    const float *data = static_cast<const float *>(tensor.data);
    EXPECT_EQ(tensor.dims[0], 2);
    return {data, data + 2 * tensor.dims[1]};
  }

  uint64_t getBytesCopied() {
    moe_session_statistics_t statistics = {};
    statistics.struct_size = sizeof(statistics);
    EXPECT_EQ(moe_session_statistics(session, &statistics), MOE_OK);
    return statistics.state_bytes_copied;
  }

  const std::vector<float> empty;
};

} // namespace

// Tests the description of a state, and the ones that are refused.
TEST_F(SessionStateTest, Signature) {
  size_t count;
  moe_state_info_t info;
  ASSERT_EQ(moe_program_state_count(program, &count), MOE_OK);
  EXPECT_EQ(count, 1u);
  ASSERT_EQ(moe_program_state(program, 0, &info), MOE_OK);
  EXPECT_EQ(info.input, 2u);
  EXPECT_EQ(info.output, 1u);
  EXPECT_EQ(info.axis, 1u);
  EXPECT_EQ(moe_program_state(program, 1, &info), MOE_ERROR_INVALID_ARGUMENT);
  for (const char *state : {R"("axis": 2)", R"("axis": -1)", R"("axi": 1)"}) {
    std::string manifest = kStateManifest;
    manifest.replace(manifest.find(R"("axis": 1)"), 9, state);
    ASSERT_TRUE(writeArtifact(path, makeSections(manifest.c_str())).ok());
    moe_program_t *refused;
    EXPECT_EQ(moe_program_open(path.c_str(), nullptr, &refused),
              MOE_ERROR_ARTIFACT);
  }
}

// Tests that a state that is given each time, and one that the session keeps,
// hold the same bits.
TEST_F(SessionStateTest, KeptStateEqualsGivenState) {
  std::vector<float> given;
  std::vector<std::vector<float>> steps = {{1, 2, 3}, {4}, {}, {5, 6}};
  for (const std::vector<float> &step : steps) {
    std::vector<float> copy = given;
    ASSERT_EQ(append(step, &copy), MOE_OK) << moe_error_message();
    given = getPresent();
  }
  EXPECT_EQ(given, (std::vector<float>{1, 2, 3, 4, 5, 6, 2, 3, 4, 5, 6, 7}));
  ASSERT_EQ(append(steps[0], &empty), MOE_OK);
  for (size_t i = 1; i < steps.size(); ++i)
    ASSERT_EQ(append(steps[i]), MOE_OK) << moe_error_message();
  EXPECT_EQ(getPresent(), given);
}

// Tests that steps copy nothing while there is room, and that all copies
// together are fewer than the entries of the end: the room doubles.
TEST_F(SessionStateTest, KeptStateIsNotCopied) {
  ASSERT_EQ(append({0}, &empty), MOE_OK);
  unsigned copies = 0;
  for (int i = 1; i < 1000; ++i) {
    uint64_t before = getBytesCopied();
    ASSERT_EQ(append({float(i)}), MOE_OK);
    copies += getBytesCopied() != before;
  }
  EXPECT_EQ(copies, 10u);
  EXPECT_LT(getBytesCopied(), 2 * 1024 * sizeof(float));
  std::vector<float> present = getPresent();
  ASSERT_EQ(present.size(), 2000u);
  EXPECT_EQ(present[999], 999.0f);
  EXPECT_EQ(present[1999], 1000.0f);
}

// Tests that a run that fails leaves the state as it was.
TEST_F(SessionStateTest, FailureKeepsState) {
  ASSERT_EQ(append({1}, &empty), MOE_OK);
  ASSERT_EQ(append({2}), MOE_OK);
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(append({-1, 7}), MOE_ERROR_RUN);
  moe_tensor_t tensor;
  EXPECT_EQ(moe_session_output(session, 1, &tensor),
            MOE_ERROR_INVALID_ARGUMENT);
  ASSERT_EQ(append({3}), MOE_OK);
  EXPECT_EQ(getPresent(), (std::vector<float>{1, 2, 3, 2, 3, 4}));
}

// Tests that the first run needs the input, and that a given one begins anew,
// even if it lies in the memory of the state.
TEST_F(SessionStateTest, FirstRunNeedsTheInput) {
  EXPECT_EQ(append({1}), MOE_ERROR_INPUT);
  EXPECT_STREQ(moe_error_message(),
               "input 'past' is missing, expected f32[2 x p]");
  ASSERT_EQ(append({1, 2}, &empty), MOE_OK);
  moe_tensor_t present;
  ASSERT_EQ(moe_session_output(session, 1, &present), MOE_OK);
  int64_t mode = Append, size = 1;
  float value = 5;
  moe_input_t inputs[] = {{"past", present},
                          {"mode", {MOE_DTYPE_I64, 0, nullptr, &mode}},
                          {"x", {MOE_DTYPE_F32, 1, &size, &value}}};
  ASSERT_EQ(moe_session_run(session, inputs, 3), MOE_OK);
  EXPECT_EQ(getPresent(), (std::vector<float>{1, 2, 5, 2, 3, 6}));
}
