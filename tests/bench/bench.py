"""What the benchmarks share: a line for each goal, made-up sites, processor time, load."""
import os
import pathlib
import re


def goal(name, figure, wanted, met):
    print(f"{name}: {figure} (goal: {wanted}): {'met' if met else 'missed'}", flush=True)


def load():
    """Wall times say little while others run: 1-minute load average beside the cores."""
    return f"load average {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores"


def processor_ms(pid):
    """User and system time of a process so far, all its threads."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except OSError:  # a thread that has just ended
            continue
    return total / 1e6


def nodes_ms(nodes):
    """Processor time of each node so far: vault, net, standby; nodes: lab.children(i) of each."""
    return [sum(processor_ms(pid) for pid in node.values()) for node in nodes]


def asked(lab, questions, *options, timeout=600):
    """Each question's milliseconds, asked one after another over one link."""
    a = lab.cohortium("run", "-", "--profile", "lab-test", "--timing", "--no-save", *options,
                      stdin="\n".join(questions) + "\n", timeout=timeout)
    times = [float(x) for x in re.findall(r": ([0-9.]+) ms$", a.err, re.M)]
    if a.status != 0 or len(times) != len(questions):
        raise SystemExit(f"status {a.status}, {len(times)} answers: {a.err[-500:]}")
    return times
