//===- ArtifactBuilder.h - small artifacts for tests ----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TEST_RUNTIME_ARTIFACTBUILDER_H
#define TEST_RUNTIME_ARTIFACTBUILDER_H

#include "runtime/format/Writer.h"

#include <fstream>
#include <gtest/gtest.h>
#include <sstream>
#include <stdlib.h>
#include <unistd.h>

namespace moert {

/// A folder that goes with the test.
class TemporaryFolder {
public:
  TemporaryFolder() { EXPECT_NE(mkdtemp(&name[0]), nullptr); }
  ~TemporaryFolder() {
    std::string command = "rm -rf '" + name + "'";
    EXPECT_EQ(std::system(command.c_str()), 0);
  }
  std::string file(const std::string &leaf) const { return name + "/" + leaf; }
  const std::string &path() const { return name; }

private:
  std::string name = "/tmp/moert-test-XXXXXX";
};

inline std::string readAll(const std::string &path) {
  std::ifstream stream(path, std::ios::binary);
  std::stringstream contents;
  contents << stream.rdbuf();
  return contents.str();
}

inline void writeAll(const std::string &path, const std::string &contents) {
  std::ofstream(path, std::ios::binary) << contents;
}

struct SectionContents {
  SectionKind kind;
  std::string name;
  std::string bytes;
};

inline Status writeArtifact(const std::string &path,
                            const std::vector<SectionContents> &sections) {
  std::vector<SectionPlan> plan;
  for (const SectionContents &section : sections)
    plan.push_back({section.kind, section.name, section.bytes.size()});
  Writer writer;
  Status status = writer.create(path, plan);
  for (const SectionContents &section : sections)
    if (status.ok())
      status = writer.write(section.bytes.data(), section.bytes.size());
  return status.ok() ? writer.finish() : status;
}

} // namespace moert

#endif // TEST_RUNTIME_ARTIFACTBUILDER_H
