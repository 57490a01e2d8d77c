"""Compiles routers with the reference lowering, runs them on hostile logits and compares with formulas in numpy.

Usage: routers.py MOEC FOLDER [ASAN]

Every router sees ordinary rows, ties, rows of one value, infinities, NaN and denormal numbers. Whatever the bits, ids must
be distinct, in range and, for ordinary rows, those of the formula; weights of ordinary rows agree within 1e-5 (a handful of
f32 operations on values up to 1); rows with hostile bits must not change the others.
"""

import numpy as np

from router import check, check_choice, check_permutation, compile_router, run_router

EXPERTS, TOKENS = 8, 64
BIAS = np.linspace(-0.3, 0.3, EXPERTS, dtype=np.float32)[[3, 0, 6, 1, 7, 2, 5, 4]].copy()


def softmax(z):
    power = np.exp(z - z.max(-1, keepdims=True))
    return power / power.sum(-1, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def choose(choice, k):
    """The k largest entries, ties to the lower id."""
    return np.argsort(-choice, axis=-1, kind="stable")[:, :k]


def take(values, ids):
    return np.take_along_axis(values, ids, -1)


def softmax_sum(z):
    scores = softmax(z)
    ids = choose(scores, 2)
    weights = take(scores, ids)
    return ids, weights / weights.sum(-1, keepdims=True)


def late_softmax(z):
    ids = choose(z, 3)
    return ids, softmax(take(z, ids))


def grouped(z):
    scores = sigmoid(z)
    choice = scores + BIAS
    groups = choice.reshape(-1, 4, 2).sum(-1)
    kept = np.zeros_like(groups, dtype=bool)
    np.put_along_axis(kept, choose(groups, 2), True, -1)
    ids = choose(np.where(kept.repeat(2, -1), choice, -np.inf), 3)
    weights = take(scores, ids)
    return ids, weights / (weights.sum(-1, keepdims=True) + 1e-20) * 2.5


def sqrt_softplus(z):
    scores = np.sqrt(np.log1p(np.exp(-np.abs(z))) + np.maximum(z, 0))
    ids = choose(scores, 2)
    weights = take(scores, ids)
    return ids, weights / np.maximum(weights.sum(-1, keepdims=True), 1e-6)


def sparse_mixer(z):
    ids, weights = choose(z, 2), []
    for row, chosen in zip(z, ids):
        taken = np.zeros(EXPERTS, dtype=bool)
        for i in chosen:
            near = (row[i] - row) / np.maximum(np.abs(row), row[i]) <= 0.02
            weights.append(1 / np.exp(row - row[i])[near & ~taken].sum())
            taken[i] = True
    return ids, np.array(weights).reshape(-1, 2)


ROUTERS = {
    "softmax_sum": (2, "{normalize = #moe.normalize<sum>}", softmax_sum),
    "late_softmax": (3, "{order = #moe.order<select_then_score>}", late_softmax),
    "grouped": (3, "{score = #moe.score<sigmoid>, normalize = #moe.normalize<sum>, normalize_epsilon = 1.0e-20 : f64, "
                   "scale = 2.5 : f64, groups = #moe.groups<count = 4, keep = 2, score = top2_sum, "
                   "mask = negative_infinity>}", grouped),
    "sqrt_softplus": (2, "{score = #moe.score<sqrt_softplus>, normalize = #moe.normalize<clamped_sum>, "
                         "normalize_epsilon = 1.0e-6 : f64}", sqrt_softplus),
    "sparse_mixer": (2, "{score = #moe.score<sparse_mixer>}", sparse_mixer),
}


def main():
    generator = np.random.default_rng(7)
    ordinary = generator.uniform(-3, 3, (TOKENS, EXPERTS)).astype(np.float32)
    ties = np.array([[1, 1, 1, 1, 1, 1, 1, 1], [2, 1, 2, 1, 2, 1, 2, 1]], dtype=np.float32)
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, -1e-40, 3e38], dtype=np.float32)
    hostile = generator.choice(special, (512, EXPERTS)).astype(np.float32)
    hostile[0], hostile[1], hostile[2] = np.nan, np.inf, -np.inf
    for name, (k, attributes, formula) in ROUTERS.items():
        compile_router(name, EXPERTS, k, attributes, BIAS if name == "grouped" else None)
        ids, weights, rows, offsets = run_router(name, ordinary)
        expected_ids, expected_weights = formula(ordinary.astype(np.float64))
        check(ids == expected_ids, name, "other experts than the formula chooses")
        check(np.abs(weights - expected_weights) <= 1e-5, name, "other weights than the formula's")
        check_permutation(name, ids, rows, offsets, EXPERTS)
        if name != "grouped":
            check(run_router(name, ties)[0] == formula(ties.astype(np.float64))[0], name, "ties go to another expert")
        mixed_ids, mixed_weights, rows, offsets = run_router(name, np.concatenate([hostile, ordinary]))
        check_choice(name, mixed_ids, EXPERTS)
        check(mixed_ids[512:] == ids, name, "hostile rows changed the choice of others")
        check(mixed_weights[512:].view(np.uint32) == weights.view(np.uint32), name, "hostile rows changed other bits")
        check_permutation(name, mixed_ids, rows, offsets, EXPERTS)
        check(run_router(name, ordinary[:0])[3] == 0, name, "no tokens, but assignments")
        print(f"{name}: ok")


main()
