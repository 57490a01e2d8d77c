//===- Remarks.h - collects the decisions of the passes ---------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_REMARKS_H
#define COMPILER_REMARKS_H

#include "mlir/IR/MLIRContext.h"
#include "mlir/Support/LLVM.h"

#include <string>
#include <vector>

namespace mlir::moe {

/// One decision of a pass.
struct CollectedRemark {
  /// "passed", "missed", "failed" or "analysis".
  std::string kind;
  /// The pass.
  std::string category;
  /// What was decided, and its arguments; `message` has both.
  std::string name;
  std::vector<std::pair<std::string, std::string>> arguments;
  std::string message;
  /// The place in the model, as a diagnostic would print it.
  std::string location;

  /// The argument `key`, or nothing.
  StringRef getArgument(StringRef key) const;
};

using RemarkList = std::vector<CollectedRemark>;

/// Appends every remark that passes emit in `context` to `remarks`, which must
/// outlive the context's use.
LogicalResult collectRemarks(MLIRContext &context, RemarkList &remarks);

void printRemarks(const RemarkList &remarks, llvm::raw_ostream &stream);
void printRemarksAsYAML(const RemarkList &remarks, llvm::raw_ostream &stream);

} // namespace mlir::moe

#endif // COMPILER_REMARKS_H
