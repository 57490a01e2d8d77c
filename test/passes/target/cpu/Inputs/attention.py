"""Compiles attention of many kinds in one module and compares it with formulas in numpy and with the reference lowering.

Usage: attention.py MOEC MOE_OPT FOLDER

All cases run for several numbers of queries and keys, at every instruction set level that the machine has. A result of f32
may be off by one rounding (2^-24) for each term of the sum over the head size, where the terms are at most 1, for each key,
and for a few operations around them; narrow results are rounded once more.
"""

import os
import pathlib
import subprocess
import sys

import numpy as np
import onnx

MOEC, MOE_OPT, FOLDER = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
SCALE = "%scale = arith.constant 0.3 : f32\n %x0 = arith.mulf %p, %scale : f32\n"
LEAST = "%least = arith.constant 0xFF800000 : f32\n"
CAUSAL = SCALE + LEAST + """%last = tensor.extract %past[] : tensor<i64>
  %pastIndex = arith.index_cast %last : i64 to index
  %own = arith.addi %s, %pastIndex : index
  %seen = arith.cmpi sle, %t, %own : index
"""
SHAPES = [(0, 5), (1, 0), (1, 1), (1, 300), (5, 129), (3, 700), (70, 260)]


class Case:
    """`score` yields %x, and %sink if `sink`; `formula` is the same in numpy."""

    def __init__(self, depth, columns, score, formula, heads=(2, 3), element="f32", zero=False, sink=False,
                 layout="sgrd gtd gte sgre"):
        self.depth, self.columns, self.score, self.formula, self.heads = depth, columns, score, formula, heads
        self.element, self.zero, self.sink, self.layout = element, zero, sink, layout.split()

    def extents(self, queries, keys):
        return {"g": self.heads[0], "r": self.heads[1], "s": queries, "t": keys, "d": self.depth, "e": self.columns}

    def type(self, layout):
        extents = self.extents("?", "?")
        return "tensor<" + "".join(f"{extents[d]}x" for d in layout) + self.element + ">"


def plain(x, past, mask):
    return x * 0.3


def causal(x, past, mask):
    s, t = np.arange(x.shape[-2])[:, None], np.arange(x.shape[-1])[None]
    return np.where(t <= s + past, x * 0.3, -np.inf)


def window(x, past, mask):
    s, t = np.arange(x.shape[-2])[:, None], np.arange(x.shape[-1])[None]
    return np.where((t <= s + past) & (t > s + past - 40), x * 0.3, -np.inf)


def added(x, past, mask):
    return x * 0.3 + mask


def capped(x, past, mask):
    return 2 * np.tanh(x * 0.3 / 2)


ADDED = SCALE + "%m = tensor.extract %mask[%s, %t] : tensor<?x?xf32>\n %x = arith.addf %x0, %m : f32\n"
SEEN = CAUSAL + "%x = arith.select %seen, %x0, %least : f32\n"
CASES = {
    "plain": Case(64, 64, SCALE.replace("%x0", "%x"), plain),
    "causal": Case(128, 128, SEEN, causal, heads=(2, 4)),
    "window": Case(32, 48, CAUSAL + """%width = arith.constant 40 : index
  %first = arith.subi %own, %width : index
  %near = arith.cmpi sgt, %t, %first : index
  %both = arith.andi %seen, %near : i1
  %x = arith.select %both, %x0, %least : f32
""", window, zero=True),
    "added": Case(16, 80, ADDED, added),
    "added_zero": Case(16, 16, ADDED, added, zero=True),
    "capped": Case(80, 16, SCALE + """%two = arith.constant 2.0 : f32
  %part = arith.divf %x0, %two : f32
  %tanh = math.tanh %part : f32
  %x = arith.mulf %tanh, %two : f32
""", capped),
    "sink": Case(64, 64, SEEN + """%sinkIndex = arith.index_cast %r : index to i64
  %sink = arith.sitofp %sinkIndex : i64 to f32
""", causal, sink=True),
    "one": Case(1, 1, SCALE.replace("%x0", "%x"), plain, heads=(1, 1)),
    "odd": Case(7, 5, SEEN, causal),
    "wide": Case(192, 256, SEEN, causal, heads=(1, 2)),
    "turned": Case(40, 40, SCALE.replace("%x0", "%x"), plain, layout="grds dgt etg egrs"),
    "half": Case(64, 64, SEEN, causal, element="f16"),
    "narrow": Case(24, 32, ADDED, added, element="bf16"),
}
EPSILON = {"f32": 2.0**-24, "f16": 2.0**-11, "bf16": 2.0**-8}


def write_module():
    arguments = ['%past: tensor<i64> {moe.name = "past"}', '%mask: tensor<?x?xf32> {moe.name = "mask"}']
    results, body, values, types = [], "", [], []
    for name, case in CASES.items():
        q, k, v, y = (case.type(layout) for layout in case.layout)
        for part, type in (("q", q), ("k", k), ("v", v), ("y", y)):
            arguments.append(f'%{name}_{part}: {type} {{moe.name = "{name}_{part}"}}')
        results.append(f'{y} {{moe.name = "{name}"}}')
        maps = ", ".join(f"affine_map<(g, r, s, t, d, e) -> ({', '.join(layout)})>" for layout in case.layout)
        yielded = "%x, %sink : f32, f32" if case.sink else "%x : f32"
        body += f"""
  %{name} = kern.attention ins(%{name}_q, %{name}_k, %{name}_v : {q}, {k}, {v}) outs(%{name}_y : {y})
    {{indexing_maps = [{maps}]{', masked_is_zero' if case.zero else ''}}} score {{
  ^bb0(%p: f32, %g: index, %r: index, %s: index, %t: index):
  {case.score}  kern.yield {yielded}
  }} -> {y}
"""
        values.append(f"%{name}")
        types.append(y)
    (FOLDER / "attention.mlir").write_text(
        f"func.func @main({', '.join(arguments)}) -> ({', '.join(results)}) {{{body}"
        f"  return {', '.join(values)} : {', '.join(types)}\n}}\n")


def narrow(array, element):
    """The array in the type of the case and, for formulas, what it then holds; bf16 as uint16."""
    if element == "bf16":
        bits = (array.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
        return bits, widen(bits)
    stored = array.astype(np.float16 if element == "f16" else np.float32)
    return stored, stored.astype(np.float64)


def widen(array):
    if array.dtype == np.uint16:
        return (array.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return array.astype(np.float64)


def make_inputs(queries, keys, generator):
    """Inputs by name and the numbers that formulas use."""
    mask = generator.choice([0.0, -1.5, -np.inf], (queries, keys)).astype(np.float32)
    mask[::2, : keys // 2] = -np.inf
    if queries > 4:
        mask[3] = -np.inf  # A row that sees nothing.
    past = max(0, keys - queries)
    inputs, exact = {"past": np.array(past, np.int64), "mask": mask}, {}
    for name, case in CASES.items():
        extents = case.extents(queries, keys)
        for part, layout in zip("qkvy", case.layout):
            array = generator.uniform(-1, 1, [extents[d] for d in layout])
            inputs[f"{name}_{part}"], exact[f"{name}_{part}"] = narrow(array, case.element)
    return inputs, exact


def run(artifact, inputs, level=None):
    folder = FOLDER / "run"
    folder.mkdir(exist_ok=True)
    command = [MOEC, "run", FOLDER / artifact, "--output-dir", folder]
    for name, array in inputs.items():
        path = folder / f"in-{name}.{'pb' if array.dtype == np.uint16 else 'npy'}"
        if array.dtype == np.uint16:
            tensor = onnx.TensorProto(data_type=onnx.TensorProto.BFLOAT16, dims=array.shape, raw_data=array.tobytes())
            path.write_bytes(tensor.SerializeToString())
        else:
            np.save(path, array)
        command += ["--input", f"{name}={path}"]
    environment = {**os.environ, "MOE_ISA": level} if level else None
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    outputs = {name: np.load(folder / f"{name}.npy") for name in CASES}
    return {name: array.view(np.uint16) if CASES[name].element == "bf16" else array for name, array in outputs.items()}


def compute(case, q, k, v, past, mask):
    scores = case.formula(np.einsum(f"{case.layout[0]},{case.layout[1]}->grst", q, k), past, mask)
    with np.errstate(invalid="ignore"):
        bound = scores.max(-1, initial=-np.inf, keepdims=True)
        sink = np.arange(case.heads[1], dtype=float)[:, None, None] if case.sink else -np.inf
        bound = np.maximum(bound, sink)
        if case.zero:
            bound = np.where(np.isinf(bound), 0, bound)
        powers = np.exp(scores - bound)
        total = powers.sum(-1, keepdims=True) + np.exp(sink - bound)
        weights = powers / np.where(total == 0, 1, total) if case.zero else powers / total
    return np.einsum(f"grst,{case.layout[2]}->{case.layout[3]}", weights, v)


def agree(case, got, expected, keys):
    error = np.abs(got - expected)
    limit = EPSILON["f32"] * (case.depth + keys + 16) + EPSILON[case.element] * (case.element != "f32")
    return np.all((error <= limit) | (np.isnan(got) & np.isnan(expected)))


def main():
    levels = ["x86-64-v3"]
    if "avx512vl" in pathlib.Path("/proc/cpuinfo").read_text():
        levels.append("x86-64-v4")
    else:
        print("skipped: x86-64-v4, which this machine lacks")
    write_module()
    subprocess.run([MOEC, "compile", FOLDER / "attention.mlir", "--start-from=lower", "-q", "-o",
                    FOLDER / "attention.moe"], check=True)
    subprocess.run([MOE_OPT, FOLDER / "attention.mlir", "-moe-lower-reference=attention", "-o",
                    FOLDER / "reference.mlir"], check=True)
    subprocess.run([MOEC, "compile", FOLDER / "reference.mlir", "--start-from=lower", "--cpu=native", "-q", "-o",
                    FOLDER / "reference.moe"], check=True)
    failures = 0
    generator = np.random.default_rng(3)
    for queries, keys in SHAPES:
        inputs, exact = make_inputs(queries, keys, generator)
        results = {"reference": run("reference.moe", inputs)}
        for level in levels:
            results[level] = run("attention.moe", inputs, level)
        for name, case in CASES.items():
            q, k, v = (exact[f"{name}_{part}"] for part in "qkv")
            expected = compute(case, q, k, v, inputs["past"], inputs["mask"].astype(np.float64))
            for level, outputs in results.items():
                if not agree(case, widen(outputs[name]), expected, keys):
                    failures += 1
                    print(f"{name}: {level} with {queries} queries and {keys} keys: "
                          f"{np.nanmax(np.abs(widen(outputs[name]) - expected)):.3g} off")
    # The last query alone: the same bits as among others.
    queries, keys = SHAPES[-1]
    inputs, _ = make_inputs(queries, keys, generator)
    alone = {name: array for name, array in inputs.items()}
    alone["past"] = np.array(keys - 1, np.int64)
    alone["mask"] = inputs["mask"][-1:]
    for name, case in CASES.items():
        for part in "qy":
            place = case.layout["qkvy".index(part)].index("s")
            alone[f"{name}_{part}"] = np.take(inputs[f"{name}_{part}"], [-1], place)
    for level in levels:
        many, one = run("attention.moe", inputs, level), run("attention.moe", alone, level)
        for name, case in CASES.items():
            last = np.take(many[name], [-1], case.layout[3].index("s"))
            if last.tobytes() != one[name].tobytes():
                failures += 1
                print(f"{name}: {level}: other bits for a query alone")
    print(f"{len(CASES)} cases: {failures} failures")


main()
