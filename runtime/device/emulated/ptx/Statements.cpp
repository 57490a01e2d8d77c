//===- Statements.cpp - reads the bodies of functions ---------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/ptx/Parser.h"

using namespace emulated;
using namespace emulated::ptx;

void Parser::parseBody() {
  lexer.expect('{');
  scopes.emplace_back();
  for (size_t base = scopes.size() - 1; scopes.size() > base;) {
    if (lexer.accept(';'))
      continue;
    if (lexer.accept('{')) {
      scopes.emplace_back();
    } else if (lexer.accept('}')) {
      closeScope();
    } else if (lexer.peek().kind == Token::Directive) {
      parseBodyDirective();
    } else if (lexer.peek().kind == Token::Word ||
               lexer.peek().punctuation == '@') {
      Token first = lexer.take();
      if (first.kind == Token::Word && lexer.accept(':')) {
        if (lexer.peek().kind == Token::Directive &&
            lexer.peek().text == "branchtargets")
          parseTargetList(first.text);
        else if (lexer.peek().kind == Token::Directive &&
                 lexer.peek().text == "callprototype")
          lexer.fail("calls through a pointer are not supported");
        else
          scopes.back().labels[first.text] = function->instructions.size();
      } else {
        parseInstruction(std::move(first));
      }
    } else {
      lexer.fail("expected a statement in function '" + function->name + "'");
    }
  }
  if (!scopes.back().branches.empty())
    lexer.fail("label '" + scopes.back().branches.front().first +
               "' is not defined");
  if (!scopes.back().listed.empty())
    lexer.fail("label '" + scopes.back().listed.front().first +
               "' is not defined");
}

void Parser::closeScope() {
  Scope closed = std::move(scopes.back());
  scopes.pop_back();
  Scope &outer = scopes.back();
  for (auto &branch : closed.branches) {
    auto label = closed.labels.find(branch.first);
    if (label == closed.labels.end()) {
      outer.branches.push_back(branch);
      continue;
    }
    Operand &operand = function->instructions[branch.second.first]
                           .operands[branch.second.second];
    operand.kind = Operand::Label;
    operand.index = label->second;
  }
  for (auto &entry : closed.listed) {
    auto label = closed.labels.find(entry.first);
    if (label == closed.labels.end())
      outer.listed.push_back(entry);
    else
      function->targetLists[entry.second.first].targets[entry.second.second] =
          label->second;
  }
}

void Parser::declare(std::unique_ptr<Variable> variable) {
  scopes.back().variables[variable->name] = variable.get();
  function->variables.push_back(std::move(variable));
}

void Parser::parseBodyDirective() {
  const std::string &next = lexer.peek().text;
  if (next == "loc" || next == "file") {
    lexer.skipLine();
    return;
  }
  std::string directive = lexer.take().text;
  if (directive == "reg") {
    parseRegisters();
  } else if (directive == "shared" || directive == "local" ||
             directive == "param" || directive == "global" ||
             directive == "const") {
    Space space = directive == "shared"   ? Space::Shared
                  : directive == "global" ? Space::Global
                  : directive == "const"  ? Space::Constant
                                          : Space::Local;
    // A parameter of a call lives in the frame of the caller.
    declare(parseVariable(space, false));
    lexer.expect(';');
  } else if (directive == "pragma") {
    while (!lexer.accept(';'))
      lexer.take();
  } else {
    lexer.fail("unknown directive '." + directive + "' in a body");
  }
}

void Parser::parseRegisters() {
  Type type = Type::None;
  while (lexer.peek().kind == Token::Directive) {
    std::string directive = lexer.take().text;
    type = parseType(directive);
    if (type == Type::None)
      lexer.fail("unknown type '." + directive + "' of registers");
  }
  auto add = [&](const std::string &name) {
    scopes.back().registers[name] = function->registers.size();
    function->registers.push_back(type);
  };
  do {
    std::string name = lexer.expectWord("the name of a register");
    if (lexer.accept('<')) {
      uint64_t count = lexer.expectNumber();
      if (count > (1u << 22))
        lexer.fail("expected at most 4194304 registers, got " +
                   std::to_string(count));
      lexer.expect('>');
      for (uint64_t i = 0; i < count; ++i)
        add(name + std::to_string(i));
    } else {
      add(name);
    }
  } while (lexer.accept(','));
  lexer.expect(';');
}

void Parser::parseTargetList(const std::string &name) {
  lexer.take();
  function->targetLists.push_back({name, {}});
  std::vector<int32_t> &targets = function->targetLists.back().targets;
  do {
    std::string label = lexer.expectWord("a label");
    scopes.back().listed.push_back(
        {label, {function->targetLists.size() - 1, targets.size()}});
    targets.push_back(-1);
  } while (lexer.accept(','));
  lexer.expect(';');
}

static std::vector<std::string> splitOpcode(const std::string &text) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    size_t end = std::min(text.find('.', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

void Parser::parseInstruction(Token first) {
  Instruction instruction;
  instruction.line = first.line;
  instruction.textBegin = first.begin;
  if (first.punctuation == '@') {
    instruction.isGuardNegated = lexer.accept('!');
    Operand guard = parsePrimary();
    if (guard.kind != Operand::Register ||
        function->registers[guard.index] != Type::Pred)
      lexer.fail("expected a predicate after '@'");
    instruction.guard = guard.index;
    first = lexer.take();
    if (first.kind != Token::Word)
      lexer.fail("expected an instruction after the predicate");
  }
  instruction.opcode = splitOpcode(first.text);
  if (lexer.peek().punctuation != ';')
    do
      instruction.operands.push_back(parseOperand());
    while (lexer.accept(','));
  instruction.textLength = lexer.peek().end - instruction.textBegin;
  lexer.expect(';');

  size_t index = function->instructions.size();
  for (size_t i = 0; i < instruction.operands.size(); ++i)
    if (instruction.operands[i].kind == Operand::Name &&
        instruction.opcode[0] == "bra")
      scopes.back().branches.push_back(
          {instruction.operands[i].name, {index, i}});
  function->instructions.push_back(std::move(instruction));
}

Operand Parser::parseOperand() {
  Operand operand = parsePrimary();
  if (!lexer.accept('|'))
    return operand;
  Operand pair;
  pair.kind = Operand::Pair;
  pair.parts = {std::move(operand), parsePrimary()};
  return pair;
}

void Parser::parseSequence(Operand &operand, char close) {
  if (lexer.accept(close))
    return;
  do
    operand.parts.push_back(parseOperand());
  while (lexer.accept(','));
  lexer.expect(close);
}

const Variable *Parser::lookUpVariable(const std::string &name) const {
  for (auto scope = scopes.rbegin(); scope != scopes.rend(); ++scope) {
    auto found = scope->variables.find(name);
    if (found != scope->variables.end())
      return found->second;
  }
  return module.findVariable(name);
}

Operand Parser::parseName(const Token &word) {
  Operand operand;
  if (word.text == "_")
    return operand;
  for (auto scope = scopes.rbegin(); scope != scopes.rend(); ++scope) {
    auto found = scope->registers.find(word.text);
    if (found == scope->registers.end())
      continue;
    operand.kind = Operand::Register;
    operand.index = found->second;
    return operand;
  }
  operand.name = word.text;
  if (word.text == "WARP_SZ") {
    operand.kind = Operand::Immediate;
    operand.value = 32;
  } else if (word.text[0] == '%') {
    operand.kind = Operand::Special;
  } else if (const Variable *variable = lookUpVariable(word.text)) {
    operand.kind = Operand::Variable;
    operand.variable = variable;
  } else {
    operand.kind = Operand::Name;
  }
  return operand;
}

Operand Parser::parsePrimary() {
  Operand operand;
  if (lexer.accept('{')) {
    operand.kind = Operand::Vector;
    parseSequence(operand, '}');
    return operand;
  }
  if (lexer.accept('(')) {
    operand.kind = Operand::Arguments;
    parseSequence(operand, ')');
    return operand;
  }
  if (lexer.accept('[')) {
    operand.kind = Operand::Address;
    parseSequence(operand, ']');
    if (operand.parts.empty())
      lexer.fail("expected an address");
    return operand;
  }
  if (lexer.accept('!')) {
    operand = parsePrimary();
    operand.isNegated = !operand.isNegated;
    return operand;
  }
  bool isNegative = lexer.accept('-');
  Token token = lexer.take();
  if (token.kind == Token::Number) {
    operand.kind = Operand::Immediate;
    operand.floatBits = token.floatBits;
    operand.value = token.value;
    if (isNegative)
      operand.value = token.floatBits
                          ? token.value ^ (1ull << (token.floatBits - 1))
                          : -token.value;
    return operand;
  }
  if (token.kind != Token::Word)
    lexer.fail("expected an operand, got '" + token.text + "'");
  operand = parseName(token);
  if (isNegative)
    operand.isNegated = true;
  // Register or variable plus a constant, as addresses have it.
  bool isMinus = lexer.peek().punctuation == '-';
  if (isMinus || lexer.peek().punctuation == '+') {
    lexer.take();
    isMinus ^= lexer.accept('-');
    uint64_t offset = lexer.expectNumber();
    operand.value += isMinus ? -offset : offset;
  }
  return operand;
}
