//===- Decoder.h - turns statements into instructions -----------*- C++ -*-===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_EMULATED_PROGRAM_DECODER_H
#define RUNTIME_DEVICE_EMULATED_PROGRAM_DECODER_H

#include "runtime/device/emulated/program/Program.h"
#include "runtime/device/emulated/vector/Operations.h"

#include <map>
#include <unordered_map>

namespace emulated {

/// Where a function keeps its registers and local variables.
struct Frame {
  const ptx::Function *function = nullptr;
  std::vector<Operand> registers;
  std::unordered_map<const ptx::Variable *, uint32_t> locals;
  int32_t begin = 0;
};

/// What all functions of a program share while it is linked.
struct LinkState {
  Program &program;
  const SymbolAddress &getAddress;
  std::unordered_map<const ptx::Variable *, uint32_t> sharedOffsets;
  std::unordered_map<const ptx::Variable *, uint32_t> parameterOffsets;
  std::map<std::pair<uint64_t, bool>, uint32_t> constantOffsets;
  std::map<Special, Operand> specials;
  std::map<const ptx::Function *, Frame> frames;
  /// Targets of brx.idx, by the number in Instruction::target.
  std::vector<std::vector<int32_t>> targetLists;
  /// The carry of extended precision.
  Operand carry;
};

/// Decodes the statements of one function and appends them to the program.
class Decoder {
public:
  Decoder(LinkState &state, const Frame &frame);

  /// Appends the instructions of `statement`.
  void decode(const ptx::Instruction &statement);

private:
  using Member = void (Decoder::*)();
  static const std::unordered_map<std::string, Member> &getTable();

  // Arithmetic.
  void decodeBinary();
  void decodeMixedTypes();
  void decodeMul();
  void decodeMad();
  void decodeDotProduct();
  void decodeCarry();
  void decodeLogic();
  void decodeShift();
  void decodeFunnel();
  void decodeCount();
  void decodeFindLeading();
  void decodeField();
  void decodePermute();
  void decodeLogic3();
  void decodeFunction();
  void decodeSign();
  void decodeMove();
  void decodeSelect();
  void decodeSetp();
  void decodeSet();
  void decodeTestProperty();
  void decodeConvert();
  void decodeCopySign();

  // Memory.
  void decodeLoad();
  void decodeStore();
  void decodeAtomic();
  void decodeConvertAddress();
  void decodeIsSpace();
  void decodeMapAddress();
  void decodePrefetch();
  void decodeFence();

  // Control and synchronisation.
  void decodeBranch();
  void decodeBranchIndexed();
  void decodeCall();
  void decodeReturn();
  void decodeTrap();
  void decodeBarrier();
  void decodeShuffle();
  void decodeVote();
  void decodeMatch();
  void decodeReduce();
  void decodeActiveMask();
  void decodeElect();
  void decodeNothing();

  // Tensor cores and asynchronous copies.
  void decodeMatrixLoad();
  void decodeMatrixStore();
  void decodeMma();
  void decodeCopyAsync();
  void decodeCopyBulk();
  void decodeCopyTensor();
  void decodeMbarrier();
  void decodeWgmma();
  void decodeTcgen05();

  // Modifiers of the opcode. What no call asks for is an error.
  bool has(const char *modifier);
  /// A modifier that starts with `prefix`; empty if there is none.
  std::string getPrefixed(const char *prefix);
  /// The number of `.v2`, `.x4` and the like; 1 if there is none.
  unsigned getMultiplicity(char letter);
  /// Marks modifiers of caching that do not change results.
  void skipCacheHints();
  void skipScopes();
  /// `.volatile`, `.acquire` and the like.
  void takeOrder();
  Space getSpace();
  void requireAllUsed();
  Rounding getRounding();
  /// `.rn`, `.ftz`, `.approx`: sets the control of floating point.
  void decodeFloatModifiers();

  // Operands.
  unsigned getNumOperands() const { return statement->operands.size(); }
  const ptx::Operand &getOperand(unsigned index) const;
  Operand toValue(const ptx::Operand &operand, Type type);
  Operand toRegister(const ptx::Operand &operand);
  Operand toPredicate(const ptx::Operand &operand);
  Operand toConstant(uint64_t value, bool isWide);
  Operand toSpecial(const std::string &name);
  Operand getSpecial(Special special, bool isWide);
  AddressOperand toAddress(const ptx::Operand &operand, Space space);
  uint64_t toImmediate(const ptx::Operand &operand);
  /// The value of a variable's name.
  Operand toVariable(const ptx::Operand &operand, bool isWide);
  void addResult(const Operand &operand) { results.push_back(operand); }
  void addOperand(const Operand &operand) { operands.push_back(operand); }
  /// The parts of a vector, or the operand itself.
  std::vector<const ptx::Operand *> getParts(const ptx::Operand &operand) const;

  /// Completes the instruction with the code of a lane operation.
  void finish(Operation operation);
  void finish(Handler handler, Control control = Control::None);
  void append();
  /// Sets the code that copies locals between the frames of a call.
  void addCopy(uint32_t to, uint32_t from, uint32_t size);
  [[noreturn]] void fail(const std::string &message) const;

  LinkState &state;
  const Frame &frame;
  const ptx::Instruction *statement = nullptr;
  Instruction instruction;
  std::vector<Operand> results, operands;
  std::vector<bool> isUsed;
  std::vector<Type> types;
  Type type = Type::None;
};

} // namespace emulated

#endif // RUNTIME_DEVICE_EMULATED_PROGRAM_DECODER_H
