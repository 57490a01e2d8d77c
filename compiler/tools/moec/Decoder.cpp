//===- Decoder.cpp - a language model as a sequence of tokens -------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/Decoder.h"

#include "compiler/tools/moec/Commands.h"

#include "llvm/ADT/StringRef.h"

#include <algorithm>
#include <cstring>
#include <numeric>

Decoder::Decoder(Model &model)
    : model(model), storage(model.getInputs().size()) {
  classifyInputs();
  classifyOutputs();
}

void Decoder::classifyInputs() {
  bool hasIds = false;
  for (const moe_value_info_t &info : model.getInputs()) {
    llvm::StringRef name = info.name;
    if (name == "input_ids" && info.rank == 2) {
      roles.push_back(Role::Ids);
      hasIds = true;
      stepTokens = std::max<int64_t>(info.dims[1], 0);
    } else if (name == "attention_mask" && info.rank == 2) {
      roles.push_back(Role::Mask);
    } else if (name == "position_ids" && info.rank == 2) {
      roles.push_back(Role::Positions);
    } else if (name.contains("past") && info.rank > 0) {
      roles.push_back(Role::Cache);
      addCacheInput(info);
    } else {
      exitWithError("expected the inputs of a decoder model, got '" +
                    name.str() +
                    "'; known are: input_ids, attention_mask, "
                    "position_ids, past...");
    }
    if (roles.back() != Role::Cache && info.dtype != MOE_DTYPE_I64 &&
        info.dtype != MOE_DTYPE_I32)
      exitWithError("expected input '" + name.str() +
                    "' to hold i64 or i32, got " + moe_dtype_name(info.dtype));
  }
  if (!hasIds)
    exitWithError("expected a decoder model with an input 'input_ids'");
  if (std::count(roles.begin(), roles.end(), Role::Cache) == 0 && stepTokens)
    exitWithError("expected a cache or sequences of any length");
}

/// An empty cache: one sequence, no tokens.
void Decoder::addCacheInput(const moe_value_info_t &info) {
  std::vector<int64_t> dims(info.dims, info.dims + info.rank);
  for (size_t i = 0; i < dims.size(); ++i)
    if (dims[i] < 0)
      dims[i] = i == 0 ? 1 : 0;
  storage[roles.size() - 1] = Tensor(info.dtype, dims);
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
  for (size_t i = 0; i < outputs.size(); ++i)
    if (i != logitsOutput)
      cacheOutputs.push_back(i);
  size_t caches = std::count(roles.begin(), roles.end(), Role::Cache);
  if (caches == 0)
    cacheOutputs.clear();
  if (cacheOutputs.size() != caches)
    exitWithError("expected an output for each of " + std::to_string(caches) +
                  " caches, got " + std::to_string(cacheOutputs.size()));
}

std::vector<float> Decoder::append(const std::vector<int64_t> &tokens) {
  sequence.insert(sequence.end(), tokens.begin(), tokens.end());
  if (cacheOutputs.empty()) {
    step(sequence);
    return readLogits();
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
  return readLogits();
}

moe_tensor_t Decoder::makeCounter(const moe_value_info_t &info, size_t input,
                                  const std::vector<int64_t> &values) {
  Tensor &tensor = storage[input];
  tensor = Tensor(info.dtype, {1, static_cast<int64_t>(values.size())});
  // Little-endian: the low bytes come first.
  size_t size = moe_dtype_size(info.dtype);
  for (size_t i = 0; i < values.size(); ++i)
    std::memcpy(tensor.bytes.data() + i * size, &values[i], size);
  return tensor.view();
}

/// Runs the model on the last tokens of `sequence`.
void Decoder::step(const std::vector<int64_t> &tokens) {
  std::vector<int64_t> positions(tokens.size());
  std::iota(positions.begin(), positions.end(),
            static_cast<int64_t>(sequence.size() - tokens.size()));
  bool isFirst = sequence.size() == tokens.size();
  std::vector<moe_input_t> inputs;
  size_t cache = 0;
  for (size_t i = 0; i < roles.size(); ++i) {
    const moe_value_info_t &info = model.getInputs()[i];
    moe_tensor_t tensor;
    switch (roles[i]) {
    case Role::Ids:
      tensor = makeCounter(info, i, tokens);
      break;
    case Role::Mask:
      tensor = makeCounter(info, i, std::vector<int64_t>(sequence.size(), 1));
      break;
    case Role::Positions:
      tensor = makeCounter(info, i, positions);
      break;
    case Role::Cache:
      // The output of the last call stays valid until the end of this one.
      tensor =
          isFirst ? storage[i].view() : model.getOutput(cacheOutputs[cache]);
      ++cache;
      break;
    }
    inputs.push_back({info.name, tensor});
  }
  model.run(inputs);
}

std::vector<float> Decoder::readLogits() const {
  moe_tensor_t tensor = model.getOutput(logitsOutput);
  int64_t vocabulary = tensor.dims[tensor.rank - 1];
  int64_t count = countElements(tensor);
  if (count == 0)
    exitWithError("expected logits, got " + describe(tensor));
  std::vector<float> logits(vocabulary);
  for (int64_t i = 0; i < vocabulary; ++i)
    logits[i] = readElement(tensor, count - vocabulary + i);
  return logits;
}
