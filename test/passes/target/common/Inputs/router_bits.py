"""Runs routers on every row that can be made of one number of each class of bits.

Usage: router_bits.py MOEC FOLDER [ASAN]

For E up to 4 and 16 classes these are at most 65,536 rows. Whatever the bits: ids are distinct and in range, the order by
expert is right, a number is preferred to NaN, and a row gives the same bits wherever it stands and whatever its neighbours.
"""

import itertools

import numpy as np

from router import ASAN, check, check_choice, check_permutation, compile_router, run_router

# Signalling and quiet NaN, infinity, zero, the least and the greatest denormal, numbers, the greatest number; both signs.
CLASSES = {
    "f32": (np.uint32, [0x7FA00000, 0xFFA00000, 0x7FC00000, 0xFFC00000, 0x7F800000, 0xFF800000, 0, 0x80000000, 1, 0x80000001,
                        0x007FFFFF, 0x3F800000, 0x3FC00000, 0xBF800000, 0x7F7FFFFF, 0xFF7FFFFF]),
    "f16": (np.uint16, [0x7D00, 0xFD00, 0x7E00, 0xFE00, 0x7C00, 0xFC00, 0, 0x8000, 1, 0x8001, 0x03FF, 0x3C00, 0x3E00, 0xBC00,
                        0x7BFF, 0xFBFF]),
}
GROUPS = "groups = #moe.groups<count = 2, keep = 1, score = {}, mask = {}>"
# Attributes, and whether an expert with a NaN is chosen only when no other is left.
ROUTERS = {
    "softmax": ("{}", False),
    "softmax_sum": ("{normalize = #moe.normalize<sum>}", False),
    "late_softmax": ("{order = #moe.order<select_then_score>}", True),
    "late_sigmoid": ("{score = #moe.score<sigmoid>, order = #moe.order<select_then_score>}", True),
    "sigmoid": ("{score = #moe.score<sigmoid>, normalize = #moe.normalize<sum>, scale = 2.5 : f64}", True),
    "sigmoid_bias": ("{score = #moe.score<sigmoid>, normalize = #moe.normalize<clamped_sum>, normalize_epsilon = 1.0e-6 : f64}",
                     True),
    "sqrt_softplus": ("{score = #moe.score<sqrt_softplus>, normalize = #moe.normalize<norm2>}", True),
    "softcap": ("{score = #moe.score<sigmoid>, softcap = 30.0 : f64}", True),
    "sparse_mixer": ("{score = #moe.score<sparse_mixer>}", True),
    "best_groups": ("{score = #moe.score<softmax>, " + GROUPS.format("max", "zero") + "}", False),
    "sum_groups": ("{score = #moe.score<sigmoid>, " + GROUPS.format("top2_sum", "negative_infinity") + "}", False),
    "capacity": ("{normalize = #moe.normalize<sum>, capacity = #moe.capacity<places = 3, group = 16, order = slot_then_token>}", False),
}
SHAPES = ((1, 1), (2, 1), (3, 2), (4, 2), (4, 4))


def all_rows(experts, element):
    unsigned, bits = CLASSES[element]
    return np.array(list(itertools.product(bits, repeat=experts)), dtype=unsigned)


def as_floats(bits, element):
    return bits.view(np.float32 if element == "f32" else np.float16)


def check_router(name, experts, k, element):
    attributes, avoids_nan = ROUTERS[name]
    bias = [0.25, -0.5, 0.0, 0.125][:experts] if name == "sigmoid_bias" else None
    label = f"{name}-{experts}-{k}-{element}"
    compile_router(label, experts, k, attributes, bias, element=element)
    bits = all_rows(experts, element)
    ids, weights, rows, offsets = run_router(label, as_floats(bits, element))
    check_choice(label, ids, experts)
    check_permutation(label, ids, rows, offsets, experts)
    if avoids_nan:
        is_nan = np.isnan(as_floats(bits, element))
        chosen = np.take_along_axis(is_nan, ids, -1).sum(-1)
        check(chosen == np.maximum(0, k - (~is_nan).sum(-1)), label, "NaN is preferred to a number")
    if name.startswith("late"):
        # The order of the logits themselves, with ties (zeros of both signs) to the lower id.
        values = as_floats(bits, element).astype(np.float64)
        key = np.where(np.isnan(values), np.inf, -values)
        order = np.lexsort((np.broadcast_to(np.arange(experts), key.shape), key, np.isnan(values)))[:, :k]
        check(ids == order, label, "not the largest logits")
    if name == "capacity":
        return
    shuffle = np.random.default_rng(1).permutation(len(bits))
    again_ids, again_weights, _, _ = run_router(label, as_floats(bits[shuffle], element))
    check(again_ids == ids[shuffle], label, "the choice depends on other rows")
    check(again_weights.view(np.uint32) == weights[shuffle].view(np.uint32), label, "weights depend on other rows")


def main():
    # One shape for each router when accesses are checked: every expert chosen where groups permit it.
    shapes = [(4, 2), (4, 4)] if ASAN else SHAPES
    # Signalling NaN make numpy warn when they are converted.
    np.seterr(invalid="ignore")
    for name in ROUTERS:
        for experts, k in shapes:
            # Groups take at least two experts each.
            if "groups" in name and (experts < 4 or k > 2):
                continue
            check_router(name, experts, k, "f32")
        if "groups" not in name:
            check_router(name, 3, 2, "f16")
        print(f"{name}: ok")


main()
