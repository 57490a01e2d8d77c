"""Exports the cases of the family files whose names match a pattern.

    python make.py [PATTERN] [--out FOLDER] [--list]

Needs the packages of requirements.txt; nothing else in the repository does. FOLDER is by default `../Inputs/families`.
"""

import argparse
import fnmatch
import importlib
import pathlib
import traceback

from case import CASES, export

FILES = ("mixtures", "capacity", "choices", "decoders", "modalities", "adapters", "latent", "unnamed", "transformers_families")


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pattern", nargs="?", default="*")
    parser.add_argument("--out", type=pathlib.Path, default=here.parent / "Inputs" / "families")
    parser.add_argument("--list", action="store_true", help="print the names only")
    options = parser.parse_args()
    for file in FILES:
        importlib.import_module(file)
    failed = []
    for name, case in CASES.items():
        if not fnmatch.fnmatch(name, options.pattern):
            continue
        if options.list:
            print(f"{name:28} {case.family:24} {case.form:12} {case.routing}")
            continue
        try:
            export(case, options.out / name)
        except (Exception, SystemExit) as error:
            failed.append(name)
            traceback.print_exc()
            print(f"{name}: failed: {error}", flush=True)
            continue
        size = sum(path.stat().st_size for path in (options.out / name).rglob("*") if path.is_file())
        print(f"{name}: {size / 1000:.0f} kB", flush=True)
    if failed:
        raise SystemExit(f"not exported: {', '.join(failed)}")


if __name__ == "__main__":
    main()
