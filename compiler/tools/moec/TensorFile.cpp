//===- TensorFile.cpp - tensors in files ----------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/TensorFile.h"

#include "compiler/tools/moec/Npy.h"
#include "compiler/tools/moec/TensorProtoReader.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

bool readFile(const std::string &path, std::string &contents,
              std::string &error) {
  llvm::sys::fs::file_status status;
  std::error_code code = llvm::sys::fs::status(path, status);
  // Reading a FIFO or a device might never end.
  if (!code && !llvm::sys::fs::is_regular_file(status))
    code = std::make_error_code(std::errc::invalid_argument);
  if (!code) {
    auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                              /*RequiresNullTerminator=*/false);
    code = buffer.getError();
    if (!code)
      contents = (*buffer)->getBuffer().str();
  }
  if (code)
    error = "cannot read '" + path + "': " + code.message();
  return !code;
}

bool readTensorFiles(const std::string &path, std::vector<Tensor> &results,
                     std::string &error) {
  std::string contents;
  if (!readFile(path, contents, error))
    return false;
  bool read = llvm::StringRef(path).ends_with(".pb")
                  ? parseTensorProtos(contents, results, error)
                  : parseNpy(contents, results.emplace_back(), error);
  if (!read)
    error = "'" + path + "' " + error;
  return read;
}

bool readTensorFile(const std::string &path, Tensor &result,
                    std::string &error) {
  std::vector<Tensor> results;
  if (!readTensorFiles(path, results, error))
    return false;
  if (results.size() != 1) {
    error = "'" + path + "' holds " + std::to_string(results.size()) +
            " tensors, expected one";
    return false;
  }
  result = std::move(results.front());
  return true;
}

bool writeNpyFile(const std::string &path, const moe_tensor_t &tensor,
                  std::string &error) {
  std::error_code code;
  llvm::raw_fd_ostream stream(path, code);
  if (!code) {
    stream << formatNpy(tensor);
    stream.close();
    code = stream.error();
    stream.clear_error();
  }
  if (code)
    error = "cannot write '" + path + "': " + code.message();
  return !code;
}

std::string toFileName(const std::string &text) {
  std::string name;
  for (char character : text) {
    if (llvm::isAlnum(character) || character == '-' || character == '_' ||
        (character == '.' && !name.empty()))
      name += character;
    else
      name += "%" + llvm::utohexstr(static_cast<unsigned char>(character),
                                    /*LowerCase=*/false, /*Width=*/2);
  }
  return name;
}
