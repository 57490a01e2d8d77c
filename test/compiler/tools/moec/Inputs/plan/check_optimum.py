"""check_optimum.py FOLDER: compares the planner with exact optima of small cases.

The optimum is that of a mixed-integer program: the load of the busiest rank, where the replicas of an expert have equal
shares. The planner minimises time, not load, and on these machines exchange takes no time, so it should come close;
where it gives replicas unequal shares, it may even be better.
"""

import json
import subprocess
import sys

import highspy
import numpy as np

folder = sys.argv[1]
random = np.random.default_rng(1)


def solve(loads, ranks, capacity, total):
    """The lowest load of the busiest rank."""
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    experts = len(loads)
    busiest = solver.addVariable(lb=0)
    held = [[] for _ in range(ranks)]
    load = [[] for _ in range(ranks)]
    counts = []
    for e in range(experts):
        choices = []
        for n in range(1, min(ranks, total - experts + 1) + 1):
            chosen = solver.addBinary()
            places = [solver.addBinary() for _ in range(ranks)]
            solver.addConstr(sum(places) == n * chosen)
            choices.append(chosen)
            counts.append(n * chosen)
            for r, place in enumerate(places):
                held[r].append(place)
                load[r].append(float(loads[e] / n) * place)
        solver.addConstr(sum(choices) == 1)
    solver.addConstr(sum(counts) == total)
    for r in range(ranks):
        solver.addConstr(sum(held[r]) <= capacity)
        solver.addConstr(sum(load[r]) <= busiest)
    solver.minimize(busiest)
    assert solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return solver.getInfo().objective_function_value


def plan(ids, experts, ranks, extra, planner):
    layer = {"experts": experts, "slots": ids.shape[1], "hidden": 64, "inner": 64}
    with open(f"{folder}/small.json", "w") as file:
        json.dump({"format": "moec-plan 1", "model": {"layers": [layer]}}, file)
    np.savez(f"{folder}/small.npz", **{"ids_0": ids})
    fast = {"latency_us": 0, "gb_per_s": 1e9}
    with open(f"{folder}/small-machine.json", "w") as file:
        json.dump({"ranks": ranks, "rank": {"gflops": 1, "memory_gb_per_s": 1e6}, "links": {"within_node": fast}}, file)
    text = subprocess.run(["moec", "plan", f"{folder}/small.json", "--machine", f"{folder}/small-machine.json",
                           "--routing-trace", f"{folder}/small.npz", "--replicas", str(extra), "--planner", planner,
                           "--json"], check=True, capture_output=True, text=True).stdout
    result = np.zeros(ranks)
    loads = np.bincount(ids.reshape(-1), minlength=experts) / len(ids)
    for expert, turns in enumerate(json.loads(text)["layers"][0]["experts"]):
        for rank in turns:
            result[rank] += loads[expert] / len(turns)
    return result.max()


ratios, greedy = [], []
for experts, ranks, extra in [(6, 2, 0), (8, 3, 0), (9, 3, 0), (10, 4, 0), (6, 3, 2), (8, 4, 2), (7, 3, 3)] * 3:
    popularity = random.lognormal(0, 0.8, experts)
    ids = np.array([random.choice(experts, 2, replace=False, p=popularity / popularity.sum()) for _ in range(256)],
                   np.int32)
    loads = np.bincount(ids.reshape(-1), minlength=experts) / len(ids)
    total = experts + extra
    optimum = solve(loads, ranks, -(-total // ranks), total)
    ratios.append(plan(ids, experts, ranks, extra, "search") / optimum)
    greedy.append(plan(ids, experts, ranks, extra, "greedy") / optimum)
print(f"busiest rank, over the optimum: search {np.mean(ratios):.4f} on average, {max(ratios):.4f} at most; "
      f"greedy {np.mean(greedy):.4f}, {max(greedy):.4f}")
# A replica is a tenth to a third of a rank's load here; a search that is stuck one exchange away from the optimum misses
# it by a few per cent.
assert np.mean(ratios) <= 1.01 and max(ratios) <= 1.05, ratios
assert np.mean(greedy) > np.mean(ratios)
