//===- Remarks.cpp - collects the decisions of the passes -------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Remarks.h"

#include "mlir/IR/Remarks.h"
#include "mlir/Remark/RemarkStreamer.h"
#include "llvm/Support/YAMLTraits.h"

using namespace mlir;
using namespace mlir::moe;

LLVM_YAML_IS_DOCUMENT_LIST_VECTOR(CollectedRemark)

template <> struct llvm::yaml::MappingTraits<CollectedRemark> {
  static void mapping(IO &io, CollectedRemark &remark) {
    io.mapRequired("kind", remark.kind);
    io.mapRequired("pass", remark.category);
    io.mapRequired("location", remark.location);
    io.mapRequired("message", remark.message);
  }
};

namespace {

StringRef getKind(llvm::remarks::Type type) {
  switch (type) {
  case llvm::remarks::Type::Passed:
    return "passed";
  case llvm::remarks::Type::Missed:
    return "missed";
  case llvm::remarks::Type::Failure:
    return "failed";
  default:
    return "analysis";
  }
}

/// The name of the ONNX node if `location` has one, else the whole location.
std::string describe(Location location) {
  if (auto name = dyn_cast<NameLoc>(location))
    return name.getName().str();
  std::string text;
  llvm::raw_string_ostream stream(text);
  location.print(stream);
  return text;
}

class Collector : public remark::detail::MLIRRemarkStreamerBase {
public:
  explicit Collector(RemarkList &remarks) : remarks(remarks) {}

  void streamOptimizationRemark(const remark::detail::Remark &remark) override {
    CollectedRemark collected;
    std::string message = collected.name = remark.getRemarkName().str();
    for (const remark::detail::Remark::Arg &argument : remark.getArgs()) {
      if (argument.key == "Remark")
        message += ": " + argument.val;
      else
        collected.arguments.emplace_back(argument.key, argument.val);
      // Lists are for programs.
      if (argument.key != "Remark" && argument.key != "nodes")
        message += ", " + argument.key + "=" + argument.val;
    }
    collected.kind = getKind(remark.getRemarkType()).str();
    collected.category = remark.getCategoryName().str();
    collected.message = std::move(message);
    collected.location = describe(remark.getLocation());
    remarks.push_back(std::move(collected));
  }

private:
  RemarkList &remarks;
};

} // namespace

StringRef CollectedRemark::getArgument(StringRef key) const {
  for (const auto &[name, value] : arguments)
    if (name == key)
      return value;
  return {};
}

LogicalResult moe::collectRemarks(MLIRContext &context, RemarkList &remarks) {
  remark::RemarkCategories categories;
  categories.passed = categories.missed = ".*";
  categories.failed = categories.analysis = ".*";
  return remark::enableOptimizationRemarks(
      context, std::make_unique<Collector>(remarks),
      std::make_unique<remark::RemarkEmittingPolicyAll>(), categories);
}

void moe::printRemarks(const RemarkList &remarks, llvm::raw_ostream &stream) {
  for (const CollectedRemark &remark : remarks)
    stream << remark.location << ": remark: " << remark.kind << " ["
           << remark.category << "] " << remark.message << '\n';
}

void moe::printRemarksAsYAML(const RemarkList &remarks,
                             llvm::raw_ostream &stream) {
  llvm::yaml::Output output(stream);
  RemarkList copy = remarks;
  output << copy;
}
