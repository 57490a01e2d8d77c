"""Serves a tokenizer.json to moec: one request and one answer a line, both JSON, over standard input and output.

    {"encode": TEXT}  -> {"ids": [...]}        also begins a new text
    {"step": ID}      -> {"text": TEXT}        what the next token adds to the text; "" if it completes no character
    {"find": TOKEN}   -> {"id": ID or null}

The first line says {"vocabulary": N}, or {"error": MESSAGE}.
"""

import json
import sys


def answers(path):
    try:
        from tokenizers import Tokenizer
        from tokenizers.decoders import DecodeStream
    except ImportError as error:
        yield {"error": f"{sys.executable} has no package 'tokenizers' ({error}): install it there with "
                        "'pip install tokenizers', or name another interpreter with --python"}
        return
    try:
        tokenizer = Tokenizer.from_file(path)
    except Exception as error:
        yield {"error": f"cannot read '{path}': {error}"}
        return
    yield {"vocabulary": tokenizer.get_vocab_size()}

    stream = DecodeStream(skip_special_tokens=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "encode" in request:
            ids = tokenizer.encode(request["encode"]).ids
            # What comes next depends on what was before, such as a space.
            stream = DecodeStream(skip_special_tokens=True)
            for token in ids:
                stream.step(tokenizer, token)
            yield {"ids": ids}
        elif "step" in request:
            yield {"text": stream.step(tokenizer, request["step"]) or ""}
        else:
            yield {"id": tokenizer.token_to_id(request["find"])}


def main():
    # The answers alone go to standard output, whatever a library prints.
    out, sys.stdout = sys.stdout, sys.stderr
    for answer in answers(sys.argv[1]):
        print(json.dumps(answer), file=out, flush=True)


main()
