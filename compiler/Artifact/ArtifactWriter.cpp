//===- ArtifactWriter.cpp - writes a compiled model to a file -------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Artifact/ArtifactWriter.h"

#include "compiler/Artifact/Manifest.h"
#include "runtime/format/Writer.h"

#include "llvm/Support/Path.h"

using namespace mlir;
using namespace mlir::moe;

/// Makes the runtime's error one of LLVM's.
static llvm::Error toError(const moert::Status &status) {
  return status.ok() ? llvm::Error::success()
                     : llvm::createStringError(status.message());
}

/// Writes zeros between segments.
static llvm::Error writeGap(moert::Writer &writer, uint64_t bytes) {
  // Segments are a few cache lines apart, but nothing here relies on it.
  static const char zeros[4096] = {};
  while (bytes > 0) {
    uint64_t piece = std::min<uint64_t>(bytes, sizeof(zeros));
    if (llvm::Error error = toError(writer.write(zeros, piece)))
      return error;
    bytes -= piece;
  }
  return llvm::Error::success();
}

static LogicalResult writeWeights(moert::Writer &writer,
                                  const SegmentTable &segments,
                                  const ArtifactOptions &options) {
  uint64_t written = 0;
  for (const Segment &segment : segments.getSegments()) {
    llvm::Error error = writeGap(writer, segment.offset - written);
    written = segment.offset;
    if (!error)
      error = packSegment(segment.plan, [&](ArrayRef<char> bytes) {
        written += bytes.size();
        if (options.onProgress)
          options.onProgress(written, segments.getBytes());
        return toError(writer.write(bytes.data(), bytes.size()));
      });
    if (error) {
      kern::SegmentOp op = segment.op;
      return op.emitError() << llvm::toString(std::move(error));
    }
  }
  return success();
}

LogicalResult moe::writeArtifact(ModuleOp module,
                                 const ArtifactOptions &options,
                                 StringRef path) {
  StringRef folder = options.baseDir;
  if (folder.empty())
    folder = llvm::sys::path::parent_path(options.modelPath);
  SegmentTable segments;
  if (failed(segments.collect(module, folder)))
    return failure();
  FailureOr<std::string> manifest = makeManifest(module, options, segments);
  if (failed(manifest))
    return failure();
  if (manifest->size() > moert::kMaxManifestBytes)
    return module.emitError()
           << "expected a manifest of at most " << moert::kMaxManifestBytes
           << " bytes, got " << manifest->size();

  using moert::SectionKind;
  std::vector<moert::SectionPlan> plan;
  plan.push_back({SectionKind::Manifest, "", manifest->size()});
  for (const CodeObject &object : options.codeObjects)
    plan.push_back({SectionKind::Code, object.isa, object.bytes.size()});
  std::vector<std::pair<const char *, uint64_t>> deviceSections;
  for (const DeviceVariant &device : options.devices) {
    auto add = [&](SectionKind kind, const char *data, uint64_t bytes) {
      plan.push_back({kind, device.code.arch, bytes});
      deviceSections.emplace_back(data, bytes);
    };
    add(SectionKind::DeviceHost, device.host.data(), device.host.size());
    add(SectionKind::PTX, device.code.ptx.data(), device.code.ptx.size());
    if (!device.code.cubin.empty())
      add(SectionKind::Cubin, device.code.cubin.data(),
          device.code.cubin.size());
  }
  if (!options.text.empty())
    plan.push_back({SectionKind::Text, "ir", options.text.size()});
  plan.push_back({SectionKind::Weights, "", segments.getBytes()});

  auto check = [&](const moert::Status &status) -> LogicalResult {
    if (status.ok())
      return success();
    return module.emitError() << status.message();
  };
  moert::Writer writer;
  if (failed(check(writer.create(path.str(), plan))) ||
      failed(check(writer.write(manifest->data(), manifest->size()))))
    return failure();
  for (const CodeObject &object : options.codeObjects)
    if (failed(check(writer.write(object.bytes.data(), object.bytes.size()))))
      return failure();
  for (auto [data, bytes] : deviceSections)
    if (failed(check(writer.write(data, bytes))))
      return failure();
  if (failed(check(writer.write(options.text.data(), options.text.size()))) ||
      failed(writeWeights(writer, segments, options)))
    return failure();
  return check(writer.finish());
}
