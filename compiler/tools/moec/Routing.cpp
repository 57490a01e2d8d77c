//===- Routing.cpp - moec routing -----------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/Commands.h"
#include "compiler/tools/moec/HtmlPage.h"
#include "compiler/tools/moec/Printable.h"
#include "compiler/tools/moec/Resources.h"
#include "compiler/tools/moec/RoutingStatistics.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

namespace json = llvm::json;

namespace {
struct RoutingState {
  std::string trace;
  bool asJson = false;
  std::string html;
};
} // namespace

static void print(llvm::ArrayRef<RecordedLayer> layers) {
  llvm::outs() << "layer  experts  slots  tokens  imbalance  entropy  unused  "
                  "reuse  name\n";
  for (auto [i, layer] : llvm::enumerate(layers)) {
    RoutingStatistics statistics(layer);
    llvm::outs() << llvm::formatv(
        "{0,5}  {1,7}  {2,5}  {3,6}  {4,9:f3}  {5,7:f3}  {6,6}  {7,5:f2}  "
        "{8}\n",
        i, layer.experts, layer.choices.slots, layer.choices.getTokens(),
        statistics.imbalance, statistics.entropy, statistics.unused,
        statistics.reuse, toPrintable(layer.name));
  }
}

static void showRouting(const RoutingState &state) {
  llvm::Expected<std::vector<RecordedLayer>> layers = readRouting(state.trace);
  if (!layers)
    exitWithError(llvm::toString(layers.takeError()));
  if (state.asJson)
    llvm::outs() << llvm::formatv("{0:2}\n",
                                  json::Value(describeRouting(*layers)));
  if (!state.html.empty())
    writeHtmlPage({llvm::sys::path::filename(state.trace).str(),
                   "which experts tokens have chosen",
                   json::Object{{"routing", describeRouting(*layers)}},
                   {kRoutingScript}},
                  state.html);
  if (!state.asJson && state.html.empty())
    print(*layers);
}

void addRoutingCommand(CLI::App &app) {
  auto state = std::make_shared<RoutingState>();
  CLI::App *command = app.add_subcommand(
      "routing", "show which experts the tokens of a recording have chosen");
  command
      ->add_option("TRACE", state->trace,
                   "a .npz file from --record-routing of run or generate")
      ->required();
  command->add_flag("--json", state->asJson, "print JSON");
  addHtmlOption(*command, state->html);
  command->callback([state] { showRouting(*state); });
}
