"""make_traces.py FOLDER: routing traces of Inputs/plan/model.json, good and bad ones."""

import sys

import numpy as np

folder = sys.argv[1]
random = np.random.default_rng(0)


def choose(experts, slots=2, tokens=512):
    return np.array([random.choice(experts, slots, replace=False) for _ in range(tokens)], np.int32)


ids = choose(16)
np.savez(f"{folder}/good.npz", **{"ids_0": ids, "weights_0": np.ones(ids.shape, np.float32),
                                  "ids_1": choose(16).astype(np.int64)})
np.savez_compressed(f"{folder}/compressed.npz", **{"ids_0": ids, "ids_1": ids})
np.savez(f"{folder}/one.npz", **{"ids_0": ids})
np.savez(f"{folder}/gap.npz", **{"ids_0": ids, "ids_2": ids})
np.savez(f"{folder}/float.npz", **{"ids_0": ids.astype(np.float32), "ids_1": ids})
np.savez(f"{folder}/high.npz", **{"ids_0": ids, "ids_1": ids + 1})
np.savez(f"{folder}/flat.npz", **{"ids_0": ids.reshape(-1), "ids_1": ids})
np.save(f"{folder}/array.npy", ids)
with open(f"{folder}/good.npz", "rb") as file:
    contents = file.read()
with open(f"{folder}/short.npz", "wb") as file:
    file.write(contents[: len(contents) // 2])
