"""Models with the shapes of published MoE models and random weights.

    python models.py LAYER|decoder FOLDER [--type f32|f16|bf16] [--bits 4|8 [--block N]] [--experts N] [--all-logits]

LAYER is one of the keys of LAYERS: a router and `com.microsoft.MoE`, with the shared expert where the model has one.
`decoder` is a whole model in the form of ONNX Runtime GenAI's builder, four layers in the manner of Qwen3-MoE.
Weights are exact in bf16, so that every type holds the same numbers. With --bits experts are those of `com.microsoft.QMoE`,
integers with a scale for each block of a row.
"""

import argparse
import pathlib
from dataclasses import dataclass

import numpy
import onnx
from onnx import TensorProto, helper


@dataclass
class Layer:
    hidden: int
    inner: int
    experts: int
    slots: int
    normalize: bool
    shared: int = 0  # inner width of the shared expert
    bias: bool = False
    limit: float = 0.0  # of a clamped SwiGLU with alpha 1.702 and offset 1


LAYERS = {
    "olmoe": Layer(2048, 1024, 64, 8, False),
    "qwen3-30b-a3b": Layer(2048, 768, 128, 8, True),
    "deepseek-v2-lite": Layer(2048, 1408, 64, 6, False, shared=2816),
    "gpt-oss-20b": Layer(2880, 2880, 32, 4, True, bias=True, limit=7.0),
    "granite-3b": Layer(1536, 512, 40, 8, True),
    "mixtral-quarter": Layer(4096, 3584, 8, 2, True),
    "small": Layer(256, 128, 8, 2, True),
}
TYPES = {"f32": TensorProto.FLOAT, "f16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
DECODER = Layer(1024, 512, 32, 4, True)


class Model:
    """Nodes and weights of a model; weights go straight to a file."""

    def __init__(self, folder, element, bits=0, block=128):
        self.bits, self.block = bits, block
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.element = element
        self.type = TYPES[element]
        self.nodes, self.initializers, self.inputs, self.outputs = [], [], [], []
        self.random = numpy.random.Generator(numpy.random.SFC64(1))
        self.data = open(self.folder / "model.onnx.data", "wb")

    def node(self, operator, inputs, outputs=None, domain="", **attributes):
        outputs = outputs or [f"{operator}_{len(self.nodes)}"]
        self.nodes.append(helper.make_node(operator, inputs, outputs, f"{operator}_{len(self.nodes)}", domain=domain,
                                           **attributes))
        return outputs[0]

    def weight(self, name, shape, scale):
        """Uniform in [-scale, scale)."""
        tensor = onnx.TensorProto(name=name, data_type=self.type, dims=shape, data_location=TensorProto.EXTERNAL)
        self.data.write(bytes(-self.data.tell() % 4096))
        start = self.data.tell()
        for _ in range(shape[0]):
            row = self.random.random(int(numpy.prod(shape[1:])), numpy.float32)
            row = ((row * 2 - 1) * numpy.float32(scale)).view(numpy.uint32) & 0xFFFF0000
            if self.element == "bf16":
                row = (row >> 16).astype(numpy.uint16)
            elif self.element == "f16":
                row = row.view(numpy.float32).astype(numpy.float16)
            self.data.write(row.tobytes())
        for key, value in {"location": "model.onnx.data", "offset": start,
                           "length": self.data.tell() - start}.items():
            tensor.external_data.add(key=key, value=str(value))
        self.initializers.append(tensor)
        return name

    def quantized(self, name, shape, scale):
        """Integers and the scales of their blocks, about as large as `weight` makes them."""
        experts, rows, width = shape
        tensor = onnx.TensorProto(name=name, data_type=TensorProto.UINT8, dims=[experts, rows, width * self.bits // 8],
                                  data_location=TensorProto.EXTERNAL)
        self.data.write(bytes(-self.data.tell() % 4096))
        start = self.data.tell()
        for _ in range(experts):
            self.data.write(self.random.integers(0, 256, rows * width * self.bits // 8, numpy.uint8).tobytes())
        for key, value in {"location": "model.onnx.data", "offset": start,
                           "length": self.data.tell() - start}.items():
            tensor.external_data.add(key=key, value=str(value))
        scales = (0.5 + self.random.random((experts, rows, width // self.block), numpy.float32)) * scale
        self.initializers.append(tensor)
        return [name, self.constant(name + "_scales", scales / (1 << (self.bits - 1)))]

    def constant(self, name, value):
        """A small tensor in the model's type if it holds floats."""
        value = numpy.asarray(value)
        if value.dtype.kind == "f":
            tensor = helper.make_tensor(name, self.type, value.shape, value.astype(numpy.float32).ravel())
        else:
            tensor = helper.make_tensor(name, TensorProto.INT64, value.shape, value.ravel())
        self.initializers.append(tensor)
        return name

    def linear(self, x, name, rows, columns):
        return self.node("MatMul", [x, self.weight(name, (rows, columns), rows ** -0.5)])

    def experts(self, x, name, layer):
        """Router and experts; `x` is T x H."""
        logits = self.linear(x, f"{name}.router", layer.hidden, layer.experts)
        make = self.quantized if self.bits else lambda *arguments: [self.weight(*arguments)]
        up = make(f"{name}.fc1", (layer.experts, 2 * layer.inner, layer.hidden), 1.7 * layer.hidden ** -0.5)
        down = make(f"{name}.fc2", (layer.experts, layer.hidden, layer.inner), 1.7 * layer.inner ** -0.5)
        biases = ["", ""]
        if layer.bias:
            biases = [self.weight(f"{name}.fc1_bias", (layer.experts, 2 * layer.inner), 0.1),
                      self.weight(f"{name}.fc2_bias", (layer.experts, layer.hidden), 0.1)]
        attributes = {"activation_alpha": 1.0, "activation_beta": 0.0}
        if layer.limit:
            attributes = {"activation_alpha": 1.702, "activation_beta": 1.0, "swiglu_limit": layer.limit}
        if self.bits:
            attributes |= {"expert_weight_bits": self.bits, "block_size": self.block}
        if self.bits == 4:
            attributes["accuracy_level"] = 4
        y = self.node("QMoE" if self.bits else "MoE", [x, logits, *up, biases[0], *down, biases[1]],
                      domain="com.microsoft", k=layer.slots,
                      normalize_routing_weights=int(layer.normalize), activation_type="swiglu", swiglu_fusion=1,
                      **attributes)
        if layer.shared:
            gate = self.linear(x, f"{name}.shared.gate", layer.hidden, layer.shared)
            gate = self.node("Mul", [gate, self.node("Sigmoid", [gate])])
            hidden = self.node("Mul", [gate, self.linear(x, f"{name}.shared.up", layer.hidden, layer.shared)])
            y = self.node("Add", [y, self.linear(hidden, f"{name}.shared.down", layer.shared, layer.hidden)])
        return y

    def save(self):
        self.data.close()
        graph = helper.make_graph(self.nodes, "graph", self.inputs, self.outputs, self.initializers)
        opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), self.folder / "model.onnx")


def make_layer(model, layer):
    model.inputs = [helper.make_tensor_value_info("x", model.type, ["tokens", layer.hidden])]
    model.outputs = [helper.make_tensor_value_info("y", model.type, ["tokens", layer.hidden])]
    y = model.experts("x", "layer", layer)
    model.node("Identity", [y], ["y"])


def make_decoder(model, layer, layers=4, heads=8, groups=2, head=128, vocabulary=32000, positions=4096,
                 all_logits=False):
    def info(name, element, dims):
        return helper.make_tensor_value_info(name, element, dims)

    def normalize(x, name, size):
        return model.node("SimplifiedLayerNormalization", [x, model.constant(name, numpy.ones(size, numpy.float32))],
                          axis=-1, epsilon=1e-6, stash_type=1)

    def normalize_heads(x, name, count):
        split = model.node("Reshape", [x, model.constant(f"{name}.split", [0, 0, count, head])])
        return model.node("Reshape", [normalize(split, name, head),
                                      model.constant(f"{name}.join", [0, 0, count * head])])

    model.inputs = [info("input_ids", TensorProto.INT64, ["batch_size", "sequence_length"]),
                    info("attention_mask", TensorProto.INT64, ["batch_size", "total_sequence_length"])]
    cached = ["batch_size", groups, "past_sequence_length", head]
    mask_sum = model.node("ReduceSum", ["attention_mask", model.constant("one_axis", [1])], keepdims=0)
    lengths = model.node("Cast", [model.node("Sub", [mask_sum, model.constant("one", [1])])], to=TensorProto.INT32)
    total = model.node("Cast", [model.node("Gather", [model.node("Shape", ["attention_mask"]),
                                                      model.constant("index_one", 1)], axis=0)], to=TensorProto.INT32)
    angles = numpy.outer(numpy.arange(positions), 1e6 ** (-numpy.arange(0, head, 2) / head))
    cosines, sines = (model.constant(name, table.astype(numpy.float32))
                      for name, table in (("cosines", numpy.cos(angles)), ("sines", numpy.sin(angles))))
    x = model.node("Gather", [model.weight("embedding", (vocabulary, layer.hidden), 1.0), "input_ids"])
    pending = None  # what the next normalisation adds to x
    for i in range(layers):
        name = f"layers.{i}"

        def skip(norm):
            weight = model.constant(norm, numpy.ones(layer.hidden, numpy.float32))
            if pending is None:
                return normalize(x, norm + "_first", layer.hidden), x
            outputs = [norm + ".normal", "", "", norm + ".sum"]
            model.node("SkipSimplifiedLayerNormalization", [x, pending, weight], outputs, domain="com.microsoft",
                       epsilon=1e-6)
            return outputs[0], outputs[3]

        normal, x = skip(f"{name}.input_norm")
        query = normalize_heads(model.linear(normal, f"{name}.q", layer.hidden, heads * head), f"{name}.q_norm", heads)
        key = normalize_heads(model.linear(normal, f"{name}.k", layer.hidden, groups * head), f"{name}.k_norm", groups)
        value = model.linear(normal, f"{name}.v", layer.hidden, groups * head)
        past = [f"past_key_values.{i}.{part}" for part in ("key", "value")]
        present = [f"present.{i}.{part}" for part in ("key", "value")]
        attended = model.node("GroupQueryAttention",
                              [query, key, value, *past, lengths, total, cosines, sines],
                              [f"{name}.attended", *present], domain="com.microsoft", num_heads=heads,
                              kv_num_heads=groups, scale=head ** -0.5, do_rotary=1)
        model.inputs += [info(p, model.type, cached) for p in past]
        model.outputs += [info(p, model.type, [*cached[:2], "total_sequence_length", head]) for p in present]
        pending = model.linear(attended, f"{name}.o", heads * head, layer.hidden)
        normal, x = skip(f"{name}.expert_norm")
        rows = model.node("Reshape", [normal, model.constant(f"{name}.rows", [-1, layer.hidden])])
        experts = model.experts(rows, name, layer)
        pending = model.node("Reshape", [experts, model.node("Shape", [x])])
    x = model.node("Add", [x, pending])
    if not all_logits:
        x = model.node("Slice", [x, model.constant("last", [-1]), model.constant("end", [2 ** 31 - 1]),
                                 model.constant("axis", [1])])
    logits = model.linear(normalize(x, "final_norm", layer.hidden), "lm_head", layer.hidden, vocabulary)
    model.node("Identity", [logits], ["logits"])
    length = "sequence_length" if all_logits else 1
    model.outputs.insert(0, info("logits", model.type, ["batch_size", length, vocabulary]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=[*LAYERS, "decoder"])
    parser.add_argument("folder")
    parser.add_argument("--type", choices=TYPES, default="f32")
    parser.add_argument("--bits", type=int, default=0, choices=[4, 8], help="quantized experts (not of every layer's form)")
    parser.add_argument("--block", type=int, default=128, help="numbers that share a scale")
    parser.add_argument("--experts", type=int, help="fewer experts than the model has, to save memory")
    parser.add_argument("--all-logits", action="store_true", help="logits of all tokens, not of the last one only")
    arguments = parser.parse_args()
    model = Model(arguments.folder, arguments.type, arguments.bits, arguments.block)
    layer = LAYERS.get(arguments.model, DECODER)
    if arguments.experts:
        layer.experts = arguments.experts
    if arguments.model == "decoder":
        make_decoder(model, layer, all_logits=arguments.all_logits)
    else:
        make_layer(model, layer)
    model.save()


if __name__ == "__main__":
    main()
