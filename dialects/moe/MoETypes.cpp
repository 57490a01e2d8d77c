//===- MoETypes.cpp - types of the moe dialect ----------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/moe/MoEDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::moe;

#define GET_TYPEDEF_CLASSES
#include "dialects/moe/MoETypes.cpp.inc"

void MoEDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/moe/MoETypes.cpp.inc"
      >();
}

/// Parses `<TxK of E>`.
Type RoutingType::parse(AsmParser &parser) {
  SmallVector<int64_t> shape;
  int64_t experts;
  if (parser.parseLess() ||
      parser.parseDimensionList(shape, /*allowDynamic=*/true,
                                /*withTrailingX=*/false) ||
      parser.parseKeyword("of") || parser.parseInteger(experts) ||
      parser.parseGreater())
    return {};
  if (shape.size() != 2) {
    parser.emitError(parser.getNameLoc())
        << "expected tokens x slots, got " << shape.size() << " dimensions";
    return {};
  }
  return parser.getChecked<RoutingType>(parser.getContext(), shape[0], shape[1],
                                        experts);
}

void RoutingType::print(AsmPrinter &printer) const {
  printer << '<';
  printer.printDimensionList({getTokens(), getSlots()});
  printer << " of " << getExperts() << '>';
}

LogicalResult RoutingType::verify(function_ref<InFlightDiagnostic()> emitError,
                                  int64_t tokens, int64_t slots,
                                  int64_t experts) {
  if (ShapedType::isDynamic(slots) || slots < 1 || slots > experts)
    return emitError() << "expected between 1 and " << experts
                       << " slots (the number of experts), got " << slots;
  return success();
}
