//===- Reader.h - reads artifact files ------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_FORMAT_READER_H
#define RUNTIME_FORMAT_READER_H

#include "runtime/format/Format.h"
#include "runtime/format/Status.h"

namespace moert {

/// An open artifact whose header, table and padding have been checked. Nothing
/// is allocated by sizes from the file before they agree with its length.
class Reader {
public:
  Reader() = default;
  ~Reader();
  Reader(Reader &&other) noexcept;
  Reader &operator=(Reader &&other) noexcept;

  static Status open(const std::string &path, Reader &result);

  const std::vector<Section> &getSections() const { return sections; }
  /// The first section of a kind, or null.
  const Section *find(SectionKind kind) const;
  const std::string &getPath() const { return path; }
  uint16_t getMinorVersion() const { return minorVersion; }
  uint64_t getFileBytes() const { return fileBytes; }
  int getDescriptor() const { return descriptor; }

  /// Reads `bytes` bytes at `offset` of the file.
  Status readAt(uint64_t offset, void *data, uint64_t bytes) const;
  /// Reads a whole section and checks its hash.
  Status read(const Section &section, std::string &result) const;
  /// Checks the hash of a section with bounded memory.
  Status verify(const Section &section) const;
  /// The error of a section that does not have its hash.
  Status hashMismatch(const Section &section) const;

private:
  Status corrupt(const std::string &reason) const;
  Status readHeader();
  Status checkTable(const std::vector<SectionEntry> &table);
  Status checkPadding(uint64_t begin, uint64_t end) const;

  std::string path;
  int descriptor = -1;
  uint64_t fileBytes = 0;
  uint16_t minorVersion = 0;
  std::vector<Section> sections;
};

} // namespace moert

#endif // RUNTIME_FORMAT_READER_H
