//===- SessionFixture.h - a program and a session for tests ---------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TEST_RUNTIME_CORE_SESSIONFIXTURE_H
#define TEST_RUNTIME_CORE_SESSIONFIXTURE_H

#include "test/runtime/ArtifactBuilder.h"

#include "runtime/moe_runtime.h"

namespace moert {

enum Mode : int64_t {
  Plain,
  FailSerial,
  FailParallel,
  StridedOutput,
  OutputIsInput,
  HugeAllocation,
  EmptyOutput,
  Arena,
  ThreadNumbers,
  Marks,
  Routing,
  Append
};

inline const char kManifest[] = R"({"host_interface": 4,
  "inputs": [{"name": "x", "type": "f32", "dims": ["n"]},
             {"name": "mode", "type": "i64", "dims": []}],
  "outputs": [{"name": "y", "type": "f32", "dims": ["n"]}]})";

/// A program that runs test/runtime/core/Inputs/Code.c.
class SessionTest : public testing::Test {
protected:
  std::vector<SectionContents> makeSections(const char *manifest = kManifest) {
    float weight = 0.5;
    std::string weights(reinterpret_cast<char *>(&weight), sizeof(weight));
    // Several chunks, so that several threads read.
    weights.resize(9 << 20, 'w');
    return {{SectionKind::Manifest, "", manifest},
            {SectionKind::Code, "x86-64", readAll(MOERT_TEST_CODE)},
            {SectionKind::Weights, "", weights}};
  }

  void open(moe_weights_mode_t weights = MOE_WEIGHTS_READ, unsigned threads = 3,
            const char *manifest = kManifest) {
    ASSERT_TRUE(writeArtifact(path, makeSections(manifest)).ok());
    moe_program_options_t options = {};
    options.struct_size = sizeof(options);
    options.weights = weights;
    ASSERT_EQ(moe_program_open(path.c_str(), &options, &program), MOE_OK)
        << moe_error_message();
    moe_session_options_t sessionOptions = {sizeof(sessionOptions), threads};
    ASSERT_EQ(moe_session_create(program, &sessionOptions, &session), MOE_OK)
        << moe_error_message();
  }

  void TearDown() override {
    moe_session_destroy(session);
    moe_program_close(program);
  }

  moe_status_t run(int64_t mode) { return run(session, mode); }

  moe_status_t run(moe_session_t *target, int64_t mode) {
    int64_t size = x.size();
    moe_input_t inputs[] = {{"mode", {MOE_DTYPE_I64, 0, nullptr, &mode}},
                            {"x", {MOE_DTYPE_F32, 1, &size, x.data()}}};
    return moe_session_run(target, inputs, 2);
  }

  void expectOutput(moe_session_t *target) {
    moe_tensor_t y;
    ASSERT_EQ(moe_session_output(target, 0, &y), MOE_OK) << moe_error_message();
    ASSERT_EQ(y.rank, 1u);
    ASSERT_EQ(y.dims[0], static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < x.size(); ++i)
      ASSERT_EQ(static_cast<const float *>(y.data)[i], 2 * x[i] + 0.5f);
  }

  TemporaryFolder folder;
  std::string path = folder.file("model.moe");
  moe_program_t *program = nullptr;
  moe_session_t *session = nullptr;
  std::vector<float> x = std::vector<float>(1000, 3.0f);
};

} // namespace moert

#endif // TEST_RUNTIME_CORE_SESSIONFIXTURE_H
