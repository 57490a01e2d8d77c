//===- Link.cpp - makes the program of a kernel ---------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/program/Decoder.h"

#include <algorithm>
#include <set>

using namespace emulated;

static uint32_t alignTo(uint32_t value, uint32_t align) {
  return (value + align - 1) / align * align;
}

uint32_t *Program::getConstants() const {
  return const_cast<uint32_t *>(constants.data());
}

std::string Program::getText(const Instruction &instruction) const {
  if (!instruction.statement)
    return "";
  std::string text = module->text.substr(instruction.statement->textBegin,
                                         instruction.statement->textLength);
  std::string line;
  for (char c : text)
    if (!isspace((unsigned char)c))
      line += c;
    else if (!line.empty() && line.back() != ' ')
      line += ' ';
  return line.size() > 160 ? line.substr(0, 157) + "..." : line;
}

namespace {

/// Lays out a kernel and its callees, then decodes them.
class Linker {
public:
  Linker(const ptx::Module &module, const ptx::Function &entry,
         LinkState &state)
      : module(module), entry(entry), state(state) {}

  void run();

private:
  void collect(const ptx::Function &function);
  void layOutParameters();
  void layOutShared();
  void layOutFrame(const ptx::Function &function);
  void decode(const ptx::Function &function);
  void placeShared(const ptx::Variable &variable);
  void visitOperand(const ptx::Operand &operand);

  const ptx::Module &module;
  const ptx::Function &entry;
  LinkState &state;
  /// The kernel first, then callees.
  std::vector<const ptx::Function *> functions;
  std::set<const ptx::Function *> active;
  std::vector<const ptx::Variable *> dynamicShared;
  uint32_t dynamicAlign = 16;
};

} // namespace

static const ptx::Operand *getCallee(const ptx::Instruction &call) {
  for (const ptx::Operand &operand : call.operands)
    if (operand.kind == ptx::Operand::Name)
      return &operand;
  return nullptr;
}

void Linker::collect(const ptx::Function &function) {
  if (!active.insert(&function).second)
    throw PtxError(function.line, "recursion through function '" +
                                      function.name + "' is not supported");
  if (std::find(functions.begin(), functions.end(), &function) ==
      functions.end())
    functions.push_back(&function);
  for (const ptx::Instruction &instruction : function.instructions) {
    if (instruction.opcode[0] != "call")
      continue;
    const ptx::Operand *name = getCallee(instruction);
    const ptx::Function *callee =
        name ? module.findFunction(name->name) : nullptr;
    if (!callee || !callee->isDefined)
      throw PtxError(instruction.line,
                     "call of a function that is not defined: '" +
                         (name ? name->name : "") + "'");
    collect(*callee);
  }
  active.erase(&function);
}

void Linker::layOutParameters() {
  Program &program = state.program;
  uint32_t offset = 0;
  for (const auto &parameter : entry.parameters) {
    offset = alignTo(offset, parameter->align);
    program.parameters.push_back({offset, uint32_t(parameter->size)});
    state.parameterOffsets[parameter.get()] = offset;
    offset += parameter->size;
  }
  program.parameterBytes = offset;
}

void Linker::placeShared(const ptx::Variable &variable) {
  if (variable.space != Space::Shared || state.sharedOffsets.count(&variable))
    return;
  if (variable.isDynamic || variable.isExternal) {
    dynamicAlign = std::max(dynamicAlign, variable.align);
    dynamicShared.push_back(&variable);
    return;
  }
  uint32_t offset = alignTo(state.program.sharedEnd, variable.align);
  state.sharedOffsets[&variable] = offset;
  state.program.sharedEnd = offset + variable.size;
}

void Linker::visitOperand(const ptx::Operand &operand) {
  if (operand.variable)
    placeShared(*operand.variable);
  for (const ptx::Operand &part : operand.parts)
    visitOperand(part);
}

void Linker::layOutShared() {
  Program &program = state.program;
  // The system keeps the first kibibyte from sm_90 on.
  program.sharedBase = module.architecture >= 90 ? 1024 : 0;
  program.sharedEnd = program.sharedBase;
  for (const ptx::Function *function : functions)
    for (const ptx::Instruction &instruction : function->instructions)
      for (const ptx::Operand &operand : instruction.operands)
        visitOperand(operand);
  program.dynamicOffset = alignTo(program.sharedEnd, dynamicAlign);
  for (const ptx::Variable *variable : dynamicShared)
    state.sharedOffsets[variable] = program.dynamicOffset;
}

void Linker::layOutFrame(const ptx::Function &function) {
  Program &program = state.program;
  Frame &frame = state.frames[&function];
  frame.function = &function;
  // Predicates first, side by side; then registers on cache lines.
  uint32_t numPredicates = std::count(function.registers.begin(),
                                      function.registers.end(), Type::Pred);
  uint32_t predicate = program.registerWords;
  program.registerWords += alignTo(numPredicates, 32);
  for (Type type : function.registers) {
    Operand operand;
    if (type == Type::Pred) {
      operand.kind = Operand::Predicate;
      operand.offset = predicate++;
    } else {
      bool isWide = sizeOf(type) == 8;
      operand.kind = isWide ? Operand::Wide : Operand::Word;
      operand.offset = program.registerWords;
      // Registers of 128 bits can be declared, but not used.
      if (sizeOf(type) == 16)
        operand.kind = Operand::None;
      program.registerWords += isWide ? 64 : 32;
    }
    frame.registers.push_back(operand);
  }
  auto place = [&](const ptx::Variable &variable) {
    if (variable.space != Space::Local && variable.space != Space::Param)
      return;
    program.localBytes = alignTo(program.localBytes, variable.align);
    frame.locals[&variable] = program.localBytes;
    program.localBytes += variable.size;
  };
  for (const auto &variable : function.variables)
    place(*variable);
  if (function.isEntry)
    return;
  for (const auto *list : {&function.parameters, &function.results})
    for (const auto &parameter : *list)
      place(*parameter);
}

void Linker::decode(const ptx::Function &function) {
  Program &program = state.program;
  Frame &frame = state.frames[&function];
  frame.begin = program.code.size();
  size_t firstList = state.targetLists.size();
  Decoder decoder(state, frame);
  std::vector<int32_t> starts;
  for (const ptx::Instruction &instruction : function.instructions) {
    starts.push_back(program.code.size());
    decoder.decode(instruction);
  }
  // The end of a body returns.
  starts.push_back(program.code.size());
  Instruction end;
  end.control = function.isEntry ? Control::Exit : Control::Return;
  end.statement =
      function.instructions.empty() ? nullptr : &function.instructions.back();
  program.code.push_back(end);

  // Labels count statements; branches take instructions.
  int32_t last = program.code.size();
  for (int32_t i = frame.begin; i < last; ++i)
    if (program.code[i].control == Control::Branch)
      program.code[i].target = starts[program.code[i].target];
  for (size_t i = firstList; i < state.targetLists.size(); ++i)
    for (int32_t &target : state.targetLists[i])
      target = starts[target];
  findReconvergence(program.code, frame.begin, last, state.targetLists,
                    function.isEntry);
}

void Linker::run() {
  collect(entry);
  layOutParameters();
  layOutShared();
  state.carry.kind = Operand::Predicate;
  state.carry.offset = 0;
  state.program.registerWords = 32;
  for (const ptx::Function *function : functions)
    layOutFrame(*function);
  for (const ptx::Function *function : functions)
    decode(*function);
  for (Instruction &instruction : state.program.code)
    if (instruction.control == Control::Call)
      for (const ptx::Function *function : functions)
        if (function->name == getCallee(*instruction.statement)->name)
          instruction.target = state.frames[function].begin;
}

std::unique_ptr<Program> emulated::link(const ptx::Module &module,
                                        const ptx::Function &entry,
                                        const SymbolAddress &getAddress) {
  auto program = std::make_unique<Program>();
  program->module = &module;
  program->name = entry.name;
  program->maxThreads = entry.maxThreads;
  std::copy_n(entry.requiredThreads, 3, program->requiredThreads);
  std::copy_n(entry.clusterSize, 3, program->clusterSize);
  LinkState state{*program, getAddress, {}, {}, {}, {}, {}, {}, {}};
  Linker(module, entry, state).run();
  program->targetLists = std::move(state.targetLists);
  return program;
}
