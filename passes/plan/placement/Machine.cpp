//===- Machine.cpp - ranks, nodes and the links between them ----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/plan/placement/Machine.h"

#include "llvm/Support/JSON.h"

#include <cmath>

using namespace mlir::moe;
namespace json = llvm::json;

/// More ranks than any plan is made for; bounds what a file can ask for.
static constexpr int64_t kMaxRanks = 65536;

Link Machine::getLink(int from, int to) const {
  if (!links.empty())
    return links[size_t(from) * ranks.size() + to];
  return getNode(from) == getNode(to) ? withinNode : betweenNodes;
}

llvm::Expected<Machine> Machine::resize(int count, int nodes) const {
  if (count < 1 || count > kMaxRanks)
    return llvm::createStringError("expected 1 to " + llvm::Twine(kMaxRanks) +
                                   " ranks, got " + llvm::Twine(count));
  if (nodes < 1 || count % nodes != 0)
    return llvm::createStringError(
        "expected a number of nodes that divides the " + llvm::Twine(count) +
        " ranks, got " + llvm::Twine(nodes));
  if (!links.empty() && count != getNumRanks())
    return llvm::createStringError(
        "the machine file has a link for each pair of its " +
        llvm::Twine(getNumRanks()) + " ranks, got " + llvm::Twine(count) +
        " ranks; describe the links 'within_node' and 'between_nodes' instead");
  Machine machine = *this;
  machine.ranksPerNode = count / nodes;
  if (count != getNumRanks())
    machine.ranks.assign(count, ranks.empty() ? Rank() : ranks[0]);
  return machine;
}

/// Reads the positive number `key`, times `unit`, if it is there.
static bool readNumber(const json::Object &object, llvm::StringRef key,
                       double unit, double &result, json::Path path,
                       bool zeroAllowed = false) {
  const json::Value *value = object.get(key);
  if (!value)
    return true;
  std::optional<double> number = value->getAsNumber();
  if (!number || !std::isfinite(*number) || *number < 0 ||
      (*number == 0 && !zeroAllowed)) {
    path.field(key).report("expected a positive number");
    return false;
  }
  result = *number * unit;
  return true;
}

static bool readCount(const json::Object &object, llvm::StringRef key,
                      int64_t &result, json::Path path) {
  const json::Value *value = object.get(key);
  if (!value)
    return true;
  std::optional<int64_t> number = value->getAsInteger();
  if (!number || *number < 1 || *number > kMaxRanks) {
    path.field(key).report("expected a number from 1 to 65536");
    return false;
  }
  result = *number;
  return true;
}

static bool readRank(const json::Value &value, Rank &rank, json::Path path) {
  const json::Object *object = value.getAsObject();
  if (!object) {
    path.report("expected an object");
    return false;
  }
  return readNumber(*object, "memory_gb", 1e9, rank.memoryBytes, path) &&
         readNumber(*object, "gflops", 1e9, rank.flops, path) &&
         readNumber(*object, "memory_gb_per_s", 1e9, rank.memoryBandwidth,
                    path);
}

static bool readLink(const json::Object &links, llvm::StringRef key, Link &link,
                     json::Path path) {
  const json::Value *value = links.get(key);
  if (!value)
    return true;
  const json::Object *object = value->getAsObject();
  if (!object) {
    path.field(key).report("expected an object");
    return false;
  }
  return readNumber(*object, "latency_us", 1e-6, link.latency, path.field(key),
                    /*zeroAllowed=*/true) &&
         readNumber(*object, "gb_per_s", 1e9, link.bandwidth, path.field(key));
}

/// Reads a matrix with a row for each sender; what is on the diagonal is
/// unused.
static bool readMatrix(const json::Object &links, llvm::StringRef key,
                       double unit, double Link::*member, Machine &machine,
                       json::Path path) {
  const json::Array *rows = links.getArray(key);
  size_t count = machine.ranks.size();
  if (!rows || rows->size() != count) {
    path.field(key).report("expected a row for each rank");
    return false;
  }
  for (size_t from = 0; from < count; ++from) {
    const json::Array *row = (*rows)[from].getAsArray();
    if (!row || row->size() != count) {
      path.field(key).index(from).report("expected a number for each rank");
      return false;
    }
    for (size_t to = 0; to < count; ++to) {
      std::optional<double> number = (*row)[to].getAsNumber();
      bool zeroAllowed = from == to || member == &Link::latency;
      if (!number || *number < 0 || (*number == 0 && !zeroAllowed)) {
        path.field(key).index(from).index(to).report(
            "expected a positive number");
        return false;
      }
      machine.links[from * count + to].*member = *number * unit;
    }
  }
  return true;
}

static bool readLinks(const json::Object &links, Machine &machine,
                      json::Path path) {
  if (!readLink(links, "within_node", machine.withinNode, path) ||
      !readLink(links, "between_nodes", machine.betweenNodes, path))
    return false;
  if (!links.get("latency_us") && !links.get("gb_per_s"))
    return true;
  machine.links.resize(machine.ranks.size() * machine.ranks.size());
  return readMatrix(links, "latency_us", 1e-6, &Link::latency, machine, path) &&
         readMatrix(links, "gb_per_s", 1e9, &Link::bandwidth, machine, path);
}

bool mlir::moe::fromJSON(const json::Value &value, Machine &machine,
                         json::Path path) {
  const json::Object *object = value.getAsObject();
  if (!object) {
    path.report("expected an object");
    return false;
  }
  int64_t ranks = 1, nodes = 1;
  Rank rank;
  if (std::optional<llvm::StringRef> name = object->getString("name"))
    machine.name = name->str();
  if (!readCount(*object, "ranks", ranks, path) ||
      !readCount(*object, "nodes", nodes, path))
    return false;
  if (ranks % nodes != 0) {
    path.field("nodes").report("expected a divisor of the number of ranks");
    return false;
  }
  machine.ranksPerNode = ranks / nodes;
  machine.ranks.assign(ranks, rank);
  if (const json::Value *description = object->get("rank")) {
    const json::Array *list = description->getAsArray();
    if (list && list->size() != size_t(ranks)) {
      path.field("rank").report("expected one object, or one for each rank");
      return false;
    }
    for (int64_t i = 0; i < ranks; ++i) {
      json::Path place = path.field("rank");
      if (!readRank(list ? (*list)[i] : *description, machine.ranks[i],
                    list ? place.index(i) : place))
        return false;
    }
  }
  const json::Value *links = object->get("links");
  if (!links)
    return true;
  if (!links->getAsObject()) {
    path.field("links").report("expected an object");
    return false;
  }
  return readLinks(*links->getAsObject(), machine, path.field("links"));
}

llvm::Expected<Machine> Machine::parse(llvm::StringRef text) {
  return json::parse<Machine>(text, "machine");
}

static json::Object describe(const Link &link) {
  return json::Object{{"latency_us", link.latency / 1e-6},
                      {"gb_per_s", link.bandwidth / 1e9}};
}

static json::Object describe(const Rank &rank) {
  return json::Object{{"memory_gb", rank.memoryBytes / 1e9},
                      {"gflops", rank.flops / 1e9},
                      {"memory_gb_per_s", rank.memoryBandwidth / 1e9}};
}

json::Value mlir::moe::toJSON(const Machine &machine) {
  json::Object links{{"within_node", describe(machine.withinNode)},
                     {"between_nodes", describe(machine.betweenNodes)}};
  size_t count = machine.ranks.size();
  if (!machine.links.empty()) {
    json::Array latencies, bandwidths;
    for (size_t from = 0; from < count; ++from) {
      json::Array latency, bandwidth;
      for (size_t to = 0; to < count; ++to) {
        latency.push_back(machine.links[from * count + to].latency / 1e-6);
        bandwidth.push_back(machine.links[from * count + to].bandwidth / 1e9);
      }
      latencies.push_back(std::move(latency));
      bandwidths.push_back(std::move(bandwidth));
    }
    links["latency_us"] = std::move(latencies);
    links["gb_per_s"] = std::move(bandwidths);
  }
  bool equal = true;
  json::Array ranks;
  for (const Rank &rank : machine.ranks) {
    equal &= rank.memoryBytes == machine.ranks[0].memoryBytes &&
             rank.flops == machine.ranks[0].flops &&
             rank.memoryBandwidth == machine.ranks[0].memoryBandwidth;
    ranks.push_back(describe(rank));
  }
  return json::Object{
      {"name", machine.name},
      {"ranks", int64_t(count)},
      {"nodes", machine.getNumNodes()},
      {"rank", equal ? std::move(ranks[0]) : json::Value(std::move(ranks))},
      {"links", std::move(links)}};
}
