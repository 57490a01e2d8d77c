"""Trains the language model on text that every Debian machine has and writes its weights.

    python train.py WEIGHTS.pt [--steps N]

The text is the licences of /usr/share/common-licenses and the documentation strings of Python's standard library; a
training sequence comes from either with equal chance. About 20 minutes on one core.
"""

import argparse
import ast
import math
import pathlib
import sysconfig
import time

import torch

from model import Model


def licence_text() -> bytes:
    paths = sorted(path for path in pathlib.Path("/usr/share/common-licenses").iterdir() if not path.is_symlink())
    return b"\n\n".join(path.read_bytes() for path in paths)


def documentation_text() -> bytes:
    texts = []
    for path in sorted(pathlib.Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if {"site-packages", "dist-packages", "test", "tests", "lib2to3", "idlelib"} & set(path.parts):
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                text = ast.get_docstring(node)
                if text and len(text) > 80:
                    texts.append(text)
    return "\n\n".join(texts).encode()


def sample(texts, batch: int, length: int, generator):
    rows = []
    for _ in range(batch):
        text = texts[torch.randint(len(texts), (1,), generator=generator).item()]
        start = torch.randint(len(text) - length, (1,), generator=generator).item()
        rows.append(text[start : start + length + 1])
    return torch.stack(rows).long()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights")
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()

    torch.manual_seed(1)
    torch.set_num_threads(options.threads)
    texts = [torch.frombuffer(bytearray(text), dtype=torch.uint8) for text in (licence_text(), documentation_text())]
    print("bytes of text:", *(len(text) for text in texts))
    model = Model()
    print("parameters:", sum(parameter.numel() for parameter in model.parameters()))

    generator = torch.Generator().manual_seed(1)
    peak, warm_up = 3e-3, 60
    optimiser = torch.optim.AdamW(model.parameters(), lr=peak, betas=(0.9, 0.95), weight_decay=0.05)
    started, mean = time.time(), None
    for step in range(options.steps):
        progress = max(0.0, (step - warm_up) / max(1, options.steps - warm_up))
        rate = peak * min(1.0, (step + 1) / warm_up) * (0.05 + 0.95 * (0.5 + 0.5 * math.cos(math.pi * progress)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss, balance = model.training_loss(sample(texts, options.batch, model.config.context, generator))
        optimiser.zero_grad()
        (loss + 0.01 * balance).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        mean = loss.item() if mean is None else 0.98 * mean + 0.02 * loss.item()
        if step % 25 == 0 or step + 1 == options.steps:
            print(f"step {step} loss {mean:.3f} balance {balance.item():.2f} {time.time() - started:.0f} s", flush=True)
        if step % 200 == 199 or step + 1 == options.steps:
            torch.save(model.state_dict(), options.weights)


if __name__ == "__main__":
    main()
