//===- LocalSearch.cpp - improves the placement of a layer ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/plan/placement/LocalSearch.h"

#include "passes/plan/placement/VisitTable.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>
#include <map>

using namespace mlir::moe;

/// A gain below this fraction of the time is none.
static constexpr double kEpsilon = 1e-9;
/// Rounds of the search, and replicas that change their expert.
static constexpr int kRounds = 2, kReplicaChanges = 4;
/// What an even load may cost, as a fraction of the time: it is a good choice
/// whatever the machine and the next tokens are like.
static constexpr double kLevelCost = 3e-3;
/// Bounds the time of a search on any input.
static constexpr size_t kMaxSteps = 2000;
/// Best steps that are tried before a rank counts as settled.
static constexpr size_t kTried = 8;

namespace {

/// `replica` goes to `rank`; `partner`, if it is not -1, to where it was.
struct Step {
  double score;
  int replica, rank, partner;
  bool operator<(const Step &other) const { return score < other.score; }
};

/// A placement of replicas with all that its neighbours are judged by.
class Search {
public:
  Search(const SearchProblem &problem, std::vector<Replica> start,
         double maxLoad);

  double getSlowest() const { return *llvm::max_element(times); }
  const std::vector<Replica> &getReplicas() const { return replicas; }

  /// Lowers the time of the slowest rank until no step does.
  void balance();
  /// Lowers the number of visits; the slowest rank stays as fast as it is.
  void gather();
  /// Lowers the load of the busiest rank; the slowest rank hardly gets slower.
  void level();
  /// The replicas after the most promising change of one replica's expert;
  /// empty if none promises anything.
  std::vector<Replica> changeReplica() const;

private:
  int getRank(int replica) const { return replicas[replica].rank; }
  int getNode(int rank) const { return machine.getNode(rank); }
  double getSeconds(int replica, int rank) const {
    return seconds[size_t(replica) * numClasses + classOfRank[rank]];
  }
  /// The change of the time of a rank if `out` leaves it and `in` comes; either
  /// may be -1. Tokens that visit both are neglected.
  double getChange(int rank, int out, int in) const;
  int getVisitChange(int replica, int rank, int partner) const;
  /// The slower of two ranks after a step.
  double getTime(int replica, int rank, int partner, double limit) const;
  bool isAllowed(int replica, int rank, int partner) const;
  void apply(const Step &step);
  void move(int replica, int to);
  void updateTimes(int a, int b);
  double getSlowestOf(int a, int b) const;
  /// Takes a step of one of `movers` with a score below `limit` that `accept`
  /// approves of once it is done; the lowest scores are tried first.
  template <typename Score, typename Accept>
  bool takeStep(llvm::ArrayRef<int> movers, double limit, Score getScore,
                Accept accept);

  const SearchProblem &problem;
  const Machine &machine;
  int numRanks;
  std::vector<Replica> replicas;
  std::vector<int> counts;
  double maxLoad;
  ExchangeCost cost;
  TokenReplicas tokens;
  std::vector<VisitTable> tables;
  std::vector<std::vector<int>> replicasOfRank;
  /// Replicas of an expert on a rank.
  std::vector<uint8_t> holds;
  std::vector<double> loads, rankLoads;
  /// Ranks of one class are equally fast.
  int numClasses = 0;
  std::vector<int> classOfRank;
  std::vector<double> seconds, compute, times;
  /// Seconds of one sampled token.
  double perSample;
};

} // namespace

/// The replica that each token of the sample uses of each of its experts.
static TokenReplicas useReplicas(const LayerTrace &sample,
                                 llvm::ArrayRef<Replica> replicas,
                                 int experts) {
  std::vector<llvm::SmallVector<int, 2>> ofExpert(experts);
  for (auto [i, replica] : llvm::enumerate(replicas))
    ofExpert[replica.expert].push_back(i);
  TokenReplicas result;
  result.slots = sample.slots;
  result.replicas.assign(sample.ids.size(), -1);
  for (int64_t t = 0; t < sample.getTokens(); ++t) {
    llvm::MutableArrayRef<int> used =
        llvm::MutableArrayRef(result.replicas)
            .slice(t * sample.slots, sample.slots);
    for (auto [j, id] : llvm::enumerate(sample.getToken(t))) {
      if (id < 0)
        continue;
      int replica = ofExpert[id][t % ofExpert[id].size()];
      if (!llvm::is_contained(used, replica))
        used[j] = replica;
    }
  }
  result.index(replicas.size());
  return result;
}

Search::Search(const SearchProblem &problem, std::vector<Replica> start,
               double maxLoad)
    : problem(problem), machine(problem.model.getMachine()),
      numRanks(machine.getNumRanks()), replicas(std::move(start)),
      counts(problem.loads.size()), maxLoad(maxLoad),
      cost(problem.model.getExchangeCost(problem.exchange)),
      tokens(useReplicas(problem.sample, replicas, problem.loads.size())),
      replicasOfRank(numRanks), holds(numRanks * problem.loads.size()),
      rankLoads(numRanks), compute(numRanks), times(numRanks) {
  std::map<std::pair<double, double>, int> classes;
  for (const Rank &rank : machine.ranks)
    classOfRank.push_back(
        classes.try_emplace({rank.flops, rank.memoryBandwidth}, classes.size())
            .first->second);
  numClasses = classes.size();
  std::vector<int> representative(numClasses);
  for (int rank = 0; rank < numRanks; ++rank)
    representative[classOfRank[rank]] = rank;

  for (const Replica &replica : replicas)
    ++counts[replica.expert];
  std::vector<int> ranks, nodes;
  for (auto [i, replica] : llvm::enumerate(replicas)) {
    ranks.push_back(replica.rank);
    nodes.push_back(getNode(replica.rank));
    loads.push_back(problem.loads[replica.expert] / counts[replica.expert]);
    for (int rank : representative)
      seconds.push_back(problem.model.getComputeTime(loads.back(), rank));
    replicasOfRank[replica.rank].push_back(i);
    ++holds[replica.rank * problem.loads.size() + replica.expert];
    rankLoads[replica.rank] += loads.back();
    compute[replica.rank] += getSeconds(i, replica.rank);
  }
  perSample = problem.model.getTokens() /
              std::max<int64_t>(problem.sample.getTokens(), 1);
  tables.emplace_back(tokens, std::move(ranks), numRanks);
  if (cost.perNodeVisit > 0)
    tables.emplace_back(tokens, std::move(nodes), machine.getNumNodes());
  for (int rank = 0; rank < numRanks; ++rank)
    updateTimes(rank, rank);
}

double Search::getChange(int rank, int out, int in) const {
  double change = 0;
  int visits = 0, nodeVisits = 0, node = getNode(rank);
  if (out >= 0) {
    change -= getSeconds(out, rank);
    visits -= tables[0].getLost(out);
  }
  if (in >= 0) {
    change += getSeconds(in, rank);
    visits += tables[0].getGained(in, rank);
  }
  // What stays within the node does not change what the node receives.
  if (tables.size() > 1) {
    if (out >= 0 && (in < 0 || tables[1].getPlace(in) != node))
      nodeVisits -= tables[1].getLost(out);
    if (in >= 0 && tables[1].getPlace(in) != node)
      nodeVisits += tables[1].getGained(in, node);
  }
  return change + perSample * (cost.perVisit[rank] * visits +
                               cost.perNodeVisit * nodeVisits);
}

int Search::getVisitChange(int replica, int rank, int partner) const {
  const VisitTable &table = tables.back();
  int from = table.getPlace(replica);
  int to = tables.size() > 1 ? getNode(rank) : rank;
  if (from == to)
    return 0;
  int change = table.getGained(replica, to) - table.getLost(replica);
  if (partner >= 0)
    change += table.getGained(partner, from) - table.getLost(partner);
  return change;
}

bool Search::isAllowed(int replica, int rank, int partner) const {
  int from = getRank(replica);
  size_t experts = problem.loads.size();
  if (holds[rank * experts + replicas[replica].expert])
    return false;
  double change = loads[replica] - (partner < 0 ? 0 : loads[partner]);
  if (partner < 0) {
    if (int(replicasOfRank[rank].size()) >= problem.capacity[rank])
      return false;
  } else if (holds[from * experts + replicas[partner].expert]) {
    return false;
  }
  return std::max(rankLoads[rank] + change, rankLoads[from] - change) <=
         maxLoad;
}

void Search::move(int replica, int to) {
  int from = getRank(replica), expert = replicas[replica].expert;
  size_t experts = problem.loads.size();
  llvm::erase(replicasOfRank[from], replica);
  replicasOfRank[to].push_back(replica);
  --holds[from * experts + expert];
  ++holds[to * experts + expert];
  rankLoads[from] -= loads[replica];
  rankLoads[to] += loads[replica];
  compute[from] -= getSeconds(replica, from);
  compute[to] += getSeconds(replica, to);
  tables[0].move(replica, to);
  if (tables.size() > 1)
    tables[1].move(replica, getNode(to));
  replicas[replica].rank = to;
}

void Search::apply(const Step &step) {
  int from = getRank(step.replica);
  move(step.replica, step.rank);
  if (step.partner >= 0)
    move(step.partner, from);
  updateTimes(from, step.rank);
}

/// Every rank whose time depends on what is on the ranks `a` and `b`.
template <typename Function>
static void forEachAffected(const Machine &machine, bool byNode, int a, int b,
                            Function function) {
  if (!byNode) {
    function(a);
    function(b);
    return;
  }
  for (int rank : {a, b}) {
    int first = machine.getNode(rank) * machine.ranksPerNode;
    for (int i = 0; i < machine.ranksPerNode; ++i)
      function(first + i);
  }
}

void Search::updateTimes(int a, int b) {
  forEachAffected(machine, tables.size() > 1, a, b, [&](int rank) {
    double visits = cost.perVisit[rank] * tables[0].getVisits(rank);
    if (tables.size() > 1)
      visits += cost.perNodeVisit * tables[1].getVisits(getNode(rank));
    times[rank] = compute[rank] + perSample * visits;
  });
}

double Search::getSlowestOf(int a, int b) const {
  double slowest = 0;
  forEachAffected(machine, tables.size() > 1, a, b,
                  [&](int rank) { slowest = std::max(slowest, times[rank]); });
  return slowest;
}

double Search::getTime(int replica, int rank, int partner, double limit) const {
  int from = getRank(replica);
  double left = times[from] + getChange(from, replica, partner);
  // Most steps are ruled out by one of the ranks.
  if (left > limit)
    return left;
  return std::max(left, times[rank] + getChange(rank, partner, replica));
}

template <typename Score, typename Accept>
bool Search::takeStep(llvm::ArrayRef<int> movers, double limit, Score getScore,
                      Accept accept) {
  llvm::SmallVector<Step, kTried + 1> steps;
  auto consider = [&](int replica, int rank, int partner) {
    double score = getScore(replica, rank, partner);
    if (score >= (steps.size() == kTried ? steps.back().score : limit) ||
        !isAllowed(replica, rank, partner))
      return;
    if (steps.size() == kTried)
      steps.pop_back();
    Step step{score, replica, rank, partner};
    steps.insert(llvm::upper_bound(steps, step), step);
  };
  for (int replica : movers)
    for (int rank = 0; rank < numRanks; ++rank) {
      if (rank == getRank(replica))
        continue;
      consider(replica, rank, -1);
      for (int partner : replicasOfRank[rank])
        consider(replica, rank, partner);
    }
  for (const Step &step : steps) {
    int from = getRank(step.replica);
    apply(step);
    if (accept(from, step.rank))
      return true;
    apply({0, step.replica, from, step.partner});
  }
  return false;
}

void Search::balance() {
  for (size_t i = 0; i < kMaxSteps; ++i) {
    int slowest = llvm::max_element(times) - times.begin();
    double limit = times[slowest] * (1 - kEpsilon);
    auto getScore = [&](int replica, int rank, int partner) {
      return getTime(replica, rank, partner, limit);
    };
    auto accept = [&](int a, int b) { return getSlowestOf(a, b) < limit; };
    std::vector<int> movers = replicasOfRank[slowest];
    if (!takeStep(movers, limit, getScore, accept))
      return;
  }
}

void Search::gather() {
  double slowest = getSlowest();
  for (int replica = 0; replica < int(replicas.size()); ++replica) {
    auto getScore = [&](int replica, int rank, int partner) {
      double change = getVisitChange(replica, rank, partner);
      return change < 0 && getTime(replica, rank, partner, slowest) <= slowest
                 ? change
                 : 0;
    };
    int before = tables.back().getTotal();
    auto accept = [&](int a, int b) {
      return tables.back().getTotal() < before && getSlowestOf(a, b) <= slowest;
    };
    takeStep(replica, 0, getScore, accept);
  }
}

void Search::level() {
  double slowest = getSlowest() * (1 + kLevelCost);
  for (size_t i = 0; i < kMaxSteps; ++i) {
    int busiest = llvm::max_element(rankLoads) - rankLoads.begin();
    double limit = rankLoads[busiest] * (1 - kEpsilon);
    auto getScore = [&](int replica, int rank, int partner) {
      double change = loads[replica] - (partner < 0 ? 0 : loads[partner]);
      double load =
          std::max(rankLoads[busiest] - change, rankLoads[rank] + change);
      return load < limit && getTime(replica, rank, partner, slowest) <= slowest
                 ? load
                 : limit;
    };
    auto accept = [&](int a, int b) { return getSlowestOf(a, b) <= slowest; };
    std::vector<int> movers = replicasOfRank[busiest];
    if (!takeStep(movers, limit, getScore, accept))
      return;
  }
}

std::vector<Replica> Search::changeReplica() const {
  int slowest = llvm::max_element(times) - times.begin();
  size_t experts = problem.loads.size();
  // The heaviest replica of the slowest rank gets a sibling in the place of the
  // replica that its own siblings miss least.
  int heaviest = -1;
  for (int replica : replicasOfRank[slowest])
    if (counts[replicas[replica].expert] < numRanks &&
        (heaviest < 0 || loads[replica] > loads[heaviest]))
      heaviest = replica;
  if (heaviest < 0)
    return {};
  int expert = replicas[heaviest].expert, place = -1;
  double lowest = problem.loads[expert] / counts[expert];
  for (auto [i, replica] : llvm::enumerate(replicas)) {
    int count = counts[replica.expert];
    if (count < 2 || replica.expert == expert ||
        holds[replica.rank * experts + expert])
      continue;
    double load = problem.loads[replica.expert] / (count - 1);
    if (load < lowest) {
      lowest = load;
      place = i;
    }
  }
  if (place < 0)
    return {};
  std::vector<Replica> result = replicas;
  result[place].expert = expert;
  return result;
}

std::vector<Replica> mlir::moe::searchPlacement(const SearchProblem &problem,
                                                std::vector<Replica> start) {
  int ranks = problem.model.getMachine().getNumRanks();
  std::vector<double> rankLoads = getRankLoads(
      makePlacement(start, problem.loads.size()), problem.loads, ranks);
  double maxLoad = *llvm::max_element(rankLoads) * (1 + kEpsilon);
  auto best = std::make_unique<Search>(problem, std::move(start), maxLoad);
  best->balance();
  for (int i = 0; i < kReplicaChanges; ++i) {
    std::vector<Replica> changed = best->changeReplica();
    if (changed.empty())
      break;
    auto next = std::make_unique<Search>(problem, std::move(changed), maxLoad);
    next->balance();
    if (next->getSlowest() >= best->getSlowest() * (1 - kEpsilon))
      break;
    best = std::move(next);
  }
  for (int i = 0; i < kRounds; ++i) {
    best->gather();
    best->balance();
  }
  best->level();
  return best->getReplicas();
}
