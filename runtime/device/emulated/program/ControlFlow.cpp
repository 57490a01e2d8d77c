//===- ControlFlow.cpp - where diverged lanes come together ---------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/program/Program.h"

using namespace emulated;

namespace {

/// Immediate post-dominators of the basic blocks of a function, by the
/// algorithm of Cooper, Harvey and Kennedy on the reversed graph.
class PostDominators {
public:
  PostDominators(const std::vector<Instruction> &code, int32_t begin,
                 int32_t end, const std::vector<std::vector<int32_t>> &lists)
      : code(code), begin(begin), end(end), lists(lists) {
    splitBlocks();
    connect();
    orderBlocks();
    solve();
  }

  /// The first instruction of the block where the paths from the block that
  /// ends with `branch` meet; -1 if only the exit is common.
  int32_t get(int32_t branch) const {
    int32_t block = immediate[blockOf[branch - begin]];
    return block < 0 || block == exitBlock() ? -1 : first[block];
  }

private:
  int32_t exitBlock() const { return first.size(); }

  template <typename Visit>
  void forEachTarget(const Instruction &instruction, Visit visit) {
    if (instruction.control == Control::Branch)
      visit(instruction.target);
    if (instruction.control == Control::BranchIndexed)
      for (int32_t target : lists[instruction.target])
        visit(target);
  }

  static bool endsBlock(const Instruction &instruction) {
    return instruction.control == Control::Branch ||
           instruction.control == Control::BranchIndexed ||
           instruction.control == Control::Exit ||
           instruction.control == Control::Return;
  }

  void splitBlocks() {
    std::vector<bool> isFirst(end - begin + 1);
    isFirst[0] = true;
    for (int32_t i = begin; i < end; ++i) {
      if (endsBlock(code[i]))
        isFirst[i + 1 - begin] = true;
      forEachTarget(code[i], [&](int32_t t) { isFirst[t - begin] = true; });
    }
    for (int32_t i = begin; i < end; ++i) {
      if (isFirst[i - begin])
        first.push_back(i);
      blockOf.push_back(first.size() - 1);
    }
  }

  void connect() {
    successors.resize(first.size() + 1);
    predecessors.resize(first.size() + 1);
    auto add = [&](int32_t from, int32_t to) {
      successors[from].push_back(to);
      predecessors[to].push_back(from);
    };
    for (int32_t block = 0; block < exitBlock(); ++block) {
      int32_t last = (block + 1 < exitBlock() ? first[block + 1] : end) - 1;
      const Instruction &instruction = code[last];
      forEachTarget(instruction,
                    [&](int32_t t) { add(block, blockOf[t - begin]); });
      bool isExit = instruction.control == Control::Exit ||
                    instruction.control == Control::Return;
      if (isExit)
        add(block, exitBlock());
      bool fallsThrough = !endsBlock(instruction) || instruction.guard >= 0;
      if (fallsThrough)
        add(block, last + 1 < end ? block + 1 : exitBlock());
    }
  }

  /// Post-order of the reversed graph from the exit.
  void orderBlocks() {
    number.assign(first.size() + 1, -1);
    std::vector<bool> isSeen(first.size() + 1);
    std::vector<std::pair<int32_t, size_t>> stack = {{exitBlock(), 0}};
    isSeen[exitBlock()] = true;
    while (!stack.empty()) {
      auto &top = stack.back();
      if (top.second == predecessors[top.first].size()) {
        number[top.first] = order.size();
        order.push_back(top.first);
        stack.pop_back();
        continue;
      }
      int32_t next = predecessors[top.first][top.second++];
      if (isSeen[next])
        continue;
      isSeen[next] = true;
      stack.push_back({next, 0});
    }
  }

  int32_t intersect(int32_t a, int32_t b) const {
    while (a != b) {
      while (number[a] < number[b])
        a = immediate[a];
      while (number[b] < number[a])
        b = immediate[b];
    }
    return a;
  }

  void solve() {
    immediate.assign(first.size() + 1, -1);
    immediate[exitBlock()] = exitBlock();
    for (bool isChanged = true; isChanged;) {
      isChanged = false;
      for (size_t i = order.size() - 1; i-- > 0;) {
        int32_t block = order[i], meet = -1;
        for (int32_t successor : successors[block])
          if (immediate[successor] >= 0)
            meet = meet < 0 ? successor : intersect(successor, meet);
        isChanged |= meet != immediate[block];
        immediate[block] = meet;
      }
    }
  }

  const std::vector<Instruction> &code;
  int32_t begin, end;
  const std::vector<std::vector<int32_t>> &lists;
  std::vector<int32_t> first, blockOf, order, number, immediate;
  std::vector<std::vector<int32_t>> successors, predecessors;
};

} // namespace

void emulated::findReconvergence(
    std::vector<Instruction> &code, int32_t begin, int32_t end,
    const std::vector<std::vector<int32_t>> &targetLists, bool isEntry) {
  PostDominators postDominators(code, begin, end, targetLists);
  for (int32_t i = begin; i < end; ++i) {
    Instruction &instruction = code[i];
    bool isBranch = instruction.control == Control::Branch ||
                    instruction.control == Control::BranchIndexed;
    bool isGuardedReturn =
        instruction.control == Control::Return && instruction.guard >= 0;
    if (!isBranch && !isGuardedReturn)
      continue;
    instruction.reconverge = postDominators.get(i);
    if (instruction.reconverge < 0 && !isEntry)
      instruction.reconverge = kReconvergeAtReturn;
  }
}
