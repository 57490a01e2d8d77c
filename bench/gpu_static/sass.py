"""Counts instructions in the innermost loops of disassembled kernels."""

import collections
import dataclasses
import re

LABEL = re.compile(r"^\s*(\.L_x_\d+):")
INSTRUCTION = re.compile(r"^\s*/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)\s*(.*)")
BRANCH = re.compile(r"`\((\.L_x_\d+)\)")
SECTION = re.compile(r"^\s*\.section\s+\.text\.([^,\s]+)")
PRODUCTS = ("HMMA", "IMMA", "QGMMA", "HGMMA", "IGMMA", "UTCHMMA", "UTCQMMA")


@dataclasses.dataclass
class Loop:
    kernel: str
    products: int
    others: int
    kinds: collections.Counter

    @property
    def ratio(self):
        return self.others / self.products


def find_loops(text):
    """The loops around products of tensor cores, the largest number of products first. `text`: output of nvdisasm."""
    kernel, labels, code, loops = None, {}, [], []

    def close():
        for end, (opcode, operands) in enumerate(code):
            target = BRANCH.search(operands)
            if not opcode.startswith("BRA") or not target or labels.get(target.group(1), end + 1) > end:
                continue
            body = [name for name, _ in code[labels[target.group(1)]:end + 1]]
            products = sum(name.startswith(PRODUCTS) for name in body)
            if products:
                kinds = collections.Counter(name.split(".")[0] for name in body)
                loops.append(Loop(kernel, products, len(body) - products, kinds))

    for line in text.splitlines():
        if section := SECTION.match(line):
            close()
            kernel, labels, code = section.group(1), {}, []
        elif label := LABEL.match(line):
            labels[label.group(1)] = len(code)
        elif instruction := INSTRUCTION.match(line):
            if instruction.group(1) != "NOP":
                code.append(instruction.groups())
    close()
    # A loop around others has the products of all of them.
    inner = {}
    for loop in sorted(loops, key=lambda loop: loop.products + loop.others):
        inner.setdefault(loop.kernel, loop)
        if loop.products > inner[loop.kernel].products and loop.ratio <= inner[loop.kernel].ratio:
            inner[loop.kernel] = loop
    return sorted(inner.values(), key=lambda loop: -loop.products)
