//===- Manifest.cpp - what an artifact says about itself ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/core/Manifest.h"

#include <nlohmann/json.hpp>

#include <limits>
#include <map>

using namespace moert;
using nlohmann::json;

/// More dimensions than any operator needs; bounds what a manifest can ask for.
static constexpr size_t kMaxRank = 64;

namespace {
struct DtypeRow {
  moe_dtype_t dtype;
  const char *name;
  size_t bytes;
};
} // namespace

static const DtypeRow kDtypes[] = {
    {MOE_DTYPE_F32, "f32", 4},
    {MOE_DTYPE_F64, "f64", 8},
    {MOE_DTYPE_F16, "f16", 2},
    {MOE_DTYPE_BF16, "bf16", 2},
    {MOE_DTYPE_I8, "i8", 1},
    {MOE_DTYPE_I16, "i16", 2},
    {MOE_DTYPE_I32, "i32", 4},
    {MOE_DTYPE_I64, "i64", 8},
    {MOE_DTYPE_U8, "ui8", 1},
    {MOE_DTYPE_U16, "ui16", 2},
    {MOE_DTYPE_U32, "ui32", 4},
    {MOE_DTYPE_U64, "ui64", 8},
    {MOE_DTYPE_BOOL, "i1", 1},
    {MOE_DTYPE_F8E4M3FN, "f8E4M3FN", 1},
    {MOE_DTYPE_F8E4M3FNUZ, "f8E4M3FNUZ", 1},
    {MOE_DTYPE_F8E5M2, "f8E5M2", 1},
    {MOE_DTYPE_F8E5M2FNUZ, "f8E5M2FNUZ", 1},
    {MOE_DTYPE_F8E8M0FNU, "f8E8M0FNU", 1},
    {MOE_DTYPE_F4E2M1FN, "f4E2M1FN", 1},
    {MOE_DTYPE_I4, "i4", 1},
    {MOE_DTYPE_U4, "ui4", 1},
    {MOE_DTYPE_I2, "i2", 1},
    {MOE_DTYPE_U2, "ui2", 1},
};

extern "C" size_t moe_dtype_size(moe_dtype_t dtype) {
  for (const DtypeRow &row : kDtypes)
    if (row.dtype == dtype)
      return row.bytes;
  return 0;
}

extern "C" const char *moe_dtype_name(moe_dtype_t dtype) {
  for (const DtypeRow &row : kDtypes)
    if (row.dtype == dtype)
      return row.name;
  return nullptr;
}

bool moert::parseDtype(const std::string &name, moe_dtype_t &result) {
  for (const DtypeRow &row : kDtypes)
    if (name == row.name) {
      result = row.dtype;
      return true;
    }
  return false;
}

static std::string describeDims(const char *dtype,
                                const std::vector<std::string> &dims) {
  std::string text = dtype ? dtype : "unknown type";
  text += "[";
  for (size_t i = 0; i < dims.size(); ++i)
    text += (i ? " x " : "") + dims[i];
  return text + "]";
}

std::string moert::describe(moe_dtype_t dtype, uint32_t rank,
                            const int64_t *dims) {
  std::vector<std::string> texts;
  for (uint32_t i = 0; i < rank; ++i)
    texts.push_back(std::to_string(dims[i]));
  return describeDims(moe_dtype_name(dtype), texts);
}

std::string ValueInfo::str() const {
  std::vector<std::string> texts;
  for (size_t i = 0; i < dims.size(); ++i)
    texts.push_back(dims[i] >= 0         ? std::to_string(dims[i])
                    : symbols[i].empty() ? "?"
                                         : symbols[i]);
  return describeDims(moe_dtype_name(dtype), texts);
}

static Status malformed(const std::string &what) {
  return Status(MOE_ERROR_ARTIFACT, "malformed manifest: " + what);
}

static Status parseValue(const json &entry, ValueInfo &value) {
  if (!entry.is_object() || !entry.contains("name") ||
      !entry["name"].is_string() || !entry.contains("type") ||
      !entry["type"].is_string() || !entry.contains("dims") ||
      !entry["dims"].is_array())
    return malformed("expected 'name', 'type' and 'dims' of each value");
  value.name = entry["name"].get<std::string>();
  std::string type = entry["type"].get<std::string>();
  if (!parseDtype(type, value.dtype))
    return malformed("value '" + value.name + "' has the unknown type '" +
                     type + "'");
  if (entry["dims"].size() > kMaxRank)
    return malformed("value '" + value.name + "' has too many dimensions");
  for (const json &dim : entry["dims"]) {
    if (dim.is_number_integer() && dim.get<int64_t>() >= 0) {
      value.dims.push_back(dim.get<int64_t>());
      value.symbols.emplace_back();
    } else if (dim.is_string()) {
      value.dims.push_back(-1);
      value.symbols.push_back(dim.get<std::string>());
    } else {
      return malformed("value '" + value.name +
                       "' has an extent that is no number and no name");
    }
  }
  return Status();
}

static Status parseValues(const json &manifest, const char *key,
                          std::vector<ValueInfo> &values) {
  if (!manifest.contains(key) || !manifest[key].is_array())
    return malformed(std::string("expected an array '") + key + "'");
  for (const json &entry : manifest[key]) {
    values.emplace_back();
    Status status = parseValue(entry, values.back());
    if (!status.ok())
      return status;
  }
  std::map<std::string, ValueInfo::Place> places;
  for (uint32_t i = 0; i < values.size(); ++i)
    for (uint32_t j = 0; j < values[i].symbols.size(); ++j) {
      const std::string &symbol = values[i].symbols[j];
      ValueInfo::Place place = {i, j};
      if (!symbol.empty())
        place = places.insert({symbol, place}).first->second;
      values[i].firstPlaces.push_back(place);
      values[i].symbolPointers.push_back(symbol.c_str());
    }
  return Status();
}

/// Reads `entry[key]`, an unsigned number below `limit`.
static bool parseIndex(const json &entry, const char *key, size_t limit,
                       uint32_t &result) {
  if (!entry.is_object() || !entry.contains(key) ||
      !entry[key].is_number_unsigned() || entry[key].get<uint64_t>() >= limit)
    return false;
  result = entry[key].get<uint32_t>();
  return true;
}

static Status parseStates(const json &manifest, Manifest &result) {
  if (!manifest.contains("states"))
    return Status();
  if (!manifest["states"].is_array())
    return malformed("expected an array 'states'");
  for (const json &entry : manifest["states"]) {
    StateInfo state;
    if (!parseIndex(entry, "input", result.inputs.size(), state.input) ||
        !parseIndex(entry, "output", result.outputs.size(), state.output) ||
        !parseIndex(entry, "axis", result.inputs[state.input].dims.size(),
                    state.axis))
      return malformed("expected 'input', 'output' and 'axis' of each state");
    const ValueInfo &input = result.inputs[state.input];
    const ValueInfo &output = result.outputs[state.output];
    if (input.dtype != output.dtype || input.dims.size() != output.dims.size())
      return malformed("state '" + input.name + "' becomes '" + output.name +
                       "' of another type");
    result.states.push_back(state);
  }
  return Status();
}

/// The lists of ranks of a layer, all below `ranks`.
static bool parsePlacement(const json &lists, uint32_t ranks,
                           LayerPlacement &placement) {
  if (!lists.is_array() || lists.empty())
    return false;
  for (const json &list : lists) {
    if (!list.is_array() || list.empty())
      return false;
    std::vector<int32_t> &expert = placement.experts.emplace_back();
    for (const json &rank : list) {
      if (!rank.is_number_unsigned() || rank.get<uint64_t>() >= ranks)
        return false;
      expert.push_back(rank.get<int32_t>());
    }
  }
  return true;
}

/// By rising `max_tokens`, which the last one does not have.
static bool parseExchanges(const json &choices, LayerPlacement &placement) {
  if (!choices.is_array() || choices.empty())
    return false;
  int64_t last = 0;
  for (const json &entry : choices) {
    if (!entry.is_object() || !entry.contains("algorithm"))
      return false;
    ExchangeChoice choice;
    if (entry["algorithm"] == "gather")
      choice.algorithm = ExchangeAlgorithm::Gather;
    else if (entry["algorithm"] == "direct")
      choice.algorithm = ExchangeAlgorithm::Direct;
    else if (entry["algorithm"] == "two_level")
      choice.algorithm = ExchangeAlgorithm::TwoLevel;
    else
      return false;
    bool isLast = &entry == &choices.back();
    if (isLast == entry.contains("max_tokens"))
      return false;
    choice.maxTokens = std::numeric_limits<int64_t>::max();
    if (!isLast) {
      if (!entry["max_tokens"].is_number_integer())
        return false;
      choice.maxTokens = entry["max_tokens"].get<int64_t>();
    }
    if (choice.maxTokens <= last)
      return false;
    last = choice.maxTokens;
    placement.exchanges.push_back(choice);
  }
  return true;
}

static Status parseLayout(const json &manifest, RankLayout &layout) {
  if (!parseIndex(manifest, "ranks", 1 << 20, layout.ranks) ||
      layout.ranks == 0)
    return malformed("expected a number 'ranks'");
  if (!parseIndex(manifest, "ranks_per_node", layout.ranks + 1,
                  layout.ranksPerNode) ||
      layout.ranksPerNode == 0 || layout.ranks % layout.ranksPerNode != 0)
    return malformed("expected a number 'ranks_per_node' that divides 'ranks'");
  if (!manifest.contains("tokens") ||
      (manifest["tokens"] != "own" && manifest["tokens"] != "shared"))
    return malformed("expected 'tokens' to be own or shared");
  layout.hasOwnTokens = manifest["tokens"] == "own";
  return Status();
}

static Status parseRanks(const json &manifest, Manifest &result) {
  if (!manifest.contains("ranks"))
    return Status();
  if (Status status = parseLayout(manifest, result.layout); !status.ok())
    return status;
  if (!manifest.contains("experts") || !manifest["experts"].is_object() ||
      !manifest["experts"].contains("layers") ||
      !manifest["experts"]["layers"].is_array() ||
      !manifest.contains("weights") || !manifest["weights"].is_array())
    return malformed("expected 'experts' and 'weights' beside 'ranks'");
  for (const json &layer : manifest["experts"]["layers"]) {
    LayerPlacement &placement = result.placements.emplace_back();
    if (!layer.is_object() || !layer.contains("placement"))
      continue;
    if (!parsePlacement(layer["placement"], result.layout.ranks, placement))
      return malformed("expected a list of ranks for each expert in "
                       "'placement'");
    if (!layer.contains("exchange") ||
        !parseExchanges(layer["exchange"], placement))
      return malformed("expected algorithms with rising 'max_tokens' in "
                       "'exchange'");
  }
  for (const json &entry : manifest["weights"]) {
    if (!entry.is_object() || !entry.contains("expert_layer"))
      continue;
    ExpertWeights weights;
    if (!parseIndex(entry, "expert_layer", result.placements.size(),
                    weights.layer) ||
        !entry.contains("offset") || !entry["offset"].is_number_unsigned() ||
        !entry.contains("bytes") || !entry["bytes"].is_number_unsigned())
      return malformed("expected 'offset' and 'bytes' of weights of experts");
    weights.offset = entry["offset"].get<uint64_t>();
    weights.bytes = entry["bytes"].get<uint64_t>();
    size_t experts = result.placements[weights.layer].experts.size();
    if (experts == 0 || weights.bytes % experts != 0)
      return malformed("expected weights that can be divided among " +
                       std::to_string(experts) + " experts, got " +
                       std::to_string(weights.bytes) + " bytes");
    result.expertWeights.push_back(weights);
  }
  return Status();
}

Status Manifest::parse(const std::string &text, Manifest &result) {
  json manifest = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!manifest.is_object())
    return malformed("expected a JSON object");
  if (!manifest.contains("host_interface") ||
      !manifest["host_interface"].is_number_unsigned())
    return malformed("expected a number 'host_interface'");
  result.hostInterface = manifest["host_interface"].get<uint32_t>();
  Status status = parseValues(manifest, "inputs", result.inputs);
  if (status.ok())
    status = parseValues(manifest, "outputs", result.outputs);
  if (status.ok())
    status = parseStates(manifest, result);
  if (status.ok())
    status = parseRanks(manifest, result);
  return status;
}
