//===- Declarations.cpp - reads the declarations of PTX -------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/ptx/Parser.h"

#include <algorithm>
#include <cstring>

using namespace emulated;
using namespace emulated::ptx;

Function *Module::findFunction(const std::string &name) const {
  for (const auto &function : functions)
    if (function->name == name)
      return function.get();
  return nullptr;
}

Variable *Module::findVariable(const std::string &name) const {
  for (const auto &variable : variables)
    if (variable->name == name)
      return variable.get();
  return nullptr;
}

std::unique_ptr<Module> emulated::ptx::parse(const std::string &text) {
  auto module = std::make_unique<Module>();
  module->text = text;
  Parser(*module).parseModule();
  return module;
}

void Parser::parseTarget() {
  do {
    Token target = lexer.take();
    if (target.text.compare(0, 3, "sm_") == 0) {
      char *end = nullptr;
      module.architecture = strtoul(target.text.c_str() + 3, &end, 10);
      module.architectureSuffix = *end;
    }
  } while (lexer.accept(','));
}

/// Skips `.section NAME { ... }`.
void Parser::skipSection() {
  while (lexer.peek().kind != Token::End && !lexer.accept('{'))
    lexer.take();
  for (unsigned depth = 1; depth && lexer.peek().kind != Token::End;) {
    Token token = lexer.take();
    depth += token.punctuation == '{';
    depth -= token.punctuation == '}';
  }
}

void Parser::parseModule() {
  bool isExternal = false;
  while (lexer.peek().kind != Token::End) {
    if (lexer.accept(';'))
      continue;
    if (lexer.peek().kind != Token::Directive)
      lexer.fail("expected a directive at module level, got '" +
                 lexer.peek().text + "'");
    const std::string &name = lexer.peek().text;
    if (name == "file" || name == "loc") {
      lexer.skipLine();
      continue;
    }
    std::string directive = lexer.take().text;
    if (directive == "version") {
      // The lexer reads 8.6 as a decimal fraction.
      Token version = lexer.take();
      sscanf(version.text.c_str(), "%u.%u", &module.versionMajor,
             &module.versionMinor);
    } else if (directive == "target") {
      parseTarget();
    } else if (directive == "address_size") {
      if (lexer.expectNumber() != 64)
        lexer.fail("expected 64-bit addresses");
    } else if (directive == "extern") {
      isExternal = true;
    } else if (directive == "visible" || directive == "weak" ||
               directive == "common") {
      continue;
    } else if (directive == "global" || directive == "const" ||
               directive == "shared") {
      Space space = directive == "global"  ? Space::Global
                    : directive == "const" ? Space::Constant
                                           : Space::Shared;
      module.variables.push_back(parseVariable(space, isExternal));
      lexer.expect(';');
      isExternal = false;
    } else if (directive == "entry" || directive == "func") {
      parseFunction(directive == "entry");
      isExternal = false;
    } else if (directive == "section") {
      skipSection();
    } else if (directive == "pragma") {
      while (!lexer.accept(';'))
        lexer.take();
    } else {
      lexer.fail("unknown directive '." + directive + "'");
    }
  }
}

/// Reads `[.attributes] .type name[dimensions]`.
void Parser::parseTypedName(Variable &variable) {
  bool isPointee = false;
  while (lexer.peek().kind == Token::Directive) {
    std::string directive = lexer.take().text;
    Type type = parseType(directive);
    if (directive == "align") {
      uint32_t align = lexer.expectNumber();
      // The alignment that follows `.ptr` is that of the pointee.
      if (!isPointee)
        variable.align = align;
    } else if (directive == "ptr") {
      isPointee = true;
    } else if (directive == "attribute") {
      lexer.expect('(');
      while (!lexer.accept(')'))
        lexer.take();
    } else if (type != Type::None) {
      variable.type = type;
    } else if (directive == "reg") {
      lexer.fail("parameters in registers are not supported; expected .param");
    } else if (!isPointee && directive != "v2" && directive != "v4") {
      lexer.fail("unknown attribute '." + directive + "' of a variable");
    }
  }
  variable.name = lexer.expectWord("the name of a variable");
  uint64_t count = 1;
  while (lexer.accept('[')) {
    if (lexer.accept(']')) {
      variable.isDynamic = true;
      count = 0;
      continue;
    }
    uint64_t extent = lexer.expectNumber();
    if (__builtin_mul_overflow(count, extent, &count))
      lexer.fail("variable '" + variable.name + "' is too large");
    lexer.expect(']');
  }
  variable.align = std::max(variable.align, sizeOf(variable.type));
  if (variable.align & (variable.align - 1))
    lexer.fail("expected an alignment that is a power of two");
  if (__builtin_mul_overflow(count, uint64_t(sizeOf(variable.type)),
                             &variable.size))
    lexer.fail("variable '" + variable.name + "' is too large");
}

std::unique_ptr<Variable> Parser::parseVariable(Space space, bool isExternal) {
  auto variable = std::make_unique<Variable>();
  variable->space = space;
  variable->isExternal = isExternal;
  parseTypedName(*variable);
  variable->isDynamic &= space == Space::Shared;
  if (lexer.accept('='))
    parseInitial(*variable);
  return variable;
}

void Parser::parseInitial(Variable &variable) {
  uint64_t size = sizeOf(variable.type), offset = 0;
  if (!lexer.accept('{')) {
    parseInitialElement(variable, 0);
    offset = size;
  } else {
    unsigned depth = 1;
    while (depth) {
      if (lexer.accept('{')) {
        ++depth;
      } else if (lexer.accept('}')) {
        --depth;
      } else if (!lexer.accept(',')) {
        parseInitialElement(variable, offset);
        offset += size;
      }
    }
  }
  variable.size = std::max(variable.size, offset);
  variable.initial.resize(variable.size);
}

void Parser::parseInitialElement(Variable &variable, uint64_t offset) {
  unsigned size = sizeOf(variable.type);
  variable.initial.resize(
      std::max<size_t>(variable.initial.size(), offset + 8));
  bool isNegative = lexer.accept('-');
  Token token = lexer.take();
  if (token.kind == Token::Word) {
    bool isGeneric = token.text == "generic" && lexer.accept('(');
    if (isGeneric)
      token = lexer.take();
    Relocation relocation{offset, token.text, 0};
    if (isGeneric)
      lexer.expect(')');
    if (lexer.accept('+'))
      relocation.addend = lexer.expectNumber();
    if (size != 8)
      lexer.fail("expected a 64-bit element for the address of '" + token.text +
                 "'");
    variable.relocations.push_back(relocation);
    return;
  }
  if (token.kind != Token::Number)
    lexer.fail("expected a number in the initialiser of '" + variable.name +
               "'");
  uint64_t value = isNegative ? -token.value : token.value;
  if (token.floatBits == 64 && variable.type == Type::F32) {
    double wide;
    memcpy(&wide, &token.value, sizeof wide);
    float narrow = isNegative ? -wide : wide;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    value = bits;
  }
  memcpy(variable.initial.data() + offset, &value, std::min(size, 8u));
}

void Parser::parseParameters(
    std::vector<std::unique_ptr<Variable>> &parameters) {
  if (!lexer.accept('('))
    return;
  while (!lexer.accept(')')) {
    auto parameter = std::make_unique<Variable>();
    parameter->space = Space::Param;
    if (lexer.peek().kind != Token::Directive || lexer.peek().text != "param")
      lexer.fail("expected .param; parameters in registers are not supported");
    lexer.take();
    parseTypedName(*parameter);
    parameters.push_back(std::move(parameter));
    lexer.accept(',');
  }
}

void Parser::parseFunctionDirectives() {
  auto readTriple = [&](uint32_t *triple) {
    for (unsigned i = 0; i < 3; ++i)
      triple[i] = 1;
    for (unsigned i = 0; i < 3; ++i) {
      triple[i] = lexer.expectNumber();
      if (!lexer.accept(','))
        break;
    }
  };
  while (lexer.peek().kind == Token::Directive) {
    std::string directive = lexer.take().text;
    uint32_t triple[3];
    if (directive == "maxntid") {
      readTriple(triple);
      function->maxThreads = triple[0] * triple[1] * triple[2];
    } else if (directive == "reqntid") {
      readTriple(function->requiredThreads);
    } else if (directive == "reqnctapercluster") {
      readTriple(function->clusterSize);
    } else if (directive == "minnctapersm" || directive == "maxnctapersm" ||
               directive == "maxnreg" || directive == "maxclusterrank") {
      lexer.expectNumber();
    } else if (directive == "pragma") {
      while (!lexer.accept(';'))
        lexer.take();
    } else if (directive == "attribute") {
      while (!lexer.accept(')'))
        lexer.take();
    } else if (directive != "explicitcluster" && directive != "noreturn" &&
               directive != "blocksareclusters") {
      lexer.fail("unknown directive '." + directive + "' of a function");
    }
  }
}

void Parser::parseFunction(bool isEntry) {
  std::vector<std::unique_ptr<Variable>> results;
  if (!isEntry)
    parseParameters(results);
  unsigned line = lexer.peek().line;
  std::string name = lexer.expectWord("the name of a function");
  // A declaration may come before the definition.
  function = module.findFunction(name);
  if (function && function->isDefined)
    lexer.fail("function '" + name + "' is defined twice");
  if (!function) {
    module.functions.push_back(std::make_unique<Function>());
    function = module.functions.back().get();
  }
  function->name = name;
  function->isEntry = isEntry;
  function->line = line;
  function->results = std::move(results);
  function->parameters.clear();
  parseParameters(function->parameters);
  parseFunctionDirectives();
  if (lexer.accept(';'))
    return;
  function->isDefined = true;
  scopes.assign(1, Scope());
  for (auto *list : {&function->parameters, &function->results})
    for (const auto &parameter : *list)
      scopes.back().variables[parameter->name] = parameter.get();
  parseBody();
}
