//===- SessionTest.cpp - programs and sessions through the C interface ----===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/runtime/core/SessionFixture.h"

#include <cstring>
#include <thread>

using namespace moert;

// Tests the signature and a run, with weights read and mapped.
TEST_F(SessionTest, Run) {
  for (moe_weights_mode_t mode : {MOE_WEIGHTS_READ, MOE_WEIGHTS_MAP}) {
    open(mode);
    moe_value_info_t info;
    ASSERT_EQ(moe_program_input(program, 0, &info), MOE_OK);
    EXPECT_STREQ(info.name, "x");
    EXPECT_EQ(info.dims[0], -1);
    EXPECT_STREQ(info.symbols[0], "n");
    EXPECT_EQ(moe_program_input(program, 2, &info), MOE_ERROR_INVALID_ARGUMENT);
    moe_tensor_t y;
    EXPECT_EQ(moe_session_output(session, 0, &y), MOE_ERROR_INVALID_ARGUMENT);
    ASSERT_EQ(run(Plain), MOE_OK) << moe_error_message();
    expectOutput(session);
    TearDown();
  }
  session = nullptr;
  program = nullptr;
}

// Tests that programs that are open at the same time do not share code or
// weights.
TEST_F(SessionTest, TwoPrograms) {
  open();
  std::vector<SectionContents> sections = makeSections();
  float weight = 2.0f;
  std::memcpy(sections.back().bytes.data(), &weight, sizeof(weight));
  std::string otherPath = folder.file("other.moe");
  ASSERT_TRUE(writeArtifact(otherPath, sections).ok());
  moe_program_t *otherProgram = nullptr;
  moe_session_t *other = nullptr;
  ASSERT_EQ(moe_program_open(otherPath.c_str(), nullptr, &otherProgram), MOE_OK)
      << moe_error_message();
  ASSERT_EQ(moe_session_create(otherProgram, nullptr, &other), MOE_OK)
      << moe_error_message();
  ASSERT_EQ(run(Plain), MOE_OK) << moe_error_message();
  expectOutput(session);
  ASSERT_EQ(run(other, Plain), MOE_OK) << moe_error_message();
  moe_tensor_t y;
  ASSERT_EQ(moe_session_output(other, 0, &y), MOE_OK);
  EXPECT_EQ(static_cast<const float *>(y.data)[0], 2 * x[0] + weight);
  moe_session_destroy(other);
  moe_program_close(otherProgram);
}

// Tests that outputs with gaps are made row-major, that an output may be an
// input of the run, and that one may be empty.
TEST_F(SessionTest, UnusualOutputs) {
  open();
  ASSERT_EQ(run(StridedOutput), MOE_OK) << moe_error_message();
  expectOutput(session);
  ASSERT_EQ(run(OutputIsInput), MOE_OK) << moe_error_message();
  moe_tensor_t y;
  ASSERT_EQ(moe_session_output(session, 0, &y), MOE_OK);
  EXPECT_NE(y.data, x.data());
  EXPECT_EQ(static_cast<const float *>(y.data)[7], 3.0f);
  ASSERT_EQ(run(EmptyOutput), MOE_OK) << moe_error_message();
  ASSERT_EQ(moe_session_output(session, 0, &y), MOE_OK);
  EXPECT_EQ(y.dims[0], 0);
}

// Tests that the output of a run can be the input of the next one.
TEST_F(SessionTest, OutputFeedsNextRun) {
  open();
  ASSERT_EQ(run(Plain), MOE_OK);
  moe_tensor_t y;
  int64_t mode = Plain;
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(moe_session_output(session, 0, &y), MOE_OK);
    moe_input_t inputs[] = {{"x", y},
                            {"mode", {MOE_DTYPE_I64, 0, nullptr, &mode}}};
    ASSERT_EQ(moe_session_run(session, inputs, 2), MOE_OK);
  }
  ASSERT_EQ(moe_session_output(session, 0, &y), MOE_OK);
  EXPECT_EQ(static_cast<const float *>(y.data)[999],
            2 * (2 * (2 * (2 * 3 + 0.5f) + 0.5f) + 0.5f) + 0.5f);
}

// Tests that errors in serial code, in loops and of memory end the run with a
// message, and that the session works afterwards.
TEST_F(SessionTest, FailingRuns) {
  for (unsigned threads : {1u, 3u}) {
    open(MOE_WEIGHTS_READ, threads);
    EXPECT_EQ(run(FailSerial), MOE_ERROR_RUN);
    EXPECT_STREQ(moe_error_message(), "expected better input, got 42");
    moe_tensor_t y;
    EXPECT_EQ(moe_session_output(session, 0, &y), MOE_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(run(FailParallel), MOE_ERROR_RUN);
    EXPECT_STREQ(moe_error_message(), "index out of range, got 500");
    EXPECT_EQ(run(HugeAllocation), MOE_ERROR_OUT_OF_MEMORY);
    EXPECT_EQ(run(99), MOE_OK);
    expectOutput(session);
    TearDown();
  }
  session = nullptr;
  program = nullptr;
}

// Tests sessions of one program in several threads, the program being closed.
TEST_F(SessionTest, SessionsShareAProgram) {
  open();
  std::vector<moe_session_t *> sessions(3);
  moe_session_options_t options = {sizeof(options), 2};
  for (moe_session_t *&other : sessions)
    ASSERT_EQ(moe_session_create(program, &options, &other), MOE_OK);
  moe_program_close(program);
  program = nullptr;
  std::vector<std::thread> threads;
  for (moe_session_t *other : sessions)
    threads.emplace_back([&, other] {
      for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(run(other, i % 2 ? Plain : FailParallel),
                  i % 2 ? MOE_OK : MOE_ERROR_RUN);
        if (i % 2)
          expectOutput(other);
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  for (moe_session_t *other : sessions)
    moe_session_destroy(other);
}

// Tests that wrong uses of the interface give a status.
TEST_F(SessionTest, InvalidArguments) {
  open();
  EXPECT_EQ(moe_program_open(nullptr, nullptr, &program),
            MOE_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(moe_program_open(path.c_str(), nullptr, nullptr),
            MOE_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(moe_session_create(nullptr, nullptr, &session),
            MOE_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(moe_session_run(session, nullptr, 1), MOE_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(moe_session_run(session, nullptr, 0), MOE_ERROR_INPUT);
  EXPECT_STREQ(moe_error_message(), "input 'x' is missing, expected f32[n]");
  moe_session_destroy(nullptr);
  moe_program_close(nullptr);
}

// Tests that a choice of instruction set is obeyed, and that code for others is
// refused.
TEST_F(SessionTest, InstructionSets) {
  auto sections = makeSections();
  ASSERT_TRUE(writeArtifact(path, sections).ok());
  moe_program_options_t options = {};
  options.struct_size = sizeof(options);
  options.isa = "x86-64-v9";
  EXPECT_EQ(moe_program_open(path.c_str(), &options, &program),
            MOE_ERROR_UNSUPPORTED);
  EXPECT_EQ(std::string(moe_error_message()),
            "'" + path + "' has no code for 'x86-64-v9', only for: x86-64");
  sections[1].name = "x86-64-v9";
  ASSERT_TRUE(writeArtifact(path, sections).ok());
  for (const char *isa : {"x86-64-v9", (const char *)nullptr}) {
    options.isa = isa;
    EXPECT_EQ(moe_program_open(path.c_str(), &options, &program),
              MOE_ERROR_UNSUPPORTED);
    EXPECT_NE(std::string(moe_error_message()).find("x86-64-v9"),
              std::string::npos);
  }
}

// Tests that an artifact is refused before its code is loaded: damaged weights
// or code, another host interface, code without the entry points.
TEST_F(SessionTest, RefusedArtifacts) {
  ASSERT_TRUE(writeArtifact(path, makeSections()).ok());
  const std::string good = readAll(path);
  for (size_t place : {good.size() - 1, size_t(2 * 4096 + 100)}) {
    std::string damaged = good;
    damaged[place] ^= 0x10;
    writeAll(path, damaged);
    for (moe_weights_mode_t mode : {MOE_WEIGHTS_READ, MOE_WEIGHTS_MAP}) {
      moe_program_options_t options = {};
      options.struct_size = sizeof(options);
      options.weights = mode;
      EXPECT_EQ(moe_program_open(path.c_str(), &options, &program),
                MOE_ERROR_ARTIFACT);
      EXPECT_NE(std::string(moe_error_message()).find("is damaged"),
                std::string::npos);
    }
  }
  auto sections = makeSections();
  sections[0].bytes = R"({"host_interface": 99, "inputs": [], "outputs": []})";
  ASSERT_TRUE(writeArtifact(path, sections).ok());
  EXPECT_EQ(moe_program_open(path.c_str(), nullptr, &program),
            MOE_ERROR_UNSUPPORTED);
  sections = makeSections();
  sections[1].bytes = "not ELF";
  ASSERT_TRUE(writeArtifact(path, sections).ok());
  EXPECT_EQ(moe_program_open(path.c_str(), nullptr, &program),
            MOE_ERROR_ARTIFACT);
}
