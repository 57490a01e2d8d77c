//===- Model.cpp - a loaded artifact --------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/Model.h"

#include "compiler/tools/moec/Commands.h"

#include <CLI/CLI.hpp>

static void check(moe_status_t status) {
  if (status != MOE_OK)
    exitWithError(moe_error_message());
}

Model::Model(const std::string &path, const RunFlags &flags) {
  moe_program_options_t programOptions = {};
  programOptions.struct_size = sizeof(programOptions);
  programOptions.weights =
      flags.mapWeights ? MOE_WEIGHTS_MAP : MOE_WEIGHTS_READ;
  programOptions.device = flags.device.c_str();
  if (!flags.arch.empty())
    programOptions.isa = flags.arch.c_str();
  moe_program_t *openProgram;
  check(moe_program_open(path.c_str(), &programOptions, &openProgram));
  program.reset(openProgram);

  size_t inputCount, outputCount;
  check(moe_program_input_count(program.get(), &inputCount));
  check(moe_program_output_count(program.get(), &outputCount));
  inputs.resize(inputCount);
  outputs.resize(outputCount);
  for (size_t i = 0; i < inputCount; ++i)
    check(moe_program_input(program.get(), i, &inputs[i]));
  for (size_t i = 0; i < outputCount; ++i)
    check(moe_program_output(program.get(), i, &outputs[i]));
  size_t stateCount;
  check(moe_program_state_count(program.get(), &stateCount));
  states.resize(stateCount);
  for (size_t i = 0; i < stateCount; ++i)
    check(moe_program_state(program.get(), i, &states[i]));

  moe_session_options_t sessionOptions = {};
  sessionOptions.struct_size = sizeof(sessionOptions);
  sessionOptions.threads = flags.threads;
  moe_session_t *openSession;
  check(moe_session_create(program.get(), &sessionOptions, &openSession));
  session.reset(openSession);
}

const char *Model::getManifest() const {
  const char *text;
  check(moe_program_manifest(program.get(), &text));
  return text;
}

void Model::run(const std::vector<moe_input_t> &values) {
  check(moe_session_run(session.get(), values.data(), values.size()));
}

moe_tensor_t Model::getOutput(size_t index) const {
  moe_tensor_t tensor;
  check(moe_session_output(session.get(), index, &tensor));
  return tensor;
}

void Model::recordRouting() {
  check(moe_session_record_routing(session.get(), /*enable=*/1));
}

std::vector<moe_routing_t> Model::getRouting() const {
  size_t count;
  check(moe_session_routing_count(session.get(), &count));
  std::vector<moe_routing_t> layers(count);
  for (size_t i = 0; i < count; ++i)
    check(moe_session_routing(session.get(), i, &layers[i]));
  return layers;
}

void Model::profile() {
  check(moe_session_profile(session.get(), /*enable=*/1));
}

llvm::ArrayRef<moe_span_t> Model::getSpans() {
  const moe_span_t *spans;
  size_t count;
  check(moe_session_spans(session.get(), &spans, &count));
  return {spans, count};
}

void addRunFlags(CLI::App &command, RunFlags &flags) {
  command
      .add_option("--threads", flags.threads,
                  "threads to run on (default: one per processor)")
      ->check(CLI::Range(1u, 4096u));
  command
      .add_option("--device", flags.device,
                  "where to run: cpu, cuda (the first device of the CUDA "
                  "driver) or emulate (a device in this process: slow)")
      ->check(CLI::IsMember({"cpu", "cuda", "emulate"}));
  command.add_option("--arch", flags.arch,
                     "the code to run, such as x86-64-v3 or sm_80 (default: "
                     "the best that the machine or device supports)");
  command.add_flag("--map-weights", flags.mapWeights,
                   "map the weights instead of reading them: slower, but takes "
                   "less memory");
}
