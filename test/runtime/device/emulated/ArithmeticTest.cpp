//===- ArithmeticTest.cpp - what the NVPTX backend makes of LLVM IR -------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/runtime/device/emulated/EmulatedDevice.h"

#include <cmath>
#include <cstdio>
#include <random>
#include <unistd.h>

using namespace emulated;

namespace {

/// A kernel r = f(x, y, z), element by element, and what it must give.
struct Case {
  const char *name;
  const char *in;   ///< LLVM type of x, y and z
  const char *out;  ///< LLVM type of r
  const char *body; ///< defines %r
  uint64_t (*expected)(uint64_t x, uint64_t y, uint64_t z);
};

template <typename To> To as(uint64_t bits) {
  To value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
uint64_t bits(float value) { return __builtin_bit_cast(uint32_t, value); }
uint64_t bits(double value) { return __builtin_bit_cast(uint64_t, value); }
float f(uint64_t x) { return as<float>(x); }
double d(uint64_t x) { return as<double>(x); }
int32_t s(uint64_t x) { return int32_t(x); }
uint32_t u(uint64_t x) { return uint32_t(x); }
int64_t sl(uint64_t x) { return int64_t(x); }
uint16_t h(uint64_t x) { return uint16_t(x); }
float fromHalf(uint64_t x) { return float(__builtin_bit_cast(_Float16, h(x))); }
uint64_t toHalf(float x) { return __builtin_bit_cast(uint16_t, _Float16(x)); }
float fromBfloat(uint64_t x) {
  return __builtin_bit_cast(float, uint32_t(h(x)) << 16);
}
uint64_t toBfloat(float x) {
  uint32_t word = __builtin_bit_cast(uint32_t, x);
  return h((word + 0x7fff + (word >> 16 & 1)) >> 16);
}

#define HOST(EXPRESSION)                                                       \
  [](uint64_t x, uint64_t y, uint64_t z) -> uint64_t {                         \
    (void)x, (void)y, (void)z;                                                 \
    return EXPRESSION;                                                         \
  }

const Case kCases[] = {
    {"add32", "i32", "i32", "%r = add i32 %x, %y", HOST(u(x) + u(y))},
    {"mad32", "i32", "i32", "%m = mul i32 %x, %y\n%r = add i32 %m, %z",
     HOST(u(x) * u(y) + u(z))},
    {"sdiv32", "i32", "i32", "%o = or i32 %y, 1\n%r = sdiv i32 %x, %o",
     HOST(u((y | 1) == 0xffffffffu ? -s(x) : s(x) / s(y | 1)))},
    {"udiv32", "i32", "i32", "%o = or i32 %y, 1\n%r = udiv i32 %x, %o",
     HOST(u(x) / u(y | 1))},
    {"srem32", "i32", "i32", "%o = or i32 %y, 1\n%r = srem i32 %x, %o",
     HOST(u((y | 1) == 0xffffffffu ? 0 : s(x) % s(y | 1)))},
    {"urem64", "i64", "i64", "%o = or i64 %y, 1\n%r = urem i64 %x, %o",
     HOST(x % (y | 1))},
    {"sdiv64", "i64", "i64", "%o = or i64 %y, 1\n%r = sdiv i64 %x, %o",
     HOST((y | 1) == ~0ull ? -x : uint64_t(sl(x) / sl(y | 1)))},
    {"mulhi", "i32", "i32",
     "%a = zext i32 %x to i64\n%b = zext i32 %y to i64\n%m = mul i64 %a, %b\n"
     "%h = lshr i64 %m, 32\n%r = trunc i64 %h to i32",
     HOST((uint64_t)u(x) * u(y) >> 32)},
    {"smulhi64", "i64", "i64",
     "%a = sext i64 %x to i128\n%b = sext i64 %y to i128\n%m = mul i128 %a, "
     "%b\n%h = lshr i128 %m, 64\n%r = trunc i128 %h to i64",
     HOST((__int128)sl(x) * sl(y) >> 64)},
    {"add128", "i64", "i64",
     "%a = zext i64 %x to i128\n%b = zext i64 %y to i128\n%c = shl i128 %a, "
     "64\n"
     "%e = or i128 %c, %b\n%g = zext i64 %z to i128\n%q = add i128 %e, %g\n"
     "%h = lshr i128 %q, 64\n%r = trunc i128 %h to i64",
     HOST(x + (y + z < y))},
    {"wide", "i32", "i64",
     "%a = sext i32 %x to i64\n%b = sext i32 %y to i64\n%r = mul i64 %a, %b",
     HOST((int64_t)s(x) * s(y))},
    {"min", "i32", "i32", "%r = call i32 @llvm.smin.i32(i32 %x, i32 %y)",
     HOST(u(std::min(s(x), s(y))))},
    {"umax64", "i64", "i64", "%r = call i64 @llvm.umax.i64(i64 %x, i64 %y)",
     HOST(std::max(x, y))},
    {"abs", "i32", "i32", "%r = call i32 @llvm.abs.i32(i32 %x, i1 false)",
     HOST(s(x) < 0 ? 0u - u(x) : u(x))},
    {"shl", "i32", "i32", "%n = and i32 %y, 31\n%r = shl i32 %x, %n",
     HOST(u(x) << (y & 31))},
    {"ashr64", "i64", "i64", "%n = and i64 %y, 63\n%r = ashr i64 %x, %n",
     HOST(sl(x) >> (y & 63))},
    {"fshl", "i32", "i32",
     "%r = call i32 @llvm.fshl.i32(i32 %x, i32 %y, i32 %z)",
     HOST(u(z & 31 ? u(x) << (z & 31) | u(y) >> (32 - (z & 31)) : x))},
    {"ctpop64", "i64", "i64", "%r = call i64 @llvm.ctpop.i64(i64 %x)",
     HOST(__builtin_popcountll(x))},
    {"ctlz", "i32", "i32", "%r = call i32 @llvm.ctlz.i32(i32 %x, i1 false)",
     HOST(u(x) ? __builtin_clz(u(x)) : 32)},
    {"cttz", "i32", "i32", "%r = call i32 @llvm.cttz.i32(i32 %x, i1 false)",
     HOST(u(x) ? __builtin_ctz(u(x)) : 32)},
    {"bitreverse64", "i64", "i64", "%r = call i64 @llvm.bitreverse.i64(i64 %x)",
     HOST(__builtin_bitreverse64(x))},
    {"bswap", "i32", "i32", "%r = call i32 @llvm.bswap.i32(i32 %x)",
     HOST(__builtin_bswap32(u(x)))},
    {"field", "i32", "i32", "%a = lshr i32 %x, 5\n%r = and i32 %a, 255",
     HOST(u(x) >> 5 & 255)},
    {"sext8", "i32", "i32", "%a = trunc i32 %x to i8\n%r = sext i8 %a to i32",
     HOST(u(int8_t(x)))},
    {"mul16", "i16", "i16", "%m = mul i16 %x, %y\n%r = add i16 %m, %z",
     HOST(h(h(x) * h(y) + h(z)))},
    {"div16", "i16", "i16", "%o = or i16 %y, 1\n%r = udiv i16 %x, %o",
     HOST(h(h(x) / h(y | 1)))},
    {"select", "i64", "i64",
     "%c = icmp slt i64 %x, %y\n%r = select i1 %c, i64 %z, i64 %x",
     HOST(sl(x) < sl(y) ? z : x)},
    {"logic3", "i32", "i32",
     "%a = and i32 %x, %y\n%b = xor i32 %a, %z\n%r = xor i32 %b, -1",
     HOST(u(~((x & y) ^ z)))},
    {"fadd", "float", "float", "%r = fadd float %x, %y",
     HOST(bits(f(x) + f(y)))},
    {"fmul_fadd", "float", "float",
     "%m = fmul float %x, %y\n%r = fadd float %m, %z",
     HOST(bits([](float m, float c) { return m + c; }(f(x) * f(y), f(z))))},
    {"fma", "float", "float",
     "%r = call float @llvm.fma.f32(float %x, float %y, float %z)",
     HOST(bits(std::fma(f(x), f(y), f(z))))},
    {"fdiv", "float", "float", "%r = fdiv float %x, %y",
     HOST(bits(f(x) / f(y)))},
    {"fsqrt", "float", "float",
     "%a = call float @llvm.fabs.f32(float %x)\n"
     "%r = call float @llvm.sqrt.f32(float %a)",
     HOST(bits(std::sqrt(std::fabs(f(x)))))},
    {"fminnum", "float", "float",
     "%r = call float @llvm.minnum.f32(float %x, float %y)",
     HOST(bits(std::fmin(f(x), f(y))))},
    {"fmaximum", "float", "float",
     "%r = call float @llvm.maximum.f32(float %x, float %y)",
     HOST(bits(std::isnan(f(x)) || std::isnan(f(y)) ? NAN
                                                    : std::fmax(f(x), f(y))))},
    {"ffloor", "float", "float", "%r = call float @llvm.floor.f32(float %x)",
     HOST(bits(std::floor(f(x))))},
    {"frint", "float", "float", "%r = call float @llvm.rint.f32(float %x)",
     HOST(bits(std::rint(f(x))))},
    {"copysign", "float", "float",
     "%r = call float @llvm.copysign.f32(float %x, float %y)",
     HOST(bits(std::copysign(f(x), f(y))))},
    {"fcmp", "float", "float",
     "%c = fcmp ult float %x, %y\n%r = select i1 %c, float %z, float %y",
     HOST(bits(!(f(x) >= f(y)) ? f(z) : f(y)))},
    {"dfma", "double", "double",
     "%r = call double @llvm.fma.f64(double %x, double %y, double %z)",
     HOST(bits(std::fma(d(x), d(y), d(z))))},
    {"ddiv", "double", "double", "%r = fdiv double %x, %y",
     HOST(bits(d(x) / d(y)))},
    {"half_mul", "half", "half", "%r = fmul half %x, %y",
     HOST(toHalf(fromHalf(x) * fromHalf(y)))},
    {"half_add", "half", "half", "%r = fadd half %x, %y",
     HOST(toHalf(fromHalf(x) + fromHalf(y)))},
    {"half_fma", "half", "half",
     "%r = call half @llvm.fma.f16(half %x, half %y, half %z)",
     HOST(__builtin_bit_cast(
         uint16_t, _Float16((double)fromHalf(x) * fromHalf(y) + fromHalf(z))))},
    {"mixed_fma", "half", "float",
     "%a = fpext half %x to float\n%b = fpext half %y to float\n"
     "%c = fpext half %z to float\n%s = fmul float %c, 3.0\n"
     "%r = call float @llvm.fma.f32(float %a, float %b, float %s)",
     HOST(bits(std::fma(fromHalf(x), fromHalf(y), fromHalf(z) * 3)))},
    {"mixed_bfloat_sub", "bfloat", "float",
     "%a = fpext bfloat %x to float\n%b = fpext bfloat %y to float\n"
     "%s = fmul float %b, 3.0\n%r = fsub float %a, %s",
     HOST(bits(fromBfloat(x) - fromBfloat(y) * 3))},
    {"half_to_float", "half", "float", "%r = fpext half %x to float",
     HOST(bits(fromHalf(x)))},
    {"float_to_half", "float", "half", "%r = fptrunc float %x to half",
     HOST(toHalf(f(x)))},
    {"float_to_bfloat", "float", "bfloat", "%r = fptrunc float %x to bfloat",
     HOST(toBfloat(f(x)))},
    {"bfloat_add", "bfloat", "bfloat", "%r = fadd bfloat %x, %y",
     HOST(toBfloat(fromBfloat(x) + fromBfloat(y)))},
    {"double_to_float", "double", "float", "%r = fptrunc double %x to float",
     HOST(bits(float(d(x))))},
    {"double_to_half", "double", "half", "%r = fptrunc double %x to half",
     HOST(__builtin_bit_cast(uint16_t, _Float16(d(x))))},
    {"sitofp", "i32", "float", "%r = sitofp i32 %x to float",
     HOST(bits(float(s(x))))},
    {"uitofp64", "i64", "float", "%r = uitofp i64 %x to float",
     HOST(bits(float(x)))},
    {"sitofp_half", "i32", "half",
     "%a = trunc i32 %x to i16\n%r = sitofp i16 %a to half",
     HOST(toHalf(float(int16_t(x))))},
    {"fptosi", "float", "i32",
     "%r = call i32 @llvm.fptosi.sat.i32.f32(float %x)",
     HOST(u(std::isnan(f(x))  ? 0
            : f(x) >= 0x1p31f ? INT32_MAX
            : f(x) < -0x1p31f ? INT32_MIN
                              : int32_t(f(x))))},
    {"fptoui64", "double", "i64",
     "%r = call i64 @llvm.fptoui.sat.i64.f64(double %x)",
     HOST(std::isnan(d(x)) || d(x) <= 0 ? 0
          : d(x) >= 0x1p64              ? ~0ull
                                        : uint64_t(d(x)))},
};

uint64_t getSize(const std::string &type) {
  return type == "i64" || type == "double"  ? 8
         : type == "i32" || type == "float" ? 4
                                            : 2;
}

std::string makeModule() {
  std::string text = "target triple = \"nvptx64-nvidia-cuda\"\n"
                     "declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()\n";
  for (const Case &test : kCases) {
    std::string in = test.in, out = test.out;
    text += "define ptx_kernel void @" + std::string(test.name) +
            "(ptr addrspace(1) %A, ptr addrspace(1) %B, ptr addrspace(1) %C, "
            "ptr addrspace(1) %O) {\n"
            "%i = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()\n";
    const char *names[][2] = {{"A", "x"}, {"B", "y"}, {"C", "z"}};
    for (auto &name : names)
      text += std::string("%p") + name[0] + " = getelementptr " + in +
              ", ptr addrspace(1) %" + name[0] + ", i32 %i\n%" + name[1] +
              " = load " + in + ", ptr addrspace(1) %p" + name[0] + "\n";
    text += std::string(test.body) + "\n%po = getelementptr " + out +
            ", ptr addrspace(1) %O, i32 %i\nstore " + out +
            " %r, ptr addrspace(1) %po\nret void\n}\n";
  }
  return text;
}

/// The PTX that LLVM's own backend makes of `text`.
std::string compile(const std::string &text, const char *cpu) {
  char path[] = "/tmp/emulated-XXXXXX";
  int descriptor = mkstemp(path);
  EXPECT_EQ(write(descriptor, text.data(), text.size()), ssize_t(text.size()));
  close(descriptor);
  std::string command =
      std::string(MOE_TEST_LLC) +
      " -O2 -mtriple=nvptx64-nvidia-cuda -mattr=+ptx86 -mcpu=" + cpu +
      " -o - " + path;
  FILE *pipe = popen(command.c_str(), "r");
  std::string result;
  char buffer[4096];
  while (size_t count = fread(buffer, 1, sizeof buffer, pipe))
    result.append(buffer, count);
  EXPECT_EQ(pclose(pipe), 0);
  unlink(path);
  return result;
}

uint64_t makeValue(const std::string &type, std::mt19937_64 &random) {
  bool isFloating = type[0] != 'i';
  unsigned choice = random() % 8;
  if (isFloating && choice == 0) {
    // Zeros, infinities, one, subnormal numbers.
    static const float kSpecial[] = {0.0f,  -0.0f,  INFINITY, -INFINITY, 1.0f,
                                     -2.5f, 3e-39f, 1e-42f,   65519.0f,  6e-8f};
    double value = kSpecial[random() % 10];
    return type == "double"  ? bits(value)
           : type == "float" ? bits(float(value))
           : type == "half"  ? toHalf(float(value))
                             : toBfloat(float(value));
  }
  if (isFloating && choice < 5) {
    double value = (double(random() % 20001) - 10000) / 128;
    return type == "double"  ? bits(value)
           : type == "float" ? bits(float(value))
           : type == "half"  ? toHalf(float(value))
                             : toBfloat(float(value));
  }
  uint64_t value = choice == 1   ? random() % 100
                   : choice == 2 ? ~(random() % 9)
                                 : random();
  return value;
}

bool isNaN(const std::string &type, uint64_t bits) {
  return type == "double"   ? std::isnan(d(bits))
         : type == "float"  ? std::isnan(f(bits))
         : type == "half"   ? std::isnan(fromHalf(bits))
         : type == "bfloat" ? std::isnan(fromBfloat(bits))
                            : false;
}

class Arithmetic : public EmulatedDevice {
protected:
  void runCase(const Case &test, CUfunction function) {
    constexpr unsigned kCount = 1024;
    std::mt19937_64 random(7);
    uint64_t inSize = getSize(test.in), outSize = getSize(test.out);
    std::vector<uint64_t> inputs[3];
    std::vector<std::unique_ptr<Buffer<uint8_t>>> buffers;
    for (auto &input : inputs) {
      std::vector<uint8_t> bytes(kCount * inSize);
      for (unsigned i = 0; i < kCount; ++i) {
        input.push_back(makeValue(test.in, random));
        memcpy(bytes.data() + i * inSize, &input.back(), inSize);
      }
      buffers.push_back(std::make_unique<Buffer<uint8_t>>(bytes));
    }
    Buffer<uint8_t> output(std::vector<uint8_t>(kCount * outSize));
    ASSERT_EQ(run(function, {1, kCount}, buffers[0]->address,
                  buffers[1]->address, buffers[2]->address, output.address),
              CUDA_SUCCESS)
        << report();
    std::vector<uint8_t> bytes = output.read();
    uint64_t limit = outSize == 8 ? ~0ull : (1ull << 8 * outSize) - 1;
    unsigned numWrong = 0;
    for (unsigned i = 0; i < kCount && numWrong < 3; ++i) {
      uint64_t got = 0;
      memcpy(&got, bytes.data() + i * outSize, outSize);
      uint64_t x = inputs[0][i], y = inputs[1][i], z = inputs[2][i];
      uint64_t expected = test.expected(x, y, z) & limit;
      // Which NaN it is, is not specified.
      if (isNaN(test.out, got) && isNaN(test.out, expected))
        continue;
      numWrong += got != expected;
      EXPECT_EQ(got, expected)
          << test.name << " of " << std::hex << x << ", " << y << ", " << z;
    }
  }

  void runAll(const char *cpu) {
    if (access(MOE_TEST_LLC, X_OK))
      GTEST_SKIP() << "no llc at '" MOE_TEST_LLC "'";
    std::string text = compile(makeModule(), cpu);
    CUfunction first = loadText(text, kCases[0].name);
    ASSERT_NE(first, nullptr);
    for (const Case &test : kCases) {
      CUfunction function = nullptr;
      ASSERT_EQ(cuModuleGetFunction(&function, modules.back(), test.name),
                CUDA_SUCCESS);
      runCase(test, function);
    }
  }
};

TEST_F(Arithmetic, agreesWithTheHostForSm80) { runAll("sm_80"); }

TEST_F(Arithmetic, agreesWithTheHostForSm90) {
  check();
  runAll("sm_90");
}

// Has arithmetic of f32 with operands of 16 bits.
TEST_F(Arithmetic, agreesWithTheHostForSm100) {
  Device::get().architecture = 100;
  runAll("sm_100");
}

} // namespace
