"""Registers the models of the family files and exports them as cases.

A case is a folder with `model.onnx`, `test_data_set_*/{input,output}_N.pb` and `card.json`. Expected outputs are those of
torch in f32. A seed is taken only if torch in f64 agrees with them far within the tolerance, so that no choice of a
router hangs on a rounding error; the ONNX file is taken only if ONNX Runtime, where it can run it, agrees too.
"""

import dataclasses
import json
import pathlib
import shutil
from collections.abc import Callable

import numpy as np
import onnx
import torch
from onnx import numpy_helper

CASES: dict[str, "Case"] = {}


@dataclasses.dataclass
class Model:
    """What a case exports: a module, data sets by input name, and the names of dynamic dimensions by input and axis."""

    module: torch.nn.Module
    data_sets: list[dict[str, torch.Tensor]]
    dynamic: dict[str, dict[int, str]]
    outputs: tuple[str, ...] = ("logits",)


@dataclasses.dataclass
class Case:
    name: str
    family: str
    form: str
    routing: str
    build: Callable[[], Model]
    opset: int = 20
    # Whether the module can be computed in f64 and the file by ONNX Runtime.
    double: bool = True
    runtime: bool = True
    # Relative tolerance; the absolute one is this times the greatest expected number. A hundred times what sums of
    # a few hundred f32 terms through two layers differ by when they are added in another order.
    tolerance: float = 2e-4


def case(name, family, form, routing, **options):
    """Registers the decorated function, which builds a `Model`."""

    def register(build):
        CASES[name] = Case(name, family, form, routing, build, **options)
        return build

    return register


def compute(module, inputs):
    with torch.no_grad():
        result = module(*[value.clone() for value in inputs.values()])
    return list(result) if isinstance(result, (tuple, list)) else [result]


def as_double(inputs):
    return {name: value.double() if value.is_floating_point() else value for name, value in inputs.items()}


def find_seed(case):
    """The first seed whose outputs do not hang on rounding errors."""
    for seed in range(50):
        torch.manual_seed(seed)
        model = case.build()
        model.module.eval()
        expected = [compute(model.module, inputs) for inputs in model.data_sets]
        if not case.double:
            return seed, model, expected
        torch.manual_seed(seed)
        exact = case.build().module.double().eval()
        worst = 0.0
        for inputs, results in zip(model.data_sets, expected):
            for a, b in zip(results, compute(exact, as_double(inputs))):
                worst = max(worst, float((a - b).abs().max() / b.abs().max().clamp_min(1e-6)))
        if worst <= case.tolerance / 8:
            return seed, model, expected
    raise SystemExit(f"{case.name}: expected a seed with stable choices, got none in 50; the last differs by {worst:.1e}")


def write_model(case, model, path):
    names = list(model.data_sets[0])
    dimensions = {}

    def dimension(name):
        return dimensions.setdefault(name, torch.export.Dim(name, min=1, max=4096))

    shapes = tuple({axis: dimension(name) for axis, name in model.dynamic.get(input, {}).items()} for input in names)
    torch.onnx.export(model.module, tuple(model.data_sets[0].values()), path, dynamo=True, dynamic_shapes=shapes,
                      input_names=names, output_names=list(model.outputs), opset_version=case.opset, external_data=False,
                      verbose=False)
    # Where a node comes from in torch's sources is most of the file and no part of the model.
    proto = onnx.load(path)
    for graph in graphs(proto.graph):
        for item in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer, graph):
            item.ClearField("metadata_props")
            item.ClearField("doc_string")
    proto.ClearField("metadata_props")
    onnx.save(proto, path)
    return proto


def graphs(graph):
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from graphs(attribute.g)


def write_tensors(folder, kind, tensors):
    for i, (name, value) in enumerate(tensors):
        (folder / f"{kind}_{i}.pb").write_bytes(numpy_helper.from_array(np.ascontiguousarray(value), name).SerializeToString())


def check(case, path, data_sets, expected, limits):
    """Compares with ONNX Runtime: a trace that only fits the first data set shows here."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs_of_file = {item.name for item in session.get_inputs()}
    for i, (inputs, outputs) in enumerate(zip(data_sets, expected)):
        feeds = {name: value for name, value in inputs.items() if name in inputs_of_file}
        for got, wanted, limit in zip(session.run(None, feeds), outputs, limits):
            if got.shape != wanted.shape or np.abs(got - wanted).max(initial=0) > limit:
                raise SystemExit(f"{case.name}: data set {i}: ONNX Runtime differs from torch by {np.abs(got - wanted).max()}")


def export(case, folder: pathlib.Path):
    seed, model, expected = find_seed(case)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    proto = write_model(case, model, folder / "model.onnx")
    data_sets = [{name: value.numpy() for name, value in inputs.items()} for inputs in model.data_sets]
    expected = [[value.numpy() for value in outputs] for outputs in expected]
    greatest = [max(float(np.abs(outputs[i]).max(initial=0)) for outputs in expected) for i in range(len(expected[0]))]
    if case.runtime:
        check(case, folder / "model.onnx", data_sets, expected, [case.tolerance * max(g, 1e-3) for g in greatest])
    kept = {item.name for item in proto.graph.input}
    for i, (inputs, outputs) in enumerate(zip(data_sets, expected)):
        target = folder / f"test_data_set_{i}"
        target.mkdir()
        write_tensors(target, "input", [item for item in inputs.items() if item[0] in kept])
        write_tensors(target, "output", zip(model.outputs, outputs))
    card = {
        "family": case.family, "form": case.form, "routing": case.routing, "seed": seed,
        "exporter": f"torch.onnx.export of torch {torch.__version__.split('+')[0]}", "opset": case.opset,
        "nodes": len(proto.graph.node),
        "tolerance": {"rtol": case.tolerance, "atol": float(f"{case.tolerance * max(greatest):.2g}")},
    }
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n")
