"""Runs a model with moec and with other engines in turn and prints the ratios of the medians.

    python compare.py MODEL.onnx [--artifact MODEL.moe] [--engines moec,onnxruntime,torch] [--tokens 1,16,128,512]
                      [--threads 2] [--rounds 5] [--past 0] [--processor-time] [--json FILE]

Each engine is a process with threads of its own; one of them runs at a time, in rotation, so that whatever else the
machine does meets all of them. The others are stopped meanwhile: some let their threads spin on after a run. `moec` needs MOEC_BUILD (default: ../../build) and compiles the model unless
--artifact names what it became. `torch` computes a layer of models.py (router, experts sorted by expert, one product
for each); it does not read other models. An engine that ends in `.moe` is another artifact of the same model, say one that
an older compiler wrote. With --processor-time the processor time of all threads counts, which other work on the machine
changes less. Needs numpy, onnx, and the engines that it is asked for.
"""

import argparse
import ctypes
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time

import numpy

BUILD = pathlib.Path(os.environ.get("MOEC_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build"))
FLOATS = {"tensor(float)": numpy.float32, "tensor(float16)": numpy.float16}


def make_inputs(values, tokens, past, vocabulary, random):
    """One dictionary of arrays for `values`: name, type and dims of each input."""
    inputs = {}
    for name, element, dims in values:
        unknown = [i for i, d in enumerate(dims) if not isinstance(d, int)]
        sizes = list(dims)
        for place, i in enumerate(unknown):
            cache = "past" in name and len(dims) > 2
            if (len(unknown) > 1 or cache) and place == 0:
                sizes[i] = 1
            elif cache:
                sizes[i] = past
            else:
                sizes[i] = past + tokens if "attention_mask" in name else tokens
        if element in FLOATS:
            inputs[name] = (random.random(sizes, numpy.float32) * 2 - 1).astype(FLOATS[element])
        elif element == "tensor(bfloat16)":
            inputs[name] = ((random.random(sizes, numpy.float32) * 2 - 1).view(numpy.uint32) >> 16).astype(numpy.uint16)
        elif "input_ids" in name:
            inputs[name] = random.integers(0, vocabulary, sizes)
        elif "position" in name:
            inputs[name] = past + numpy.broadcast_to(numpy.arange(sizes[-1]), sizes).copy()
        else:
            inputs[name] = numpy.ones(sizes, numpy.int64)
    return inputs


class Tensor(ctypes.Structure):
    _fields_ = [("dtype", ctypes.c_int), ("rank", ctypes.c_uint32), ("dims", ctypes.POINTER(ctypes.c_int64)),
                ("data", ctypes.c_void_p)]


class Input(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("tensor", Tensor)]


class SessionOptions(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("threads", ctypes.c_uint32)]


class Moec:
    """The runtime by way of its C interface."""

    DTYPES = {"float32": 1, "float16": 3, "uint16": 4, "int32": 7, "int64": 8}

    def __init__(self, model, artifact, threads):
        self.library = ctypes.CDLL(str(BUILD / "lib/libmoert.so"))
        self.library.moe_error_message.restype = ctypes.c_char_p
        program, self.session = ctypes.c_void_p(), ctypes.c_void_p()
        self.check(self.library.moe_program_open(artifact.encode(), None, ctypes.byref(program)))
        options = SessionOptions(ctypes.sizeof(SessionOptions), threads)
        self.check(self.library.moe_session_create(program, ctypes.byref(options), ctypes.byref(self.session)))

    def check(self, status):
        if status != 0:
            raise RuntimeError(self.library.moe_error_message().decode())

    def prepare(self, inputs):
        self.kept = []
        values = (Input * len(inputs))()
        for value, (name, array) in zip(values, inputs.items()):
            dims = (ctypes.c_int64 * array.ndim)(*array.shape)
            array = numpy.ascontiguousarray(array)
            self.kept += [dims, array]
            value.name = name.encode()
            value.tensor = Tensor(self.DTYPES[array.dtype.name], array.ndim, dims, array.ctypes.data)
        return values

    def run(self, values):
        self.check(self.library.moe_session_run(self.session, values, ctypes.c_size_t(len(values))))

    def first_output(self):
        tensor = Tensor()
        self.check(self.library.moe_session_output(self.session, ctypes.c_size_t(0), ctypes.byref(tensor)))
        shape = tensor.dims[:tensor.rank]
        kind = {1: numpy.float32, 3: numpy.float16, 4: numpy.uint16}[tensor.dtype]
        count = int(numpy.prod(shape))
        raw = ctypes.string_at(tensor.data, count * numpy.dtype(kind).itemsize)
        return numpy.frombuffer(raw, kind).reshape(shape)


class OnnxRuntime:
    def __init__(self, model, artifact, threads):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def prepare(self, inputs):
        return inputs

    def run(self, inputs):
        self.outputs = self.session.run(None, inputs)

    def first_output(self):
        return self.outputs[0]


class Torch:
    """A layer of models.py, written as a user of torch would."""

    def __init__(self, model, artifact, threads):
        import onnx
        import torch
        from onnx import external_data_helper
        self.torch = torch
        torch.set_num_threads(threads)
        proto = onnx.load(model)
        types = {1: torch.float32, 10: torch.float16, 16: torch.bfloat16}
        weights = {}
        for tensor in proto.graph.initializer:
            raw = bytearray(tensor.raw_data) or bytearray(onnx.numpy_helper.to_array(tensor).tobytes())
            weights[tensor.name] = torch.frombuffer(raw, dtype=types[tensor.data_type]).reshape(list(tensor.dims))
        assert "layer.fc1" in weights and "layer.fc1_bias" not in weights, "expected a layer without biases"
        self.weights = weights
        moe = next(node for node in proto.graph.node if node.op_type == "MoE")
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in moe.attribute}
        self.slots, self.normalize = attributes["k"], attributes["normalize_routing_weights"]
        self.type = weights["layer.fc1"].dtype

    def prepare(self, inputs):
        array = inputs["x"]
        tensor = self.torch.from_numpy(array)
        return tensor.view(self.type) if array.dtype == numpy.uint16 else tensor

    def run(self, x):
        torch, weights = self.torch, self.weights
        with torch.inference_mode():
            scores = torch.softmax((x @ weights["layer.router"]).float(), -1)
            shares, ids = scores.topk(self.slots, -1)
            if self.normalize:
                shares = shares / shares.sum(-1, keepdim=True)
            flat = ids.reshape(-1)
            order = flat.argsort(stable=True)
            counts = flat.bincount(minlength=scores.shape[1]).tolist()
            rows = order // self.slots
            scale = shares.reshape(-1)[order].to(self.type)[:, None]
            y, begin = torch.zeros_like(x), 0
            for expert, count in enumerate(counts):
                if count == 0:
                    continue
                mine = rows[begin:begin + count]
                hidden = torch.nn.functional.linear(x[mine], weights["layer.fc1"][expert])
                hidden = torch.nn.functional.silu(hidden[:, 0::2]) * hidden[:, 1::2]
                part = torch.nn.functional.linear(hidden, weights["layer.fc2"][expert])
                y.index_add_(0, mine, part * scale[begin:begin + count])
                begin += count
            if "layer.shared.gate" in weights:
                hidden = torch.nn.functional.silu(x @ weights["layer.shared.gate"]) * (x @ weights["layer.shared.up"])
                y += hidden @ weights["layer.shared.down"]
        self.y = y

    def first_output(self):
        return self.y.view(self.torch.uint16).numpy() if self.type == self.torch.bfloat16 else self.y.numpy()


ENGINES = {"moec": Moec, "onnxruntime": OnnxRuntime, "torch": Torch}


def read_signature(path):
    """The inputs of a model, and the width of its last output dimension."""
    import onnx
    graph = onnx.load(path, load_external_data=False).graph
    names = {1: "tensor(float)", 10: "tensor(float16)", 16: "tensor(bfloat16)"}
    values = []
    for value in graph.input:
        kind = value.type.tensor_type
        dims = [d.dim_value if d.HasField("dim_value") else d.dim_param for d in kind.shape.dim]
        values.append((value.name, names.get(kind.elem_type, "integer"), dims))
    return values, graph.output[0].type.tensor_type.shape.dim[-1].dim_value


def work(name, model, artifact, threads, past, clock):
    """A worker: reads numbers of tokens, answers each with the times of some runs."""
    values, vocabulary = read_signature(model)
    if name.endswith(".moe"):
        engine = Moec(model, name, threads)
    else:
        engine = ENGINES[name](model, artifact, threads)
    prepared = {}
    print("ready", flush=True)
    for line in sys.stdin:
        tokens, runs = map(int, line.split())
        if tokens not in prepared:
            random = numpy.random.default_rng(tokens)
            prepared[tokens] = []
            for _ in range(max(1, min(16, 64 // tokens))):
                inputs = engine.prepare(make_inputs(values, tokens, past, vocabulary, random))
                prepared[tokens].append((inputs, getattr(engine, "kept", None)))
        times = []
        for i in range(runs + 1):
            start = clock()
            engine.run(prepared[tokens][i % len(prepared[tokens])][0])
            times.append(clock() - start)
        engine.run(prepared[tokens][0][0])
        y = engine.first_output()
        if y.dtype == numpy.uint16:
            y = (y.astype(numpy.uint32) << 16).view(numpy.float32)
        y = y.astype(numpy.float64)
        sample = y.reshape(-1)[:: max(1, y.size // 1000)][:1000]
        print(json.dumps([times[1:], sample.tolist()]), flush=True)


class Worker:
    def __init__(self, name, arguments):
        command = [sys.executable, __file__, arguments.model, "--work", name, "--artifact", str(arguments.artifact),
                   "--threads", str(arguments.threads), "--past", str(arguments.past)]
        if arguments.processor_time:
            command.append("--processor-time")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError(f"{name} does not run this model")

        self.process.send_signal(signal.SIGSTOP)

    def run(self, tokens, runs):
        self.process.send_signal(signal.SIGCONT)
        print(tokens, runs, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        self.process.send_signal(signal.SIGSTOP)
        return json.loads(answer)

    def end(self):
        self.process.kill()
        self.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--artifact")
    parser.add_argument("--engines", default="moec,onnxruntime")
    parser.add_argument("--tokens", default="1,16,128,512")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--past", type=int, default=0)
    parser.add_argument("--processor-time", action="store_true")
    parser.add_argument("--json")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        return work(arguments.work, arguments.model, arguments.artifact, arguments.threads, arguments.past,
                    time.process_time if arguments.processor_time else time.perf_counter)
    engines = arguments.engines.split(",")
    if "moec" in engines and not arguments.artifact:
        arguments.artifact = str(pathlib.Path(arguments.model).with_suffix(".moe"))
        subprocess.run([BUILD / "bin/moec", "compile", arguments.model, "-o", arguments.artifact, "--cpu=native"],
                       check=True)
    workers = {}
    for name in engines:
        try:
            workers[name] = Worker(name, arguments)
        except RuntimeError as error:
            print(error, file=sys.stderr)
    print(f"{'tokens':>6}" + "".join(f"{pathlib.Path(name).name:>14}" for name in workers) + "   ratio to the first, difference")
    rows = []
    for tokens in map(int, arguments.tokens.split(",")):
        times = {name: [] for name in workers}
        samples = {}
        for _ in range(arguments.rounds):
            for name, worker in workers.items():
                own, samples[name] = worker.run(tokens, 8 if tokens <= 4 else 2)
                times[name] += own
        medians = {name: statistics.median(own) * 1e3 for name, own in times.items()}
        first = next(iter(workers))
        expected = numpy.array(samples[first])
        row = {"tokens": tokens, "median_ms": medians}
        text = []
        for name in list(workers)[1:]:
            error = numpy.linalg.norm(numpy.array(samples[name]) - expected) / max(numpy.linalg.norm(expected), 1e-30)
            text.append(f"{pathlib.Path(name).name} {medians[name] / medians[first]:.2f}x {error:.0e}")
        rows.append(row)
        print(f"{tokens:>6}" + "".join(f"{medians[name]:>11.2f} ms" for name in workers) + "   " + ", ".join(text),
              flush=True)
    for worker in workers.values():
        worker.end()
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
