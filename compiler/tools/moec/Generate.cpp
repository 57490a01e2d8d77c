//===- Generate.cpp - moec generate ---------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/Commands.h"
#include "compiler/tools/moec/Decoder.h"
#include "compiler/tools/moec/Sampler.h"
#include "compiler/tools/moec/Tokenizer.h"
#include "compiler/tools/moec/WatchFlags.h"

#include "llvm/ADT/SmallSet.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

#include <chrono>

namespace {
struct GenerateState {
  std::string artifact;
  std::string prompt;
  std::string promptIds;
  std::string tokenizer;
  std::string python = "python3";
  std::vector<std::string> stopTokens;
  std::vector<std::string> extents;
  unsigned maxNewTokens = 128;
  SamplerOptions sampling;
  RunFlags flags;
  WatchFlags watch;
};

using Clock = std::chrono::steady_clock;
} // namespace

static void reportSpeed(llvm::StringRef what, size_t tokens,
                        Clock::duration time) {
  double seconds = std::chrono::duration<double>(time).count();
  llvm::errs() << llvm::format("%s: %zu tokens in %.2f s, %.1f tokens/s\n",
                               what.str().c_str(), tokens, seconds,
                               seconds > 0 ? tokens / seconds : 0.0);
}

static std::unique_ptr<Tokenizer> makeTokenizer(const GenerateState &state) {
  if (!state.tokenizer.empty())
    return makeFileTokenizer(state.tokenizer, state.python);
  return state.promptIds.empty() ? makeByteTokenizer() : makeNumberTokenizer();
}

/// Tokens by number or by name.
static llvm::SmallSet<int64_t, 4> readStopTokens(const GenerateState &state,
                                                 Tokenizer &tokenizer) {
  llvm::SmallSet<int64_t, 4> result;
  for (const std::string &token : state.stopTokens) {
    int64_t id;
    if (!llvm::StringRef(token).getAsInteger(10, id)) {
      result.insert(id);
      continue;
    }
    std::optional<int64_t> found = tokenizer.find(token);
    if (!found)
      exitWithError("expected a token id or the name of a token, got '" +
                    token + "'");
    result.insert(*found);
  }
  return result;
}

static std::map<std::string, int64_t>
readExtents(const std::vector<std::string> &arguments) {
  std::map<std::string, int64_t> result;
  for (llvm::StringRef argument : arguments) {
    auto [name, number] = argument.rsplit('=');
    int64_t extent;
    if (name.empty() || number.getAsInteger(10, extent) || extent < 0)
      exitWithError("expected --extent NAME=NUMBER, got '" + argument.str() +
                    "'");
    result[name.str()] = extent;
  }
  return result;
}

static void print(llvm::StringRef text) {
  llvm::outs() << text;
  llvm::outs().flush();
}

static void generate(const GenerateState &state) {
  if (state.prompt.empty() == state.promptIds.empty())
    exitWithError("expected a prompt of at least one token, by --prompt or by "
                  "--prompt-ids");
  Model model(state.artifact, state.flags);
  Decoder decoder(model, readExtents(state.extents));
  Sampler sampler(state.sampling);
  std::unique_ptr<Tokenizer> tokenizer = makeTokenizer(state);
  llvm::SmallSet<int64_t, 4> stopTokens = readStopTokens(state, *tokenizer);

  std::vector<int64_t> prompt =
      state.prompt.empty() ? makeNumberTokenizer()->encode(state.promptIds)
                           : tokenizer->encode(state.prompt);
  if (prompt.empty())
    exitWithError("expected a prompt of at least one token");
  state.watch.begin(model);
  Clock::time_point start = Clock::now();
  std::vector<float> logits = decoder.append(prompt);
  Clock::time_point begin = Clock::now();

  if (state.promptIds.empty() || state.tokenizer.empty())
    print(state.prompt + state.promptIds);
  else
    for (int64_t token : prompt)
      print(tokenizer->step(token));
  // Tokens that the tokenizer does not know are marks without a text.
  size_t known = std::min(logits.size(), tokenizer->getVocabulary());
  // The first token comes from the logits of the prompt.
  size_t steps = 0;
  for (unsigned i = 0; i < state.maxNewTokens; ++i) {
    logits.resize(known);
    auto token = static_cast<int64_t>(sampler.choose(logits));
    if (stopTokens.contains(token))
      break;
    print(tokenizer->step(token));
    if (i + 1 == state.maxNewTokens)
      break;
    logits = decoder.append({token});
    ++steps;
  }
  print("\n");
  reportSpeed("prompt", prompt.size(), begin - start);
  reportSpeed("generated", steps, Clock::now() - begin);
  state.watch.finish(model);
}

static void addSamplingOptions(CLI::App &command, SamplerOptions &sampling) {
  command
      .add_option("--temperature", sampling.temperature,
                  "0: the most likely token; higher: more variety")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command
      .add_option("--top-p", sampling.topP,
                  "choose among the likeliest tokens of this probability")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  command
      .add_option("--top-k", sampling.topK,
                  "choose among so many of the likeliest tokens; 0: all")
      ->capture_default_str();
  command
      .add_option("--seed", sampling.seed, "the same seed gives the same text")
      ->capture_default_str();
}

void addGenerateCommand(CLI::App &app) {
  auto state = std::make_shared<GenerateState>();
  CLI::App *command =
      app.add_subcommand("generate", "continue a text with a decoder model");
  command->add_option("ARTIFACT", state->artifact, "the artifact (.moe)")
      ->required();
  command->add_option("--prompt", state->prompt, "the beginning of the text");
  command->add_option("--prompt-ids", state->promptIds,
                      "the beginning as token ids: 1,2,3");
  command->add_option("--tokenizer", state->tokenizer,
                      "the tokenizer.json of the model (default: tokens are "
                      "bytes, or numbers with --prompt-ids)");
  command
      ->add_option("--python", state->python,
                   "a Python interpreter with the package 'tokenizers', for "
                   "--tokenizer")
      ->capture_default_str()
      ->envname("MOEC_PYTHON");
  command
      ->add_option("--max-new-tokens", state->maxNewTokens,
                   "how many tokens to generate at most")
      ->capture_default_str();
  command
      ->add_option("--stop", state->stopTokens,
                   "end before this token, an id or a name; may be repeated")
      ->delimiter(',')
      ->allow_extra_args(false);
  command
      ->add_option("--extent", state->extents,
                   "NAME=N: an extent of a state that the model leaves open")
      ->allow_extra_args(false);
  addSamplingOptions(*command, state->sampling);
  addRunFlags(*command, state->flags);
  state->watch.addTo(*command);
  command->callback([state] { generate(*state); });
}
