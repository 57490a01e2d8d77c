//===- Simulator.cpp - runs a routing trace through a plan ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/plan/placement/Simulator.h"

#include "passes/plan/placement/ExpertCostModel.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <numeric>

using namespace mlir::moe;

int64_t LinkBytes::getSent(int rank) const {
  int64_t sum = 0;
  for (int to = 0; to < ranks; ++to)
    sum += get(rank, to);
  return sum;
}

int64_t LinkBytes::getReceived(int rank) const {
  int64_t sum = 0;
  for (int from = 0; from < ranks; ++from)
    sum += get(from, rank);
  return sum;
}

int64_t LinkBytes::getTotal() const {
  return std::accumulate(bytes.begin(), bytes.end(), int64_t(0));
}

int64_t LinkBytes::getBetweenNodes(const Machine &machine) const {
  int64_t sum = 0;
  for (int from = 0; from < ranks; ++from)
    for (int to = 0; to < ranks; ++to)
      if (machine.getNode(from) != machine.getNode(to))
        sum += get(from, to);
  return sum;
}

namespace {

/// Simulates one layer, step by step.
class LayerSimulator {
public:
  LayerSimulator(const ExpertLayer &layer, const LayerPlan &plan,
                 const Machine &machine, TokenOwners owners,
                 Simulation &simulation, LayerSimulation &result)
      : layer(layer), plan(plan), machine(machine), owners(owners),
        simulation(simulation), result(result), ranks(machine.getNumRanks()),
        sent(ranks), received(ranks), replicas(getReplicas(plan.placement)),
        rankSeen(ranks, -1), nodeSeen(machine.getNumNodes(), -1) {
    result.assignments.resize(ranks);
    result.compute.resize(ranks);
    result.exchange.resize(ranks);
    // Replicas are ordered by expert.
    const Replica *replica = replicas.data();
    for (auto [expert, turns] : llvm::enumerate(plan.placement)) {
      std::vector<int> &row = replicaOfTurn.emplace_back();
      const Replica *end = replica;
      while (end != replicas.data() + replicas.size() &&
             end->expert == int(expert))
        ++end;
      for (int rank : turns)
        row.push_back(std::find_if(replica, end,
                                   [&](const Replica &candidate) {
                                     return candidate.rank == rank;
                                   }) -
                      replicas.data());
      replica = end;
    }
  }

  void run(const LayerTrace &step);

private:
  /// Counts one row on its way from `from` to `to`, and its sum on the way
  /// back.
  void send(int from, int to) {
    if (from == to)
      return;
    addLink(from, to, layer.getDispatchBytes(owners));
    addLink(to, from, layer.getCombineBytes());
    double seconds = 1 / machine.getLink(from, to).bandwidth;
    sent[from] += seconds;
    received[to] += seconds;
  }
  /// Of one row, there and back.
  int64_t getBytes() const {
    return layer.getDispatchBytes(owners) + layer.getCombineBytes();
  }
  void addLink(int from, int to, int64_t bytes) {
    simulation.links.add(from, to, bytes);
    result.bytes += bytes;
  }
  /// Counts what would be sent if each assignment were sent alone.
  void addPerExpert(int from, int to, int64_t bytes) {
    simulation.perExpertBytes += bytes;
    if (machine.getNode(from) != machine.getNode(to))
      simulation.perExpertBytesBetweenNodes += bytes;
  }
  void forEachPair(int64_t tokens,
                   llvm::function_ref<void(int, int, int64_t)> body);
  void sendTo(int source, int rank, int64_t token, Exchange exchange);
  void addTime(int64_t tokens, Exchange exchange);

  const ExpertLayer &layer;
  const LayerPlan &plan;
  const Machine &machine;
  TokenOwners owners;
  Simulation &simulation;
  LayerSimulation &result;
  int ranks;
  /// Of the current step: seconds per byte of all rows of a rank.
  std::vector<double> sent, received;
  std::vector<Replica> replicas;
  /// For each expert the replica whose turn it is.
  std::vector<std::vector<int>> replicaOfTurn;
  /// Of the current step, for each replica.
  std::vector<int64_t> assignments;
  /// The last token that a rank and a node have received.
  std::vector<int64_t> rankSeen, nodeSeen;
  int64_t serial = 0;
};

} // namespace

void LayerSimulator::sendTo(int source, int rank, int64_t token,
                            Exchange exchange) {
  if (exchange == Exchange::Gather ||
      std::exchange(rankSeen[rank], token) == token)
    return;
  int node = machine.getNode(rank);
  if (exchange == Exchange::Direct || node == machine.getNode(source))
    return send(source, rank);
  // The rank with the same place in its node takes the row in.
  int entry = node * machine.ranksPerNode + source % machine.ranksPerNode;
  if (std::exchange(nodeSeen[node], token) != token)
    send(source, entry);
  send(entry, rank);
}

/// Calls `body` for each pair of ranks with the tokens that the first one has.
void LayerSimulator::forEachPair(
    int64_t tokens,
    llvm::function_ref<void(int from, int to, int64_t rows)> body) {
  for (int from = 0; from < ranks; ++from) {
    int64_t own = getFirstToken(from + 1, ranks, tokens) -
                  getFirstToken(from, ranks, tokens);
    for (int to = 0; to < ranks; ++to)
      if (from != to && own > 0)
        body(from, to, own);
  }
}

void LayerSimulator::run(const LayerTrace &step) {
  int64_t tokens = step.getTokens();
  Exchange exchange = getExchange(plan.exchange, tokens);
  int64_t bytes = getBytes();
  std::fill(sent.begin(), sent.end(), 0);
  std::fill(received.begin(), received.end(), 0);
  assignments.assign(replicas.size(), 0);
  dealOut(step, ranks, layer.experts,
          [&](int source, int64_t token, int id, int turn) {
            const std::vector<int> &turns = replicaOfTurn[id];
            int replica = turns[turn % turns.size()];
            int rank = replicas[replica].rank;
            ++assignments[replica];
            result.assignments[rank] += 1;
            if (rank != source)
              addPerExpert(source, rank, bytes);
            sendTo(source, rank, serial + token, exchange);
          });
  serial += tokens;
  if (exchange == Exchange::Gather)
    forEachPair(tokens, [&](int from, int to, int64_t rows) {
      addLink(from, to, rows * layer.getDispatchBytes(owners));
      addLink(to, from, rows * layer.getCombineBytes());
    });
  // The results, which all ranks need however rows travel.
  if (owners == TokenOwners::AllRanks)
    forEachPair(tokens, [&](int from, int to, int64_t rows) {
      addLink(from, to, rows * layer.getCombineBytes());
      addPerExpert(from, to, rows * layer.getCombineBytes());
    });
  addTime(tokens, exchange);
}

void LayerSimulator::addTime(int64_t tokens, Exchange exchange) {
  ExchangeCost cost =
      ExpertCostModel(layer, machine, owners, tokens).getExchangeCost(exchange);
  double bytes = getBytes();
  std::vector<double> compute(ranks);
  for (auto [replica, count] : llvm::zip_equal(replicas, assignments)) {
    const Rank &info = machine.ranks[replica.rank];
    if (count > 0)
      compute[replica.rank] +=
          std::max(double(count) * layer.getFlops() / info.flops,
                   layer.getExpertBytes() / info.memoryBandwidth);
  }
  double slowest = 0, sum = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    double exchanged = cost.latency + tokens * cost.perToken;
    if (exchange != Exchange::Gather)
      exchanged += bytes * std::max(sent[rank], received[rank]);
    result.compute[rank] += compute[rank];
    result.exchange[rank] += exchanged;
    slowest = std::max(slowest, compute[rank] + exchanged);
    sum += compute[rank] + exchanged;
  }
  result.seconds += slowest;
  result.balancedSeconds += sum / ranks;
}

Simulation mlir::moe::simulate(const Plan &plan, const RoutingTrace &trace) {
  int ranks = plan.machine.getNumRanks();
  Simulation simulation(ranks);
  simulation.tokens = trace.getTokens();
  int64_t size = std::max<int64_t>(plan.options.tokens, 1);
  simulation.steps = (simulation.tokens + size - 1) / size;
  for (auto [layer, layerPlan, layerTrace] :
       llvm::zip_equal(plan.model.layers, plan.layers, trace.layers)) {
    LayerSimulation &result = simulation.layers.emplace_back();
    LayerSimulator simulator(layer, layerPlan, plan.machine,
                             getTokenOwners(plan.dense), simulation, result);
    for (int64_t begin = 0; begin < simulation.tokens; begin += size)
      simulator.run(
          layerTrace.slice(begin, std::min(begin + size, simulation.tokens)));
    simulation.stepSeconds += result.seconds / simulation.steps;
    simulation.imbalance +=
        getImbalance(result.assignments) / plan.layers.size();
  }
  simulation.stepSeconds += plan.denseSeconds;
  return simulation;
}
