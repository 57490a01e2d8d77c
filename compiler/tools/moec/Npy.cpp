//===- Npy.cpp - NumPy's file format for one array ------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/Npy.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

static const char kMagic[] = "\x93NUMPY";
static constexpr size_t kMagicBytes = 6;
/// Data begins at a multiple of this.
static constexpr size_t kAlignment = 64;

namespace {
struct Row {
  const char *descriptor;
  moe_dtype_t dtype;
};
} // namespace

static const Row kRows[] = {{"<f4", MOE_DTYPE_F32},
                            {"<f8", MOE_DTYPE_F64},
                            {"<f2", MOE_DTYPE_F16},
                            {"<V2", MOE_DTYPE_BF16},
                            {"|i1", MOE_DTYPE_I8},
                            {"<i2", MOE_DTYPE_I16},
                            {"<i4", MOE_DTYPE_I32},
                            {"<i8", MOE_DTYPE_I64},
                            {"|u1", MOE_DTYPE_U8},
                            {"<u2", MOE_DTYPE_U16},
                            {"<u4", MOE_DTYPE_U32},
                            {"<u8", MOE_DTYPE_U64},
                            {"|b1", MOE_DTYPE_BOOL},
                            {"|V2", MOE_DTYPE_BF16},
                            // A file does not tell these from other bytes.
                            {"|i1", MOE_DTYPE_I4},
                            {"|u1", MOE_DTYPE_U4},
                            {"|i1", MOE_DTYPE_I2},
                            {"|u1", MOE_DTYPE_U2},
                            {"|V1", MOE_DTYPE_F8E4M3FN},
                            {"|V1", MOE_DTYPE_F8E4M3FNUZ},
                            {"|V1", MOE_DTYPE_F8E5M2},
                            {"|V1", MOE_DTYPE_F8E5M2FNUZ},
                            {"|V1", MOE_DTYPE_F8E8M0FNU},
                            {"|V1", MOE_DTYPE_F4E2M1FN}};

/// The text after `'key':` in the header, which is a Python dictionary.
static bool findValue(const std::string &header, const std::string &key,
                      std::string &value) {
  size_t place = header.find("'" + key + "'");
  if (place == std::string::npos)
    return false;
  place = header.find(':', place);
  if (place == std::string::npos)
    return false;
  place = header.find_first_not_of(" \t", place + 1);
  if (place == std::string::npos)
    return false;
  value = header.substr(place);
  return true;
}

/// Parses "(2, 3)".
static bool parseShape(const std::string &text, std::vector<int64_t> &dims) {
  if (text.empty() || text[0] != '(')
    return false;
  const char *next = text.c_str() + 1;
  for (;;) {
    next += std::strspn(next, " ,");
    if (*next == ')')
      return true;
    char *end;
    errno = 0;
    long long dim = std::strtoll(next, &end, 10);
    if (end == next || errno || dim < 0)
      return false;
    dims.push_back(dim);
    next = end;
  }
}

static bool fail(std::string &error, const std::string &reason) {
  error = reason;
  return false;
}

bool parseNpy(const std::string &contents, Tensor &result, std::string &error) {
  if (contents.size() < 12 ||
      contents.compare(0, kMagicBytes, kMagic, kMagicBytes) != 0)
    return fail(error, "is not a .npy file");
  auto byte = [&](size_t index) -> size_t {
    return static_cast<unsigned char>(contents[index]);
  };
  size_t version = byte(6), begin = version == 1 ? 10 : 12;
  if (version < 1 || version > 3)
    return fail(error, "has version " + std::to_string(version) +
                           " of .npy, expected 1 to 3");
  size_t length = byte(8) | byte(9) << 8;
  if (version > 1)
    length |= byte(10) << 16 | byte(11) << 24;
  if (length > contents.size() - begin)
    return fail(error, "ends within its header");
  std::string header = contents.substr(begin, length);

  std::string descriptor, order, shape;
  if (!findValue(header, "descr", descriptor) ||
      !findValue(header, "fortran_order", order) ||
      !findValue(header, "shape", shape))
    return fail(error, "has a malformed header");
  if (order.compare(0, 5, "False") != 0)
    return fail(error, "is in Fortran order, expected C order");
  const Row *row = nullptr;
  for (const Row &candidate : kRows)
    if (!row && descriptor.compare(1, 3, candidate.descriptor) == 0 &&
        descriptor.size() > 4 && descriptor[4] == descriptor[0])
      row = &candidate;
  if (!row)
    return fail(error, "has the type " +
                           descriptor.substr(0, descriptor.find(',')) +
                           ", expected a number in little-endian order");
  std::vector<int64_t> dims;
  if (!parseShape(shape, dims))
    return fail(error, "has a malformed shape");
  int64_t count = countElements(row->dtype, dims);
  size_t present = contents.size() - begin - length;
  if (count < 0 || count * moe_dtype_size(row->dtype) != present)
    return fail(error, "has " + std::to_string(present) +
                           " bytes of data, which does not fit its shape");
  result = Tensor(row->dtype, dims);
  std::memcpy(result.bytes.data(), contents.data() + begin + length, present);
  return true;
}

std::string formatNpy(const moe_tensor_t &tensor) {
  const char *descriptor = "";
  for (const Row &row : kRows)
    if (row.dtype == tensor.dtype) {
      descriptor = row.descriptor;
      break;
    }
  std::string header = std::string("{'descr': '") + descriptor +
                       "', 'fortran_order': False, 'shape': (";
  for (uint32_t i = 0; i < tensor.rank; ++i)
    header += std::to_string(tensor.dims[i]) + (i + 1 < tensor.rank ? ", "
                                                : tensor.rank == 1  ? ","
                                                                    : "");
  header += "), }";
  size_t total = kMagicBytes + 6 + header.size() + 1;
  header.append((kAlignment - total % kAlignment) % kAlignment, ' ');
  header += '\n';

  // Version 2 has room for every header.
  std::string contents(kMagic, kMagicBytes);
  contents += '\2';
  contents += '\0';
  for (unsigned shift = 0; shift < 32; shift += 8)
    contents += static_cast<char>(header.size() >> shift & 0xff);
  contents += header;
  if (int64_t count = countElements(tensor))
    contents.append(static_cast<const char *>(tensor.data),
                    count * moe_dtype_size(tensor.dtype));
  return contents;
}
