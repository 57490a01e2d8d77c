//===- Format.h - the layout of an artifact file --------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An artifact is a header, a table of sections and the sections:
//
//   0     header   64 bytes
//   64    table    64 bytes for each section
//   ...   zeros to the next multiple of 4096
//   S1    section 1, zeros to the next multiple of 4096
//   S2    section 2, ...
//   Sn    section n, end of the file
//
// All numbers are little-endian. The hash in the header covers the header (that
// field taken as zero) and the table; each table entry holds the hash of its
// section. Padding and reserved fields are zero and the places of the sections
// follow from their sizes, so every bit of the file is determined or hashed.
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_FORMAT_FORMAT_H
#define RUNTIME_FORMAT_FORMAT_H

#include "runtime/format/Hash.h"

#include <cstdint>
#include <string>
#include <vector>

namespace moert {

/// Not text, changed by every line-ending conversion, cut by 7-bit channels.
constexpr unsigned char kMagic[8] = {0x89, 'M',  'O',  'E',
                                     '\r', '\n', 0x1a, '\n'};
/// Readers accept every minor version of their major version.
constexpr uint16_t kFormatMajor = 1;
constexpr uint16_t kFormatMinor = 1;
constexpr uint64_t kSectionAlignment = 4096;
constexpr uint32_t kMaxSections = 256;
constexpr uint64_t kMaxManifestBytes = uint64_t(16) << 20;

enum class SectionKind : uint32_t {
  /// JSON; the first section, exactly one.
  Manifest = 1,
  /// An ELF shared object; the name is its instruction set level.
  Code = 2,
  /// Numbers as the code objects expect them; at most one.
  Weights = 3,
  /// Text for people, such as IR; never interpreted.
  Text = 4,
  /// An ELF shared object for the host that drives a device; the name is the
  /// architecture of the device.
  DeviceHost = 5,
  /// The kernels for an architecture as PTX, text.
  PTX = 6,
  /// The same kernels as machine code.
  Cubin = 7,
};

struct FileHeader {
  unsigned char magic[8];
  uint16_t major;
  uint16_t minor;
  uint32_t sectionCount;
  uint64_t fileBytes;
  Hash hash;
  unsigned char reserved[24];
};
static_assert(sizeof(FileHeader) == 64, "part of the file format");

struct SectionEntry {
  uint32_t kind;
  uint32_t reserved;
  uint64_t offset;
  uint64_t bytes;
  Hash hash;
  /// Padded with zeros; at least one.
  char name[24];
};
static_assert(sizeof(SectionEntry) == 64, "part of the file format");

/// A table entry that has been checked.
struct Section {
  SectionKind kind;
  std::string name;
  uint64_t offset;
  uint64_t bytes;
  Hash hash;
};

/// The hash that a header with this table must hold.
Hash hashHeader(FileHeader header, const std::vector<SectionEntry> &table);

/// The name of a kind of section in reports.
const char *getKindName(SectionKind kind);

/// Rounds up to kSectionAlignment; false if that exceeds 64 bits.
bool alignSection(uint64_t &offset);

} // namespace moert

#endif // RUNTIME_FORMAT_FORMAT_H
