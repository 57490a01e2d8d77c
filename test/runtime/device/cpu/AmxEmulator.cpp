//===- AmxEmulator.cpp - matrix registers for processors without them ------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// A library to preload. It grants a process matrix registers, and executes the
// instructions on them when the processor refuses to. What the instructions
// leave undefined (shapes that do not fit, registers without a shape) ends the
// process. Source: Intel 64 and IA-32 Architectures Software Developer's
// Manual, volume 1, chapter 18, and volume 2, of each instruction.
//
//===----------------------------------------------------------------------===//

#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

namespace {

struct Tile {
  int rows = 0, rowBytes = 0;
  uint8_t data[16][64] = {};
};

/// An instruction with a three-byte VEX prefix of map 2.
struct Instruction {
  int opcode, prefix, mode;
  int reg, rm, second;
  uint64_t address = 0, stride = 0;
  const uint8_t *end;
};

thread_local Tile tiles[8];

[[noreturn]] void fail(const char *what) {
  char text[128];
  int length = std::snprintf(text, sizeof text, "amx emulator: %s\n", what);
  (void)!write(2, text, length);
  std::_Exit(70);
}

/// The register of this number as instructions count them.
uint64_t readRegister(const ucontext_t &context, int number) {
  static const int places[16] = {
      REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
      REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  return context.uc_mcontext.gregs[places[number]];
}

int32_t readWord(const uint8_t *&at) {
  int32_t word;
  std::memcpy(&word, at, 4);
  at += 4;
  return word;
}

/// False if the bytes are no instruction on matrix registers.
bool decode(const ucontext_t &context, Instruction &result) {
  auto *code =
      reinterpret_cast<const uint8_t *>(context.uc_mcontext.gregs[REG_RIP]);
  if (code[0] != 0xc4 || (code[1] & 0x1f) != 2 || (code[2] & 0x84))
    return false;
  bool isHighReg = !(code[1] & 0x80), isHighIndex = !(code[1] & 0x40),
       isHighBase = !(code[1] & 0x20);
  result.prefix = code[2] & 3;
  result.second = ~(code[2] >> 3) & 15;
  result.opcode = code[3];
  result.mode = code[4] >> 6;
  result.reg = (code[4] >> 3 & 7) | isHighReg << 3;
  int low = code[4] & 7;
  result.rm = low | isHighBase << 3;
  const uint8_t *at = code + 5;
  if (result.mode != 3) {
    bool hasBase = true;
    int base = result.rm;
    if (low == 4) {
      uint8_t pair = *at++;
      int index = (pair >> 3 & 7) | isHighIndex << 3;
      base = (pair & 7) | isHighBase << 3;
      hasBase = (pair & 7) != 5 || result.mode != 0;
      if (index != 4)
        result.stride = readRegister(context, index) << (pair >> 6);
    } else if (low == 5 && result.mode == 0) {
      int32_t distance = readWord(at);
      result.address = reinterpret_cast<uint64_t>(at) + distance;
      result.end = at;
      return true;
    }
    if (hasBase)
      result.address = readRegister(context, base);
    if (result.mode == 1)
      result.address += static_cast<int8_t>(*at++);
    else if (result.mode == 2 || !hasBase)
      result.address += readWord(at);
  }
  result.end = at;
  return true;
}

void configure(const uint8_t *shapes) {
  if (shapes[0] != 1)
    fail("expected palette 1");
  for (int i = 0; i < 8; ++i) {
    tiles[i] = Tile();
    uint16_t rowBytes;
    std::memcpy(&rowBytes, shapes + 16 + 2 * i, 2);
    tiles[i].rowBytes = rowBytes;
    tiles[i].rows = shapes[48 + i];
    if (tiles[i].rows > 16 || tiles[i].rowBytes > 64)
      fail("expected 16 rows of 64 bytes at most");
  }
}

void release() {
  for (Tile &tile : tiles)
    tile = Tile();
}

Tile &getTile(int number) {
  Tile &tile = tiles[number & 7];
  if (!tile.rows || !tile.rowBytes)
    fail("expected a register with a shape");
  return tile;
}

void load(Tile &tile, const Instruction &instruction) {
  std::memset(tile.data, 0, sizeof tile.data);
  for (int row = 0; row < tile.rows; ++row)
    std::memcpy(tile.data[row],
                reinterpret_cast<const void *>(instruction.address +
                                               row * instruction.stride),
                tile.rowBytes);
}

void store(const Tile &tile, const Instruction &instruction) {
  for (int row = 0; row < tile.rows; ++row)
    std::memcpy(reinterpret_cast<void *>(instruction.address +
                                         row * instruction.stride),
                tile.data[row], tile.rowBytes);
}

template <typename T> T read(const void *from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

/// Numbers too small for a whole mantissa are zeros, before and behind.
float flush(float value) {
  return std::fpclassify(value) == FP_SUBNORMAL ? std::copysign(0.0f, value)
                                                : value;
}
float widen(const uint8_t *from) {
  uint32_t bits = static_cast<uint32_t>(read<uint16_t>(from)) << 16;
  return flush(read<float>(&bits));
}

void multiplyFloats(Tile &sums, const Tile &left, const Tile &right) {
  for (int row = 0; row < sums.rows; ++row)
    for (int column = 0; column < sums.rowBytes; column += 4) {
      float even = 0, odd = 0;
      for (int k = 0; k < right.rows; ++k) {
        const uint8_t *a = &left.data[row][4 * k], *b = &right.data[k][column];
        even = flush(std::fma(widen(a), widen(b), even));
        odd = flush(std::fma(widen(a + 2), widen(b + 2), odd));
      }
      uint8_t *sum = &sums.data[row][column];
      float value = flush(flush(read<float>(sum)) + flush(even + odd));
      std::memcpy(sum, &value, 4);
    }
}

void multiplyBytes(Tile &sums, const Tile &left, const Tile &right,
                   bool isLeftSigned, bool isRightSigned) {
  auto get = [](uint8_t byte, bool isSigned) -> int32_t {
    return isSigned ? static_cast<int8_t>(byte) : byte;
  };
  for (int row = 0; row < sums.rows; ++row)
    for (int column = 0; column < sums.rowBytes; column += 4) {
      uint8_t *sum = &sums.data[row][column];
      auto value = read<uint32_t>(sum);
      for (int k = 0; k < right.rows; ++k)
        for (int i = 0; i < 4; ++i)
          value += get(left.data[row][4 * k + i], isLeftSigned) *
                   get(right.data[k][column + i], isRightSigned);
      std::memcpy(sum, &value, 4);
    }
}

/// False if there is no such instruction.
bool multiply(const Instruction &instruction) {
  Tile &sums = getTile(instruction.reg);
  const Tile &left = getTile(instruction.rm),
             &right = getTile(instruction.second);
  if (left.rows != sums.rows || left.rowBytes != 4 * right.rows ||
      right.rowBytes != sums.rowBytes || sums.rowBytes % 4)
    fail("expected shapes of a product");
  if (instruction.opcode == 0x5e)
    multiplyBytes(sums, left, right, instruction.prefix >= 2,
                  instruction.prefix & 1);
  else if (instruction.opcode == 0x5c && instruction.prefix == 2)
    multiplyFloats(sums, left, right);
  else
    return false;
  return true;
}

bool execute(const Instruction &instruction) {
  bool hasAddress = instruction.mode != 3;
  if (instruction.opcode == 0x49) {
    if (hasAddress && instruction.prefix == 0)
      configure(reinterpret_cast<const uint8_t *>(instruction.address));
    else if (!hasAddress && instruction.prefix == 0)
      release();
    else if (!hasAddress && instruction.prefix == 3)
      std::memset(getTile(instruction.reg).data, 0, sizeof(Tile::data));
    else
      return false;
    return true;
  }
  if (instruction.opcode == 0x4b && hasAddress) {
    Tile &tile = getTile(instruction.reg);
    if (instruction.prefix == 2)
      store(tile, instruction);
    else
      load(tile, instruction);
    return true;
  }
  return !hasAddress && multiply(instruction);
}

void handle(int, siginfo_t *, void *state) {
  auto &context = *static_cast<ucontext_t *>(state);
  Instruction instruction;
  if (!decode(context, instruction) || !execute(instruction)) {
    signal(SIGILL, SIG_DFL);
    return;
  }
  context.uc_mcontext.gregs[REG_RIP] =
      reinterpret_cast<greg_t>(instruction.end);
}

int setAction(int number, const struct sigaction *action,
              struct sigaction *before) {
  using SetAction = decltype(&setAction);
  static auto next = reinterpret_cast<SetAction>(dlsym(RTLD_NEXT, "sigaction"));
  return next(number, action, before);
}

__attribute__((constructor)) void install() {
  struct sigaction action = {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  setAction(SIGILL, &action, nullptr);
}

long callSystem(const long (&arguments)[7]) {
  long result = arguments[0];
  register long fourth asm("r10") = arguments[4];
  register long fifth asm("r8") = arguments[5];
  register long sixth asm("r9") = arguments[6];
  asm volatile("syscall"
               : "+a"(result)
               : "D"(arguments[1]), "S"(arguments[2]), "d"(arguments[3]),
                 "r"(fourth), "r"(fifth), "r"(sixth)
               : "rcx", "r11", "memory");
  return result;
}

} // namespace

/// As the C library's, but what is done about instructions stays.
extern "C" __attribute__((visibility("default"))) int
sigaction(int number, const struct sigaction *action,
          struct sigaction *before) noexcept {
  return setAction(number, number == SIGILL ? nullptr : action, before);
}

/// As the C library's, but for what is asked about matrix registers.
extern "C" __attribute__((visibility("default"))) long syscall(long number,
                                                               ...) {
  long arguments[7] = {number};
  va_list list;
  va_start(list, number);
  for (int i = 1; i < 7; ++i)
    arguments[i] = va_arg(list, long);
  va_end(list);
  constexpr long getSupported = 0x1021, request = 0x1023, tileData = 18;
  if (number == SYS_arch_prctl && arguments[1] == getSupported) {
    *reinterpret_cast<uint64_t *>(arguments[2]) = uint64_t(1) << tileData;
    return 0;
  }
  if (number == SYS_arch_prctl && arguments[1] == request &&
      arguments[2] == tileData)
    return 0;
  long result = callSystem(arguments);
  if (result < 0 && result > -4096) {
    errno = static_cast<int>(-result);
    return -1;
  }
  return result;
}
