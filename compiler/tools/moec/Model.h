//===- Model.h - a loaded artifact ----------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_TOOLS_MOEC_MODEL_H
#define COMPILER_TOOLS_MOEC_MODEL_H

#include "compiler/tools/moec/Tensor.h"

#include "llvm/ADT/ArrayRef.h"

#include <memory>

/// The flags of every command that runs an artifact.
struct RunFlags {
  std::string device = "cpu";
  unsigned threads = 0;
  bool mapWeights = false;
  std::string arch = {};
  /// The emulated device looks for races and other errors of kernels.
  bool isChecked = false;
  /// What connects ranks that are processes; empty for threads, or for "mpi"
  /// where mpirun has started this one.
  std::string transport = {};
};

/// An artifact with a session; one for several ranks with a session for each of
/// them, in threads, or with the one of this process if mpirun has started it.
/// Failures print the runtime's error and end the command.
class Model {
public:
  Model(const std::string &path, const RunFlags &flags);

  const std::vector<moe_value_info_t> &getInputs() const { return inputs; }
  const std::vector<moe_value_info_t> &getOutputs() const { return outputs; }

  /// False if another process is the first of several ranks: that one reports.
  bool isFirstRank() const { return rank == 0; }

  /// The instruction set level of the loaded code.
  const char *getIsa() const;

  /// The manifest, JSON.
  const char *getManifest() const;

  /// Whether ranks run inputs of their own.
  bool hasOwnTokens() const;

  /// How many ranks this process is, and the first one of them.
  size_t getLocalRanks() const { return sessions.size(); }
  size_t getFirstRank() const { return rank; }

  /// All ranks run the same inputs.
  void run(const std::vector<moe_input_t> &values);
  /// Each rank of this process runs its own.
  void run(const std::vector<std::vector<moe_input_t>> &values);
  /// What a rank of this process has sent to others so far.
  uint64_t getBytesSent(size_t localRank) const;
  /// Of a rank of this process. Valid until the next `run` returns.
  moe_tensor_t getOutput(size_t index, size_t localRank = 0) const;

  /// Outputs that are inputs with more entries; see moe_session_run.
  const std::vector<moe_state_info_t> &getStates() const { return states; }

  /// Begins to record what routers choose; `getRouting` has it, by layer,
  /// until the next `run`.
  void recordRouting();
  std::vector<moe_routing_t> getRouting() const;
  /// Begins to time operations; `getSpans` has them until the next `run`.
  void profile();
  llvm::ArrayRef<moe_span_t> getSpans();

private:
  struct Close {
    void operator()(moe_program_t *program) { moe_program_close(program); }
    void operator()(moe_session_t *session) { moe_session_destroy(session); }
    void operator()(moe_communicator_t *communicator) {
      moe_communicator_close(communicator);
    }
  };

  using Communicator = std::unique_ptr<moe_communicator_t, Close>;

  std::vector<Communicator> joinRanks(const std::string &path,
                                      std::string transport);
  void open(const std::string &path, const RunFlags &flags,
            moe_communicator_t *communicator);

  size_t rank = 0;
  std::vector<Communicator> communicators;
  std::vector<std::unique_ptr<moe_program_t, Close>> programs;
  /// The first one answers for all.
  std::vector<std::unique_ptr<moe_session_t, Close>> sessions;
  std::vector<moe_value_info_t> inputs;
  std::vector<moe_value_info_t> outputs;
  std::vector<moe_state_info_t> states;
};

namespace CLI {
class App;
} // namespace CLI

void addRunFlags(CLI::App &command, RunFlags &flags);

#endif // COMPILER_TOOLS_MOEC_MODEL_H
