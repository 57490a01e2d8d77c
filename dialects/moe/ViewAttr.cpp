//===- ViewAttr.cpp - views of numbers in files ---------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/moe/MoEDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"

using namespace mlir;
using namespace mlir::moe;

static FloatAttr getScaleAttr(MLIRContext *context, double scale) {
  return FloatAttr::get(Float32Type::get(context), scale);
}

ViewAttr ViewAttr::get(MLIRContext *context, StringAttr file, int64_t offset,
                       Type element, ArrayRef<int64_t> strides) {
  return get(context, file, offset, element, strides, /*blocks=*/{},
             /*scales=*/{}, /*zero_points=*/ViewAttr(), /*zero_point=*/0,
             getScaleAttr(context, 1.0), /*first=*/0);
}

/// Booleans take a byte each.
static int64_t getStoredBits(Type element) {
  int64_t bits = element.getIntOrFloatBitWidth();
  return bits == 1 ? 8 : bits;
}

int64_t ViewAttr::getElementBits() const { return getStoredBits(getElement()); }

LogicalResult
ViewAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError,
                 StringAttr file, int64_t offset, Type element,
                 ArrayRef<int64_t> strides, ArrayRef<int64_t> blocks,
                 ArrayRef<ViewAttr> scales, ViewAttr zeroPoints,
                 int64_t zeroPoint, FloatAttr scale, int64_t first) {
  if (!element.isIntOrFloat())
    return emitError() << "expected a view of plain numbers, got " << element;
  if (first < 0 || first * getStoredBits(element) >=
                       std::max<int64_t>(8, getStoredBits(element)))
    return emitError() << "expected the first element within the first byte, "
                          "got number "
                       << first;
  if (!blocks.empty() && blocks.size() != strides.size())
    return emitError() << "expected one block for each of " << strides.size()
                       << " strides, got " << blocks.size();
  for (int64_t block : blocks)
    if (block < 1)
      return emitError() << "expected blocks of at least 1, got " << block;
  if (zeroPoints && zeroPoint != 0)
    return emitError() << "expected zero_point or zero_points, got both";
  SmallVector<ViewAttr> inner(scales);
  if (zeroPoints)
    inner.push_back(zeroPoints);
  for (ViewAttr view : inner)
    if (view.isQuantized() || view.getStrides().size() != strides.size())
      return emitError() << "expected plain inner views with " << strides.size()
                         << " strides, got " << view;
  return success();
}

bool ViewAttr::isQuantized() const {
  return !getScales().empty() || getZeroPoints() || getZeroPoint() != 0 ||
         getScale().getValueAsDouble() != 1.0;
}

ViewAttr
ViewAttr::transform(llvm::function_ref<ViewAttr(ViewAttr)> change) const {
  ViewAttr moved = change(*this);
  if (!moved)
    return {};
  SmallVector<ViewAttr> scales;
  for (ViewAttr scale : getScales()) {
    scales.push_back(change(scale));
    if (!scales.back())
      return {};
  }
  ViewAttr zeroPoints = getZeroPoints();
  if (zeroPoints && !(zeroPoints = change(zeroPoints)))
    return {};
  return get(getContext(), moved.getFile(), moved.getOffset(),
             moved.getElement(), moved.getStrides(), moved.getBlocks(), scales,
             zeroPoints, getZeroPoint(), getScale(), moved.getFirst());
}

ViewAttr ViewAttr::move(int64_t elements, ArrayRef<int64_t> strides,
                        ArrayRef<int64_t> blocks) const {
  int64_t bits = getElementBits();
  int64_t place = getOffset() * 8 + (getFirst() + elements) * bits;
  int64_t within = bits < 8 ? place % 8 : 0;
  if (llvm::all_of(blocks, [](int64_t block) { return block == 1; }))
    blocks = {};
  return get(getContext(), getFile(), (place - within) / 8, getElement(),
             strides, blocks, /*scales=*/{}, /*zero_points=*/ViewAttr(),
             /*zero_point=*/0, getScaleAttr(getContext(), 1.0), within / bits);
}

/// Parses `<"file", offset = N, element = type, strides = [N, ...]`, then in
/// any order `first = N`, `blocks = [N, ...]`, `scales = [view, ...]`,
/// `zero_points = view`, `zero_point = N` and `scale = number`, then `>`.
Attribute ViewAttr::parse(AsmParser &parser, Type) {
  SMLoc location = parser.getCurrentLocation();
  std::string file;
  int64_t offset, zeroPoint = 0, first = 0;
  Type element;
  SmallVector<int64_t> strides, blocks;
  SmallVector<ViewAttr> scales;
  ViewAttr zeroPoints;
  double scale = 1.0;
  auto parseIntegers = [&](SmallVector<int64_t> &list) {
    return parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&] {
      return parser.parseInteger(list.emplace_back());
    });
  };
  if (parser.parseLess() || parser.parseString(&file) || parser.parseComma() ||
      parser.parseKeyword("offset") || parser.parseEqual() ||
      parser.parseInteger(offset) || parser.parseComma() ||
      parser.parseKeyword("element") || parser.parseEqual() ||
      parser.parseType(element) || parser.parseComma() ||
      parser.parseKeyword("strides") || parser.parseEqual() ||
      parseIntegers(strides))
    return {};
  while (succeeded(parser.parseOptionalComma())) {
    SMLoc place = parser.getCurrentLocation();
    StringRef key;
    if (parser.parseKeyword(&key) || parser.parseEqual())
      return {};
    ParseResult parsed = success();
    if (key == "first")
      parsed = parser.parseInteger(first);
    else if (key == "blocks")
      parsed = parseIntegers(blocks);
    else if (key == "scales")
      parsed =
          parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&] {
            return parser.parseAttribute(scales.emplace_back());
          });
    else if (key == "zero_points")
      parsed = parser.parseAttribute(zeroPoints);
    else if (key == "zero_point")
      parsed = parser.parseInteger(zeroPoint);
    else if (key == "scale")
      parsed = parser.parseFloat(scale);
    else
      parsed = parser.emitError(place)
               << "expected first, blocks, scales, zero_points, zero_point or "
                  "scale, got '"
               << key << "'";
    if (parsed)
      return {};
  }
  if (parser.parseGreater())
    return {};
  MLIRContext *context = parser.getContext();
  auto emit = [&]() -> InFlightDiagnostic {
    return parser.emitError(location);
  };
  function_ref<InFlightDiagnostic()> emitError = emit;
  return getChecked(emitError, context, StringAttr::get(context, file), offset,
                    element, ArrayRef(strides), ArrayRef(blocks),
                    ArrayRef(scales), zeroPoints, zeroPoint,
                    getScaleAttr(context, scale), first);
}

void ViewAttr::print(AsmPrinter &printer) const {
  printer << '<' << getFile() << ", offset = " << getOffset()
          << ", element = " << getElement() << ", strides = [" << getStrides()
          << ']';
  if (getFirst() != 0)
    printer << ", first = " << getFirst();
  if (!getBlocks().empty())
    printer << ", blocks = [" << getBlocks() << ']';
  if (!getScales().empty()) {
    printer << ", scales = [";
    llvm::interleaveComma(getScales(), printer);
    printer << ']';
  }
  if (getZeroPoints())
    printer << ", zero_points = " << getZeroPoints();
  if (getZeroPoint() != 0)
    printer << ", zero_point = " << getZeroPoint();
  if (getScale().getValueAsDouble() != 1.0) {
    printer << ", scale = ";
    printer.printFloat(getScale().getValue());
  }
  printer << '>';
}
