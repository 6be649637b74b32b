"""A warm masked count over three sites on loopback inside one `cohortium run`, durable log on,
answer quantum off: median wall time of a question; linking time; memory of an idle node.

usage: COHORTIUM_BUILD=build python3 tests/bench/bench_count.py [questions]
"""
import pathlib
import re
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "federation"))
from lab import LUNG, Lab  # noqa: E402


def resident_mb(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) / 1024


n = int(sys.argv[1]) if len(sys.argv) > 1 else 200
policy = LUNG.parent / "quantum_off.yaml"
with Lab(policy=str(policy)) as lab:
    idle = {"supervisor": resident_mb(lab.pid(1))}
    idle.update({k: resident_mb(p) for k, p in lab.children(1).items()})
    print("idle node, MB resident:", {k: round(v, 1) for k, v in idle.items()},
          "together", round(sum(idle.values()), 1))
    # a new question each time: cut points of an ordinary variable make other cohorts
    lines = [f"count lung --where 'time >= {i + 1}'" for i in range(n + 5)]
    a = lab.cohortium("run", "-", "--profile", "lab-test", "--timing", "--no-save",
                      stdin="\n".join(lines) + "\n", timeout=300)
    times = [float(x) for x in re.findall(r"([0-9.]+) ms", a.err)][5:]
    if a.status != 0 or len(times) < n:
        sys.exit(f"status {a.status}, {len(times)} answers: {a.err[-500:]}")
    times.sort()
    print(f"masked count, {len(times)} questions: median {statistics.median(times):.2f} ms, "
          f"p10 {times[len(times) // 10]:.2f}, p90 {times[len(times) * 9 // 10]:.2f}, "
          f"p99 {times[len(times) * 99 // 100]:.2f}")
