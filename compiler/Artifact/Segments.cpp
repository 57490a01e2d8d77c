//===- Segments.cpp - what the weights section of an artifact holds -------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Artifact/Segments.h"

#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace mlir::moe;

static std::optional<ElementKind> getElementKind(Type type) {
  return llvm::TypeSwitch<Type, std::optional<ElementKind>>(type)
      .Case([](Float16Type) { return ElementKind::F16; })
      .Case([](BFloat16Type) { return ElementKind::BF16; })
      .Case([](Float32Type) { return ElementKind::F32; })
      .Case([](Float64Type) { return ElementKind::F64; })
      .Case([](Float4E2M1FNType) { return ElementKind::F4E2M1FN; })
      .Case([](Float8E4M3FNType) { return ElementKind::F8E4M3FN; })
      .Case([](Float8E5M2Type) { return ElementKind::F8E5M2; })
      .Case([](Float8E8M0FNUType) { return ElementKind::F8E8M0FNU; })
      .Case([](IntegerType integer) -> std::optional<ElementKind> {
        bool isUnsigned = integer.isUnsigned();
        switch (integer.getWidth()) {
        case 1:
          return ElementKind::U8;
        case 2:
          return isUnsigned ? ElementKind::U2 : ElementKind::I2;
        case 4:
          return isUnsigned ? ElementKind::U4 : ElementKind::I4;
        case 8:
          return isUnsigned ? ElementKind::U8 : ElementKind::I8;
        case 16:
          return isUnsigned ? ElementKind::U16 : ElementKind::I16;
        case 32:
          return isUnsigned ? ElementKind::U32 : ElementKind::I32;
        case 64:
          return isUnsigned ? ElementKind::U64 : ElementKind::I64;
        default:
          return std::nullopt;
        }
      })
      .Default([](Type) { return std::nullopt; });
}

/// The attribute knows only element types that have a kind.
static PanelLayout getLayout(kern::PackedAttr packed) {
  PanelLayout layout{packed.getColumns(), packed.getDepth()};
  if (kern::QuantizedAttr quantized = packed.getQuantized())
    layout.quantized = QuantizedLayout{
        *getElementKind(quantized.getNumbers()), quantized.getGroup(),
        *getElementKind(quantized.getScales()), quantized.hasZeroPoints()};
  return layout;
}

const WeightFile *SegmentTable::openFile(kern::SegmentOp op, StringRef name,
                                         StringRef folder) {
  std::unique_ptr<WeightFile> &file = files[name];
  if (file)
    return file.get();
  SmallString<128> path(name);
  if (llvm::sys::path::is_relative(path) && !folder.empty()) {
    path = folder;
    llvm::sys::path::append(path, name);
  }
  auto opened = std::make_unique<WeightFile>();
  if (llvm::Error error = opened->open(path.str().str())) {
    op.emitError() << "weight '" << op.getWeightName()
                   << "': " << llvm::toString(std::move(error));
    return nullptr;
  }
  file = std::move(opened);
  return file.get();
}

FailureOr<StoredView> SegmentTable::makeView(kern::SegmentOp op, ViewAttr view,
                                             StringRef folder) {
  std::optional<ElementKind> element = getElementKind(view.getElement());
  if (!element || view.getOffset() < 0)
    return op.emitError() << "expected a view of plain numbers at an offset "
                             "of at least 0, got "
                          << view;
  StoredView result;
  result.file = openFile(op, view.getFile().getValue(), folder);
  if (!result.file)
    return failure();
  result.offset = view.getOffset();
  result.element = *element;
  result.strides = view.getStrides().vec();
  result.blocks = view.getBlocks().vec();
  result.zeroPoint = static_cast<float>(view.getZeroPoint());
  result.scale = view.getScale().getValue().convertToFloat();
  result.first = view.getFirst();
  auto add = [&](ViewAttr inner, std::vector<StoredView> &list) {
    FailureOr<StoredView> made = makeView(op, inner, folder);
    if (succeeded(made))
      list.push_back(std::move(*made));
    return LogicalResult(made);
  };
  for (ViewAttr scale : view.getScales())
    if (failed(add(scale, result.scales)))
      return failure();
  if (view.getZeroPoints() &&
      failed(add(view.getZeroPoints(), result.zeroPoints)))
    return failure();
  return result;
}

LogicalResult SegmentTable::addSource(kern::SegmentOp op, ArrayAttr views,
                                      StringRef folder, SegmentPlan &plan) {
  WeightSource &source = plan.sources.emplace_back();
  for (Attribute attribute : views) {
    auto view = dyn_cast<ViewAttr>(attribute);
    if (!view)
      return op.emitError() << "expected #moe.view, got " << attribute;
    FailureOr<StoredView> made = makeView(op, view, folder);
    if (failed(made))
      return failure();
    source.push_back(std::move(*made));
  }
  return success();
}

FailureOr<Segment> SegmentTable::makeSegment(kern::SegmentOp op,
                                             StringRef folder) {
  auto type = dyn_cast<ShapedType>(op.getType());
  auto sourceType = dyn_cast<ShapedType>(op.getSourceType());
  if (!type || !sourceType || !type.hasStaticShape() ||
      !sourceType.hasStaticShape())
    return op.emitError() << "expected static shapes, got " << op.getType()
                          << " from " << op.getSourceType();
  std::optional<ElementKind> element = getElementKind(type.getElementType());
  if (!element || isNarrow(*element))
    return op.emitError() << "expected an element type of plain numbers, got "
                          << type.getElementType();

  Segment segment;
  segment.op = op;
  segment.plan.name = op.getWeightName().str();
  segment.plan.shape = sourceType.getShape().vec();
  segment.plan.element = *element;
  if (auto packed = op.getPacked())
    segment.plan.layout = getLayout(*packed);
  for (Attribute attribute : op.getSources()) {
    auto views = dyn_cast<ArrayAttr>(attribute);
    if (!views || views.empty())
      return op.emitError()
             << "expected arrays of #moe.view, got " << attribute;
    if (failed(addSource(op, views, folder, segment.plan)))
      return failure();
  }

  llvm::Expected<uint64_t> bytes = checkSegment(segment.plan);
  if (!bytes)
    return op.emitError() << llvm::toString(bytes.takeError());
  // The size of the type cannot overflow: it must equal a checked number.
  uint64_t expected = getByteSize(*element) * type.getNumElements();
  if (*bytes != expected)
    return op.emitError() << "expected " << expected << " bytes for " << type
                          << ", got " << *bytes << " from its sources";
  segment.offset = op.getOffset();
  segment.bytes = *bytes;
  return segment;
}

LogicalResult SegmentTable::collect(ModuleOp module, StringRef folder) {
  for (auto op : module.getOps<kern::SegmentOp>()) {
    FailureOr<Segment> segment = makeSegment(op, folder);
    if (failed(segment))
      return failure();
    segments.push_back(std::move(*segment));
  }
  llvm::sort(segments, [](const Segment &left, const Segment &right) {
    return std::tie(left.offset, left.bytes, left.plan.name) <
           std::tie(right.offset, right.bytes, right.plan.name);
  });
  uint64_t end = 0;
  for (Segment &segment : segments) {
    if (static_cast<int64_t>(segment.offset) < 0 || segment.offset < end)
      return segment.op.emitError()
             << "expected an offset of at least " << end << ", got "
             << static_cast<int64_t>(segment.offset);
    end = segment.offset + segment.bytes;
  }
  return success();
}

uint64_t SegmentTable::getBytes() const {
  return segments.empty() ? 0 : segments.back().offset + segments.back().bytes;
}
