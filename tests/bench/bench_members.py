"""Many members in one session.

sum    ten nodes, a linear regression with 43 covariates, so masked sums of about 1,000 numbers:
       processor time of a node for one question, everything included: key agreements, masks,
       seals, signatures, verification of the others' papers, gate, ledger, log, sockets, and
       the fit over its 3,000 rows
count  fifty nodes on this one machine: wall time of a masked count, over a link that stands, and
       of the whole command, program start and linking included

Answer quantum off. Nodes are real processes, each with its own folder and durable log.

usage: COHORTIUM_BUILD=build python3 tests/bench/bench_members.py [sum|count]
"""
import pathlib
import random
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "federation"))
from bench import asked, goal, load, nodes_ms  # noqa: E402
from lab import LUNG, Lab  # noqa: E402

SUM_NODES, COUNT_NODES, ROWS, COVARIATES, TIMES = 10, 50, 3000, 43, 11
NAMES = [f"x{i + 1}" for i in range(COVARIATES)] + ["y"]
CODEBOOK = """dataset: visits
title: made up for a benchmark
count_unit: patient
variables:
  patient: {type: identifier}
  days: {type: integer, bounds: [0, 2000]}
""" + "".join(f"  {x}: {{type: integer, bounds: [0, 255]}}\n" for x in NAMES)


def sites(folder, n):
    """The same patients in every run."""
    (folder / "codebook.yaml").write_text(CODEBOOK)
    for i in range(n):
        draw = random.Random(i)
        with open(folder / f"{i}.csv", "w") as f:
            print("patient,days", *NAMES, sep=",", file=f)
            for k in range(ROWS):
                print(k, draw.randrange(2000), *draw.randbytes(len(NAMES)), sep=",", file=f)
    return [folder / f"{i}.csv" for i in range(n)]


def lab_of(folder, n):
    return Lab(policy=str(LUNG.parent / "quantum_off.yaml"), sites=sites(folder, n),
               codebook=folder / "codebook.yaml")


def bench_sum(folder):
    with lab_of(folder, SUM_NODES) as lab:
        lab.wait_linked(60)
        nodes = [lab.children(k) for k in range(SUM_NODES)]
        session, witnesses, model = [], [], " + ".join(NAMES[:-1])
        for i in range(TIMES + 1):
            start = nodes_ms(nodes)
            asked(lab, [f'lm visits "y ~ {model}" --where "days >= {i + 1}"'])
            end = nodes_ms(nodes)
            time.sleep(1.5)  # peers are shown the logs that grew, and cosign them
            late = nodes_ms(nodes)
            session.append([e - s for s, e in zip(start, end)])
            witnesses.append([k - e for e, k in zip(end, late)])
    each = [statistics.median(s[k] for s in session[1:]) for k in range(SUM_NODES)]
    after = statistics.median(statistics.median(w) for w in witnesses[1:])
    print(f"lm with {COVARIATES} covariates over {SUM_NODES} nodes, {TIMES} questions: "
          f"processor time of home {each[0]:.1f} ms, of the others {min(each[1:]):.1f} to "
          f"{max(each[1:]):.1f}; of a node in the 1.5 s after the answer, with the witnesses' "
          f"round, {after:.1f} ms; {load()}")
    goal("masked sum of 1,000 numbers", f"{statistics.median(each):.1f} ms of processor time a "
         f"site, {max(each):.1f} at most", "under 20", max(each) < 20)


def bench_count(folder):
    with lab_of(folder, COUNT_NODES) as lab:
        lab.wait_linked(120)
        warm = asked(lab, [f'count visits --where "days >= {i + 1}"' for i in range(TIMES)])
        whole = []
        for i in range(TIMES):
            begin = time.monotonic()
            a = lab.ask("count", "visits", "--where", f"days >= {1000 + i}", timeout=60)
            whole.append(time.monotonic() - begin)
            if a.status != 0:
                sys.exit(a.err)
        print(f"a count over {COUNT_NODES} members on this machine: median "
              f"{statistics.median(warm) / 1000:.2f} s over a link that stands (least "
              f"{min(warm) / 1000:.2f}, most {max(warm) / 1000:.2f}); {load()}")
        goal(f"count of {COUNT_NODES} members", f"median {statistics.median(whole):.2f} s, "
             f"program start and linking included (most {max(whole):.2f})", "under 3 s",
             statistics.median(whole) < 3)


def main():
    which = sys.argv[1:] or ["sum", "count"]
    for name in which:
        with tempfile.TemporaryDirectory(prefix="cohortium-bench-") as folder:
            {"sum": bench_sum, "count": bench_count}[name](pathlib.Path(folder))


main()
