"""lab.py - a real consortium on loopback for tests: real programs, real nodes, nothing mocked."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(os.environ.get("COHORTIUM_SOURCE", pathlib.Path(__file__).parents[2]))
BUILD = pathlib.Path(os.environ.get("COHORTIUM_BUILD", SOURCE / "build"))
CLI = BUILD / "node" / "cli" / "cohortium"
NODED = BUILD / "node" / "admin" / "cohortiumd"
LUNG = SOURCE / "tests" / "data" / "lung"
SITES = [LUNG / "split_k3" / f"site{i}.csv" for i in (1, 2, 3)]


class Answer:
    def __init__(self, done):
        self.status = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    @property
    def json(self):
        return json.loads(self.out)

    def item(self, name):
        return self.json["items"][name]


class Lab:
    """Use as a context: everything it started is stopped by number at the end."""

    def __init__(self, policy="exact-for-testing", sites=SITES, codebook=LUNG / "lung.yaml",
                 options=(), env=None):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="cohortium-test-"))
        self.dir = self.home / "lab"
        self.env = dict(os.environ, HOME=str(self.home), XDG_CONFIG_HOME=str(self.home / "config"),
                        XDG_STATE_HOME=str(self.home / "state"), **(env or {}))
        self.env.pop("COHORTIUM_HOME", None)
        self.arguments = ["lab", "up", "--name", "test", "--codebook", str(codebook), "--policy",
                          policy, "--dir", str(self.dir), *options, *map(str, sites)]

    def __enter__(self):
        up = self.cohortium(*self.arguments, timeout=120)
        if up.status != 0:
            self.stop()
            raise SystemExit(f"the lab did not come up:\n{up.out}{up.err}")
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.cohortium("lab", "down", "test", timeout=60)
        shutil.rmtree(self.home, ignore_errors=True)

    def run(self, *command, timeout=60, stdin=None, env=None):
        return Answer(subprocess.run([str(c) for c in command], capture_output=True, text=True,
                                     timeout=timeout, input=stdin, env=env or self.env))

    def cohortium(self, *words, **options):
        return self.run(CLI, *words, **options)

    def ask(self, *words, **options):
        return self.cohortium(*words, "--profile", "lab-test", "--json", **options)

    def node(self, i):
        return self.dir / f"hospital_{chr(ord('a') + i)}"

    def noded(self, i, *words, **options):
        return self.run(NODED, *words, "--dir", self.node(i), **options)

    def pid(self, i):
        return int((self.node(i) / "run" / "pid").read_text())

    def children(self, i):
        """{"vault-process": pid, "net-process": pid, "serve": the standby} of a supervisor."""
        found = {}
        for status in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = status.read_text().rsplit(")", 1)[1].split()
                words = (status.parent / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if int(fields[1]) == self.pid(i) and len(words) > 1:
                found[words[1].decode()] = int(status.parent.name)
        return found

    def serve(self, i, env=None):
        return self.run(NODED, "serve", "--background", "--dir", self.node(i), timeout=60,
                        env=dict(self.env, **(env or {})))

    def processes(self, i):
        """Everything that runs with this node's folder among its words."""
        folder = str(self.node(i)).encode()
        found = []
        for words in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if any(w == folder for w in words.read_bytes().split(b"\0")):
                    found.append(int(words.parent.name))
            except OSError:
                continue
        return found

    def log(self, i):
        return (self.node(i) / "node.log").read_text(errors="replace")

    def records(self, i):
        """The audit log's records as lines, the oldest first; [] when the node does not run."""
        a = self.noded(i, "audit", "show", "--last", "10000")
        return a.out.splitlines() if a.status == 0 else []

    def sql(self, i, text, *values):
        """What the vault's file holds, read or changed behind the vault's back."""
        with contextlib.closing(sqlite3.connect(self.node(i) / "vault.db", timeout=10)) as db:
            with db:
                return db.execute(text, values).fetchall()

    def charges(self, i):
        return self.sql(i, "SELECT count(*) FROM permit_charge")[0][0]

    def stop_node(self, i, how=signal.SIGTERM):
        pid = self.pid(i)
        os.kill(pid, how)
        wait_for(lambda: is_gone(pid), 20)

    def wait_linked(self, seconds=20):
        """Until home sees every member linked."""
        def linked():
            a = self.cohortium("sites", "--profile", "lab-test", "--json")
            return a.status == 0 and "down" not in a.out
        return wait_for(linked, seconds)


FAKETIME = next(iter(sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


def clock_off(by):
    """The environment of a process whose clock is off, such as "+1h"; deadlines stay true."""
    return {"LD_PRELOAD": str(FAKETIME), "FAKETIME": by, "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DISABLE_SHM": "1"}


def why_no_clock():
    """Why no clock can be put wrong here; None where one can."""
    if FAKETIME is None:
        return "libfaketime is not installed (package faketime)"
    try:
        done = subprocess.run([CLI, "--version"], env=dict(os.environ, **clock_off("+1h")),
                              capture_output=True, timeout=10)
    except subprocess.TimeoutExpired:
        return "libfaketime does not go with this build (a sanitizer)"
    return None if done.returncode == 0 else f"libfaketime fails: {done.stderr!r}"


def is_gone(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return text.rsplit(")", 1)[1].split()[0] == "Z"


def wait_for(claim, seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if claim():
            return True
        time.sleep(0.1)
    return False


class Checks:
    """Counts what held; a claim that does not hold is told with what was seen."""

    def __init__(self):
        self.failed = 0
        self.passed = 0

    def __call__(self, claim, holds, seen=""):
        if holds:
            self.passed += 1
            print(f"ok      {claim}", flush=True)
        else:
            self.failed += 1
            print(f"FAILED  {claim}\n        {str(seen)[:2000]}", flush=True)

    def end(self):
        print(f"{self.passed} claims held, {self.failed} failed")
        sys.exit(1 if self.failed or not self.passed else 0)
