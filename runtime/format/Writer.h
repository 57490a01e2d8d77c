//===- Writer.h - writes artifact files -----------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_FORMAT_WRITER_H
#define RUNTIME_FORMAT_WRITER_H

#include "runtime/format/Format.h"
#include "runtime/format/Status.h"

namespace moert {

/// What a section will hold; its bytes come later.
struct SectionPlan {
  SectionKind kind;
  /// At most 23 bytes.
  std::string name;
  uint64_t bytes;
};

/// Writes an artifact from beginning to end. Nothing appears at the path before
/// `finish`, and an older file there stays whole until then.
class Writer {
public:
  Writer() = default;
  ~Writer();
  Writer(const Writer &) = delete;
  Writer &operator=(const Writer &) = delete;

  /// Opens an unnamed or temporary file in the folder of `path`.
  Status create(const std::string &path, const std::vector<SectionPlan> &plan);
  /// Appends bytes of the sections, in order.
  Status write(const void *data, uint64_t bytes);
  /// Completes the header, flushes the file and gives it its name.
  Status finish();

private:
  Status openTemporary();
  Status publish();
  Status writeAt(uint64_t offset, const void *data, uint64_t bytes);
  /// Ends sections that have all their bytes.
  void endSections();

  std::string path;
  std::string folder;
  std::string temporaryPath;
  int descriptor = -1;
  uint64_t fileBytes = 0;
  std::vector<SectionEntry> table;
  size_t current = 0;
  uint64_t written = 0;
  std::unique_ptr<SectionHasher> hasher;
};

} // namespace moert

#endif // RUNTIME_FORMAT_WRITER_H
