"""Prints which experts a prompt used in each layer.

    python show_experts.py ARTIFACT PROMPT [--moec PATH]

The artifact is one whose IR went through `moe-expose-routing`, so that its results include the chosen experts. Needs
numpy and no torch.
"""

import argparse
import pathlib
import subprocess
import tempfile

import numpy

EXPERTS, LAYERS, KV_HEADS, HEAD_SIZE = 8, 4, 2, 32


def inputs_for(prompt: bytes):
    yield "input_ids", numpy.array([list(prompt)], dtype=numpy.int64)
    yield "attention_mask", numpy.ones((1, len(prompt)), dtype=numpy.int64)
    for layer in range(LAYERS):
        for kind in ("key", "value"):
            yield f"past_key_values.{layer}.{kind}", numpy.zeros((1, KV_HEADS, 0, HEAD_SIZE), dtype=numpy.float32)


def run(moec: str, artifact: str, prompt: bytes):
    """The chosen experts of each layer: arrays of tokens x slots."""
    with tempfile.TemporaryDirectory() as folder:
        command = [moec, "run", artifact, "--output-dir", f"{folder}/out"]
        for index, (name, value) in enumerate(inputs_for(prompt)):
            numpy.save(f"{folder}/{index}.npy", value)
            command += ["--input", f"{name}={folder}/{index}.npy"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return [numpy.load(pathlib.Path(folder, "out", f"routing.{layer}.npy")) for layer in range(LAYERS)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifact")
    parser.add_argument("prompt")
    parser.add_argument("--moec", default="moec")
    options = parser.parse_args()

    prompt = options.prompt.encode()
    layers = run(options.moec, options.artifact, prompt)
    print("tokens per expert    " + "".join(f"{expert:5}" for expert in range(EXPERTS)))
    for layer, ids in enumerate(layers):
        counts = numpy.bincount(ids.reshape(-1), minlength=EXPERTS)
        print(f"  layer {layer}            " + "".join(f"{count:5}" for count in counts))
    print("first and second choice of each byte, by layer")
    for position, byte in enumerate(prompt):
        choices = "   ".join(" ".join(str(expert) for expert in ids[position]) for ids in layers)
        print(f"  {chr(byte)!r:6} {choices}")


if __name__ == "__main__":
    main()
