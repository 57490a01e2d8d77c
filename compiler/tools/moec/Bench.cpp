//===- Bench.cpp - moec bench ---------------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/BenchInputs.h"
#include "compiler/tools/moec/Commands.h"
#include "compiler/tools/moec/MachineLimits.h"
#include "compiler/tools/moec/Model.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

#include <chrono>
#include <cmath>
#include <thread>

namespace json = llvm::json;
using Clock = std::chrono::steady_clock;

namespace {

struct BenchState {
  std::string artifact;
  std::vector<int64_t> tokens = {1, 16, 512};
  std::vector<unsigned> threads;
  int64_t pastTokens = 0;
  double seconds = 1;
  bool asJson = false;
  bool mapWeights = false;
  std::string device = "cpu";
  std::string arch;
};

/// What a run takes, from the manifest of the artifact.
class Cost {
public:
  explicit Cost(const char *manifest) {
    llvm::Expected<json::Value> value = json::parse(manifest);
    if (!value) {
      llvm::consumeError(value.takeError());
      return;
    }
    const json::Object *object = value->getAsObject();
    if (const json::Object *cost = object ? object->getObject("cost") : nullptr)
      fields = *cost;
  }

  double getFlops(int64_t tokens) const {
    return getNumber(fields, "flops") +
           getNumber(fields, "flops_per_token") * tokens;
  }

  /// Of the operations, those on numbers of `kind`: "bf16" or "byte".
  double getShare(const std::string &kind) const {
    double all = getNumber(fields, "flops_per_token");
    return all > 0 ? getNumber(fields, kind + "_flops_per_token") / all : 0;
  }

  /// Weights that `tokens` tokens read, if all experts are equally likely.
  double getBytes(int64_t tokens) const {
    double bytes = getNumber(fields, "bytes");
    if (const json::Array *experts = fields.getArray("experts"))
      for (const json::Value &entry : *experts)
        if (const json::Object *stack = entry.getAsObject()) {
          double count = getNumber(*stack, "count");
          double missed = 1 - getNumber(*stack, "slots") / count;
          bytes += getNumber(*stack, "bytes") * count *
                   (1 - std::pow(missed, tokens));
        }
    return bytes;
  }

private:
  static double getNumber(const json::Object &object, llvm::StringRef key) {
    return object.getNumber(key).value_or(0);
  }

  json::Object fields;
};

struct Row {
  int64_t tokens;
  unsigned threads;
  double medianMs, minMs, gflops, gbps;
  /// Medians of the fractions of the limits that were measured beside a sample.
  double flopsFraction, readFraction;
};

double getMedian(std::vector<double> values) {
  if (values.empty())
    return 0;
  std::sort(values.begin(), values.end());
  size_t half = values.size() / 2;
  return values.size() % 2 ? values[half]
                           : (values[half - 1] + values[half]) / 2;
}

class Benchmark {
public:
  Benchmark(const BenchState &state, unsigned threads)
      : state(state), threads(threads),
        model(state.artifact,
              {state.device, threads, state.mapWeights, state.arch}),
        cost(model.getManifest()), limits(threads, model.getIsa()),
        source(model.getInputs(), model.getOutputs(), state.pastTokens) {}

  Row run(int64_t tokens) {
    makeInputs(tokens);
    // The first runs fetch memory and wake the threads.
    Clock::time_point start = Clock::now();
    do
      runOnce();
    while (getSeconds(start) < 0.2 * state.seconds);

    std::vector<double> times, flopsFractions, readFractions;
    double flops = cost.getFlops(tokens), bytes = cost.getBytes(tokens);
    start = Clock::now();
    while (times.size() < 5 ||
           (times.size() < 1000 && getSeconds(start) < state.seconds)) {
      peaks.push_back(measurePeak());
      bandwidths.push_back(limits.measureGbps());
      // The threads slept meanwhile; what that costs is lost in a long run.
      if (times.empty() || times.back() < 20)
        runOnce();
      Clock::time_point begin = Clock::now();
      runOnce();
      double seconds = getSeconds(begin);
      times.push_back(seconds * 1e3);
      flopsFractions.push_back(flops / seconds * 1e-9 / peaks.back());
      if (bandwidths.back() > 0)
        readFractions.push_back(bytes / seconds * 1e-9 / bandwidths.back());
    }
    double median = getMedian(times);
    return {tokens,
            threads,
            median,
            *std::min_element(times.begin(), times.end()),
            flops / median * 1e-6,
            bytes / median * 1e-6,
            getMedian(flopsFractions),
            getMedian(readFractions)};
  }

  bool hasTokenExtent() const { return source.hasTokenExtent(); }
  double getPeak() const { return getMedian(peaks); }
  double getBandwidth() const { return getMedian(bandwidths); }

private:
  static double getSeconds(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  }

  /// Several, so that a few tokens do not find their experts in the caches.
  void makeInputs(int64_t tokens) {
    std::mt19937 random(1);
    int64_t count = std::max<int64_t>(1, std::min<int64_t>(16, 64 / tokens));
    tensors.clear();
    for (int64_t i = 0; i < count; ++i)
      tensors.push_back(source.make(tokens, random));
    next = 0;
  }

  void runOnce() {
    const std::vector<Tensor> &current = tensors[next++ % tensors.size()];
    std::vector<moe_input_t> inputs;
    for (size_t i = 0; i < current.size(); ++i)
      inputs.push_back({model.getInputs()[i].name, current[i].view()});
    model.run(inputs);
  }

  /// Of the products that the code has: code with instructions for narrow
  /// numbers makes use of them.
  double measurePeak() {
    double seconds = 0, rest = 1;
    auto add = [&](const char *kind, double (MachineLimits::*measure)()) {
      double share = cost.getShare(kind);
      double rate = share > 0 ? (limits.*measure)() : 0;
      if (rate == 0)
        return;
      seconds += share / rate;
      rest -= share;
    };
    add("bf16", &MachineLimits::measureBF16Gflops);
    add("byte", &MachineLimits::measureByteGops);
    return 1 / (seconds + rest / limits.measureGflops());
  }

  const BenchState &state;
  unsigned threads;
  Model model;
  Cost cost;
  MachineLimits limits;
  BenchInputs source;
  std::vector<std::vector<Tensor>> tensors;
  size_t next = 0;
  std::vector<double> peaks, bandwidths;
};

} // namespace

/// Four digits behind the point.
static json::Value shorten(double value) {
  return std::round(value * 1e4) / 1e4;
}

static void print(const Row &row) {
  llvm::outs() << llvm::formatv(
      "{0,7} {1,8} {2,10:F3} {3,10:F3} {4,9:F1} {5,7:F3} {6,8:F1} {7,7:F3}\n",
      row.tokens, row.threads, row.medianMs, row.minMs, row.gflops,
      row.flopsFraction, row.gbps, row.readFraction);
  llvm::outs().flush();
}

static void bench(const BenchState &state) {
  std::vector<unsigned> threadCounts = state.threads;
  if (threadCounts.empty())
    threadCounts = {std::max(1u, std::thread::hardware_concurrency())};
  json::Array results;
  json::Object limits;
  if (!state.asJson)
    llvm::outs() << " tokens  threads  median_ms     min_ms   gflops of peak  "
                    "    gbps of read\n";
  for (unsigned threads : threadCounts) {
    Benchmark benchmark(state, threads);
    std::vector<int64_t> tokenCounts = state.tokens;
    if (!benchmark.hasTokenExtent()) {
      llvm::errs() << "moec: note: the model has no dynamic extent; --tokens "
                      "has no effect\n";
      tokenCounts = {1};
    }
    for (int64_t tokens : tokenCounts) {
      Row row = benchmark.run(tokens);
      if (!state.asJson)
        print(row);
      results.push_back(json::Object{{"tokens", row.tokens},
                                     {"threads", row.threads},
                                     {"median_ms", shorten(row.medianMs)},
                                     {"min_ms", shorten(row.minMs)},
                                     {"gflops", shorten(row.gflops)},
                                     {"gbps", shorten(row.gbps)},
                                     {"of_peak", shorten(row.flopsFraction)},
                                     {"of_read", shorten(row.readFraction)}});
    }
    // Those of the last number of threads stay.
    limits = json::Object{{"threads", threads},
                          {"gflops", shorten(benchmark.getPeak())},
                          {"gbps", shorten(benchmark.getBandwidth())}};
    if (!state.asJson)
      llvm::outs() << llvm::formatv(
          "limits of {0} threads: {1:F1} GFLOP/s, {2:F1} GB/s\n", threads,
          benchmark.getPeak(), benchmark.getBandwidth());
  }
  if (state.asJson)
    llvm::outs() << llvm::formatv(
        "{0:2}\n", json::Value(json::Object{{"results", std::move(results)},
                                            {"limits", std::move(limits)}}));
}

void addBenchCommand(CLI::App &app) {
  auto state = std::make_shared<BenchState>();
  CLI::App *command = app.add_subcommand(
      "bench", "measure an artifact next to the limits of the machine");
  command->add_option("ARTIFACT", state->artifact, "the artifact (.moe)")
      ->required();
  command
      ->add_option("--tokens", state->tokens,
                   "tokens of a run, several separated by commas (default: "
                   "1,16,512)")
      ->delimiter(',')
      ->check(CLI::Range(int64_t(1), int64_t(1) << 30));
  command
      ->add_option("--threads", state->threads,
                   "threads to run on, several separated by commas (default: "
                   "one per processor)")
      ->delimiter(',')
      ->check(CLI::Range(1u, 4096u));
  command
      ->add_option("--past", state->pastTokens,
                   "tokens in the caches of keys and values (default: 0)")
      ->check(CLI::Range(int64_t(0), int64_t(1) << 30));
  command
      ->add_option("--seconds", state->seconds,
                   "how long to measure each number of tokens (default: 1)")
      ->check(CLI::Range(0.0, 3600.0));
  command->add_option("--device", state->device, "as for moec run")
      ->check(CLI::IsMember({"cpu", "cuda", "emulate"}));
  command->add_option("--arch", state->arch, "as for moec run");
  command->add_flag("--map-weights", state->mapWeights,
                    "map the weights instead of reading them");
  command->add_flag("--json", state->asJson, "print JSON");
  command->callback([state] { bench(*state); });
}
