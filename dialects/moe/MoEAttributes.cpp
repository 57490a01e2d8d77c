//===- MoEAttributes.cpp - attributes of the moe dialect ------------------------===//
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

#include "dialects/moe/MoEEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/moe/MoEAttributes.cpp.inc"

void MoEDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/moe/MoEAttributes.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// ActivationAttr
//===----------------------------------------------------------------------===//

/// Parses `<kind (, alpha = number)? (, limit = number)? (, up_offset =
/// number)?>`; what is left out keeps its neutral value.
Attribute ActivationAttr::parse(AsmParser &parser, Type) {
  SMLoc location = parser.getCurrentLocation();
  StringRef keyword;
  if (parser.parseLess() || parser.parseKeyword(&keyword))
    return {};
  std::optional<ActivationKind> kind = symbolizeActivationKind(keyword);
  if (!kind) {
    parser.emitError(location)
        << "expected an activation, got '" << keyword << "'";
    return {};
  }
  double alpha = 1.0, limit = HUGE_VAL, upOffset = 0.0;
  while (succeeded(parser.parseOptionalComma())) {
    location = parser.getCurrentLocation();
    if (parser.parseKeyword(&keyword) || parser.parseEqual())
      return {};
    double *target = keyword == "alpha"       ? &alpha
                     : keyword == "limit"     ? &limit
                     : keyword == "up_offset" ? &upOffset
                                              : nullptr;
    if (!target) {
      parser.emitError(location)
          << "expected alpha, limit or up_offset, got '" << keyword << "'";
      return {};
    }
    if (parser.parseFloat(*target))
      return {};
  }
  if (parser.parseGreater())
    return {};
  return get(parser.getContext(), *kind, alpha, limit, upOffset);
}

void ActivationAttr::print(AsmPrinter &printer) const {
  printer << '<' << stringifyActivationKind(getKind());
  auto printField = [&](StringRef name, FloatAttr value, double neutral) {
    if (value.getValueAsDouble() == neutral)
      return;
    printer << ", " << name << " = ";
    printer.printFloat(value.getValue());
  };
  printField("alpha", getAlpha(), 1.0);
  printField("limit", getLimit(), HUGE_VAL);
  printField("up_offset", getUpOffset(), 0.0);
  printer << '>';
}

ActivationAttr ActivationAttr::get(MLIRContext *context, ActivationKind kind,
                                   double alpha, double limit,
                                   double upOffset) {
  Type f64 = Float64Type::get(context);
  return get(context, kind, FloatAttr::get(f64, alpha),
             FloatAttr::get(f64, limit), FloatAttr::get(f64, upOffset));
}

LogicalResult
PlacementAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError,
                      int64_t ranks, ArrayAttr experts, ArrayAttr exchange) {
  // placement_c1
  if (ranks < 1 || experts.empty())
    return emitError() << "expected at least one rank and one expert, got "
                       << ranks << " and " << experts.size();
  for (auto [e, entry] : llvm::enumerate(experts)) {
    auto list = dyn_cast<ArrayAttr>(entry);
    if (!list || list.empty())
      return emitError() << "expected a list of ranks for expert " << e
                         << ", got " << entry;
    // placement_c2
    for (Attribute rank : list) {
      auto number = dyn_cast<IntegerAttr>(rank);
      if (!number || number.getInt() < 0 || number.getInt() >= ranks)
        return emitError() << "expected a rank below " << ranks
                           << " for expert " << e << ", got " << rank;
    }
  }
  // placement_c3
  int64_t last = 0;
  bool isName = false;
  for (Attribute entry :
       exchange ? exchange.getValue() : ArrayRef<Attribute>()) {
    isName = !isName;
    auto name = dyn_cast<StringAttr>(entry);
    auto number = dyn_cast<IntegerAttr>(entry);
    if (isName ? !name || !llvm::is_contained({"gather", "direct", "two_level"},
                                              name.getValue())
               : !number || number.getInt() <= last)
      return emitError() << "expected "
                         << (isName ? "gather, direct or two_level"
                                    : "a number above the one before")
                         << " in the exchange, got " << entry;
    last = number ? number.getInt() : last;
  }
  if (exchange && !isName)
    return emitError() << "expected an exchange that ends with the name of an "
                          "algorithm";
  return success();
}
