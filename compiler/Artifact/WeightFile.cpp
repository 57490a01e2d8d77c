//===- WeightFile.cpp - files that hold weights ---------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Artifact/WeightPacker.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace mlir;
using namespace mlir::moe;

static llvm::Error makeError(int code, const std::string &message) {
  return llvm::createStringError(std::error_code(code, std::generic_category()),
                                 message);
}

WeightFile::~WeightFile() {
  if (descriptor >= 0)
    close(descriptor);
}

llvm::Error WeightFile::open(const std::string &filePath) {
  path = filePath;
  // Opening a FIFO would wait for a writer.
  descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat info;
  if (descriptor < 0 || fstat(descriptor, &info) != 0) {
    int code = errno;
    return makeError(code, "cannot open '" + path +
                               "': " + std::generic_category().message(code));
  }
  if (!S_ISREG(info.st_mode))
    return makeError(EINVAL, "'" + path + "' is not a regular file");
  bytes = info.st_size;
  return llvm::Error::success();
}

llvm::Error WeightFile::read(uint64_t offset, char *data,
                             uint64_t count) const {
  while (count > 0) {
    // One call transfers less than 2 GiB.
    ssize_t got =
        pread(descriptor, data, std::min<uint64_t>(count, 1 << 30), offset);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0) {
      int code = errno;
      return makeError(code, "cannot read '" + path +
                                 "': " + std::generic_category().message(code));
    }
    if (got == 0)
      return makeError(EIO, "'" + path + "' became shorter during compilation");
    data += got;
    offset += got;
    count -= got;
  }
  return llvm::Error::success();
}
