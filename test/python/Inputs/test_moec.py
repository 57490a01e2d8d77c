"""Tests of the Python package: test_moec.py SOURCE FOLDER, with the models of make_models.py in FOLDER."""

import pathlib
import sys
import unittest
import weakref

import numpy
import onnx
from onnx import numpy_helper

import moec

SOURCE, FOLDER = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])


def compiled(name, path=None):
    """The program of a model, compiled once."""
    artifact = FOLDER / f"{name}.moe"
    if not artifact.exists():
        moec.compile(path or FOLDER / name / "model.onnx", artifact, cpu=["native"])
    return moec.load(artifact)


class Producer:
    """Numbers that can be had through DLPack only."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__()

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


class RunTest(unittest.TestCase):
    def setUp(self):
        self.program = compiled("linear")
        self.x, self.y = (numpy.load(FOLDER / f"linear/{name}.npy") for name in "xy")

    def check(self, outputs):
        self.assertEqual(list(outputs), ["y"])
        # Sums of 40 products in f32.
        numpy.testing.assert_allclose(outputs["y"], self.y, rtol=1e-5, atol=1e-5)

    def test_signature(self):
        x, = self.program.inputs
        self.assertEqual((x.name, x.dtype, x.shape), ("x", "f32", ("batch", 40)))
        self.assertEqual(self.program.outputs[0].shape, ("batch", 50))
        self.assertEqual(self.program.manifest["host_interface"], 4)
        self.assertIn(self.program.isa, ("x86-64-v3", "x86-64-v4", "avx512bf16", "amx"))

    def test_kinds_of_inputs(self):
        for value in (self.x, numpy.asfortranarray(self.x), self.x.tolist(), Producer(self.x), self.x[::-1][::-1]):
            self.check(self.program.run({"x": value}))

    def test_dlpack_output(self):
        y = self.program.run({"x": self.x})["y"]
        self.check({"y": numpy.from_dlpack(Producer(y))})

    def test_views(self):
        session = self.program.session(threads=1)
        view = session.run({"x": self.x}, copy=False)["y"]
        self.check({"y": view})
        self.assertFalse(view.flags.writeable)
        self.check({"y": session.output("y")})
        # The view keeps the memory.
        del session
        self.check({"y": view})

    def test_no_rows(self):
        self.assertEqual(self.program.run({"x": self.x[:0]})["y"].shape, (0, 50))

    def test_errors(self):
        for inputs, message in (({}, "input 'x' is missing, expected f32[batch x 40]"),
                                ({"x": self.x.astype(numpy.float64)}, "input 'x': expected f32[batch x 40], got f64[3 x 40]"),
                                ({"z": self.x}, "unknown input 'z', expected: 'x'"),
                                ({"x": self.x[:, 1:]}, "input 'x': expected f32[batch x 40], got f32[3 x 39]")):
            with self.assertRaises(moec.Error) as caught:
                self.program.run(inputs)
            self.assertEqual(str(caught.exception), message)
            self.assertEqual(caught.exception.code, 5)
        with self.assertRaisesRegex(moec.Error, "cannot open"):
            moec.load(FOLDER / "missing.moe")
        with self.assertRaisesRegex(moec.Error, "unknown output 'z', expected: 'y'"):
            self.program.session().output("z")
        with self.assertRaisesRegex(moec.Error, "moec: error: .*missing.onnx"):
            moec.compile(FOLDER / "missing.onnx", FOLDER / "missing.moe")
        self.assertFalse((FOLDER / "missing.moe").exists())

    def test_lifetime(self):
        program = moec.load(FOLDER / "linear.moe")
        program.run({"x": self.x})
        alive = weakref.ref(program)
        del program
        self.assertIsNone(alive())

    def test_no_allocation_after_warm_up(self):
        session = self.program.session()
        for _ in range(2):
            session.run({"x": self.x})
        before = session.statistics().system_allocations
        self.assertGreater(before, 0)
        for _ in range(5):
            session.run({"x": self.x})
        self.assertEqual(session.statistics().system_allocations, before)


class DecoderTest(unittest.TestCase):
    """A decoder of two layers with a cache, exported by transformers."""

    def setUp(self):
        self.folder = SOURCE / "test/e2e/Inputs/mixtral-kv"
        self.program = compiled("mixtral-kv", self.folder / "model.onnx")

    def step(self, session, tokens, past, states):
        ids = numpy.array([tokens], numpy.int64)
        positions = numpy.arange(past, past + len(tokens), dtype=numpy.int64)[None]
        return session.run({"input_ids": ids, "position_ids": positions, **states})

    def test_states_in_place(self):
        """States that the session keeps have the bits of those that go through the caller, and are not copied."""
        given, kept = self.program.session(threads=1), self.program.session(threads=1)
        names = self.program.states
        self.assertEqual(len(names), 4)
        states = empty = {name: numpy.zeros((1, 2, 0, 16), numpy.float32) for name in names}
        steps = [[3, 1, 4, 1, 5]] + [[i] for i in range(40)]
        past, copies = 0, 0
        for number, tokens in enumerate(steps):
            expected = self.step(given, tokens, past, states)
            states = {name: expected[output] for name, output in names.items()}
            before = kept.statistics().state_bytes_copied
            got = self.step(kept, tokens, past, {} if number else empty)
            copies += kept.statistics().state_bytes_copied != before
            self.assertEqual(got["logits"].tobytes(), expected["logits"].tobytes())
            if number:
                self.assertEqual(list(got), ["logits"])
            past += len(tokens)
        for name, output in names.items():
            self.assertEqual(kept.output(output).tobytes(), expected[output].tobytes())
        # From 5 entries to 45 the room doubles four times: 10, 20, 40, 80.
        self.assertEqual(copies, 4)
        rows, row_bytes = 4 * 2, 16 * 4
        self.assertEqual(kept.statistics().state_bytes_copied, (5 + 10 + 20 + 40) * rows * row_bytes)
        self.assertEqual(given.statistics().state_bytes_copied, sum(range(5, 45)) * rows * row_bytes)

    def test_generate(self):
        """Generation with states in place gives the tokens of whole sequences."""
        tokens = list(self.program.generate([7, 2, 9], max_new_tokens=6))
        session = self.program.session()
        empty = {name: numpy.zeros((1, 2, 0, 16), numpy.float32) for name in self.program.states}
        sequence = [7, 2, 9]
        for token in tokens:
            logits = self.step(session, sequence, 0, empty)["logits"]
            self.assertEqual(int(logits[0, -1].argmax()), token)
            sequence.append(token)
        self.assertEqual(list(self.program.generate([7, 2, 9], 6, stop=tokens[3:4])), tokens[:tokens.index(tokens[3])])

    def test_chance(self):
        def draw(seed):
            return list(self.program.generate([1], 12, temperature=5.0, top_k=50, top_p=0.9, seed=seed))
        self.assertEqual(draw(1), draw(1))
        self.assertNotEqual(draw(1), draw(2))

    def test_routing_and_profile(self):
        session = self.program.session()
        session.record_routing()
        session.profile()
        empty = {name: numpy.zeros((1, 2, 0, 16), numpy.float32) for name in self.program.states}
        self.step(session, [1, 2, 3], 0, empty)
        self.step(session, [4], 3, {})
        layers = session.routing()
        self.assertEqual(len(layers), 2)
        for layer in layers:
            self.assertEqual(layer.ids.shape, (4, 2))
            self.assertEqual(layer.call_tokens, (3, 1))
            self.assertTrue(((layer.ids >= 0) & (layer.ids < layer.experts)).all())
            # Two weights in f32 that were divided by their sum.
            numpy.testing.assert_allclose(layer.weights.sum(1), 1, atol=2e-6)
        spans = session.spans()
        self.assertEqual([span.kind for span in spans].count("run"), 2)
        self.assertTrue(all(span.begin <= span.end for span in spans))


class OtherDecodersTest(unittest.TestCase):
    def test_without_cache(self):
        self.assertEqual(bytes(compiled("successor").generate(list(b"xabc"), 5)), b"defgh")

    def test_one_token_at_a_time(self):
        self.assertEqual(list(compiled("stepper").generate([1, 1, 1], 4)), [4, 8, 13, 19])

    def test_fixed_length(self):
        self.assertEqual(list(compiled("fixed").generate([3, 5], 4)), [6, 7, 8, 9])

    def test_other_models(self):
        with self.assertRaisesRegex(moec.Error, "expected a decoder model with an input 'input_ids'"):
            list(compiled("linear").generate([1]))


class TypesTest(unittest.TestCase):
    def test_bf16(self):
        """bf16 goes in as bits or through DLPack and comes out as ml_dtypes' type or as bits."""
        helper = onnx.helper
        kind = onnx.TensorProto.BFLOAT16
        graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "graph",
                                  [helper.make_tensor_value_info("x", kind, [4])],
                                  [helper.make_tensor_value_info("y", kind, [4])])
        (FOLDER / "bf16").mkdir(exist_ok=True)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10),
                  FOLDER / "bf16/model.onnx")
        program = compiled("bf16")
        bits = numpy.array([0x3F80, 0xC000, 0x7FC0, 1], numpy.uint16)
        y = program.run({"x": bits})["y"]
        self.assertEqual(y.view(numpy.uint16).tolist(), bits.tolist())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
