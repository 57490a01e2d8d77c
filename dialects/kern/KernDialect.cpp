//===- KernDialect.cpp - the kern dialect -----------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/kern/KernDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::kern;

#include "dialects/kern/KernDialect.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/kern/KernAttributes.cpp.inc"

#define GET_OP_CLASSES
#include "dialects/kern/KernOps.cpp.inc"

void KernDialect::initialize() {
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "dialects/kern/KernOps.cpp.inc"
      >();
}

void KernDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/kern/KernAttributes.cpp.inc"
      >();
}
