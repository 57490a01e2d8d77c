//===- BenchInputs.cpp - inputs of a chosen number of tokens --------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/BenchInputs.h"

#include <cstring>
#include <map>

static bool contains(const moe_value_info_t &info, const char *part) {
  return std::strstr(info.name, part) != nullptr;
}

static bool isCache(const moe_value_info_t &info) {
  return contains(info, "past") && info.rank > 2;
}

static int countDynamic(const moe_value_info_t &info) {
  int count = 0;
  for (uint32_t i = 0; i < info.rank; ++i)
    count += info.dims[i] < 0;
  return count;
}

BenchInputs::BenchInputs(const std::vector<moe_value_info_t> &inputs,
                         const std::vector<moe_value_info_t> &outputs,
                         int64_t pastTokens)
    : inputs(inputs), pastTokens(pastTokens) {
  for (const moe_value_info_t &output : outputs)
    if (contains(output, "logits") && output.rank > 0 &&
        output.dims[output.rank - 1] > 0)
      vocabulary = output.dims[output.rank - 1];
}

bool BenchInputs::hasTokenExtent() const {
  for (const moe_value_info_t &info : inputs)
    if (!isCache(info) && countDynamic(info) > 0)
      return true;
  return false;
}

std::vector<std::vector<int64_t>>
BenchInputs::chooseExtents(int64_t tokens) const {
  std::map<std::string, int64_t> known;
  std::vector<std::vector<int64_t>> extents(inputs.size());
  auto choose = [&](size_t index, bool severalOnly) {
    const moe_value_info_t &info = inputs[index];
    int count = countDynamic(info), seen = 0;
    if (severalOnly && (count < 2 || isCache(info)))
      return;
    std::vector<int64_t> &dims = extents[index];
    dims.assign(info.dims, info.dims + info.rank);
    for (uint32_t i = 0; i < info.rank; ++i) {
      if (dims[i] >= 0)
        continue;
      bool isBatch = seen++ == 0 && (count > 1 || (isCache(info) && i == 0));
      int64_t value = tokens;
      if (isBatch)
        value = 1;
      else if (isCache(info))
        value = pastTokens;
      else if (contains(info, "attention_mask") && i + 1 == info.rank)
        value = pastTokens + tokens;
      std::string symbol = info.symbols[i];
      dims[i] =
          symbol.empty() ? value : known.emplace(symbol, value).first->second;
    }
  };
  // Inputs with several dynamic extents tell which name is which.
  for (bool severalOnly : {true, false})
    for (size_t i = 0; i < inputs.size(); ++i)
      if (extents[i].empty())
        choose(i, severalOnly);
  return extents;
}

template <typename T> static void put(Tensor &tensor, int64_t index, T value) {
  std::memcpy(tensor.bytes.data() + index * sizeof(T), &value, sizeof(T));
}

/// Stores a number that every type of the tensor can hold.
static void store(Tensor &tensor, int64_t index, double value) {
  switch (tensor.dtype) {
  case MOE_DTYPE_F32:
    return put<float>(tensor, index, value);
  case MOE_DTYPE_F64:
    return put<double>(tensor, index, value);
  case MOE_DTYPE_F16:
    return put<_Float16>(tensor, index, value);
  case MOE_DTYPE_BF16: {
    // Cut off: any number near the random one will do.
    auto narrow = static_cast<float>(value);
    uint32_t bits;
    std::memcpy(&bits, &narrow, sizeof(bits));
    return put<uint16_t>(tensor, index, bits >> 16);
  }
  default: {
    auto integer = static_cast<int64_t>(value);
    size_t bytes = moe_dtype_size(tensor.dtype);
    // Little-endian: the low bytes come first.
    std::memcpy(tensor.bytes.data() + index * bytes, &integer, bytes);
  }
  }
}

void BenchInputs::fill(const moe_value_info_t &info, int64_t tokens,
                       std::mt19937 &random, Tensor &tensor) const {
  int64_t count = countElements(tensor.view());
  int64_t row = tensor.dims.empty() ? 1 : tensor.dims.back();
  std::uniform_real_distribution<float> number(-1.0f, 1.0f);
  std::uniform_int_distribution<int64_t> id(0, vocabulary - 1);
  for (int64_t i = 0; i < count; ++i) {
    double value = 0;
    if (isFloat(info.dtype))
      value = number(random);
    else if (contains(info, "input_ids"))
      value = id(random);
    else if (contains(info, "mask"))
      value = 1;
    else if (contains(info, "position"))
      value = pastTokens + (row ? i % row : 0);
    else if (contains(info, "seqlens_k"))
      value = pastTokens + tokens - 1;
    else if (contains(info, "total_sequence_length"))
      value = pastTokens + tokens;
    store(tensor, i, value);
  }
}

std::vector<Tensor> BenchInputs::make(int64_t tokens,
                                      std::mt19937 &random) const {
  std::vector<std::vector<int64_t>> extents = chooseExtents(tokens);
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < inputs.size(); ++i)
    fill(inputs[i], tokens, random,
         tensors.emplace_back(inputs[i].dtype, extents[i]));
  return tensors;
}
