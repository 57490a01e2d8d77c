//===- Program.cpp - an open artifact -------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/core/Program.h"

#include "runtime/core/Session.h"
#include "runtime/device/cpu/InstructionSets.h"
#include "runtime/device/cuda/Queue.h"

#include <algorithm>
#include <cstdlib>

using namespace moert;

static std::string listCode(const Reader &reader) {
  std::string list;
  for (const Section &section : reader.getSections())
    if (section.kind == SectionKind::Code)
      list += (list.empty() ? "" : ", ") + section.name;
  return list.empty() ? "none" : list;
}

Status Program::chooseCode(const Reader &reader, std::string wanted,
                           const Section *&result) {
  if (wanted.empty())
    if (const char *override = std::getenv("MOE_ISA"))
      wanted = override;
  result = nullptr;
  for (const Section &section : reader.getSections()) {
    if (section.kind != SectionKind::Code)
      continue;
    if (wanted.empty() ? isSupported(section.name) &&
                             (!result || getLevelOrder(section.name) >
                                             getLevelOrder(result->name))
                       : section.name == wanted)
      result = &section;
  }
  if (!result && !wanted.empty())
    return Status(MOE_ERROR_UNSUPPORTED,
                  "'" + reader.getPath() + "' has no code for '" + wanted +
                      "', only for: " + listCode(reader));
  if (!result || !isSupported(result->name))
    return Status(MOE_ERROR_UNSUPPORTED,
                  "this machine supports none of the instruction sets of '" +
                      reader.getPath() +
                      "': " + (result ? result->name : listCode(reader)));
  isa = result->name;
  return Status();
}

/// Opens the device and picks the code that drives it.
Status Program::chooseDeviceCode(const Reader &reader, const Options &options,
                                 const Section *&result) {
  std::vector<std::string> architectures;
  for (const Section &section : reader.getSections())
    if (section.kind == SectionKind::DeviceHost)
      architectures.push_back(section.name);
  Status status = cuda::Device::open(
      options.target == Options::Target::Emulated, options.isa, device);
  if (status.ok())
    status = device->choose(architectures, options.isa, isa);
  for (const Section &section : reader.getSections())
    if (section.kind == SectionKind::DeviceHost && section.name == isa)
      result = &section;
  return status;
}

/// Brings kernels and weights to the device.
Status Program::loadOnDevice(const Reader &reader) {
  cuda::KernelImage image;
  image.arch = isa;
  for (const Section &section : reader.getSections()) {
    if (section.name != isa)
      continue;
    Status status;
    if (section.kind == SectionKind::PTX)
      status = reader.read(section, image.ptx);
    else if (section.kind == SectionKind::Cubin)
      status = reader.read(section, image.cubin);
    if (!status.ok())
      return status;
  }
  Status status = device->load(image);
  if (status.ok())
    status = device->setWeights(weights.getData(), weights.getBytes());
  return status;
}

/// Where the weights of experts are that lie on other ranks.
static std::vector<Weights::Range> findUnneeded(const Manifest &manifest,
                                                int rank) {
  std::vector<Weights::Range> ranges;
  for (const ExpertWeights &weights : manifest.expertWeights) {
    const LayerPlacement &placement = manifest.placements[weights.layer];
    uint64_t bytes = weights.bytes / placement.experts.size();
    uint64_t begin = weights.offset;
    for (const std::vector<int32_t> &list : placement.experts) {
      if (std::find(list.begin(), list.end(), rank) == list.end()) {
        if (!ranges.empty() && ranges.back().end == begin)
          ranges.back().end += bytes;
        else
          ranges.push_back({begin, begin + bytes});
      }
      begin += bytes;
    }
  }
  std::sort(ranges.begin(), ranges.end(),
            [](const Weights::Range &a, const Weights::Range &b) {
              return a.begin < b.begin;
            });
  return ranges;
}

Status Program::joinRanks(const std::string &path, const Options &options) {
  int ranks = options.communicator ? options.communicator->getSize() : 1;
  if (ranks != static_cast<int>(manifest.layout.ranks))
    return Status(MOE_ERROR_UNSUPPORTED,
                  "'" + path + "' was compiled for " +
                      std::to_string(manifest.layout.ranks) +
                      " ranks, but runs on " + std::to_string(ranks) +
                      "; compile it for as many (--ranks)");
  if (manifest.layout.ranks > 1 && options.target != Options::Target::CPU)
    return Status(MOE_ERROR_UNSUPPORTED,
                  "'" + path +
                      "' was compiled for several ranks, which run on "
                      "the CPU only");
  communicator = options.communicator;
  return Status();
}

Status Program::open(const std::string &path, const Options &options,
                     std::shared_ptr<const Program> &result) {
  Reader reader;
  Status status = Reader::open(path, reader);
  if (!status.ok())
    return status;
  auto program = std::make_shared<Program>();
  status =
      reader.read(*reader.find(SectionKind::Manifest), program->manifestText);
  if (!status.ok())
    return status;
  status = Manifest::parse(program->manifestText, program->manifest);
  if (!status.ok())
    return Status(status.code(), "'" + path + "': " + status.message());
  if (program->manifest.hostInterface != MOERT_HOST_VERSION)
    return Status(MOE_ERROR_UNSUPPORTED,
                  "'" + path + "' needs host interface " +
                      std::to_string(program->manifest.hostInterface) +
                      ", this runtime has " +
                      std::to_string(MOERT_HOST_VERSION) +
                      "; compile the model again");

  status = program->joinRanks(path, options);
  if (!status.ok())
    return status;
  const Section *code = nullptr;
  if (options.target == Options::Target::CPU)
    status = program->chooseCode(reader, options.isa, code);
  else
    status = program->chooseDeviceCode(reader, options, code);
  if (!status.ok())
    return status;
  // Sections that nothing needs are checked all the same: a damaged file is
  // refused as a whole.
  std::string elf;
  const Section *weights = nullptr;
  for (const Section &section : reader.getSections()) {
    if (&section == code)
      status = reader.read(section, elf);
    else if (section.kind == SectionKind::Weights)
      weights = &section;
    else if (section.kind != SectionKind::Manifest)
      status = reader.verify(section);
    if (!status.ok())
      return status;
  }
  if (weights) {
    std::vector<Weights::Range> unneeded;
    if (program->communicator)
      unneeded =
          findUnneeded(program->manifest, program->communicator->getRank());
    status = program->weights.load(reader, *weights, options.weightsMode,
                                   options.verifyWeights, unneeded);
    if (!status.ok())
      return status;
  }
  const MoertDevice *table = nullptr;
  if (program->device) {
    status = program->loadOnDevice(reader);
    if (!status.ok())
      return status;
    table = &cuda::Queue::getTable();
  }
  status = program->code.load(program->isa, elf, &Session::getHost(),
                              program->weights.getData(), table);
  if (status.ok())
    result = std::move(program);
  return status;
}
