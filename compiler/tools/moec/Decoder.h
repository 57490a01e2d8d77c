//===- Decoder.h - a language model as a sequence of tokens ---------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_TOOLS_MOEC_DECODER_H
#define COMPILER_TOOLS_MOEC_DECODER_H

#include "compiler/tools/moec/Model.h"

#include <map>

/// Feeds tokens to a decoder model. Its inputs are known by name (see
/// `getRole`); all others are states, which take what the outputs other than
/// `logits` gave, in order; those that only grow stay with the session, which
/// appends in place. Without states every call gets the whole sequence,
/// filled up if the model takes sequences of one length only.
class Decoder {
public:
  /// `extents` are those that the inputs leave open, by name. Ends the command
  /// if the model is not of this kind.
  Decoder(Model &model, std::map<std::string, int64_t> extents);

  /// Appends tokens and returns the logits after the last one.
  std::vector<float> append(const std::vector<int64_t> &tokens);

  /// Where the numbers of an input come from.
  enum class Role {
    Ids,       ///< the tokens of the call
    Mask,      ///< 1 for each token so far
    Positions, ///< the places of the tokens of the call
    Total,     ///< how many tokens there are after the call
    LastPlace, ///< the place of the last of them
    Past,      ///< how many tokens there were before the call
    State
  };

private:
  void classifyInputs();
  void classifyOutputs();
  void addState(const moe_value_info_t &info, size_t input);
  int64_t getExtent(const moe_value_info_t &info, size_t dimension) const;
  void step(const std::vector<int64_t> &tokens);
  moe_tensor_t makeNumbers(size_t input, std::vector<int64_t> values);
  std::vector<float> readLogits(size_t tokens) const;

  Model &model;
  std::map<std::string, int64_t> extents;
  std::vector<Role> roles;
  /// Of the states, in the order of the inputs.
  std::vector<size_t> stateOutputs;
  size_t logitsOutput = 0;
  size_t idsInput = 0;
  /// How many tokens a call takes; 0: any number.
  size_t stepTokens = 0;
  /// Whether an input is a state that the session keeps.
  std::vector<bool> isKept;
  /// What the inputs hold; the states only for the first call.
  std::vector<Tensor> storage;
  std::vector<int64_t> sequence;
};

#endif // COMPILER_TOOLS_MOEC_DECODER_H
