//===- Tensors.cpp - ONNX types and tensors as MLIR types and attributes ----===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Tensors.h"

#include "dialects/onnx/ONNXDialect.h"
#include "frontends/onnx/WeightLocator.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace mlir;

Type mlir::onnx::getElementType(int32_t dataType, MLIRContext *context) {
  auto integer = [&](unsigned width, bool isUnsigned = false) -> Type {
    return IntegerType::get(context, width,
                            isUnsigned ? IntegerType::Unsigned
                                       : IntegerType::Signless);
  };
  switch (dataType) {
  case ::onnx::TensorProto::FLOAT:
    return Float32Type::get(context);
  case ::onnx::TensorProto::DOUBLE:
    return Float64Type::get(context);
  case ::onnx::TensorProto::FLOAT16:
    return Float16Type::get(context);
  case ::onnx::TensorProto::BFLOAT16:
    return BFloat16Type::get(context);
  case ::onnx::TensorProto::BOOL:
    return integer(1);
  case ::onnx::TensorProto::INT8:
    return integer(8);
  case ::onnx::TensorProto::INT16:
    return integer(16);
  case ::onnx::TensorProto::INT32:
    return integer(32);
  case ::onnx::TensorProto::INT64:
    return integer(64);
  case ::onnx::TensorProto::UINT8:
    return integer(8, true);
  case ::onnx::TensorProto::UINT16:
    return integer(16, true);
  case ::onnx::TensorProto::UINT32:
    return integer(32, true);
  case ::onnx::TensorProto::UINT64:
    return integer(64, true);
  case ::onnx::TensorProto::FLOAT8E4M3FN:
    return Float8E4M3FNType::get(context);
  case ::onnx::TensorProto::FLOAT8E4M3FNUZ:
    return Float8E4M3FNUZType::get(context);
  case ::onnx::TensorProto::FLOAT8E5M2:
    return Float8E5M2Type::get(context);
  case ::onnx::TensorProto::FLOAT8E5M2FNUZ:
    return Float8E5M2FNUZType::get(context);
  case ::onnx::TensorProto::FLOAT8E8M0:
    return Float8E8M0FNUType::get(context);
  case ::onnx::TensorProto::FLOAT4E2M1:
    return Float4E2M1FNType::get(context);
  case ::onnx::TensorProto::INT4:
    return integer(4);
  case ::onnx::TensorProto::UINT4:
    return integer(4, true);
  case ::onnx::TensorProto::INT2:
    return integer(2);
  case ::onnx::TensorProto::UINT2:
    return integer(2, true);
  default:
    return {};
  }
}

std::string mlir::onnx::unpackBits(StringRef packed, unsigned bits,
                                   int64_t count) {
  std::string bytes;
  unsigned perByte = 8 / bits, mask = (1u << bits) - 1;
  for (int64_t i = 0; i < count; ++i)
    bytes +=
        static_cast<char>(static_cast<unsigned char>(packed[i / perByte]) >>
                              (i % perByte * bits) &
                          mask);
  return bytes;
}

RankedTensorType mlir::onnx::getTensorType(const ::onnx::TypeProto &type,
                                           MLIRContext *context) {
  if (!type.has_tensor_type() || !type.tensor_type().has_shape())
    return {};
  Type element = getElementType(type.tensor_type().elem_type(), context);
  if (!element)
    return {};
  SmallVector<int64_t> shape;
  SmallVector<StringAttr> symbols;
  bool named = false;
  for (const auto &dim : type.tensor_type().shape().dim()) {
    // Some exporters write a number as the name of an extent.
    int64_t extent = dim.dim_value();
    bool isStatic = dim.has_dim_value() ||
                    !StringRef(dim.dim_param()).getAsInteger(10, extent);
    isStatic &= extent >= 0;
    shape.push_back(isStatic ? extent : ShapedType::kDynamic);
    symbols.push_back(
        StringAttr::get(context, isStatic ? std::string() : dim.dim_param()));
    named |= !symbols.back().empty();
  }
  Attribute encoding;
  if (named)
    encoding = DimsAttr::get(context, symbols);
  return RankedTensorType::get(shape, element, encoding);
}

Type mlir::onnx::getValueType(const ::onnx::TypeProto &type,
                              MLIRContext *context) {
  if (type.has_sequence_type()) {
    const ::onnx::TypeProto &held = type.sequence_type().elem_type();
    Type element = getValueType(held, context);
    // The tensors of a sequence may differ in rank.
    if (Type number = getElementType(held.tensor_type().elem_type(), context);
        !element && number && held.has_tensor_type())
      element = UnrankedTensorType::get(number);
    return element ? SequenceType::get(context, element) : Type();
  }
  if (type.has_optional_type()) {
    Type element = getValueType(type.optional_type().elem_type(), context);
    return element ? OptionalType::get(context, element) : Type();
  }
  return getTensorType(type, context);
}

FailureOr<RankedTensorType>
mlir::onnx::getTensorType(const ::onnx::TensorProto &tensor,
                          Location location) {
  Type element = getElementType(tensor.data_type(), location.getContext());
  if (!element)
    return emitError(location)
           << "tensor '" << tensor.name() << "' has element type "
           << tensor.data_type() << ", which is not supported";
  if (failed(getElementCount(tensor, location)))
    return failure();
  return RankedTensorType::get(
      SmallVector<int64_t>(tensor.dims().begin(), tensor.dims().end()),
      element);
}

/// Copies numbers from one of the typed lists of a TensorProto.
template <typename Stored, typename List>
static void append(std::string &bytes, const List &list) {
  for (auto value : list) {
    Stored number = static_cast<Stored>(value);
    bytes.append(reinterpret_cast<const char *>(&number), sizeof(number));
  }
}

/// The numbers of a tensor that are stored in typed lists, as plain bytes.
static std::string readLists(const ::onnx::TensorProto &tensor) {
  std::string bytes;
  append<float>(bytes, tensor.float_data());
  append<double>(bytes, tensor.double_data());
  append<int64_t>(bytes, tensor.int64_data());
  switch (tensor.data_type()) {
  case ::onnx::TensorProto::UINT32:
    append<uint32_t>(bytes, tensor.uint64_data());
    break;
  case ::onnx::TensorProto::UINT64:
    append<uint64_t>(bytes, tensor.uint64_data());
    break;
  case ::onnx::TensorProto::INT32:
    append<int32_t>(bytes, tensor.int32_data());
    break;
  default: // Narrow types share the list of int32.
    if (mlir::onnx::getElementBits(tensor) == 16)
      append<uint16_t>(bytes, tensor.int32_data());
    else
      append<uint8_t>(bytes, tensor.int32_data());
  }
  return bytes;
}

FailureOr<DenseElementsAttr>
mlir::onnx::readTensor(const ::onnx::TensorProto &tensor, StringRef folder,
                       Location location) {
  FailureOr<RankedTensorType> type = getTensorType(tensor, location);
  if (failed(type))
    return failure();
  int64_t count = type->getNumElements(), bits = getElementBits(tensor);
  int64_t expected = (count * bits + 7) / 8;
  std::string bytes;
  if (tensor.data_location() == ::onnx::TensorProto::EXTERNAL) {
    WeightLocator locator;
    SmallString<256> model(folder);
    llvm::sys::path::append(model, "model.onnxtxt");
    if (failed(locator.scan(model, location)))
      return failure();
    auto place = locator.locate(tensor, tensor.name(), location);
    if (failed(place))
      return failure();
    SmallString<256> path(folder);
    llvm::sys::path::append(path, (*place)->file);
    auto buffer =
        llvm::MemoryBuffer::getFileSlice(path, expected, (*place)->offset);
    if (!buffer)
      return emitError(location)
             << "cannot read '" << path << "': " << buffer.getError().message();
    bytes = (*buffer)->getBuffer().str();
  } else {
    bytes = tensor.has_raw_data() ? tensor.raw_data() : readLists(tensor);
  }
  if (static_cast<int64_t>(bytes.size()) != expected)
    return emitError(location)
           << "expected " << expected << " bytes for tensor '" << tensor.name()
           << "' of type " << *type << ", got " << bytes.size();
  if (bits < 8)
    bytes = unpackBits(bytes, bits, count);
  ArrayRef<char> raw(bytes.data(), bytes.size());
  // One element stands for all if they are equal.
  size_t width = std::max<int64_t>(bits / 8, 1);
  if (bytes.size() > width && bytes.compare(width, std::string::npos, bytes, 0,
                                            bytes.size() - width) == 0)
    raw = raw.take_front(width);
  if (!type->getElementType().isInteger(1))
    return DenseElementsAttr::getFromRawBuffer(*type, raw);
  SmallVector<bool> values(raw.begin(), raw.end());
  return DenseElementsAttr::get(*type, values);
}
