//===- Decoder.h - a language model as a sequence of tokens ---------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_TOOLS_MOEC_DECODER_H
#define COMPILER_TOOLS_MOEC_DECODER_H

#include "compiler/tools/moec/Model.h"

/// Feeds tokens to a decoder model. Its inputs are known by name: `input_ids`,
/// `attention_mask`, `position_ids`, and a cache (`past...`) that takes what
/// the outputs other than `logits` gave, in order. Without a cache every call
/// gets the whole sequence.
class Decoder {
public:
  /// Ends the command if the model is not of this kind.
  explicit Decoder(Model &model);

  /// Appends tokens and returns the logits after the last one.
  std::vector<float> append(const std::vector<int64_t> &tokens);

private:
  void classifyInputs();
  void classifyOutputs();
  void addCacheInput(const moe_value_info_t &info);
  void step(const std::vector<int64_t> &tokens);
  moe_tensor_t makeCounter(const moe_value_info_t &info, size_t input,
                           const std::vector<int64_t> &values);
  std::vector<float> readLogits() const;

  enum class Role { Ids, Mask, Positions, Cache };

  Model &model;
  std::vector<Role> roles;
  /// Of the caches, in the order of the inputs.
  std::vector<size_t> cacheOutputs;
  size_t logitsOutput = 0;
  /// How many tokens a call takes; 0: any number.
  size_t stepTokens = 0;
  /// What the inputs hold; the caches only for the first call.
  std::vector<Tensor> storage;
  std::vector<int64_t> sequence;
};

#endif // COMPILER_TOOLS_MOEC_DECODER_H
