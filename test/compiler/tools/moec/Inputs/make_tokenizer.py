"""Writes a tokenizer.json of a few tokens, among them the two bytes of a character: python make_tokenizer.py FILE."""

import json
import sys

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

# The bytes of an e with an acute accent as a byte-level tokenizer writes them, and a word with a space before it.
tokens = ["A", "\u00c3", "\u00a9", "\u0120", "y", "o", "u"]
tokenizer = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=[]))
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
tokenizer.add_special_tokens([AddedToken("end", special=True)])
tokenizer.save(sys.argv[1])
