//===- Reader.cpp - reads artifact files ----------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/format/Reader.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

using namespace moert;

Reader::~Reader() {
  if (descriptor >= 0)
    close(descriptor);
}

Reader::Reader(Reader &&other) noexcept { *this = std::move(other); }

Reader &Reader::operator=(Reader &&other) noexcept {
  std::swap(path, other.path);
  std::swap(descriptor, other.descriptor);
  std::swap(fileBytes, other.fileBytes);
  std::swap(minorVersion, other.minorVersion);
  std::swap(sections, other.sections);
  return *this;
}

Status Reader::corrupt(const std::string &reason) const {
  return Status(MOE_ERROR_ARTIFACT, "'" + path + "' " + reason);
}

Status Reader::hashMismatch(const Section &section) const {
  std::string name = getKindName(section.kind);
  if (!section.name.empty())
    name += " '" + section.name + "'";
  return corrupt("is damaged: section " + name + " does not have the hash " +
                 section.hash.str());
}

const Section *Reader::find(SectionKind kind) const {
  for (const Section &section : sections)
    if (section.kind == kind)
      return &section;
  return nullptr;
}

Status Reader::open(const std::string &path, Reader &result) {
  Reader reader;
  reader.path = path;
  // Opening a FIFO would wait for a writer.
  reader.descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (reader.descriptor < 0)
    return systemError("open", path);
  struct stat info;
  if (fstat(reader.descriptor, &info) != 0)
    return systemError("examine", path);
  if (!S_ISREG(info.st_mode))
    return reader.corrupt("is not a regular file");
  reader.fileBytes = info.st_size;
  Status status = reader.readHeader();
  if (status.ok())
    result = std::move(reader);
  return status;
}

Status Reader::readAt(uint64_t offset, void *data, uint64_t bytes) const {
  auto *next = static_cast<char *>(data);
  while (bytes > 0) {
    // One call transfers less than 2 GiB.
    ssize_t got =
        pread(descriptor, next, std::min<uint64_t>(bytes, 1 << 30), offset);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return systemError("read", path);
    if (got == 0)
      return corrupt("became shorter while it was read");
    next += got;
    offset += got;
    bytes -= got;
  }
  return Status();
}

Status Reader::readHeader() {
  FileHeader header;
  if (fileBytes < sizeof(header))
    return corrupt("is not an artifact: it has " + std::to_string(fileBytes) +
                   " bytes, a header has 64");
  Status status = readAt(0, &header, sizeof(header));
  if (!status.ok())
    return status;
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0)
    return corrupt("is not an artifact: its first bytes are not those of one");
  if (header.major != kFormatMajor)
    return Status(MOE_ERROR_UNSUPPORTED,
                  "'" + path + "' has format version " +
                      std::to_string(header.major) + "." +
                      std::to_string(header.minor) + ", expected " +
                      std::to_string(kFormatMajor) +
                      ".x; compile the model again or use another runtime");
  if (header.fileBytes != fileBytes)
    return corrupt("is truncated or damaged: expected " +
                   std::to_string(header.fileBytes) + " bytes, got " +
                   std::to_string(fileBytes));
  if (header.sectionCount == 0 || header.sectionCount > kMaxSections)
    return corrupt("is damaged: expected 1 to " + std::to_string(kMaxSections) +
                   " sections, got " + std::to_string(header.sectionCount));
  uint64_t tableBytes = header.sectionCount * sizeof(SectionEntry);
  if (fileBytes - sizeof(header) < tableBytes)
    return corrupt("is damaged: its table of sections exceeds the file");

  std::vector<SectionEntry> table(header.sectionCount);
  status = readAt(sizeof(header), table.data(), tableBytes);
  if (!status.ok())
    return status;
  if (hashHeader(header, table) != header.hash)
    return corrupt("is damaged: its header does not have the hash " +
                   header.hash.str());
  minorVersion = header.minor;
  return checkTable(table);
}

/// True if a name is padded with zeros and has at least one.
static bool isNameValid(const char (&name)[24]) {
  size_t length = strnlen(name, sizeof(name));
  return length < sizeof(name) &&
         std::all_of(
             name + length, name + sizeof(name),
             [](char character) { return character == 0; });
}

Status Reader::checkTable(const std::vector<SectionEntry> &table) {
  // The hash shows damage; these checks are for files made by others.
  uint64_t end = sizeof(FileHeader) + table.size() * sizeof(SectionEntry);
  unsigned manifests = 0, weights = 0;
  for (const SectionEntry &entry : table) {
    std::string label = "section " + std::to_string(sections.size());
    uint64_t begin = end;
    if (!alignSection(begin) || entry.offset != begin ||
        __builtin_add_overflow(entry.offset, entry.bytes, &end) ||
        end > fileBytes)
      return corrupt("is damaged: " + label + " is not at its place");
    if (!isNameValid(entry.name) || entry.reserved != 0)
      return corrupt("is damaged: " + label + " has a malformed table entry");
    auto kind = SectionKind(entry.kind);
    manifests += kind == SectionKind::Manifest;
    weights += kind == SectionKind::Weights;
    if (kind == SectionKind::Manifest && entry.bytes > kMaxManifestBytes)
      return corrupt("is damaged: its manifest has " +
                     std::to_string(entry.bytes) + " bytes");
    sections.push_back(
        {kind, entry.name, entry.offset, entry.bytes, entry.hash});
  }
  if (sections.front().kind != SectionKind::Manifest || manifests != 1 ||
      weights > 1)
    return corrupt("is damaged: expected one manifest, first, and at most one "
                   "weights section");
  if (end != fileBytes)
    return corrupt("is damaged: expected " + std::to_string(end) +
                   " bytes from its sections, got " +
                   std::to_string(fileBytes));

  end = sizeof(FileHeader) + table.size() * sizeof(SectionEntry);
  for (const Section &section : sections) {
    Status status = checkPadding(end, section.offset);
    if (!status.ok())
      return status;
    end = section.offset + section.bytes;
  }
  return Status();
}

Status Reader::checkPadding(uint64_t begin, uint64_t end) const {
  char padding[kSectionAlignment];
  Status status = readAt(begin, padding, end - begin);
  if (!status.ok())
    return status;
  for (uint64_t i = 0; i < end - begin; ++i)
    if (padding[i] != 0)
      return corrupt("is damaged: expected zero at byte " +
                     std::to_string(begin + i));
  return Status();
}

Status Reader::read(const Section &section, std::string &result) const {
  result.resize(section.bytes);
  Status status = readAt(section.offset, &result[0], section.bytes);
  if (!status.ok())
    return status;
  if (hashSection(result.data(), result.size()) != section.hash)
    return hashMismatch(section);
  return Status();
}

Status Reader::verify(const Section &section) const {
  std::vector<char> buffer(std::min(section.bytes, kHashChunk));
  SectionHasher hasher;
  for (uint64_t done = 0; done < section.bytes; done += buffer.size()) {
    uint64_t piece = std::min<uint64_t>(buffer.size(), section.bytes - done);
    Status status = readAt(section.offset + done, buffer.data(), piece);
    if (!status.ok())
      return status;
    hasher.update(buffer.data(), piece);
  }
  return hasher.finish() == section.hash ? Status() : hashMismatch(section);
}
