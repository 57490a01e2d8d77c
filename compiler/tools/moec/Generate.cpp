//===- Generate.cpp - moec generate ---------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/Commands.h"
#include "compiler/tools/moec/Decoder.h"
#include "compiler/tools/moec/Sampler.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

#include <chrono>

/// Tokens are bytes.
static constexpr size_t kByteTokens = 256;

namespace {
struct GenerateState {
  std::string artifact;
  std::string prompt;
  unsigned maxNewTokens = 128;
  SamplerOptions sampling;
  RunFlags flags;
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

static void generate(const GenerateState &state) {
  if (state.prompt.empty())
    exitWithError("expected a prompt of at least one byte");
  Model model(state.artifact, state.flags);
  Decoder decoder(model);
  Sampler sampler(state.sampling);

  std::vector<int64_t> prompt;
  for (unsigned char byte : state.prompt)
    prompt.push_back(byte);
  Clock::time_point start = Clock::now();
  std::vector<float> logits = decoder.append(prompt);
  Clock::time_point begin = Clock::now();
  if (logits.size() < kByteTokens)
    exitWithError("expected a model of bytes with at least 256 logits, got " +
                  std::to_string(logits.size()));

  llvm::outs() << state.prompt;
  llvm::outs().flush();
  for (unsigned i = 0; i < state.maxNewTokens; ++i) {
    // Tokens above the bytes are marks without a text.
    logits.resize(kByteTokens);
    size_t token = sampler.choose(logits);
    llvm::outs() << static_cast<char>(token);
    llvm::outs().flush();
    if (i + 1 < state.maxNewTokens)
      logits = decoder.append({static_cast<int64_t>(token)});
  }
  llvm::outs() << '\n';
  llvm::outs().flush();
  reportSpeed("prompt", prompt.size(), begin - start);
  // The first token comes from the logits of the prompt.
  reportSpeed("generated", state.maxNewTokens ? state.maxNewTokens - 1 : 0,
              Clock::now() - begin);
}

void addGenerateCommand(CLI::App &app) {
  auto state = std::make_shared<GenerateState>();
  CLI::App *command = app.add_subcommand(
      "generate", "continue a text with a language model whose tokens are "
                  "bytes");
  command->add_option("ARTIFACT", state->artifact, "the artifact (.moe)")
      ->required();
  command->add_option("--prompt", state->prompt, "the beginning of the text")
      ->required();
  command
      ->add_option("--max-new-tokens", state->maxNewTokens,
                   "how many tokens to generate")
      ->capture_default_str();
  command
      ->add_option("--temperature", state->sampling.temperature,
                   "0: the most likely token; higher: more variety")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command
      ->add_option("--top-p", state->sampling.topP,
                   "choose among the likeliest tokens of this probability")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  command
      ->add_option("--top-k", state->sampling.topK,
                   "choose among so many of the likeliest tokens; 0: all")
      ->capture_default_str();
  command
      ->add_option("--seed", state->sampling.seed,
                   "the same seed gives the same text")
      ->capture_default_str();
  addRunFlags(*command, state->flags);
  command->callback([state] { generate(*state); });
}
