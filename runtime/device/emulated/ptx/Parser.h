//===- Parser.h - reads the statements of PTX -------------------*- C++ -*-===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_EMULATED_PTX_PARSER_H
#define RUNTIME_DEVICE_EMULATED_PTX_PARSER_H

#include "runtime/device/emulated/ptx/Lexer.h"

#include <map>

namespace emulated::ptx {

/// Reads a module. Blocks in braces are scopes of registers, variables and
/// labels; a label may be used before it is defined.
class Parser {
public:
  explicit Parser(Module &module) : module(module), lexer(module.text) {}

  void parseModule();

private:
  struct Scope {
    std::map<std::string, int32_t> registers;
    std::map<std::string, const Variable *> variables;
    std::map<std::string, int32_t> labels;
    /// Uses of labels: (name, (instruction, operand)) and (name, (list,
    /// place)).
    std::vector<std::pair<std::string, std::pair<size_t, size_t>>> branches;
    std::vector<std::pair<std::string, std::pair<size_t, size_t>>> listed;
  };

  // Declarations.
  void parseTarget();
  void parseFunction(bool isEntry);
  void parseFunctionDirectives();
  void parseParameters(std::vector<std::unique_ptr<Variable>> &parameters);
  std::unique_ptr<Variable> parseVariable(Space space, bool isExternal);
  void parseTypedName(Variable &variable);
  void parseInitial(Variable &variable);
  void parseInitialElement(Variable &variable, uint64_t offset);
  void skipSection();

  // Bodies.
  void parseBody();
  void parseBodyDirective();
  void parseRegisters();
  void parseTargetList(const std::string &name);
  void parseInstruction(Token first);
  Operand parseOperand();
  Operand parsePrimary();
  Operand parseName(const Token &word);
  void parseSequence(Operand &operand, char close);
  void closeScope();
  void declare(std::unique_ptr<Variable> variable);
  const Variable *lookUpVariable(const std::string &name) const;

  Module &module;
  Lexer lexer;
  Function *function = nullptr;
  std::vector<Scope> scopes;
};

} // namespace emulated::ptx

#endif // RUNTIME_DEVICE_EMULATED_PTX_PARSER_H
