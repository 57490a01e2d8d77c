//===- KernDialect.h - the kern dialect -------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_KERN_KERNDIALECT_H
#define DIALECTS_KERN_KERNDIALECT_H

#include "dialects/moe/MoEDialect.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/kern/KernDialect.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/kern/KernAttributes.h.inc"

#define GET_OP_CLASSES
#include "dialects/kern/KernOps.h.inc"

#endif // DIALECTS_KERN_KERNDIALECT_H
