"""Nodes without an inbound port, in network namespaces: a whole regression over relays.

Three members hold data and have no inbound port: no route leads from one to another. Two
further members can be reached, one as a WebSocket, and see ciphertext. One of the two is killed
amid a fit.
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

from lab import CLI, LUNG, NODED, SITES, Checks, is_gone, wait_for

INSIDE = "in namespaces of its own"
MARKER = b"zebrafinch"  # in a question's note: no path and no relay's file holds the word
DATA = ["north", "south", "west"]
RELAYS = ["east", "centre"]
ADDRESS = {name: f"10.77.0.{i + 1}" for i, name in enumerate(DATA + RELAYS)}
PORT = 7011
GLM = ["glm", "lung", "status ~ sex + ph_ecog", "--family", "binomial", "--note",
       MARKER.decode(), "--sites", ",".join(DATA), "--profile", "study", "--json"]
check = Checks()


def re_run():
    """In a network of our own, where nothing else listens; as root, or as root there."""
    for unshare in (["unshare", "--net", "--mount"],
                    ["unshare", "--map-root-user", "--net", "--mount"]):
        try:
            may = subprocess.run([*unshare, "sh", "-c", "mount -t tmpfs tmpfs /run && "
                                  "ip netns add x && ip netns exec x true && "
                                  "ip link add name va type veth peer name vb && "
                                  "ip link add name vc type bridge"], capture_output=True)
        except OSError:
            break
        if may.returncode == 0:
            sys.exit(subprocess.run([*unshare, sys.executable, __file__, INSIDE]).returncode)
    print("SKIP    relays in network namespaces: this user may make none (ip netns, veth, "
          "bridge)")
    sys.exit(77)


def do(*words):
    subprocess.run([str(w) for w in words], check=True, capture_output=True)


def make_networks():
    """A bridge; whoever holds data has a route to the relays alone, and nobody to them."""
    do("mount", "-t", "tmpfs", "tmpfs", "/run")
    do("ip", "link", "set", "lo", "up")
    do("ip", "link", "add", "name", "net0", "type", "bridge")
    do("ip", "link", "set", "net0", "up")
    for name, address in ADDRESS.items():
        do("ip", "netns", "add", name)
        do("ip", "link", "add", "name", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        do("ip", "link", "set", name, "master", "net0", "up")
        inside = ["ip", "-n", name]
        do(*inside, "link", "set", "lo", "up")
        do(*inside, "link", "set", "eth0", "up")
        do(*inside, "address", "add", f"{address}/32", "dev", "eth0")
        for other in ADDRESS if name in RELAYS else RELAYS:
            if other != name:
                do(*inside, "route", "add", f"{ADDRESS[other]}/32", "dev", "eth0")


class Wire(threading.Thread):
    """Every packet to and from a relay, as its cable carries it."""

    def __init__(self, name):
        super().__init__(daemon=True)
        self.seen = bytearray()
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.bind((name, 0))
        self.start()

    def run(self):
        while True:
            with contextlib.suppress(OSError):  # its cable is pulled
                self.seen += self.socket.recv(65536)


if INSIDE not in sys.argv:
    re_run()
home = pathlib.Path(tempfile.mkdtemp(prefix="cohortium-relay-"))
env = dict(os.environ, HOME=str(home), XDG_CONFIG_HOME=str(home / "config"))
SECRET = ("--passphrase-file", home / "secret")


def in_net_of(name, *words):
    return ["ip", "netns", "exec", name, *map(str, words)]


def run(*words):
    return subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=120,
                          env=env, cwd=home)


def must(what, *words):
    done = run(*words)
    if done.returncode != 0:
        raise SystemExit(f"{what}: {words}: {done.stdout}{done.stderr}")
    return done.stdout


def pid(name):
    return int((home / name / "run" / "pid").read_text())


def child(name, role):
    for status in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rsplit(")", 1)[1].split()[1])
            words = (status.parent / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if parent == pid(name) and len(words) > 1 and words[1].decode() == role:
            return int(status.parent.name)
    raise SystemExit(f"{name} has no {role}")


SHADOW_BYTES = 1 << 34  # no more is mapped at a time but by a sanitizer, for its own notes


def memory_holds(process, text):
    """Whether any page that the process may write holds the text."""
    with open(f"/proc/{process}/maps") as maps, open(f"/proc/{process}/mem", "rb", 0) as mem:
        for line in maps:
            where, rights = line.split()[:2]
            first, last = (int(x, 16) for x in where.split("-"))
            if not rights.startswith("rw") or last - first > SHADOW_BYTES:
                continue
            try:
                mem.seek(first)
                if text in mem.read(last - first):
                    return True
            except (OSError, OverflowError, ValueError):
                continue
    return False


def log(name):
    return (home / name / "node.log").read_text(errors="replace")


def serve(name):
    must(f"{name} serves", *in_net_of(name, NODED, "serve", "--background", "--dir", name,
                                      *SECRET))


def kill(name):
    """Supervisor, standby and all, as a machine that loses its power."""
    doomed = [pid(name), *(child(name, r) for r in ("serve", "vault-process", "net-process"))]
    for n in doomed[:2]:
        os.kill(n, signal.SIGSTOP)  # neither takes over from the other
    for n in doomed:
        os.kill(n, signal.SIGKILL)
    wait_for(lambda: all(is_gone(n) for n in doomed), 10)


def found():
    """Keys, cards, one manifest, nodes; those that relay hold neither data nor codebook."""
    (home / "secret").write_text("correct horse battery\n")
    must("governance", CLI, "key", "new", "--use", "governance", "--name", "g", "-o", "g.key",
         *SECRET)
    for name in ADDRESS:
        must("officer", CLI, "key", "new", "--use", "officer", "--name", f"{name}_o", "-o",
             f"{name}.key", *SECRET)
        relay = name in RELAYS
        carrier = "ws" if name == RELAYS[1] else "tcp"
        where = f"{carrier}://{ADDRESS[name]}:{PORT}" if relay else f"tcp://127.0.0.1:{PORT}"
        must("init", NODED, "init", "--name", name, "--listen", where, *SECRET, name)
        must("card", NODED, "consortium", "card", "--dir", name, "--officer",
             f"{name}.key.card", "-o", f"{name}.member",
             *(("--endpoint", where) if relay else ("--outbound-only",)))
    out = must("manifest", NODED, "consortium", "create", "--name", "oncology", "--governance",
               "g.key.card", "-o", "manifest", *[f"{n}.member" for n in ADDRESS])
    genesis = out.split()[1]
    must("signature", NODED, "consortium", "sign", "--key", "g.key", *SECRET, "manifest")
    for name in ADDRESS:
        must("adopt", NODED, "consortium", "adopt", "--dir", name, "--genesis", genesis,
             "manifest")
    settings = home / RELAYS[0] / "node.yaml"
    plain = settings.read_text()
    settings.write_text(plain + "relay_pair_mb_s: 0\n")
    refused = run(*in_net_of(RELAYS[0], NODED, "serve", "--background", "--dir", RELAYS[0],
                             *SECRET))
    check("a relay that may carry nothing does not start, and says why",
          refused.returncode != 0 and "relay_pair_mb_s" in refused.stderr, refused.stderr)
    settings.write_text(plain + "relay_pair_mb_s: 1\nrelay_waiting_mb: 16\n")
    for name in [*DATA, RELAYS[0]]:
        serve(name)


def equip():
    """Policies, codebooks, data, a researcher at north and a permit."""
    (home / "policy.yaml").write_text("class: cautious\nresponse_quantum_ms: 0\n"
                                      "reason: a test\n")
    for name, file in zip(DATA, SITES):
        key = ("--key", f"{name}.key", *SECRET)
        must("policy", NODED, "policy", "sign", "--dir", name, *key, "policy.yaml", "-o",
             f"{name}.policy")
        must("policy", NODED, "policy", "apply", "--dir", name, f"{name}.policy")
        must("codebook", NODED, "codebook", "sign", *key, LUNG / "lung.yaml", "-o", f"{name}.book")
        must("codebook", NODED, "codebook", "add", "--dir", name, f"{name}.book")
        must("data", NODED, "data", "import", "--dir", name, "lung", file)
    must("researcher", CLI, "key", "new", "--use", "researcher", "--name", "ada", "-o",
         "ada.key", *SECRET)
    issued = must("credential", NODED, "researcher", "issue", "--dir", "north", "ada.key.card",
                  "-o", "ada.credential")
    must("permit", NODED, "permit", "new", "--title", "relays", "--purpose", "a test",
         "--dataset", "lung", "--researcher", "ada.key.card", "--member", "all",
         "--manifest", "manifest", "-o", "permit")
    for name in DATA:
        must("permit", NODED, "permit", "sign", "--key", f"{name}.key", *SECRET, "permit")
    for name in DATA:
        must("permit", NODED, "permit", "add", "--dir", name, "permit")
    line = issued[issued.index("profile add"):].replace("\\\n", " ").split()
    swap = {"THEIR.key": "ada.key", "north": "study", "ENDPOINT": f"tcp://127.0.0.1:{PORT}"}
    must("profile", CLI, *[swap.get(w, w) for w in line])


def ask(*words):
    return run(*in_net_of("north", CLI, *words, *SECRET))


def sites():
    a = run(*in_net_of("north", CLI, "sites", "--profile", "study", "--json", *SECRET))
    return {s["name"]: s for s in json.loads(a.stdout)["sites"]} if a.returncode == 0 else {}


def is_linked_through(names):
    s = sites()
    return all(s.get(n, {}).get("state") == "linked" and
               s[n].get("detail") in [f"through {r}" for r in names] for n in DATA[1:])


def reaches(name, other):
    code = ("import socket, sys; s = socket.socket(); s.settimeout(2); "
            f"sys.exit(s.connect_ex(('{ADDRESS[other]}', {PORT})) != 0)")
    return run(*in_net_of(name, sys.executable, "-c", code)).returncode == 0


def test_no_ports():
    for name in DATA:
        for other in ADDRESS:
            if other != name and other != RELAYS[1]:
                check(f"{name} reaches {other}: {other in RELAYS}",
                      reaches(name, other) == (other in RELAYS))
    check(f"{RELAYS[0]} reaches no inbound port of the others",
          not any(reaches(RELAYS[0], name) for name in DATA))


def test_regression(wire):
    check("the members link through the one that can be reached",
          wait_for(lambda: is_linked_through(RELAYS[:1]), 20), sites())
    s = run(NODED, "status", "--dir", "north").stdout
    check("and status says so", f"through {RELAYS[0]}" in s, s)
    d = run(*in_net_of("north", NODED, "doctor", "--dir", "north")).stdout
    check("and doctor, which reaches nobody but the relay itself",
          f"ok       south is linked through {RELAYS[0]} since" in d
          and "this node last dialled it: not since" in d, d)
    a = ask(*GLM)
    check("a whole regression runs", a.returncode == 0 and "ph_ecog" in a.stdout,
          a.stdout + a.stderr)
    check("the relay carried it", len(wire.seen) > 20000, len(wire.seen))
    check("what its cable carries does not tell the note", MARKER not in wire.seen)
    return a.stdout


class Asked:
    """A question in the background."""

    def __init__(self, *words):
        self.process = subprocess.Popen(in_net_of("north", CLI, *words, *SECRET),
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, env=env, cwd=home)

    def end(self):
        out, err = self.process.communicate(timeout=120)
        return subprocess.CompletedProcess([], self.process.returncode, out, err)


def charges(name):
    with contextlib.closing(sqlite3.connect(home / name / "vault.db", timeout=10)) as db:
        return db.execute("SELECT count(*) FROM permit_charge").fetchone()[0]


def freeze_amid_rounds(ages):
    """Asks, with south's vault let run a moment at a time, until it has charged: its first
    vector is due then. Where it was too quick all the same, another question is asked."""
    vault = child("south", "vault-process")
    for age in ages:
        before = charges("south")
        os.kill(vault, signal.SIGSTOP)
        asked = Asked(*GLM, "--where", f"age >= {age}")
        while charges("south") == before and asked.process.poll() is None:
            os.kill(vault, signal.SIGCONT)
            time.sleep(0.001)
            os.kill(vault, signal.SIGSTOP)
        try:
            asked.process.wait(1)
        except subprocess.TimeoutExpired:
            return age, asked, vault
        os.kill(vault, signal.SIGCONT)
    raise SystemExit("no question was caught amid its rounds")


def amid_a_fit(ages, what, change, answered):
    """Stops a vault amid the rounds, changes the network, goes on; tells what home said."""
    age, asked, vault = freeze_amid_rounds(ages)
    lines, spent = len(log("north").splitlines()), charges("south")
    change()
    os.kill(vault, signal.SIGCONT)
    a = asked.end()
    check(f"{what}: {'it is answered' if answered else 'it fails, and the site is named'}",
          (a.returncode == 0 and "ph_ecog" in a.stdout) if answered
          else (a.returncode == 1 and re.search("south|west", a.stderr)), a.stdout + a.stderr)
    check(f"{what}: it was charged once", charges("south") == spent, (spent, charges("south")))
    return age, "\n".join(log("north").splitlines()[lines:])


def look_into_memory():
    own = memory_holds(child("north", "net-process"), MARKER)
    check("amid a question home's net process holds the note", own)
    for relay in RELAYS:
        for role in ("net-process", "vault-process"):
            check(f"the {role} of {relay} does not", not memory_holds(child(relay, role), MARKER))


def other(relay):
    return RELAYS[1 - RELAYS.index(relay)]


def relay_of(name):
    return sites()[name]["detail"].removeprefix("through ")


def test_failover(wires):
    serve(RELAYS[1])
    check("the second relay is linked", wait_for(
        lambda: sites().get(RELAYS[1], {}).get("state") == "linked", 20), sites())
    carried = re.search(r"relayed for other members: ([0-9.]+) MB so far, (\d+) links now",
                        run(NODED, "status", "--dir", RELAYS[0]).stdout)
    check("the status of the first says what it has carried",
          carried and float(carried[1]) > 0 and int(carried[2]) >= 3, carried)
    carried = re.search(r"relayed for other members: ([0-9.]+) MB",
                        run(NODED, "status", "--dir", "north").stdout)
    check("and that of a node that carries nothing, nothing",
          carried and float(carried[1]) == 0, carried)
    used = relay_of("south")

    def die():
        look_into_memory()
        kill(used)
        wait_for(lambda: f"linked with south through {other(used)}" in log("north"), 10)

    age, said = amid_a_fit((50, 55, 60), "a relay killed amid a fit", die, True)
    check("home saw the link go and went on", "amid a question the link with south was lost"
          in said and f"through {other(used)}" in said, said)
    check("both go through the other relay now",
          wait_for(lambda: is_linked_through([other(used)]), 20), sites())
    spent = charges("south")
    a = ask(*GLM, "--where", f"age >= {age}")
    check("asked again it is given again, at no charge",
          a.returncode == 0 and charges("south") == spent, a.stderr)
    for name in DATA:
        done = run(NODED, "audit", "verify", "--dir", name)
        check(f"the log of {name} is whole", done.returncode == 0, done.stderr)
    for name, wire in wires.items():
        check(f"the cable of {name} never told the note", MARKER not in wire.seen)
    check("a cable tells what is not encrypted", says_plainly(wires[other(used)], other(used)))

    age, _ = amid_a_fit((65, 70, 75), "the last relay killed amid a fit",
                        lambda: kill(other(used)), False)
    began = time.monotonic()
    a = ask(*GLM, "--where", "sex == \"female\"", "--deadline", "20")
    check("without any relay the question fails and says who is down",
          a.returncode == 1 and re.search("(south|west) is down", a.stderr)
          and time.monotonic() - began < 25, a.stderr)
    serve(used)
    check("a relay that comes back is used again",
          wait_for(lambda: is_linked_through([used]), 45), sites())
    a = ask(*GLM, "--where", f"age >= {age}")
    check("and the question that failed is answered", a.returncode == 0, a.stdout + a.stderr)


def test_silence():
    """The relay is there and its cable is not: nothing says so but that it is silent."""
    for relay in RELAYS:
        if is_gone(pid(relay)):
            serve(relay)
    check("both relays are linked again", wait_for(
        lambda: all(sites().get(r, {}).get("state") == "linked" for r in RELAYS), 45), sites())
    used = relay_of("south")

    def pull():
        lines = len(log("north").splitlines())
        do("ip", "link", "set", used, "down")
        check("a silent relay is given up, for the other", wait_for(
            lambda: f"linked with south through {other(used)}"
            in "\n".join(log("north").splitlines()[lines:]), 50), log("north")[-800:])

    amid_a_fit((55, 60), "a relay's cable pulled amid a fit", pull, True)


def says_plainly(wire, relay):
    """What would be seen is seen: the word, sent to the relay as it is."""
    code = (f"import socket; s = socket.create_connection(('{ADDRESS[relay]}', {PORT})); "
            f"s.send({MARKER!r})")
    run(*in_net_of("north", sys.executable, "-c", code))
    return wait_for(lambda: MARKER in wire.seen, 5)


def main():
    make_networks()
    wires = {name: Wire(name) for name in RELAYS}
    try:
        found()
        equip()
        test_no_ports()
        test_regression(wires[RELAYS[0]])
        test_failover(wires)
        test_silence()
    finally:
        for name in ADDRESS:
            if (home / name / "run" / "pid").exists():
                run(NODED, "stop", "--dir", name)
        shutil.rmtree(home, ignore_errors=True)
    check.end()


main()
