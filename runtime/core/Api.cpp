//===- Api.cpp - the C interface of the runtime ---------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/LocalGroup.h"
#include "runtime/core/Session.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <sched.h>

using namespace moert;

struct moe_program {
  std::shared_ptr<const Program> program;
};

struct moe_communicator {
  std::shared_ptr<Communicator> communicator;
};

struct moe_session {
  // What is read from a session may be computed when it is asked for.
  mutable Session session;
};

static thread_local std::string lastError;

static moe_status_t report(const Status &status) {
  if (!status.ok())
    lastError = status.message();
  return status.code();
}

static moe_status_t nullPointer(const char *name) {
  return report(
      Status(MOE_ERROR_INVALID_ARGUMENT,
             std::string("expected a pointer for '") + name + "', got null"));
}

/// Runs `body`; an exception of the standard library becomes a status.
template <typename Body> static moe_status_t guard(Body body) {
  try {
    return report(body());
  } catch (const std::bad_alloc &) {
    return report(Status(MOE_ERROR_OUT_OF_MEMORY, "out of memory"));
  } catch (const std::exception &error) {
    return report(Status(MOE_ERROR_IO, error.what()));
  }
}

/// Takes the fields that the caller's version of a struct has; the rest is
/// zero.
template <typename Options> static Options readOptions(const Options *options) {
  Options result = {};
  if (options)
    std::memcpy(&result, options,
                std::min(options->struct_size, sizeof(Options)));
  return result;
}

const char *moe_error_message(void) { return lastError.c_str(); }

const char *moe_runtime_version(void) { return MOERT_VERSION; }

//===----------------------------------------------------------------------===//
// Ranks
//===----------------------------------------------------------------------===//

moe_status_t moe_communicator_local(size_t ranks,
                                    moe_communicator_t **out_communicators) {
  if (!out_communicators)
    return nullPointer("out_communicators");
  return guard([&] {
    constexpr size_t kMaxRanks = 1024;
    if (ranks == 0 || ranks > kMaxRanks)
      return Status(MOE_ERROR_INVALID_ARGUMENT,
                    "expected between 1 and " + std::to_string(kMaxRanks) +
                        " ranks, got " + std::to_string(ranks));
    std::vector<std::unique_ptr<moe_communicator>> handles;
    for (std::shared_ptr<Communicator> &communicator : makeLocalGroup(ranks))
      handles.emplace_back(new moe_communicator{std::move(communicator)});
    for (size_t i = 0; i < ranks; ++i)
      out_communicators[i] = handles[i].release();
    return Status();
  });
}

moe_status_t moe_communicator_open(const char *transport,
                                   moe_communicator_t **out_result) {
  if (!transport)
    return nullPointer("transport");
  if (!out_result)
    return nullPointer("out_result");
  return guard([&] {
    auto handle = std::make_unique<moe_communicator>();
    Status status = Communicator::open(transport, handle->communicator);
    if (status.ok())
      *out_result = handle.release();
    return status;
  });
}

moe_status_t moe_communicator_rank(const moe_communicator_t *communicator,
                                   size_t *out_rank, size_t *out_ranks) {
  if (!communicator)
    return nullPointer("communicator");
  if (!out_rank || !out_ranks)
    return nullPointer(out_rank ? "out_ranks" : "out_rank");
  *out_rank = communicator->communicator->getRank();
  *out_ranks = communicator->communicator->getSize();
  return MOE_OK;
}

moe_status_t moe_communicator_bytes_sent(const moe_communicator_t *communicator,
                                         uint64_t *out_bytes) {
  if (!communicator)
    return nullPointer("communicator");
  if (!out_bytes)
    return nullPointer("out_bytes");
  *out_bytes = communicator->communicator->getBytesSent();
  return MOE_OK;
}

void moe_communicator_close(moe_communicator_t *communicator) {
  delete communicator;
}

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

moe_status_t moe_program_open(const char *path,
                              const moe_program_options_t *options,
                              moe_program_t **out_program) {
  if (!path)
    return nullPointer("path");
  if (!out_program)
    return nullPointer("out_program");
  return guard([&] {
    moe_program_options_t given = readOptions(options);
    Program::Options wanted;
    if (given.verify != MOE_VERIFY_ALL && given.verify != MOE_VERIFY_CODE)
      return Status(MOE_ERROR_INVALID_ARGUMENT, "unknown value of 'verify'");
    if (given.weights != MOE_WEIGHTS_READ && given.weights != MOE_WEIGHTS_MAP)
      return Status(MOE_ERROR_INVALID_ARGUMENT, "unknown value of 'weights'");
    wanted.verifyWeights = given.verify == MOE_VERIFY_ALL;
    wanted.weightsMode = given.weights;
    if (given.isa)
      wanted.isa = given.isa;
    if (given.device) {
      std::string name = given.device;
      if (name == "cuda")
        wanted.target = Program::Options::Target::CUDA;
      else if (name == "emulate")
        wanted.target = Program::Options::Target::Emulated;
      else if (name != "cpu")
        return Status(MOE_ERROR_INVALID_ARGUMENT,
                      "expected the device 'cpu', 'cuda' or 'emulate', got '" +
                          name + "'");
    }
    if (given.communicator)
      wanted.communicator = given.communicator->communicator;
    auto handle = std::make_unique<moe_program>();
    Status status = Program::open(path, wanted, handle->program);
    if (status.ok())
      *out_program = handle.release();
    return status;
  });
}

void moe_program_close(moe_program_t *program) { delete program; }

static Status outOfRange(size_t count, size_t index) {
  return Status(MOE_ERROR_INVALID_ARGUMENT,
                "expected an index below " + std::to_string(count) + ", got " +
                    std::to_string(index));
}

static moe_status_t getInfo(const std::vector<ValueInfo> &values, size_t index,
                            moe_value_info_t *out_info) {
  if (!out_info)
    return nullPointer("out_info");
  return guard([&] {
    if (index >= values.size())
      return outOfRange(values.size(), index);
    const ValueInfo &value = values[index];
    *out_info = {value.name.c_str(), value.dtype, uint32_t(value.dims.size()),
                 value.dims.data(), value.symbolPointers.data()};
    return Status();
  });
}

moe_status_t moe_program_input_count(const moe_program_t *program,
                                     size_t *out_count) {
  if (!program || !out_count)
    return nullPointer(program ? "out_count" : "program");
  *out_count = program->program->getManifest().inputs.size();
  return MOE_OK;
}

moe_status_t moe_program_output_count(const moe_program_t *program,
                                      size_t *out_count) {
  if (!program || !out_count)
    return nullPointer(program ? "out_count" : "program");
  *out_count = program->program->getManifest().outputs.size();
  return MOE_OK;
}

moe_status_t moe_program_input(const moe_program_t *program, size_t index,
                               moe_value_info_t *out_info) {
  if (!program)
    return nullPointer("program");
  return getInfo(program->program->getManifest().inputs, index, out_info);
}

moe_status_t moe_program_output(const moe_program_t *program, size_t index,
                                moe_value_info_t *out_info) {
  if (!program)
    return nullPointer("program");
  return getInfo(program->program->getManifest().outputs, index, out_info);
}

moe_status_t moe_program_state_count(const moe_program_t *program,
                                     size_t *out_count) {
  if (!program || !out_count)
    return nullPointer(program ? "out_count" : "program");
  *out_count = program->program->getManifest().states.size();
  return MOE_OK;
}

moe_status_t moe_program_state(const moe_program_t *program, size_t index,
                               moe_state_info_t *out_info) {
  if (!program || !out_info)
    return nullPointer(program ? "out_info" : "program");
  return guard([&] {
    const std::vector<StateInfo> &states =
        program->program->getManifest().states;
    if (index >= states.size())
      return outOfRange(states.size(), index);
    *out_info = {states[index].input, states[index].output, states[index].axis};
    return Status();
  });
}

moe_status_t moe_program_isa(const moe_program_t *program,
                             const char **out_isa) {
  if (!program || !out_isa)
    return nullPointer(program ? "out_isa" : "program");
  *out_isa = program->program->getIsa().c_str();
  return MOE_OK;
}

moe_status_t moe_program_manifest(const moe_program_t *program,
                                  const char **out_json) {
  if (!program || !out_json)
    return nullPointer(program ? "out_json" : "program");
  *out_json = program->program->getManifestText().c_str();
  return MOE_OK;
}

//===----------------------------------------------------------------------===//
// Sessions
//===----------------------------------------------------------------------===//

/// The number of processors that this process may use.
static unsigned countProcessors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) != 0)
    return std::max(1u, std::thread::hardware_concurrency());
  return std::max(1, CPU_COUNT(&set));
}

moe_status_t moe_session_create(moe_program_t *program,
                                const moe_session_options_t *options,
                                moe_session_t **out_session) {
  if (!program)
    return nullPointer("program");
  if (!out_session)
    return nullPointer("out_session");
  return guard([&] {
    constexpr uint32_t kMaxThreads = 4096;
    uint32_t threads = readOptions(options).threads;
    if (threads > kMaxThreads)
      return Status(MOE_ERROR_INVALID_ARGUMENT,
                    "expected at most " + std::to_string(kMaxThreads) +
                        " threads, got " + std::to_string(threads));
    if (threads == 0)
      threads = countProcessors();
    auto handle = std::unique_ptr<moe_session>(
        new moe_session{{program->program, threads}});
    Status status = handle->session.openDevice();
    if (status.ok())
      *out_session = handle.release();
    return status;
  });
}

void moe_session_destroy(moe_session_t *session) { delete session; }

moe_status_t moe_session_run(moe_session_t *session, const moe_input_t *inputs,
                             size_t input_count) {
  if (!session)
    return nullPointer("session");
  if (!inputs && input_count)
    return nullPointer("inputs");
  return guard([&] { return session->session.run(inputs, input_count); });
}

moe_status_t moe_session_output(const moe_session_t *session, size_t index,
                                moe_tensor_t *out_tensor) {
  if (!session || !out_tensor)
    return nullPointer(session ? "out_tensor" : "session");
  return guard([&] { return session->session.getOutput(index, *out_tensor); });
}

moe_status_t moe_session_record_routing(moe_session_t *session, int enable) {
  if (!session)
    return nullPointer("session");
  return guard([&] { return session->session.recordRouting(enable); });
}

moe_status_t moe_session_routing_count(const moe_session_t *session,
                                       size_t *out_count) {
  if (!session || !out_count)
    return nullPointer(session ? "out_count" : "session");
  return guard([&] { return session->session.getRoutingCount(*out_count); });
}

moe_status_t moe_session_routing(const moe_session_t *session, size_t layer,
                                 moe_routing_t *out_routing) {
  if (!session || !out_routing)
    return nullPointer(session ? "out_routing" : "session");
  return guard(
      [&] { return session->session.getRouting(layer, *out_routing); });
}

moe_status_t moe_session_profile(moe_session_t *session, int enable) {
  if (!session)
    return nullPointer("session");
  return guard([&] { return session->session.profile(enable); });
}

moe_status_t moe_session_spans(moe_session_t *session,
                               const moe_span_t **out_spans,
                               size_t *out_count) {
  if (!session || !out_spans || !out_count)
    return nullPointer(!session     ? "session"
                       : !out_spans ? "out_spans"
                                    : "out_count");
  return guard(
      [&] { return session->session.getSpans(*out_spans, *out_count); });
}

moe_status_t moe_session_statistics(moe_session_t *session,
                                    moe_session_statistics_t *out_statistics) {
  if (!session || !out_statistics)
    return nullPointer(session ? "out_statistics" : "session");
  return guard([&] {
    moe_session_statistics_t statistics = {};
    Status status = session->session.getStatistics(statistics);
    if (status.ok()) {
      statistics.struct_size = out_statistics->struct_size;
      std::memcpy(out_statistics, &statistics,
                  std::min(statistics.struct_size, sizeof(statistics)));
    }
    return status;
  });
}
