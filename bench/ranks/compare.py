"""Compares the time of steps on ranks that are threads with what `moec plan` predicts for them.

    python compare.py MODEL FOLDER [--ranks 2] [--tokens 1,16,64,256]

MODEL is an ONNX file of bench/layers; artifacts and plans are written to FOLDER. The machine file has what is measured
beside: the FMA peak and the read bandwidth of a thread while all ranks run, and the time of copies between buffers, which
is what a message between threads is. Tokens are those of one rank. Ranks should have a processor each.
"""

import argparse
import json
import pathlib
import subprocess
import time

import numpy

MOEC = pathlib.Path(__file__).resolve().parents[2] / "build" / "bin" / "moec"


def call(*arguments):
    return subprocess.run([MOEC, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def measure_copies():
    """Bytes per second of copies that are larger than caches."""
    source, target = numpy.zeros(1 << 26, numpy.uint8), numpy.empty(1 << 26, numpy.uint8)
    times = []
    for _ in range(8):
        start = time.perf_counter()
        numpy.copyto(target, source)
        times.append(time.perf_counter() - start)
    return source.size / sorted(times)[len(times) // 2]


def write_machine(path, ranks, limits):
    # Ranks share the memory of the machine.
    copies = measure_copies() / ranks
    machine = {
        "name": "threads", "ranks": ranks,
        "rank": {"memory_gb": 16, "gflops": limits["gflops"], "memory_gb_per_s": limits["gbps"] / ranks},
        "links": {"within_node": {"latency_us": 5, "gb_per_s": copies * 1e-9}},
    }
    path.write_text(json.dumps(machine, indent=2))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--tokens", default="1,16,64,256")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    ranks, tokens = arguments.ranks, [int(count) for count in arguments.tokens.split(",")]

    artifact, single = arguments.folder / "ranks.moe", arguments.folder / "single.moe"
    call("compile", arguments.model, "--cpu", "native", "-q", "-o", single)
    call("compile", arguments.model, "--ranks", ranks, "--own-tokens", "--cpu", "native", "-q", "-o", artifact)
    # One thread has the peak of its processor, all threads share the memory.
    limits = {
        "gflops": json.loads(call("bench", single, "--tokens", 1, "--threads", 1, "--json"))["limits"]["gflops"],
        "gbps": json.loads(call("bench", single, "--tokens", 1, "--threads", ranks, "--json"))["limits"]["gbps"],
    }
    machine = arguments.folder / "machine.json"
    write_machine(machine, ranks, limits)
    measured = json.loads(call("bench", artifact, "--tokens", arguments.tokens, "--threads", 1, "--json"))["results"]
    print("tokens of a rank  measured ms  predicted ms  predicted / measured")
    for count, row in zip(tokens, measured):
        plan = json.loads(call("plan", arguments.model, "--machine", machine, "--dense", "replicated", "--tokens",
                               count * ranks, "--trace-tokens", 64 * count * ranks, "--json"))
        predicted = plan["predicted"]["step_seconds"] * 1e3
        print(f"{count:16d} {row['median_ms']:12.3f} {predicted:13.3f} {predicted / row['median_ms']:21.2f}")


if __name__ == "__main__":
    main()
