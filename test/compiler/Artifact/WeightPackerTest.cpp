//===- WeightPackerTest.cpp - how weights are packed ----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Artifact/WeightPacker.h"

#include "test/runtime/ArtifactBuilder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

using namespace mlir;
using namespace mlir::moe;

namespace {

class WeightPackerTest : public testing::Test {
protected:
  template <typename T> void setFile(const std::vector<T> &numbers) {
    std::string path = folder.file("weights");
    moert::writeAll(path,
                    std::string(reinterpret_cast<const char *>(numbers.data()),
                                numbers.size() * sizeof(T)));
    if (llvm::Error error = file.open(path))
      FAIL() << llvm::toString(std::move(error));
  }

  /// 0, 1, 2, ...
  void setCounting(int count) {
    std::vector<float> numbers(count);
    for (int i = 0; i < count; ++i)
      numbers[i] = i;
    setFile(numbers);
  }

  StoredView view(std::vector<int64_t> strides, uint64_t firstElement = 0) {
    return {&file, firstElement * 4, ElementKind::F32, std::move(strides)};
  }

  template <typename T = float> std::vector<T> pack(const SegmentPlan &plan) {
    llvm::Expected<uint64_t> bytes = checkSegment(plan);
    if (!bytes) {
      ADD_FAILURE() << llvm::toString(bytes.takeError());
      return {};
    }
    std::vector<char> packed;
    llvm::Error error = packSegment(plan, [&](llvm::ArrayRef<char> piece) {
      packed.insert(packed.end(), piece.begin(), piece.end());
      return llvm::Error::success();
    });
    EXPECT_FALSE(static_cast<bool>(error));
    EXPECT_EQ(packed.size(), *bytes);
    std::vector<T> numbers(packed.size() / sizeof(T));
    std::memcpy(numbers.data(), packed.data(), packed.size());
    return numbers;
  }

  /// The same by definition: element by element.
  std::vector<float> packSlowly(const SegmentPlan &plan) {
    int64_t columns = plan.layout->columns, depth = plan.layout->depth;
    int64_t rows = plan.shape[plan.shape.size() - 2];
    int64_t width = plan.shape.back();
    int64_t stack = plan.shape.size() == 3 ? plan.shape[0] : 1;
    int64_t panels = (width + columns - 1) / columns;
    int64_t groups = (rows + depth - 1) / depth;
    std::vector<float> result;
    for (int64_t e = 0; e < stack; ++e)
      for (int64_t panel = 0; panel < panels; ++panel)
        for (const WeightSource &source : plan.sources)
          for (int64_t group = 0; group < groups; ++group)
            for (int64_t column = 0; column < columns; ++column)
              for (int64_t row = 0; row < depth; ++row)
                result.push_back(read(source, e, group * depth + row,
                                      panel * columns + column, rows, width));
    return result;
  }

  float read(const WeightSource &source, int64_t e, int64_t k, int64_t n,
             int64_t rows, int64_t columns) {
    if (k >= rows || n >= columns)
      return 0;
    const StoredView &view = source.size() > 1 ? source[e] : source[0];
    int64_t place = view.offset / 4;
    if (view.strides.size() == 3)
      place += e * view.strides[0];
    place += k * view.strides[view.strides.size() - 2];
    return place + n * view.strides.back();
  }

  std::string check(const SegmentPlan &plan) {
    llvm::Expected<uint64_t> bytes = checkSegment(plan);
    return bytes ? "" : llvm::toString(bytes.takeError());
  }

  moert::TemporaryFolder folder;
  WeightFile file;
};

} // namespace

// Tests that views without a layout are made row-major.
TEST_F(WeightPackerTest, RowMajor) {
  setCounting(24);
  EXPECT_EQ(pack({"w", {2, 3}, ElementKind::F32, {}, {{view({3, 1}, 1)}}}),
            (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(pack({"w", {3, 2}, ElementKind::F32, {}, {{view({1, 3})}}}),
            (std::vector<float>{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(pack({"w", {2, 2}, ElementKind::F32, {}, {{view({0, 5})}}}),
            (std::vector<float>{0, 5, 0, 5}));
  EXPECT_EQ(pack({"w", {}, ElementKind::F32, {}, {{view({}, 9)}}}),
            (std::vector<float>{9}));
  EXPECT_EQ(pack({"w", {2, 2, 2}, ElementKind::F32, {}, {{view({1, 12, 6})}}}),
            (std::vector<float>{0, 6, 12, 18, 1, 7, 13, 19}));
  EXPECT_EQ(pack({"w", {4, 1}, ElementKind::F32, {}, {{view({6, 1})}}}),
            (std::vector<float>{0, 6, 12, 18}));
  EXPECT_TRUE(
      pack({"w", {0, 5}, ElementKind::F32, {}, {{view({5, 1})}}}).empty());
}

// Tests that one view for each expert makes a stack.
TEST_F(WeightPackerTest, StackOfViews) {
  setCounting(24);
  EXPECT_EQ(pack({"w",
                  {2, 2, 2},
                  ElementKind::F32,
                  {},
                  {{view({2, 1}, 10), view({1, 2}, 0)}}}),
            (std::vector<float>{10, 11, 12, 13, 0, 2, 1, 3}));
}

// Tests panels against the definition of the layout: transposed, interleaved
// and separate sources, depths, sizes that leave a remainder, stacks.
TEST_F(WeightPackerTest, Panels) {
  constexpr int64_t kRows = 37, kColumns = 45, kStack = 3;
  constexpr int64_t kMatrix = kRows * kColumns;
  setCounting(2 * kStack * kMatrix);
  for (int64_t depth : {1, 2, 4})
    for (int64_t columns : {8, 16, 64}) {
      PanelLayout layout{columns, depth};
      SegmentPlan plan{"w", {kRows, kColumns}, ElementKind::F32, layout, {}};
      for (std::vector<int64_t> strides :
           {std::vector<int64_t>{kColumns, 1}, {1, kRows}, {2 * kColumns, 2}}) {
        plan.sources = {{view(strides)}};
        EXPECT_EQ(pack(plan), packSlowly(plan));
      }
      plan.shape = {kStack, kRows, kColumns};
      plan.sources = {{view({2 * kMatrix, 2 * kColumns, 2})},
                      {view({2 * kMatrix, 2 * kColumns, 2}, 1)}};
      EXPECT_EQ(pack(plan), packSlowly(plan));
      plan.sources = {{view({1, kRows}, 7), view({kColumns, 1}, kMatrix),
                       view({1, kRows}, 2 * kMatrix)}};
      EXPECT_EQ(pack(plan), packSlowly(plan));
    }
}

// Tests matrices of which not all fits into one piece, in height and width.
TEST_F(WeightPackerTest, SeveralPieces) {
  setCounting(100000 * 20);
  for (std::vector<int64_t> shape :
       {std::vector<int64_t>{100000, 20}, {20, 100000}})
    for (bool transposed : {false, true}) {
      SegmentPlan plan{"w", shape, ElementKind::F32, PanelLayout{16, 2}, {}};
      plan.sources = {{transposed ? view({1, shape[0]}) : view({shape[1], 1})}};
      EXPECT_EQ(pack(plan), packSlowly(plan));
      plan.layout.reset();
      std::vector<float> copy = pack(plan);
      EXPECT_EQ(copy[shape[1] + 3],
                transposed ? shape[0] * 3 + 1 : shape[1] + 3);
      EXPECT_EQ(copy.back(), 1999999);
    }
}

// Tests conversions between element types.
TEST_F(WeightPackerTest, Conversions) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  setFile<float>(
      {1.0f, -2.5f, 65504.0f, 1e-8f, infinity, nan, 1.00390625f, 1.01171875f});
  SegmentPlan plan{"w", {8}, ElementKind::F16, {}, {{view({1})}}};
  std::vector<uint16_t> halves = pack<uint16_t>(plan);
  EXPECT_EQ(halves[0], 0x3c00);
  EXPECT_EQ(halves[1], 0xc100);
  EXPECT_EQ(halves[2], 0x7bff);
  EXPECT_EQ(halves[3], 0);
  EXPECT_EQ(halves[4], 0x7c00);
  EXPECT_GT(halves[5] & 0x7fff, 0x7c00);
  plan.element = ElementKind::BF16;
  std::vector<uint16_t> brains = pack<uint16_t>(plan);
  EXPECT_EQ(brains[0], 0x3f80);
  EXPECT_EQ(brains[4], 0x7f80);
  EXPECT_GT(brains[5] & 0x7fff, 0x7f80);
  // Halfway between two numbers: the even one.
  EXPECT_EQ(brains[6], 0x3f80);
  EXPECT_EQ(brains[7], 0x3f82);
  plan.element = ElementKind::I8;
  EXPECT_EQ(pack<int8_t>(plan),
            (std::vector<int8_t>{1, -2, 127, 0, 127, 0, 1, 1}));
  plan.element = ElementKind::F64;
  EXPECT_EQ(pack<double>(plan)[1], -2.5);
}

// Tests that impossible plans are refused before anything is read.
TEST_F(WeightPackerTest, InvalidPlans) {
  setCounting(10);
  auto plan = [&](std::vector<int64_t> shape, std::vector<int64_t> strides,
                  uint64_t first = 0) {
    return SegmentPlan{
        "w", std::move(shape), ElementKind::F32, {}, {{view(strides, first)}}};
  };
  EXPECT_EQ(check(plan({10}, {1})), "");
  EXPECT_EQ(check(plan({11}, {1})),
            "weight 'w': expected its numbers within the 40 bytes of '" +
                file.getPath() + "', got a view at offset 0 that ends at 44");
  EXPECT_NE(check(plan({1}, {1}, 10)), "");
  EXPECT_NE(check(plan({1}, {1}, UINT64_MAX / 4)), "");
  EXPECT_NE(check(plan({INT64_MAX}, {1})), "");
  EXPECT_NE(check(plan({INT64_MAX, INT64_MAX}, {0, 0})), "");
  EXPECT_NE(check(plan({2, 5}, {5})), "");
  EXPECT_NE(check(plan({2}, {-1}, 1)), "");
  EXPECT_NE(check(plan({-2}, {1})), "");
  SegmentPlan packed = plan({10}, {1});
  packed.layout = PanelLayout{16, 1};
  EXPECT_EQ(check(packed),
            "weight 'w': expected a matrix or a stack of matrices, got rank 1");
  packed = plan({2, 5}, {5, 1});
  packed.layout = PanelLayout{0, 1};
  EXPECT_NE(check(packed), "");
  SegmentPlan stack = plan({3, 2}, {1});
  stack.sources[0].push_back(view({1}));
  EXPECT_NE(check(stack), "");
}

// Tests that numbers which share bytes are read from within a byte, signed ones
// with their sign.
TEST_F(WeightPackerTest, SharedBytes) {
  setFile<uint8_t>({0x21, 0x43, 0xf8, 0x1b});
  StoredView low = {&file, 0, ElementKind::U4, {2, 1}};
  EXPECT_EQ(pack({"w", {2, 2}, ElementKind::F32, {}, {{low}}}),
            (std::vector<float>{1, 2, 3, 4}));
  StoredView odd = {&file, 0, ElementKind::I4, {1, 3}};
  EXPECT_EQ(pack({"w", {3, 2}, ElementKind::F32, {}, {{odd}}}),
            (std::vector<float>{1, 4, 2, -8, 3, -1}));
  StoredView within = odd;
  within.strides = {1, 2};
  within.first = 1;
  EXPECT_EQ(pack({"w", {2, 2}, ElementKind::F32, {}, {{within}}}),
            (std::vector<float>{2, 4, 3, -8}));
  within.first = 5;
  EXPECT_NE(check({"w", {2, 2}, ElementKind::F32, {}, {{within}}}), "");
  StoredView quarters = {&file, 3, ElementKind::U2, {1}};
  EXPECT_EQ(pack({"w", {4}, ElementKind::F32, {}, {{quarters}}}),
            (std::vector<float>{3, 2, 1, 0}));
  EXPECT_NE(check({"w", {5}, ElementKind::F32, {}, {{quarters}}}), "");
}

// Tests every bit pattern of the narrow floats against the definition of their
// type.
TEST_F(WeightPackerTest, NarrowFloats) {
  std::vector<uint8_t> codes(256);
  for (int i = 0; i < 256; ++i)
    codes[i] = i;
  setFile(codes);
  auto read = [&](ElementKind kind) {
    StoredView view = {&file, 0, kind, {1}};
    return pack({"w", {256}, ElementKind::F32, {}, {{view}}});
  };
  auto decode = [](int code, int exponentBits, int mantissaBits, int bias) {
    int exponent = code >> mantissaBits & ((1 << exponentBits) - 1);
    double mantissa = code & ((1 << mantissaBits) - 1);
    double scaled = mantissa / (1 << mantissaBits) + (exponent != 0);
    double value = scaled * std::pow(2.0, std::max(exponent, 1) - bias);
    return code >> (exponentBits + mantissaBits) ? -value : value;
  };
  std::vector<float> eight = read(ElementKind::F8E4M3FN);
  std::vector<float> wide = read(ElementKind::F8E5M2);
  std::vector<float> powers = read(ElementKind::F8E8M0FNU);
  for (int code = 0; code < 256; ++code) {
    if ((code & 0x7f) == 0x7f)
      EXPECT_TRUE(std::isnan(eight[code]));
    else
      EXPECT_EQ(eight[code], decode(code, 4, 3, 7)) << code;
    if ((code & 0x7c) != 0x7c)
      EXPECT_EQ(wide[code], decode(code, 5, 2, 15)) << code;
    if (code != 0xff)
      EXPECT_EQ(powers[code], std::ldexp(1.0, code - 127)) << code;
  }
  EXPECT_EQ(wide[0x7c], std::numeric_limits<float>::infinity());
  EXPECT_EQ(wide[0xfc], -std::numeric_limits<float>::infinity());
  StoredView four = {&file, 0, ElementKind::F4E2M1FN, {2}};
  std::vector<float> quarters =
      pack({"w", {16}, ElementKind::F32, {}, {{four}}});
  for (int code = 0; code < 16; ++code)
    EXPECT_EQ(quarters[code], decode(code, 2, 1, 1)) << code;
}

// Tests that blocks of rows and columns share scales and zero points, also in
// the middle of them.
TEST_F(WeightPackerTest, Quantized) {
  // Numbers of a 4 x 6 matrix, then six scales, then six zero points.
  std::vector<float> numbers(36);
  for (int i = 0; i < 24; ++i)
    numbers[i] = i;
  for (int i = 0; i < 6; ++i) {
    numbers[24 + i] = 1 << i;
    numbers[30 + i] = 10 * i;
  }
  setFile(numbers);
  StoredView quantized = view({6, 1});
  StoredView scales = view({3, 1}, 24), zeros = view({3, 1}, 30);
  scales.blocks = zeros.blocks = {2, 2};
  quantized.scales = {scales, scales};
  quantized.zeroPoints = {zeros};
  quantized.scale = 0.5;
  std::vector<float> expected;
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 6; ++j) {
      int block = i / 2 * 3 + j / 2;
      float scale = 1 << block;
      expected.push_back((i * 6 + j - 10 * block) * 0.5f * scale * scale);
    }
  EXPECT_EQ(pack({"w", {4, 6}, ElementKind::F32, {}, {{quantized}}}), expected);
  // A scale that is not in the file.
  quantized.scales[0].offset = 4 * 32;
  EXPECT_NE(check({"w", {4, 6}, ElementKind::F32, {}, {{quantized}}}), "");
}

// Tests that quantised panels hold stored numbers, scales and zero points,
// padded with zeros.
TEST_F(WeightPackerTest, QuantizedPanels) {
  // Three columns of ten numbers of four bits; a scale and a zero point for
  // eight of them.
  std::vector<uint8_t> bytes(15 + 6 * 4 + 3);
  for (int i = 0; i < 30; ++i)
    bytes[i / 2] |= (i * 7 % 16) << (i % 2 * 4);
  for (int i = 0; i < 6; ++i) {
    float scale = i + 0.5f;
    std::memcpy(bytes.data() + 15 + 4 * i, &scale, 4);
    bytes[39 + i / 2] |= (i + 3) << (i % 2 * 4);
  }
  setFile(bytes);
  StoredView numbers = {&file, 0, ElementKind::U4, {1, 10}};
  StoredView scales = {&file, 15, ElementKind::F32, {1, 2}, {8, 1}};
  StoredView zeros = {&file, 39, ElementKind::U4, {1, 2}, {8, 1}};
  numbers.scales = {scales};
  numbers.zeroPoints = {zeros};
  PanelLayout layout{
      2, 8, QuantizedLayout{ElementKind::U4, 8, ElementKind::F32, true}};
  std::vector<uint8_t> packed =
      pack<uint8_t>({"w", {10, 3}, ElementKind::I8, layout, {{numbers}}});
  // Two panels of two groups: 8 bytes of numbers, two scales and two zero
  // points.
  const int groupBytes = 8 + 8 + 2;
  ASSERT_EQ(packed.size(), size_t(4 * groupBytes));
  for (int n = 0; n < 3; ++n)
    for (int k = 0; k < 10; ++k) {
      const uint8_t *group = packed.data() + (n / 2 * 2 + k / 8) * groupBytes;
      int code = group[n % 2 * 4 + k % 8 / 2] >> (k % 2 * 4) & 15;
      EXPECT_EQ(code, (n * 10 + k) * 7 % 16);
      float scale;
      std::memcpy(&scale, group + 8 + n % 2 * 4, 4);
      EXPECT_EQ(scale, n * 2 + k / 8 + 0.5f);
      EXPECT_EQ(group[16 + n % 2], n * 2 + k / 8 + 3);
    }
  // The padding of the last panel.
  EXPECT_EQ(packed[2 * groupBytes + 4], 0);
  EXPECT_EQ(packed[2 * groupBytes + 17], 0);
}

// Tests that floats are quantised with the scale that leaves the least error:
// the greatest magnitude is met, or others would be cut.
TEST_F(WeightPackerTest, QuantizesFloats) {
  setFile<float>({0.5f, -4, 1, 3.9f, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8});
  PanelLayout layout{
      1, 8, QuantizedLayout{ElementKind::I4, 8, ElementKind::F32, false}};
  std::vector<uint8_t> packed =
      pack<uint8_t>({"w", {16, 1}, ElementKind::I8, layout, {{view({1, 1})}}});
  ASSERT_EQ(packed.size(), 16u);
  float scales[2];
  std::memcpy(&scales[0], packed.data() + 4, 4);
  std::memcpy(&scales[1], packed.data() + 12, 4);
  EXPECT_EQ(scales[0], 4.0f / 7);
  EXPECT_EQ(scales[1], -1.0f);
  // 1, -7, 2 and 7; then -1 to -8.
  EXPECT_EQ(packed[0], 0x91);
  EXPECT_EQ(packed[1], 0x72);
  EXPECT_EQ(packed[8], 0xef);
  EXPECT_EQ(packed[11], 0x89);
}

// Tests that numbers are chosen for the scale as it is stored, that groups of
// zeros stay zeros, and that what is no number is refused.
TEST_F(WeightPackerTest, QuantizesToStoredScales) {
  std::vector<float> numbers(16);
  for (int i = 0; i < 8; ++i)
    numbers[i] = 1.003f * (i - 4);
  setFile(numbers);
  PanelLayout layout{
      1, 1, QuantizedLayout{ElementKind::I8, 8, ElementKind::BF16, false}};
  SegmentPlan plan{"w", {16, 1}, ElementKind::I8, layout, {{view({1, 1})}}};
  std::vector<uint8_t> packed = pack<uint8_t>(plan);
  ASSERT_EQ(packed.size(), 20u);
  uint16_t bits;
  std::memcpy(&bits, packed.data() + 8, 2);
  uint32_t wide = uint32_t(bits) << 16;
  float scale;
  std::memcpy(&scale, &wide, 4);
  for (int i = 0; i < 8; ++i)
    EXPECT_LE(std::fabs(static_cast<int8_t>(packed[i]) * scale - numbers[i]),
              scale * 0.5f)
        << i;
  for (int i = 10; i < 18; ++i)
    EXPECT_EQ(packed[i], 0);
  setFile<float>({1, std::numeric_limits<float>::infinity()});
  plan.shape = {2, 1};
  ASSERT_EQ(check(plan), "");
  llvm::Error error = packSegment(
      plan, [](llvm::ArrayRef<char>) { return llvm::Error::success(); });
  EXPECT_NE(llvm::toString(std::move(error)), "");
}

// Tests that narrow floats keep their bits, and signed numbers with zero points
// become unsigned ones.
TEST_F(WeightPackerTest, KeepsStoredNumbers) {
  std::vector<uint8_t> codes;
  for (int i = 0; i < 256; ++i)
    codes.push_back(i);
  setFile(codes);
  auto layout = [&](ElementKind kind, bool zeroPoints) {
    return PanelLayout{1, 1,
                       QuantizedLayout{kind, 16, ElementKind::F32, zeroPoints}};
  };
  StoredView numbers = {&file, 0x70, ElementKind::F8E5M2, {1, 1}};
  std::vector<uint8_t> packed =
      pack<uint8_t>({"w",
                     {12, 1},
                     ElementKind::I8,
                     layout(ElementKind::F8E5M2, false),
                     {{numbers}}});
  for (int i = 0; i < 12; ++i)
    EXPECT_EQ(packed[i], 0x70 + i);
  numbers = {&file, 0x78, ElementKind::I8, {1, 1}};
  numbers.zeroPoint = -3;
  packed = pack<uint8_t>({"w",
                          {16, 1},
                          ElementKind::I8,
                          layout(ElementKind::U8, true),
                          {{numbers}}});
  for (int i = 0; i < 16; ++i)
    EXPECT_EQ(packed[i], ((0x78 + i) ^ 0x80));
  EXPECT_EQ(packed[20], 125);
}
