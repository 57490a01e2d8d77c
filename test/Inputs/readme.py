"""Runs the commands of README.md on the language model and looks for its IR in what the compiler prints.

    readme.py README.md BUILD MODEL FOLDER

FOLDER becomes the working directory: MODEL is there as model.onnx, with its test data, and BUILD as build.
"""

import pathlib
import re
import shutil
import subprocess
import sys

readme, build, model, folder = map(pathlib.Path, sys.argv[1:])
text = readme.read_text()


def run(command):
    print("$", command, flush=True)
    result = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, timeout=300)
    if result.returncode:
        sys.exit(f"exit status {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def statement_pattern(statement):
    """The statement with other names for its values, other attributes and names of dynamic extents."""
    words = re.split(r"\s+", statement.strip())
    pattern = r"\s+".join(re.escape(word) for word in words)
    return re.sub(r"%\w+", r"%[\\w#]+", pattern.replace(r"\%", "%"))


def check_ir(block):
    command = re.match(r"// moec (.*)\n", block).group(1)
    printed = run(f"build/bin/moec {command}")
    printed = re.sub(r"(tensor<[^<>]*?), #onnx\.dims<[^<>]*>>", r"\1>", printed)
    statements = re.split(r"\n(?=\S)", block[block.index("\n") + 1:].strip())
    for statement in statements:
        if not re.search(statement_pattern(statement), printed):
            sys.exit(f"README.md shows what the compiler does not print:\n{statement}")


def main():
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(model.parent, folder, ignore=shutil.ignore_patterns("*.py", "*.md", "__pycache__"))
    (folder / "build").symlink_to(build)
    for block in re.findall(r"^```mlir\n(.*?)^```", text, re.M | re.S):
        check_ir(block)
    for block in re.findall(r"^```sh\n(.*?)^```", text[text.index("## Use"):], re.M | re.S):
        for command in block.replace("\\\n", " ").strip().split("\n"):
            # `moec run` has the inputs of another model; test/examples runs it on this one.
            if " run " not in command:
                run(command)


main()
