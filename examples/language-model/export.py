"""Exports trained weights to ONNX with a key/value cache, beside test data that torch computed.

    python export.py WEIGHTS.pt FOLDER

Writes FOLDER/model.onnx and FOLDER/test_data_set_{0,1,2}: a prompt with an empty cache, one decoding step after it, and
a batch of two prompts of which the second begins with padding. Ends by running the file with onnxruntime, if it is
installed, on the same inputs.
"""

import argparse
import pathlib
import shutil

import numpy
import onnx
import onnx.numpy_helper
import torch

from model import Model


class Exported(torch.nn.Module):
    """The model with the flat argument list of the ONNX graph."""

    def __init__(self, model: Model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, past_key_values):
        return self.model(input_ids, attention_mask, past_key_values)


def cache_names(prefix: str, layers: int):
    return [f"{prefix}.{layer}.{kind}" for layer in range(layers) for kind in ("key", "value")]


def encode(text: str):
    return torch.tensor([list(text.encode())])


def name_mask_length(exported):
    """The mask is as long as the cache after the call; the exporter does not know that and makes up a name."""
    made_up = exported.graph.input[1].type.tensor_type.shape.dim[1].dim_param
    for value in [*exported.graph.input, *exported.graph.output, *exported.graph.value_info]:
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param == made_up:
                size.dim_param = "past + sequence"


def export(model: Model, path: pathlib.Path):
    layers = model.config.layers
    batch, sequence, past = (torch.export.Dim(name) for name in ("batch", "sequence", "past"))
    example_past = [tuple(torch.randn(2, model.config.kv_heads, 5, model.config.head_size) for _ in range(2))
                    for _ in range(layers)]
    arguments = (torch.randint(256, (2, 3)), torch.ones(2, 8, dtype=torch.int64), example_past)
    shapes = ({0: batch, 1: sequence}, {0: batch, 1: torch.export.Dim.DYNAMIC},
              [({0: batch, 2: past}, {0: batch, 2: past})] * layers)
    torch.onnx.export(
        Exported(model).eval(), arguments, str(path), dynamo=True, dynamic_shapes=shapes, external_data=False,
        input_names=["input_ids", "attention_mask", *cache_names("past_key_values", layers)],
        output_names=["logits", *cache_names("present", layers)])
    exported = onnx.load(path)
    name_mask_length(exported)
    # Traces of the exporter, with paths of the machine that ran it.
    for node in exported.graph.node:
        del node.metadata_props[:]
        node.ClearField("doc_string")
    for value in [*exported.graph.value_info, *exported.graph.input, *exported.graph.output, *exported.graph.initializer]:
        del value.metadata_props[:]
    del exported.graph.metadata_props[:]
    onnx.checker.check_model(exported, full_check=True)
    onnx.save(exported, path)


def write_test(folder: pathlib.Path, inputs: dict, outputs: dict):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for kind, values in (("input", inputs), ("output", outputs)):
        for index, (name, value) in enumerate(values.items()):
            tensor = onnx.numpy_helper.from_array(numpy.ascontiguousarray(value.numpy()), name)
            (folder / f"{kind}_{index}.pb").write_bytes(tensor.SerializeToString())


def run(model: Model, input_ids, attention_mask, past):
    """Inputs and outputs of one call under the names of the graph, and the new cache."""
    logits, present = model(input_ids, attention_mask, past)
    layers = model.config.layers
    flat = lambda cache: [tensor for pair in cache for tensor in pair]
    inputs = {"input_ids": input_ids, "attention_mask": attention_mask,
              **dict(zip(cache_names("past_key_values", layers), flat(past)))}
    return inputs, {"logits": logits, **dict(zip(cache_names("present", layers), flat(present)))}, present


def test_cases(model: Model):
    ones = lambda *shape: torch.ones(shape, dtype=torch.int64)
    prompt = encode("This License does ")
    inputs, outputs, present = run(model, prompt, ones(*prompt.shape), model.empty_past(1))
    yield inputs, outputs
    step = outputs["logits"][:, -1].argmax(-1, keepdim=True)
    yield run(model, step, ones(1, prompt.shape[1] + 1), present)[:2]
    first, second = encode("You may copy"), encode("Return a")
    padding = first.shape[1] - second.shape[1]
    both = torch.cat((first, torch.cat((torch.zeros(1, padding, dtype=torch.int64), second), dim=1)))
    mask = ones(*both.shape)
    mask[1, :padding] = 0
    yield run(model, both, mask, model.empty_past(2))[:2]


def compare(path: pathlib.Path, cases):
    try:
        import onnxruntime
    except ImportError:
        print("onnxruntime is not installed; the exported file was not run")
        return
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for index, (inputs, outputs) in enumerate(cases):
        actual = session.run(list(outputs), {name: value.numpy() for name, value in inputs.items()})
        worst = max(numpy.abs(a - e.numpy()).max() for a, e in zip(actual, outputs.values()))
        print(f"test_data_set_{index}: largest difference to onnxruntime {worst:.2g}")
        assert worst < 1e-4


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights")
    parser.add_argument("folder", type=pathlib.Path)
    options = parser.parse_args()

    torch.manual_seed(1)
    model = Model()
    model.load_state_dict(torch.load(options.weights))
    model.eval().requires_grad_(False)
    options.folder.mkdir(parents=True, exist_ok=True)
    export(model, options.folder / "model.onnx")
    cases = list(test_cases(model))
    for index, (inputs, outputs) in enumerate(cases):
        write_test(options.folder / f"test_data_set_{index}", inputs, outputs)
    compare(options.folder / "model.onnx", cases)


if __name__ == "__main__":
    main()
