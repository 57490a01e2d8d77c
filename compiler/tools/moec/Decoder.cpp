//===- Decoder.cpp - a language model as a sequence of tokens -------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/Decoder.h"

#include "compiler/tools/moec/Commands.h"

#include "llvm/ADT/StringSwitch.h"

#include <algorithm>
#include <cstring>
#include <numeric>

using Role = Decoder::Role;

/// The names that exporters use.
static Role getRole(llvm::StringRef name) {
  return llvm::StringSwitch<Role>(name)
      .Cases({"input_ids", "tokens"}, Role::Ids)
      .Case("attention_mask", Role::Mask)
      .Cases({"position_ids", "positions", "cache_position"}, Role::Positions)
      .Cases({"total_sequence_length", "total_seq_len", "total_seq_length"},
             Role::Total)
      .Case("seqlens_k", Role::LastPlace)
      .Cases({"past_seq_len", "past_sequence_length", "nonpad_kv_seqlen"},
             Role::Past)
      .Default(Role::State);
}

Decoder::Decoder(Model &model, std::map<std::string, int64_t> extents)
    : model(model), extents(std::move(extents)),
      isKept(model.getInputs().size()), storage(model.getInputs().size()) {
  classifyInputs();
  classifyOutputs();
}

void Decoder::classifyInputs() {
  bool hasIds = false, hasStates = false;
  const std::vector<moe_value_info_t> &inputs = model.getInputs();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const moe_value_info_t &info = inputs[i];
    std::string name = info.name;
    Role role = getRole(name);
    roles.push_back(role);
    if (role == Role::State) {
      hasStates = true;
      continue;
    }
    if (info.dtype != MOE_DTYPE_I64 && info.dtype != MOE_DTYPE_I32)
      exitWithError("expected input '" + name + "' to hold i64 or i32, got " +
                    moe_dtype_name(info.dtype));
    if (role != Role::Ids)
      continue;
    if (info.rank == 0)
      exitWithError("expected input '" + name + "' to have dimensions");
    hasIds = true;
    idsInput = i;
    stepTokens = std::max<int64_t>(info.dims[info.rank - 1], 0);
  }
  if (!hasIds)
    exitWithError("expected the inputs of a decoder model, with 'input_ids', "
                  "got " +
                  (inputs.empty() ? std::string("none")
                                  : "'" + std::string(inputs[0].name) + "'"));
  if (!hasStates)
    return;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (roles[i] == Role::State)
      addState(inputs[i], i);
}

/// The extent of a dimension before the first call: no token has come yet.
int64_t Decoder::getExtent(const moe_value_info_t &info,
                           size_t dimension) const {
  if (info.dims[dimension] >= 0)
    return info.dims[dimension];
  auto found = extents.find(info.symbols[dimension]);
  if (found != extents.end())
    return found->second;
  return dimension == 0 ? 1 : 0;
}

void Decoder::addState(const moe_value_info_t &info, size_t input) {
  std::vector<int64_t> dims;
  for (size_t i = 0; i < info.rank; ++i)
    dims.push_back(getExtent(info, i));
  if (countElements(info.dtype, dims) < 0)
    exitWithError("input '" + std::string(info.name) + "' is too large");
  storage[input] = Tensor(info.dtype, dims);
}

void Decoder::classifyOutputs() {
  const std::vector<moe_value_info_t> &outputs = model.getOutputs();
  auto found = std::find_if(outputs.begin(), outputs.end(),
                            [](const moe_value_info_t &info) {
                              return llvm::StringRef(info.name) == "logits";
                            });
  if (found == outputs.end() && outputs.size() == 1)
    found = outputs.begin();
  if (found == outputs.end() || !isFloat(found->dtype) ||
      (found->rank != 2 && found->rank != 3))
    exitWithError("expected a decoder model with an output 'logits' of rank 2 "
                  "or 3");
  logitsOutput = found - outputs.begin();
  size_t states = std::count(roles.begin(), roles.end(), Role::State);
  if (states == 0)
    return;
  for (size_t i = 0; i < outputs.size(); ++i)
    if (i != logitsOutput)
      stateOutputs.push_back(i);
  for (const moe_state_info_t &state : model.getStates())
    isKept[state.input] = roles[state.input] == Role::State;
  if (stateOutputs.size() != states)
    exitWithError("expected an output for each of " + std::to_string(states) +
                  " states, got " + std::to_string(stateOutputs.size()));
}

std::vector<float> Decoder::append(const std::vector<int64_t> &tokens) {
  sequence.insert(sequence.end(), tokens.begin(), tokens.end());
  if (stateOutputs.empty()) {
    if (stepTokens && sequence.size() > stepTokens)
      exitWithError("expected at most " + std::to_string(stepTokens) +
                    " tokens, for which the model was exported, got " +
                    std::to_string(sequence.size()));
    step(sequence);
    return readLogits(sequence.size());
  }
  size_t piece = stepTokens ? stepTokens : tokens.size();
  if (tokens.size() % piece != 0)
    exitWithError("expected a multiple of " + std::to_string(piece) +
                  " tokens, got " + std::to_string(tokens.size()));
  size_t total = sequence.size();
  for (size_t done = 0; done < tokens.size(); done += piece) {
    sequence.resize(total - tokens.size() + done);
    std::vector<int64_t> part(tokens.begin() + done,
                              tokens.begin() + done + piece);
    sequence.insert(sequence.end(), part.begin(), part.end());
    step(part);
  }
  return readLogits(piece);
}

/// The values along the last dimension, followed by zeros if that is longer,
/// for each index of the dimensions before.
moe_tensor_t Decoder::makeNumbers(size_t input, std::vector<int64_t> values) {
  const moe_value_info_t &info = model.getInputs()[input];
  std::vector<int64_t> dims;
  for (size_t i = 0; i + 1 < info.rank; ++i)
    dims.push_back(info.dims[i] < 0 ? 1 : info.dims[i]);
  if (info.rank) {
    int64_t extent = info.dims[info.rank - 1];
    if (extent >= 0)
      values.resize(std::max<size_t>(values.size(), extent));
    dims.push_back(values.size());
  }
  storage[input] = Tensor(info.dtype, dims);
  char *target = storage[input].bytes.data();
  // Little-endian: the low bytes come first.
  size_t size = moe_dtype_size(info.dtype);
  int64_t count = countElements(storage[input].view());
  for (int64_t i = 0; i < count; ++i)
    std::memcpy(target + i * size, &values[i % values.size()], size);
  return storage[input].view();
}

/// Runs the model on the last tokens of `sequence`.
void Decoder::step(const std::vector<int64_t> &tokens) {
  auto total = static_cast<int64_t>(sequence.size());
  auto past = static_cast<int64_t>(total - tokens.size());
  // Places go on where a sequence was filled up.
  std::vector<int64_t> positions(std::max(tokens.size(), stepTokens));
  std::iota(positions.begin(), positions.end(), past);
  std::vector<moe_input_t> inputs;
  size_t state = 0;
  for (size_t i = 0; i < roles.size(); ++i) {
    moe_tensor_t tensor;
    switch (roles[i]) {
    case Role::Ids:
      tensor = makeNumbers(i, tokens);
      break;
    case Role::Mask:
      tensor = makeNumbers(i, std::vector<int64_t>(total, 1));
      break;
    case Role::Positions:
      tensor = makeNumbers(i, positions);
      break;
    case Role::Total:
      tensor = makeNumbers(i, {total});
      break;
    case Role::LastPlace:
      tensor = makeNumbers(i, {total - 1});
      break;
    case Role::Past:
      tensor = makeNumbers(i, {past});
      break;
    case Role::State:
      // The output of the last call stays valid until the end of this one.
      if (past == 0)
        tensor = storage[i].view();
      else if (!isKept[i])
        tensor = model.getOutput(stateOutputs[state]);
      ++state;
      if (past != 0 && isKept[i])
        continue;
      break;
    }
    inputs.push_back({model.getInputs()[i].name, tensor});
  }
  model.run(inputs);
}

/// The logits of the last of `tokens` tokens, in the first row of the batch.
std::vector<float> Decoder::readLogits(size_t tokens) const {
  moe_tensor_t tensor = model.getOutput(logitsOutput);
  int64_t vocabulary = tensor.dims[tensor.rank - 1];
  if (countElements(tensor) == 0)
    exitWithError("expected logits, got " + describe(tensor));
  // Some models give the logits of the last token only.
  bool hasRows = tensor.rank == 3 || model.getInputs()[idsInput].rank == 1;
  int64_t rows = hasRows ? tensor.dims[tensor.rank - 2] : 1;
  int64_t row = std::min<int64_t>(tokens, rows) - 1;
  std::vector<float> logits(vocabulary);
  for (int64_t i = 0; i < vocabulary; ++i)
    logits[i] = readElement(tensor, row * vocabulary + i);
  return logits;
}
