"""G9: a short count by site, asked over a link that stands of the only site asked, against the
floor of a logged and signed answer (bench_floor.c), turn by turn in one run.

1e4 rows, a ledger of 1,000 entries, durable log, answer quantum off, three nodes. Both go on as
quickly as they can: batches of 20 take turns. The time of a question is that of the whole
question at the command line: words to request, signature, answer, verification, print.

usage: COHORTIUM_BUILD=build python3 tests/bench/bench_bysite.py [questions]
"""
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "federation"))
from bench import goal, load, nodes_ms, processor_ms  # noqa: E402
from lab import BUILD, CLI, Lab  # noqa: E402

ROWS, LEDGER, BATCH, MONTHS = 10000, 1000, 20, 36
DISTRICTS = [f"D{i:02}" for i in range(30)]
CODEBOOK = f"""dataset: visits
title: made up for a benchmark
count_unit: patient
variables:
  patient: {{type: identifier}}
  district: {{type: categorical, role: quasi_identifier, levels: [{", ".join(DISTRICTS)}]}}
  month:
    type: integer
    role: quasi_identifier
    bounds: [0, {MONTHS}]
    grid: [{", ".join(map(str, range(1, MONTHS)))}]
  sex: {{type: categorical, role: quasi_identifier, levels: [female, male]}}
  days: {{type: integer, bounds: [0, 2000]}}
"""


def make_site(path, n, seed):
    """The same patients in every run."""
    draw = random.Random(seed)
    with open(path, "w") as f:
        print("patient,district,month,sex,days", file=f)
        for i in range(n):
            print(i + 1, draw.choice(DISTRICTS), draw.randrange(MONTHS),
                  draw.choice(["female", "male"]), draw.randrange(2000), sep=",", file=f)
    return path


def questions():
    """Each has a region of its own, so each makes an entry in the ledger."""
    for month in range(1, 30):
        for district in DISTRICTS:
            for sex in ("female", "male"):
                yield f"district == '{district}' and sex == '{sex}' and month >= {month}"
                yield f"district == '{district}' and sex == '{sex}' and month < {month + 6}"


class Asker:
    """`cohortium run -` over one link; a question is the next line of it."""

    def __init__(self, lab):
        self.cohorts = questions()
        self.child = subprocess.Popen(
            [CLI, "run", "-", "--profile", "lab-test", "--timing", "--no-save"], env=lab.env,
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def ask(self, n):
        """Milliseconds of each of n questions, none like any before it."""
        lines = [f'count visits --sites hospital_a --by-site --where "{next(self.cohorts)}"\n'
                 for _ in range(n)]
        self.child.stdin.write("".join(lines))
        self.child.stdin.flush()
        times = []
        while len(times) < n:
            line = self.child.stderr.readline()
            if not line or re.search(r": [a-z].*", line):
                sys.exit(f"a question failed: {line}")
            found = re.search(r": ([0-9.]+) ms$", line)
            if found:
                times.append(float(found[1]))
        return times

    def end(self):
        self.child.stdin.close()
        self.child.stderr.close()
        self.child.wait()


class Floor:
    def __init__(self, folder):
        self.child = subprocess.Popen([BUILD / "tests" / "bench" / "bench_floor", folder],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, n):
        self.child.stdin.write(f"{n}\n")
        self.child.stdin.flush()
        return [float(x) / 1000 for x in self.child.stdout.readline().split()]

    def spent(self):
        """Processor time of both its processes so far."""
        pid = self.child.pid
        server = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return processor_ms(pid) + sum(processor_ms(int(s)) for s in server)

    def end(self):
        self.child.stdin.close()
        self.child.stdout.close()
        self.child.wait()


def entries(lab):
    return lab.sql(0, "SELECT count(*) FROM ledger")[0][0]


def tell(name, times):
    times = sorted(times)
    print(f"{name}, {len(times)} times: least {times[0]:.3f} ms, p10 "
          f"{times[len(times) // 10]:.3f}, median {statistics.median(times):.3f}, "
          f"p99 {times[len(times) * 99 // 100]:.3f}")
    return statistics.median(times), times[len(times) * 99 // 100]


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory(prefix="cohortium-bench-") as folder:
        folder = pathlib.Path(folder)
        sites = [make_site(folder / f"{i}.csv", ROWS if i == 1 else 100, i) for i in (1, 2, 3)]
        (folder / "codebook.yaml").write_text(CODEBOOK)
        (folder / "policy.yaml").write_text(
            "class: cautious\nresponse_quantum_ms: 0\nby_site: yes\nreason: benchmark\n")
        with Lab(policy=str(folder / "policy.yaml"), sites=sites,
                 codebook=folder / "codebook.yaml", options=["--permit-by-site"]) as lab:
            # The floor's database lies beside the node's: the same disk.
            floor, asker = Floor(lab.home), Asker(lab)
            while entries(lab) < LEDGER:
                asker.ask(50)
            floor.ask(50)
            print(f"a ledger of {entries(lab)} entries, {ROWS} rows; {load()}")
            node = lab.children(0)
            ours, least = [], []
            start = floor.spent(), nodes_ms([node])[0] + processor_ms(asker.child.pid)
            while len(ours) < n:
                least += floor.ask(BATCH)
                ours += asker.ask(BATCH)
            end = floor.spent(), nodes_ms([node])[0] + processor_ms(asker.child.pid)
            floor.end()
            asker.end()
    f, _ = tell("floor", least)
    median, p99 = tell("count by site", ours)
    f_ms, our_ms = [(e - s) / len(ours) for s, e in zip(start, end)]
    print(f"processor time of a floor's answer {f_ms:.3f} ms, of a question {our_ms:.3f} (node and "
          f"client): {our_ms / f_ms:.2f} x; {load()}")
    goal("G9 median", f"{median / f:.2f} x the floor", "at most 1.5", median <= 1.5 * f)
    goal("G9 p99", f"{p99 / median:.2f} x its own median", "at most 4", p99 <= 4 * median)


main()
