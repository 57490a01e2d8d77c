//===- Inspect.cpp - moec inspect -----------------------------------------===//
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

#include "runtime/format/Reader.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

namespace json = llvm::json;

namespace {
struct InspectState {
  std::string artifact;
  bool asJson = false;
  bool verifyHash = false;
  std::string html;
  std::string routing;
};
} // namespace

static void check(const moert::Status &status) {
  if (!status.ok())
    exitWithError(status.message());
}

static json::Array describeSections(const moert::Reader &reader) {
  json::Array sections;
  for (const moert::Section &section : reader.getSections())
    sections.push_back(json::Object{{"kind", getKindName(section.kind)},
                                    {"name", section.name},
                                    {"offset", section.offset},
                                    {"bytes", section.bytes},
                                    {"hash", section.hash.str()}});
  return sections;
}

/// Prints the strings and numbers of an object on one line each.
static void printFields(llvm::StringRef title, const json::Object *object) {
  if (!object || object->empty())
    return;
  llvm::outs() << title << '\n';
  std::map<llvm::StringRef, const json::Value *> sorted;
  for (const auto &[key, value] : *object)
    sorted[key] = &value;
  for (const auto &[key, value] : sorted) {
    llvm::outs() << "  " << key << ": ";
    if (auto text = value->getAsString())
      llvm::outs() << toPrintable(*text) << '\n';
    else
      llvm::outs() << *value << '\n';
  }
}

static void printValues(llvm::StringRef title, const json::Array *values) {
  llvm::outs() << title << '\n';
  for (const json::Value &value : values ? *values : json::Array()) {
    const json::Object *object = value.getAsObject();
    if (!object)
      continue;
    llvm::outs() << "  " << toPrintable(object->getString("name").value_or("?"))
                 << ": " << object->getString("type").value_or("?") << '[';
    llvm::ListSeparator separator(" x ");
    if (const json::Array *dims = object->getArray("dims"))
      for (const json::Value &dim : *dims) {
        llvm::outs() << separator;
        if (auto symbol = dim.getAsString())
          llvm::outs() << (symbol->empty() ? "?" : toPrintable(*symbol));
        else
          llvm::outs() << dim;
      }
    llvm::outs() << "]\n";
  }
}

/// Outputs that are inputs with more entries.
static void printStates(const json::Object &manifest) {
  const json::Array *states = manifest.getArray("states");
  if (!states)
    return;
  auto getName = [&](llvm::StringRef list, const json::Object &state,
                     llvm::StringRef key) {
    const json::Array *values = manifest.getArray(list);
    size_t index = state.getInteger(key).value_or(-1);
    const json::Object *value = values && index < values->size()
                                    ? (*values)[index].getAsObject()
                                    : nullptr;
    return toPrintable(value ? value->getString("name").value_or("?") : "?");
  };
  llvm::outs() << "states that grow in place\n";
  for (const json::Value &value : *states)
    if (const json::Object *state = value.getAsObject())
      llvm::outs() << "  " << getName("inputs", *state, "input") << " -> "
                   << getName("outputs", *state, "output")
                   << " along dimension "
                   << state->getInteger("axis").value_or(0) << '\n';
}

static void printWeights(const json::Array *weights) {
  llvm::outs() << "weights\n";
  for (const json::Value &value : weights ? *weights : json::Array())
    if (const json::Object *object = value.getAsObject())
      llvm::outs() << llvm::formatv(
          "  {0,12} + {1,-12} {2}: {3} {4}\n",
          object->getInteger("offset").value_or(0),
          object->getInteger("bytes").value_or(0),
          toPrintable(object->getString("name").value_or("?")),
          object->getString("type").value_or("?"),
          object->getString("layout").value_or("?"));
}

/// One line for each rank: the experts that it holds.
static void printPlacement(const json::Array *placement, int64_t ranks) {
  for (int64_t rank = 0; placement && rank < ranks; ++rank) {
    llvm::outs() << "    rank " << rank << ':';
    for (auto [expert, value] : llvm::enumerate(*placement)) {
      const json::Array *list = value.getAsArray();
      if (list && llvm::is_contained(*list, json::Value(rank)))
        llvm::outs() << ' ' << expert;
    }
    llvm::outs() << '\n';
  }
}

/// How rows travel between ranks, by the tokens of a step.
static void printExchange(const json::Array *choices) {
  if (!choices)
    return;
  llvm::outs() << "    exchange:";
  for (auto [i, value] : llvm::enumerate(*choices)) {
    const json::Object *choice = value.getAsObject();
    if (!choice)
      continue;
    llvm::outs() << (i ? ", " : " ")
                 << choice->getString("algorithm").value_or("?");
    if (std::optional<int64_t> tokens = choice->getInteger("max_tokens"))
      llvm::outs() << " up to " << *tokens << " tokens";
  }
  llvm::outs() << '\n';
}

/// The layers of experts, and where they are.
static void printExperts(const json::Object *experts, int64_t ranks) {
  const json::Array *layers = experts ? experts->getArray("layers") : nullptr;
  if (!layers)
    return;
  llvm::outs() << "expert layers\n";
  for (const json::Value &value : *layers) {
    const json::Object *layer = value.getAsObject();
    if (!layer)
      continue;
    auto getNumber = [&](llvm::StringRef key) {
      return layer->getInteger(key).value_or(0);
    };
    llvm::outs() << llvm::formatv(
        "  {0}: {1} experts of {2} x {3}, {4} for each token\n",
        toPrintable(layer->getString("name").value_or("?")),
        getNumber("experts"), getNumber("hidden"), getNumber("inner"),
        getNumber("slots"));
    printPlacement(layer->getArray("placement"), ranks);
    printExchange(layer->getArray("exchange"));
  }
}

/// Code for devices, and what the assembler says about it.
static void printDevices(const json::Array *devices) {
  if (!devices)
    return;
  llvm::outs() << "devices\n";
  for (const json::Value &value : *devices) {
    const json::Object *device = value.getAsObject();
    if (!device)
      continue;
    llvm::outs() << llvm::formatv(
        "  {0}: {1} bytes of PTX, {2} of machine code\n",
        toPrintable(device->getString("arch").value_or("?")),
        device->getInteger("ptx").value_or(0),
        device->getInteger("cubin").value_or(0));
    const json::Array *kernels = device->getArray("kernels");
    for (const json::Value &entry : kernels ? *kernels : json::Array()) {
      const json::Object *kernel = entry.getAsObject();
      if (!kernel)
        continue;
      auto getNumber = [&](llvm::StringRef key) {
        return kernel->getInteger(key).value_or(0);
      };
      llvm::outs() << llvm::formatv(
          "    {0}: {1} registers, {2} bytes spilled\n",
          toPrintable(kernel->getString("name").value_or("?")),
          getNumber("registers"), getNumber("spilled"));
    }
  }
}

static void printText(const moert::Reader &reader,
                      const json::Object &manifest) {
  llvm::outs() << reader.getPath() << ": artifact, format "
               << manifest.getString("format").value_or("?") << ", by "
               << manifest.getString("compiler").value_or("?") << ", "
               << reader.getFileBytes() << " bytes\n";
  printFields("model", manifest.getObject("model"));
  printFields("options", manifest.getObject("options"));
  printValues("inputs", manifest.getArray("inputs"));
  printValues("outputs", manifest.getArray("outputs"));
  printStates(manifest);
  llvm::outs() << "sections\n";
  for (const moert::Section &section : reader.getSections())
    llvm::outs() << llvm::formatv(
        "  {0,12} + {1,-12} {2} {3}{4}\n", section.offset, section.bytes,
        section.hash.str(), getKindName(section.kind),
        section.name.empty() ? "" : " " + section.name);
  const json::Array *blocks = manifest.getArray("fused_blocks");
  if (blocks && !blocks->empty()) {
    llvm::outs() << "fused blocks\n";
    for (const json::Value &block : *blocks)
      llvm::outs() << "  " << toPrintable(block.getAsString().value_or("?"))
                   << '\n';
  }
  printDevices(manifest.getArray("devices"));
  printExperts(manifest.getObject("experts"),
               manifest.getInteger("ranks").value_or(1));
  printWeights(manifest.getArray("weights"));
}

static std::string getModelName(const json::Object &manifest) {
  if (const json::Object *model = manifest.getObject("model"))
    if (auto file = model->getString("file"))
      return file->str();
  return "model";
}

static void inspect(const InspectState &state) {
  moert::Reader reader;
  check(moert::Reader::open(state.artifact, reader));
  std::string text;
  check(reader.read(*reader.find(moert::SectionKind::Manifest), text));
  llvm::Expected<json::Value> manifest = json::parse(text);
  json::Object *object = manifest ? manifest->getAsObject() : nullptr;
  if (!object) {
    llvm::consumeError(manifest.takeError());
    exitWithError("'" + state.artifact + "' has a malformed manifest");
  }
  if (state.verifyHash)
    for (const moert::Section &section : reader.getSections())
      check(reader.verify(section));

  (*object)["sections"] = describeSections(reader);
  (*object)["file_bytes"] = reader.getFileBytes();
  if (!state.routing.empty()) {
    llvm::Expected<std::vector<RecordedLayer>> layers =
        readRouting(state.routing);
    if (!layers)
      exitWithError(llvm::toString(layers.takeError()));
    (*object)["routing"] = describeRouting(*layers);
  }
  if (state.asJson)
    llvm::outs() << llvm::formatv("{0:2}\n", *manifest);
  if (!state.html.empty())
    writeHtmlPage({getModelName(*object),
                   state.artifact,
                   std::move(*manifest),
                   {kInspectScript, kRoutingScript}},
                  state.html);
  if (state.asJson || !state.html.empty())
    return;
  printText(reader, *object);
  if (state.verifyHash)
    llvm::outs() << "every section has its hash\n";
}

void addInspectCommand(CLI::App &app) {
  auto state = std::make_shared<InspectState>();
  CLI::App *command =
      app.add_subcommand("inspect", "show what an artifact consists of");
  command->add_option("ARTIFACT", state->artifact, "the artifact (.moe)")
      ->required();
  command->add_flag("--json", state->asJson, "print JSON");
  addHtmlOption(*command, state->html);
  command->add_option("--routing-trace", state->routing,
                      "add a recording of --record-routing to the page or the "
                      "JSON");
  command->add_flag("--verify-hash", state->verifyHash,
                    "read the whole file and check the hash of every section");
  command->callback([state] { inspect(*state); });
}
