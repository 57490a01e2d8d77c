//===- PlanFile.cpp - plans as JSON -----------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/plan/placement/Plan.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/JSON.h"

using namespace mlir::moe;
namespace json = llvm::json;

static constexpr llvm::StringLiteral kFormat = "moec-plan 1";

namespace mlir::moe {

static json::Value toJSON(const ExpertLayer &layer) {
  return json::Object{{"name", json::fixUTF8(layer.name)},
                      {"experts", layer.experts},
                      {"slots", layer.slots},
                      {"hidden", layer.hidden},
                      {"inner", layer.inner},
                      {"matrices", layer.matrices},
                      {"weight_bits", layer.weightBits},
                      {"activation_bits", layer.activationBits},
                      {"groups", layer.groups}};
}

static bool fromJSON(const json::Value &value, ExpertLayer &layer,
                     json::Path path) {
  json::ObjectMapper mapper(value, path);
  if (!mapper || !mapper.mapOptional("name", layer.name) ||
      !mapper.map("experts", layer.experts) ||
      !mapper.map("slots", layer.slots) ||
      !mapper.map("hidden", layer.hidden) ||
      !mapper.map("inner", layer.inner) ||
      !mapper.mapOptional("matrices", layer.matrices) ||
      !mapper.mapOptional("weight_bits", layer.weightBits) ||
      !mapper.mapOptional("activation_bits", layer.activationBits) ||
      !mapper.mapOptional("groups", layer.groups))
    return false;
  constexpr int64_t kMaxExperts = 1 << 20, kMaxWidth = 1 << 24;
  auto check = [&](llvm::StringLiteral name, int64_t number, int64_t limit) {
    if (number >= 1 && number <= limit)
      return true;
    path.field(name).report("expected a positive number within reason");
    return false;
  };
  if (!check("experts", layer.experts, kMaxExperts) ||
      !check("slots", layer.slots, layer.experts) ||
      !check("hidden", layer.hidden, kMaxWidth) ||
      !check("inner", layer.inner, kMaxWidth) ||
      !check("matrices", layer.matrices, 3) ||
      !check("weight_bits", layer.weightBits, 64) ||
      !check("activation_bits", layer.activationBits, 64) ||
      !check("groups", layer.groups, layer.experts))
    return false;
  return true;
}

json::Value toJSON(const ExpertModel &model) {
  return json::Object{{"name", json::fixUTF8(model.name)},
                      {"dense_bytes", model.denseBytes},
                      {"layers", json::Array(model.layers)}};
}

bool fromJSON(const json::Value &value, ExpertModel &model, json::Path path) {
  json::ObjectMapper mapper(value, path);
  if (!mapper || !mapper.mapOptional("name", model.name) ||
      !mapper.mapOptional("dense_bytes", model.denseBytes) ||
      !mapper.map("layers", model.layers))
    return false;
  if (model.denseBytes >= 0)
    return true;
  path.field("dense_bytes").report("expected a number of bytes");
  return false;
}

json::Value toJSON(const ExchangeChoice &choice) {
  json::Object object{{"algorithm", getExchangeName(choice.exchange)}};
  if (choice.maxTokens != ExchangeChoice::kUnbounded)
    object["max_tokens"] = choice.maxTokens;
  return object;
}

static bool fromJSON(const json::Value &value, ExchangeChoice &choice,
                     json::Path path) {
  std::string name;
  json::ObjectMapper mapper(value, path);
  if (!mapper || !mapper.map("algorithm", name) ||
      !mapper.mapOptional("max_tokens", choice.maxTokens))
    return false;
  std::optional<Exchange> exchange = parseExchange(name);
  if (!exchange) {
    path.field("algorithm").report("expected gather, direct or two_level");
    return false;
  }
  choice.exchange = *exchange;
  return true;
}

static json::Value toJSON(const LayerPlan &layer) {
  json::Array experts;
  for (const Turns &turns : layer.placement)
    experts.push_back(json::Array(turns));
  return json::Object{{"experts", std::move(experts)},
                      {"exchange", json::Array(layer.exchange)},
                      {"remarks", json::Array(layer.remarks)}};
}

static bool fromJSON(const json::Value &value, LayerPlan &layer,
                     json::Path path) {
  std::vector<std::vector<int64_t>> experts;
  json::ObjectMapper mapper(value, path);
  if (!mapper || !mapper.map("experts", experts) ||
      !mapper.map("exchange", layer.exchange) ||
      !mapper.mapOptional("remarks", layer.remarks))
    return false;
  for (const std::vector<int64_t> &turns : experts)
    layer.placement.emplace_back(turns.begin(), turns.end());
  return true;
}

static bool fromJSON(const json::Value &value, Plan &plan, json::Path path) {
  std::string format, planner = "search", dense = "replicated";
  json::ObjectMapper mapper(value, path);
  if (!mapper || !mapper.map("format", format))
    return false;
  if (format != kFormat) {
    path.field("format").report("expected \"moec-plan 1\"");
    return false;
  }
  if (!mapper.map("model", plan.model) ||
      !mapper.mapOptional("machine", plan.machine) ||
      !mapper.mapOptional("trace", plan.trace) ||
      !mapper.mapOptional("planner", planner) ||
      !mapper.mapOptional("tokens", plan.options.tokens) ||
      !mapper.mapOptional("extra_replicas", plan.options.extraReplicas) ||
      !mapper.mapOptional("dense", dense) ||
      !mapper.mapOptional("dense_seconds", plan.denseSeconds) ||
      !mapper.mapOptional("remarks", plan.remarks) ||
      !mapper.mapOptional("layers", plan.layers))
    return false;
  std::optional<PlannerKind> kind = parsePlanner(planner);
  if (!kind) {
    path.field("planner").report(
        "expected search, greedy, round-robin or random");
    return false;
  }
  plan.options.planner = *kind;
  std::optional<DenseKind> denseKind = parseDense(dense);
  if (!denseKind) {
    path.field("dense").report("expected replicated, repeated or sharded");
    return false;
  }
  plan.dense = *denseKind;
  return true;
}

} // namespace mlir::moe

/// What the types alone do not say.
static llvm::Error check(const Plan &plan) {
  if (plan.layers.empty())
    return llvm::Error::success();
  if (plan.layers.size() != plan.model.layers.size())
    return llvm::createStringError(
        "expected placements of " + llvm::Twine(plan.model.layers.size()) +
        " layers in the plan, got " + llvm::Twine(plan.layers.size()));
  if (plan.machine.ranks.empty())
    return llvm::createStringError("expected a 'machine' in the plan");
  if (plan.options.tokens < 1)
    return llvm::createStringError("expected a positive number 'tokens' in "
                                   "the plan");
  for (auto [i, layer] : llvm::enumerate(plan.layers)) {
    std::string place = "layer " + std::to_string(i) + " of the plan";
    int64_t experts = plan.model.layers[i].experts;
    if (int64_t(layer.placement.size()) != experts)
      return llvm::createStringError(
          "expected ranks for " + llvm::Twine(experts) + " experts in " +
          place + ", got " + llvm::Twine(layer.placement.size()));
    for (const Turns &turns : layer.placement) {
      if (turns.empty())
        return llvm::createStringError(
            "expected at least one rank for each expert in " + place);
      for (int rank : turns)
        if (rank < 0 || rank >= plan.machine.getNumRanks())
          return llvm::createStringError(
              "expected ranks from 0 to " +
              llvm::Twine(plan.machine.getNumRanks() - 1) + " in " + place +
              ", got " + llvm::Twine(rank));
    }
    int64_t last = 0;
    for (const ExchangeChoice &choice : layer.exchange)
      if (std::exchange(last, choice.maxTokens) >= choice.maxTokens)
        return llvm::createStringError(
            "expected rising 'max_tokens' in the exchanges of " + place);
    if (last != ExchangeChoice::kUnbounded)
      return llvm::createStringError(
          "expected a last exchange without 'max_tokens' in " + place);
  }
  return llvm::Error::success();
}

json::Object mlir::moe::toJSON(const Plan &plan) {
  return json::Object{{"format", kFormat},
                      {"model", toJSON(plan.model)},
                      {"machine", toJSON(plan.machine)},
                      {"trace", json::fixUTF8(plan.trace)},
                      {"planner", getPlannerName(plan.options.planner)},
                      {"tokens", plan.options.tokens},
                      {"extra_replicas", plan.options.extraReplicas},
                      {"dense", getDenseName(plan.dense)},
                      {"dense_seconds", plan.denseSeconds},
                      {"remarks", json::Array(plan.remarks)},
                      {"layers", json::Array(plan.layers)}};
}

llvm::Expected<Plan> mlir::moe::parsePlan(llvm::StringRef text) {
  llvm::Expected<Plan> plan = json::parse<Plan>(text, "plan");
  if (!plan)
    return plan.takeError();
  if (llvm::Error error = check(*plan))
    return std::move(error);
  return plan;
}
