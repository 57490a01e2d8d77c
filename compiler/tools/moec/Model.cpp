//===- Model.cpp - a loaded artifact --------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/Model.h"

#include "compiler/tools/moec/Commands.h"
#include "runtime/format/Reader.h"

#include "llvm/Support/JSON.h"

#include <CLI/CLI.hpp>

#include <cstdlib>
#include <thread>

static void check(moe_status_t status) {
  if (status != MOE_OK)
    exitWithError(moe_error_message());
}

/// What a manifest holds; nothing if it cannot be read, which is an error of
/// the runtime.
static llvm::json::Object parseManifest(llvm::StringRef text) {
  llvm::Expected<llvm::json::Value> manifest = llvm::json::parse(text);
  if (!manifest) {
    llvm::consumeError(manifest.takeError());
    return {};
  }
  llvm::json::Object *object = manifest->getAsObject();
  return object ? std::move(*object) : llvm::json::Object();
}

/// How many ranks the artifact at `path` was compiled for. Errors are those of
/// the runtime, which opens it later.
static size_t readRanks(const std::string &path) {
  moert::Reader reader;
  std::string text;
  if (!moert::Reader::open(path, reader).ok() ||
      !reader.read(*reader.find(moert::SectionKind::Manifest), text).ok())
    return 1;
  return parseManifest(text).getInteger("ranks").value_or(1);
}

std::vector<Model::Communicator> Model::joinRanks(const std::string &path,
                                                  std::string transport) {
  if (transport.empty() && std::getenv("OMPI_COMM_WORLD_SIZE"))
    transport = "mpi";
  std::vector<Communicator> communicators;
  size_t ranks = readRanks(path);
  if (ranks == 1) {
    communicators.emplace_back();
  } else if (!transport.empty()) {
    moe_communicator_t *communicator;
    check(moe_communicator_open(transport.c_str(), &communicator));
    communicators.emplace_back(communicator);
    check(moe_communicator_rank(communicator, &rank, &ranks));
  } else {
    std::vector<moe_communicator_t *> group(ranks);
    check(moe_communicator_local(ranks, group.data()));
    for (moe_communicator_t *communicator : group)
      communicators.emplace_back(communicator);
  }
  return communicators;
}

void Model::open(const std::string &path, const RunFlags &flags,
                 moe_communicator_t *communicator) {
  moe_program_options_t programOptions = {};
  programOptions.struct_size = sizeof(programOptions);
  programOptions.weights =
      flags.mapWeights ? MOE_WEIGHTS_MAP : MOE_WEIGHTS_READ;
  programOptions.device = flags.device.c_str();
  programOptions.communicator = communicator;
  if (!flags.arch.empty())
    programOptions.isa = flags.arch.c_str();
  moe_program_t *program;
  check(moe_program_open(path.c_str(), &programOptions, &program));
  programs.emplace_back(program);
  moe_session_options_t sessionOptions = {};
  sessionOptions.struct_size = sizeof(sessionOptions);
  sessionOptions.threads = flags.threads;
  moe_session_t *session;
  check(moe_session_create(program, &sessionOptions, &session));
  sessions.emplace_back(session);
}

Model::Model(const std::string &path, const RunFlags &flags) {
  if (flags.isChecked) {
    if (flags.device != "emulate")
      exitWithError("--check: expected --device emulate, got '" + flags.device +
                    "'");
    setenv("MOE_EMULATED_CHECK", "1", /*overwrite=*/1);
  }
  communicators = joinRanks(path, flags.transport);
  for (const Communicator &communicator : communicators)
    open(path, flags, communicator.get());
  const moe_program_t *program = programs.front().get();
  size_t inputCount, outputCount;
  check(moe_program_input_count(program, &inputCount));
  check(moe_program_output_count(program, &outputCount));
  inputs.resize(inputCount);
  outputs.resize(outputCount);
  for (size_t i = 0; i < inputCount; ++i)
    check(moe_program_input(program, i, &inputs[i]));
  for (size_t i = 0; i < outputCount; ++i)
    check(moe_program_output(program, i, &outputs[i]));
  size_t stateCount;
  check(moe_program_state_count(program, &stateCount));
  states.resize(stateCount);
  for (size_t i = 0; i < stateCount; ++i)
    check(moe_program_state(program, i, &states[i]));
}

const char *Model::getIsa() const {
  const char *isa;
  check(moe_program_isa(programs.front().get(), &isa));
  return isa;
}

bool Model::hasOwnTokens() const {
  return parseManifest(getManifest()).getString("tokens") == "own";
}

const char *Model::getManifest() const {
  const char *text;
  check(moe_program_manifest(programs.front().get(), &text));
  return text;
}

void Model::run(const std::vector<moe_input_t> &values) {
  run(std::vector<std::vector<moe_input_t>>(sessions.size(), values));
}

void Model::run(const std::vector<std::vector<moe_input_t>> &values) {
  // The message of a failure belongs to its thread.
  std::vector<std::string> errors(sessions.size());
  auto runRank = [&](size_t i) {
    if (moe_session_run(sessions[i].get(), values[i].data(), values[i].size()))
      errors[i] = moe_error_message();
  };
  std::vector<std::thread> others;
  for (size_t i = 1; i < sessions.size(); ++i)
    others.emplace_back(runRank, i);
  runRank(0);
  for (std::thread &other : others)
    other.join();
  for (const std::string &error : errors)
    if (!error.empty())
      exitWithError(error);
}

moe_tensor_t Model::getOutput(size_t index, size_t localRank) const {
  moe_tensor_t tensor;
  check(moe_session_output(sessions[localRank].get(), index, &tensor));
  return tensor;
}

uint64_t Model::getBytesSent(size_t localRank) const {
  uint64_t bytes = 0;
  if (communicators[localRank])
    check(moe_communicator_bytes_sent(communicators[localRank].get(), &bytes));
  return bytes;
}

void Model::recordRouting() {
  check(moe_session_record_routing(sessions.front().get(), /*enable=*/1));
}

std::vector<moe_routing_t> Model::getRouting() const {
  size_t count;
  check(moe_session_routing_count(sessions.front().get(), &count));
  std::vector<moe_routing_t> layers(count);
  for (size_t i = 0; i < count; ++i)
    check(moe_session_routing(sessions.front().get(), i, &layers[i]));
  return layers;
}

void Model::profile() {
  check(moe_session_profile(sessions.front().get(), /*enable=*/1));
}

llvm::ArrayRef<moe_span_t> Model::getSpans() {
  const moe_span_t *spans;
  size_t count;
  check(moe_session_spans(sessions.front().get(), &spans, &count));
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
  command.add_flag("--check", flags.isChecked,
                   "with --device emulate: look for races and other errors of "
                   "kernels (slower)");
  command.add_flag("--map-weights", flags.mapWeights,
                   "map the weights instead of reading them: slower, but takes "
                   "less memory");
}
