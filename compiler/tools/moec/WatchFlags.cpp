//===- WatchFlags.cpp - records of runs in files --------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/WatchFlags.h"

#include "compiler/tools/moec/Commands.h"
#include "compiler/tools/moec/RoutingTraceFile.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

namespace json = llvm::json;

void WatchFlags::addTo(CLI::App &command) {
  command.add_option("--record-routing", routing,
                     "write the experts that tokens choose and their weights "
                     "to a .npz file");
  command.add_option("--profile", profile,
                     "write the time of each operation to a file for "
                     "Perfetto or chrome://tracing");
}

void WatchFlags::begin(Model &model) const {
  if (!routing.empty())
    model.recordRouting();
  if (!profile.empty())
    model.profile();
}

/// The names of the expert layers in the manifest.
static std::vector<std::string> getLayerNames(const char *manifest) {
  std::vector<std::string> names;
  llvm::Expected<json::Value> value = json::parse(manifest);
  if (!value) {
    llvm::consumeError(value.takeError());
    return names;
  }
  const json::Object *object = value->getAsObject();
  const json::Object *experts = object ? object->getObject("experts") : nullptr;
  const json::Array *layers = experts ? experts->getArray("layers") : nullptr;
  for (const json::Value &layer : layers ? *layers : json::Array()) {
    const json::Object *fields = layer.getAsObject();
    names.push_back(fields ? fields->getString("name").value_or("").str() : "");
  }
  return names;
}

static void writeRouting(const Model &model, const std::string &path) {
  std::vector<std::string> names = getLayerNames(model.getManifest());
  std::vector<RecordedLayer> layers;
  for (const moe_routing_t &routing : model.getRouting()) {
    RecordedLayer &layer = layers.emplace_back();
    int64_t count = routing.tokens * routing.slots;
    layer.choices.slots = routing.slots;
    layer.choices.ids.assign(routing.ids, routing.ids + count);
    layer.weights.assign(routing.weights, routing.weights + count);
    layer.experts = routing.experts;
    if (layers.size() <= names.size())
      layer.name = names[layers.size() - 1];
  }
  if (layers.empty())
    exitWithError("cannot write '" + path +
                  "': the model has no layer of experts that tells what it "
                  "chooses; see moec explain");
  if (llvm::Error error = writeRouting(layers, path))
    exitWithError(llvm::toString(std::move(error)));
}

/// Events of the Trace Event Format: complete ones ("X") with microseconds.
static void printTrace(llvm::ArrayRef<moe_span_t> spans,
                       llvm::raw_ostream &stream) {
  constexpr llvm::StringRef kinds[] = {"run", "operation", "piece"};
  int64_t start = INT64_MAX;
  uint32_t threads = 0;
  for (const moe_span_t &span : spans) {
    start = std::min(start, span.begin_ns);
    threads = std::max(threads, span.thread + 1);
  }
  json::OStream out(stream);
  out.object([&] {
    out.attribute("displayTimeUnit", "ns");
    out.attributeArray("traceEvents", [&] {
      for (uint32_t thread = 0; thread < threads; ++thread)
        out.value(json::Object{
            {"ph", "M"},
            {"name", "thread_name"},
            {"pid", 1},
            {"tid", thread},
            {"args",
             json::Object{{"name", thread ? "worker " + std::to_string(thread)
                                          : "caller"}}}});
      for (const moe_span_t &span : spans)
        out.value(json::Object{{"ph", "X"},
                               {"name", json::fixUTF8(span.name)},
                               {"cat", kinds[span.kind]},
                               {"pid", 1},
                               {"tid", span.thread},
                               {"ts", (span.begin_ns - start) / 1e3},
                               {"dur", (span.end_ns - span.begin_ns) / 1e3}});
    });
  });
  stream << '\n';
}

static void writeProfile(Model &model, const std::string &path) {
  llvm::Error error = llvm::writeToOutput(path, [&](llvm::raw_ostream &stream) {
    printTrace(model.getSpans(), stream);
    return llvm::Error::success();
  });
  if (error)
    exitWithError("cannot write '" + path +
                  "': " + llvm::toString(std::move(error)));
}

void WatchFlags::finish(Model &model) const {
  if (!routing.empty())
    ::writeRouting(model, routing);
  if (!profile.empty())
    writeProfile(model, profile);
}
