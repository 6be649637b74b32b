"""What the benchmarks share: a line for each goal, and what to know of the machine meanwhile."""
import os


def goal(name, figure, wanted, met):
    print(f"{name}: {figure} (goal: {wanted}): {'met' if met else 'missed'}", flush=True)


def load():
    """Wall times say little while others run: 1-minute load average beside the cores."""
    return f"load average {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores"
