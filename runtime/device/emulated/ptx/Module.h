//===- Module.h - a parsed PTX module ---------------------------*- C++ -*-===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_EMULATED_PTX_MODULE_H
#define RUNTIME_DEVICE_EMULATED_PTX_MODULE_H

#include "runtime/device/emulated/ptx/Types.h"

#include <memory>
#include <stdexcept>
#include <vector>

namespace emulated {

/// Text that is not PTX, or PTX that the emulated device does not execute.
class PtxError : public std::runtime_error {
public:
  PtxError(unsigned line, const std::string &message)
      : std::runtime_error("line " + std::to_string(line) + ": " + message) {}
};

namespace ptx {

/// The address of a variable stored in the initialiser of another one.
struct Relocation {
  uint64_t offset;
  std::string symbol;
  int64_t addend;
};

/// A variable of any state space, or a parameter.
struct Variable {
  std::string name;
  Space space = Space::Global;
  Type type = Type::None;
  uint32_t align = 1;
  uint64_t size = 0;
  /// Shared memory whose size the launch sets.
  bool isDynamic = false;
  bool isExternal = false;
  std::vector<uint8_t> initial;
  std::vector<Relocation> relocations;
};

/// An operand. Names are resolved: a register, a variable or a label.
struct Operand {
  enum Kind : uint8_t {
    Register,  ///< `index` into Function::registers
    Special,   ///< `name`, such as %tid.x
    Immediate, ///< `value`; the bits of a floating point literal
    Variable,  ///< `variable` plus `value`
    Label,     ///< `index` of an instruction
    Name,      ///< the name of a function or of a list of targets
    Vector,    ///< `{parts}`
    Address,   ///< `[parts[0] + value, parts[1]...]`
    Arguments, ///< `(parts)`
    Pair,      ///< `parts[0]|parts[1]`
    Sink,      ///< `_`
  };
  Kind kind = Sink;
  /// A literal 0f... (32 bits) or 0d... (64 bits).
  uint8_t floatBits = 0;
  /// `!p` or `-r`.
  bool isNegated = false;
  int32_t index = -1;
  uint64_t value = 0;
  const ptx::Variable *variable = nullptr;
  std::string name;
  std::vector<Operand> parts;
};

struct Instruction {
  /// The opcode and its modifiers: `ld`, `global`, `v4`, `b32`.
  std::vector<std::string> opcode;
  int32_t guard = -1;
  bool isGuardNegated = false;
  std::vector<Operand> operands;
  unsigned line = 0;
  /// Offset and length of the statement in the text, for messages.
  uint32_t textBegin = 0;
  uint32_t textLength = 0;
};

/// Targets of brx.idx.
struct TargetList {
  std::string name;
  std::vector<int32_t> targets;
};

struct Function {
  std::string name;
  bool isEntry = false;
  bool isDefined = false;
  std::vector<std::unique_ptr<Variable>> parameters, results;
  /// Variables declared in the body.
  std::vector<std::unique_ptr<Variable>> variables;
  std::vector<Type> registers;
  std::vector<Instruction> instructions;
  std::vector<TargetList> targetLists;
  uint32_t maxThreads = 0;
  uint32_t requiredThreads[3] = {0, 0, 0};
  uint32_t clusterSize[3] = {0, 0, 0};
  unsigned line = 0;
};

struct Module {
  std::string text;
  unsigned versionMajor = 0, versionMinor = 0;
  /// The target: 90 and 'a' for sm_90a.
  unsigned architecture = 0;
  char architectureSuffix = 0;
  std::vector<std::unique_ptr<Variable>> variables;
  std::vector<std::unique_ptr<Function>> functions;

  Function *findFunction(const std::string &name) const;
  Variable *findVariable(const std::string &name) const;
};

/// Parses `text`; throws a PtxError that names the line.
std::unique_ptr<Module> parse(const std::string &text);

} // namespace ptx
} // namespace emulated

#endif // RUNTIME_DEVICE_EMULATED_PTX_MODULE_H
