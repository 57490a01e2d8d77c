//===- Writer.cpp - writes artifact files ---------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/format/Writer.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace moert;

Writer::~Writer() {
  if (descriptor >= 0)
    close(descriptor);
  if (!temporaryPath.empty())
    unlink(temporaryPath.c_str());
}

Status Writer::create(const std::string &outputPath,
                      const std::vector<SectionPlan> &plan) {
  path = outputPath;
  size_t slash = path.rfind('/');
  folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);

  uint64_t end = sizeof(FileHeader) + plan.size() * sizeof(SectionEntry);
  for (const SectionPlan &section : plan) {
    SectionEntry entry = {};
    if (section.name.size() >= sizeof(entry.name))
      return Status(MOE_ERROR_INVALID_ARGUMENT,
                    "expected a section name of at most 23 bytes, got '" +
                        section.name + "'");
    entry.kind = uint32_t(section.kind);
    entry.bytes = section.bytes;
    std::memcpy(entry.name, section.name.data(), section.name.size());
    if (!alignSection(end))
      return Status(MOE_ERROR_INVALID_ARGUMENT, "the artifact is too large");
    entry.offset = end;
    if (__builtin_add_overflow(end, section.bytes, &end))
      return Status(MOE_ERROR_INVALID_ARGUMENT, "the artifact is too large");
    table.push_back(entry);
  }
  fileBytes = end;

  Status status = openTemporary();
  if (!status.ok())
    return status;
  // Holes between the sections read as zeros.
  if (ftruncate(descriptor, fileBytes) != 0)
    return systemError("write", path);
  hasher = std::make_unique<SectionHasher>();
  endSections();
  return Status();
}

Status Writer::openTemporary() {
  // A file without a name vanishes with the process, however that ends.
  descriptor = open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
  if (descriptor >= 0)
    return Status();
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
    return systemError("create", path);
  temporaryPath = path + ".XXXXXX";
  descriptor = mkostemp(&temporaryPath[0], O_CLOEXEC);
  if (descriptor < 0) {
    temporaryPath.clear();
    return systemError("create", path);
  }
  mode_t mask = umask(0);
  umask(mask);
  fchmod(descriptor, 0666 & ~mask);
  return Status();
}

Status Writer::writeAt(uint64_t offset, const void *data, uint64_t bytes) {
  const auto *next = static_cast<const char *>(data);
  while (bytes > 0) {
    ssize_t done =
        pwrite(descriptor, next, std::min<uint64_t>(bytes, 1 << 30), offset);
    if (done < 0 && errno == EINTR)
      continue;
    if (done < 0)
      return systemError("write", path);
    next += done;
    offset += done;
    bytes -= done;
  }
  return Status();
}

void Writer::endSections() {
  while (current < table.size() && written == table[current].bytes) {
    table[current].hash = hasher->finish();
    hasher = std::make_unique<SectionHasher>();
    written = 0;
    ++current;
  }
}

Status Writer::write(const void *data, uint64_t bytes) {
  const auto *next = static_cast<const char *>(data);
  while (bytes > 0) {
    if (current == table.size())
      return Status(MOE_ERROR_INVALID_ARGUMENT,
                    "more bytes than the sections were planned for");
    SectionEntry &entry = table[current];
    uint64_t piece = std::min(bytes, entry.bytes - written);
    Status status = writeAt(entry.offset + written, next, piece);
    if (!status.ok())
      return status;
    hasher->update(next, piece);
    written += piece;
    next += piece;
    bytes -= piece;
    endSections();
  }
  return Status();
}

Status Writer::finish() {
  if (current != table.size())
    return Status(MOE_ERROR_INVALID_ARGUMENT,
                  "fewer bytes than the sections were planned for");
  FileHeader header = {};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.major = kFormatMajor;
  header.minor = kFormatMinor;
  header.sectionCount = table.size();
  header.fileBytes = fileBytes;
  header.hash = hashHeader(header, table);
  Status status = writeAt(0, &header, sizeof(header));
  if (status.ok())
    status = writeAt(sizeof(header), table.data(),
                     table.size() * sizeof(SectionEntry));
  if (status.ok() && fsync(descriptor) != 0)
    status = systemError("write", path);
  return status.ok() ? publish() : status;
}

Status Writer::publish() {
  if (temporaryPath.empty()) {
    // A link cannot replace a file, a rename can.
    std::string source = "/proc/self/fd/" + std::to_string(descriptor);
    std::string name;
    for (unsigned attempt = 0; attempt < 100 && temporaryPath.empty();
         ++attempt) {
      name =
          path + "." + std::to_string(getpid()) + "." + std::to_string(attempt);
      if (linkat(AT_FDCWD, source.c_str(), AT_FDCWD, name.c_str(),
                 AT_SYMLINK_FOLLOW) == 0)
        temporaryPath = name;
      else if (errno != EEXIST)
        return systemError("create", path);
    }
  }
  if (rename(temporaryPath.c_str(), path.c_str()) != 0)
    return systemError("create", path);
  temporaryPath.clear();
  // The name is durable once the folder is.
  int folderDescriptor =
      open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folderDescriptor >= 0) {
    fsync(folderDescriptor);
    close(folderDescriptor);
  }
  return Status();
}
