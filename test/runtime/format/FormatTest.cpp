//===- FormatTest.cpp - the artifact format -------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/runtime/ArtifactBuilder.h"

#include "runtime/format/Reader.h"

#include <cstring>
#include <dirent.h>
#include <functional>
#include <sys/stat.h>

using namespace moert;

namespace {

const std::vector<SectionContents> kSections = {
    {SectionKind::Manifest, "", "{\"a manifest\": 1}"},
    {SectionKind::Code, "x86-64-v3", "code for one"},
    {SectionKind::Code, "x86-64-v4", std::string(5000, 'c')},
    {SectionKind::Weights, "", std::string(300, '\7')}};

/// Opens a file and checks every section, as `moec inspect --verify-hash` does.
Status checkWhole(const std::string &path) {
  Reader reader;
  Status status = Reader::open(path, reader);
  for (const Section &section : reader.getSections())
    if (status.ok())
      status = reader.verify(section);
  return status;
}

class FormatTest : public testing::Test {
protected:
  void SetUp() override {
    Status status = writeArtifact(path, kSections);
    ASSERT_TRUE(status.ok()) << status.message();
    contents = readAll(path);
  }

  /// Makes hashes and sizes right again after a change, so that only the rule
  /// that the change breaks can refuse the file.
  void seal() {
    FileHeader header;
    std::memcpy(&header, contents.data(), sizeof(header));
    std::vector<SectionEntry> table(header.sectionCount);
    std::memcpy(table.data(), contents.data() + sizeof(header),
                table.size() * sizeof(SectionEntry));
    header.fileBytes = contents.size();
    header.hash = hashHeader(header, table);
    std::memcpy(&contents[0], &header, sizeof(header));
    writeAll(path, contents);
  }

  void changeEntry(unsigned index, std::function<void(SectionEntry &)> change) {
    SectionEntry entry;
    char *place = &contents[sizeof(FileHeader) + index * sizeof(entry)];
    std::memcpy(&entry, place, sizeof(entry));
    change(entry);
    std::memcpy(place, &entry, sizeof(entry));
    seal();
  }

  TemporaryFolder folder;
  std::string path = folder.file("model.moe");
  std::string contents;
};

} // namespace

// Tests that what was written is read back.
TEST_F(FormatTest, RoundTrip) {
  Reader reader;
  Status status = Reader::open(path, reader);
  ASSERT_TRUE(status.ok()) << status.message();
  ASSERT_EQ(reader.getSections().size(), kSections.size());
  for (size_t i = 0; i < kSections.size(); ++i) {
    const Section &section = reader.getSections()[i];
    EXPECT_EQ(section.kind, kSections[i].kind);
    EXPECT_EQ(section.name, kSections[i].name);
    EXPECT_EQ(section.offset % kSectionAlignment, 0u);
    std::string bytes;
    ASSERT_TRUE(reader.read(section, bytes).ok());
    EXPECT_EQ(bytes, kSections[i].bytes);
  }
  EXPECT_EQ(reader.getFileBytes(), contents.size());
}

// Tests that the same sections give the same bytes.
TEST_F(FormatTest, IsReproducible) {
  std::string again = folder.file("again.moe");
  ASSERT_TRUE(writeArtifact(again, kSections).ok());
  EXPECT_EQ(readAll(again), contents);
}

// Tests that no byte of the file can change unnoticed: each byte in turn with
// one bit flipped, a different one from byte to byte.
TEST_F(FormatTest, EveryFlippedByteIsRefused) {
  ASSERT_TRUE(checkWhole(path).ok());
  for (size_t i = 0; i < contents.size(); ++i) {
    std::string damaged = contents;
    damaged[i] ^= 1 << i % 8;
    writeAll(path, damaged);
    ASSERT_FALSE(checkWhole(path).ok()) << "byte " << i;
  }
}

// Tests that every bit of the header and the table is covered.
TEST_F(FormatTest, EveryFlippedBitOfTheHeaderIsRefused) {
  size_t bytes = sizeof(FileHeader) + kSections.size() * sizeof(SectionEntry);
  for (size_t i = 0; i < 8 * bytes; ++i) {
    std::string damaged = contents;
    damaged[i / 8] ^= 1 << i % 8;
    writeAll(path, damaged);
    ASSERT_FALSE(checkWhole(path).ok()) << "bit " << i;
  }
}

// Tests that every truncation and an extension are refused.
TEST_F(FormatTest, EveryOtherLengthIsRefused) {
  for (size_t length = 0; length < contents.size(); length += 7) {
    writeAll(path, contents.substr(0, length));
    ASSERT_FALSE(checkWhole(path).ok()) << "length " << length;
  }
  writeAll(path, contents + '\0');
  EXPECT_FALSE(checkWhole(path).ok());
}

// Tests that a file of another major version names both versions, and that a
// newer minor version is read.
TEST_F(FormatTest, Versions) {
  contents[10] = 9;
  seal();
  EXPECT_TRUE(checkWhole(path).ok());
  contents[8] = 7;
  seal();
  Status status = checkWhole(path);
  EXPECT_EQ(status.code(), MOE_ERROR_UNSUPPORTED);
  EXPECT_NE(status.message().find("7.9"), std::string::npos);
  EXPECT_NE(status.message().find("1.x"), std::string::npos);
}

// Tests that tables which contradict the file are refused although all hashes
// fit: overlaps, sums beyond 64 bits, huge counts, names without an end.
TEST_F(FormatTest, ImpossibleTablesAreRefused) {
  const std::string good = contents;
  auto refuses = [&](unsigned index,
                     std::function<void(SectionEntry &)> change) {
    contents = good;
    changeEntry(index, change);
    EXPECT_EQ(checkWhole(path).code(), MOE_ERROR_ARTIFACT);
  };
  refuses(1, [](SectionEntry &entry) { entry.offset = 0; });
  refuses(1, [](SectionEntry &entry) { entry.offset += kSectionAlignment; });
  refuses(1, [](SectionEntry &entry) { entry.bytes = UINT64_MAX; });
  refuses(2, [](SectionEntry &entry) { entry.bytes = uint64_t(1) << 50; });
  refuses(3, [](SectionEntry &entry) { entry.bytes -= 1; });
  refuses(0, [](SectionEntry &entry) { entry.bytes = UINT64_MAX - 4096; });
  refuses(1, [](SectionEntry &entry) { std::memset(entry.name, 'x', 24); });
  refuses(1, [](SectionEntry &entry) { entry.name[23] = 'x'; });
  refuses(1, [](SectionEntry &entry) { entry.reserved = 1; });
  refuses(1, [](SectionEntry &entry) { entry.kind = 1; });
  refuses(0, [](SectionEntry &entry) { entry.kind = 4; });
  contents = good;
  std::memset(&contents[12], 0xff, 4);
  writeAll(path, contents);
  EXPECT_EQ(checkWhole(path).code(), MOE_ERROR_ARTIFACT);
}

// Tests that things that are no artifacts give an error without waiting.
TEST_F(FormatTest, OtherFilesAreRefused) {
  EXPECT_EQ(checkWhole(folder.file("missing")).code(), MOE_ERROR_IO);
  EXPECT_EQ(checkWhole(folder.path()).code(), MOE_ERROR_ARTIFACT);
  EXPECT_EQ(checkWhole("/dev/zero").code(), MOE_ERROR_ARTIFACT);
  std::string fifo = folder.file("fifo");
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(checkWhole(fifo).code(), MOE_ERROR_ARTIFACT);
  writeAll(path, "");
  EXPECT_EQ(checkWhole(path).code(), MOE_ERROR_ARTIFACT);
}

/// The number of entries of a folder.
static int countFiles(const std::string &folder) {
  int count = 0;
  DIR *directory = opendir(folder.c_str());
  while (dirent *entry = readdir(directory))
    count += entry->d_name[0] != '.';
  closedir(directory);
  return count;
}

// Tests that a writer that does not finish leaves the old file and nothing
// else.
TEST_F(FormatTest, UnfinishedWriteLeavesTheOldFile) {
  {
    Writer writer;
    ASSERT_TRUE(writer.create(path, {{SectionKind::Manifest, "", 10}}).ok());
    ASSERT_TRUE(writer.write("12345", 5).ok());
    EXPECT_FALSE(writer.finish().ok());
    EXPECT_FALSE(writer.write("678901", 6).ok());
  }
  EXPECT_EQ(readAll(path), contents);
  EXPECT_EQ(countFiles(folder.path()), 1);
  Writer writer;
  EXPECT_EQ(writer.create(folder.file("none/model.moe"), {}).code(),
            MOE_ERROR_IO);
}

// Tests that a hash does not depend on how its section is cut into pieces.
TEST(HashTest, PiecesDoNotMatter) {
  std::string bytes(2 * kHashChunk + 12345, '\0');
  for (size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<char>(i * 2654435761u >> 13);
  SectionHasher hasher;
  for (size_t done = 0, piece = 1; done < bytes.size(); piece = piece * 7 + 1) {
    size_t size = std::min(piece, bytes.size() - done);
    hasher.update(bytes.data() + done, size);
    done += size;
  }
  EXPECT_EQ(hasher.finish(), hashSection(bytes.data(), bytes.size()));
  std::string exact = bytes.substr(0, kHashChunk);
  Hash whole = hashSection(exact.data(), exact.size());
  EXPECT_EQ(whole, hashOfChunks({hashChunk(exact.data(), exact.size())}));
  EXPECT_NE(whole, hashSection(exact.data(), exact.size() - 1));
}
