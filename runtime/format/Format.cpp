//===- Format.cpp - the layout of an artifact file ------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/format/Format.h"

#include "runtime/format/Status.h"

#include <cerrno>
#include <cstring>

using namespace moert;

Hash moert::hashHeader(FileHeader header,
                       const std::vector<SectionEntry> &table) {
  header.hash = Hash();
  SectionHasher hasher;
  hasher.update(&header, sizeof(header));
  hasher.update(table.data(), table.size() * sizeof(SectionEntry));
  return hasher.finish();
}

const char *moert::getKindName(SectionKind kind) {
  switch (kind) {
  case SectionKind::Manifest:
    return "manifest";
  case SectionKind::Code:
    return "code";
  case SectionKind::Weights:
    return "weights";
  case SectionKind::Text:
    return "text";
  case SectionKind::DeviceHost:
    return "device host";
  case SectionKind::PTX:
    return "ptx";
  case SectionKind::Cubin:
    return "cubin";
  }
  return "unknown";
}

bool moert::alignSection(uint64_t &offset) {
  uint64_t aligned;
  if (__builtin_add_overflow(offset, kSectionAlignment - 1, &aligned))
    return false;
  offset = aligned & ~(kSectionAlignment - 1);
  return true;
}

Status moert::systemError(const std::string &action, const std::string &path) {
  int error = errno;
  return Status(error == ENOMEM ? MOE_ERROR_OUT_OF_MEMORY : MOE_ERROR_IO,
                "cannot " + action + " '" + path + "': " + strerror(error));
}
