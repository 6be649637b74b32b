"""Wrong clocks, a taken port, a full disk, damaged files, policies that do not hold."""
import csv
import datetime
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys

from lab import LUNG, NODED, SITES, Checks, Lab, clock_off, wait_for, why_no_clock

HOUR_AHEAD, HOUR_BEHIND = clock_off("+1h"), clock_off("-1h")
DISK_MB = 8
NAMESPACE = "in a namespace of its own"
AGES = [int(row["age"]) for site in SITES for row in csv.DictReader(open(site, newline=""))]
NO_CLOCK = why_no_clock()
check = Checks()


def skip(what, why):
    print(f"SKIP    {what}: {why}", flush=True)


def question(age):
    return ["count", "lung", "--where", f"age >= {age}"]


def is_right(a, age):
    """Answered, and with the number that the files hold."""
    return a.status == 0 and a.item("patients") == sum(x >= age for x in AGES)


# ---- clocks ----

def refused_by_clock(lab, what, site, asked, **options):
    """A question that a wrong clock must end: told by name, and it leaves no trace."""
    charges = [lab.charges(i) for i in range(3)]
    a = lab.ask(*asked, **options)
    check(f"{what}: the question fails", a.status == 1 and "patients" not in a.out, a.out + a.err)
    check(f"{what}: {site} is named, and the clocks with both times",
          site in a.err and "clock" in a.err and len(re.findall(r"\d\d:\d\d:\d\dZ", a.err)) == 2,
          a.err)
    check(f"{what}: nothing was charged", [lab.charges(i) for i in range(3)] == charges)


def answers(lab, what, age):
    a = lab.ask(*question(age))
    check(f"{what}: it is answered", is_right(a, age), a.out + a.err)
    for i in range(3):
        a = lab.noded(i, "audit", "verify")
        check(f"{what}: the log of node {i} is whole", a.status == 0, a.out + a.err)
    stamps = [[line.split()[1] for line in lab.records(i)] for i in range(3)]
    check(f"{what}: no log goes back in time", all(s and s == sorted(s) for s in stamps), stamps)


def test_clocks():
    if NO_CLOCK:
        skip("wrong clocks", NO_CLOCK)
        return
    # The consortium's papers are of the day before, as they are in life.
    with Lab(env=clock_off("-1d")) as lab:
        for name in clock_off("-1d"):
            lab.env.pop(name)
        for i in range(3):
            lab.stop_node(i)
            lab.serve(i)
        lab.wait_linked()
        charges = lab.charges(0)
        answers(lab, "every clock right", 50)
        check("an answer is charged, once", lab.charges(0) == charges + 1, lab.charges(0))

        for by, name in ((HOUR_AHEAD, "ahead"), (HOUR_BEHIND, "behind")):
            refused_by_clock(lab, f"the researcher's clock an hour {name}", "hospital_a",
                             question(60), env=dict(lab.env, **by))
        answers(lab, "the researcher's clock put right", 60)

        for i, site in ((1, "hospital_b"), (0, "hospital_a")):
            for by, name in ((HOUR_BEHIND, "behind"), (HOUR_AHEAD, "ahead")):
                what = f"{site}'s clock an hour {name}"
                lab.stop_node(i)
                a = lab.serve(i, by)
                check(f"{what}: it starts", a.status == 0, a.out + a.err)
                lab.wait_linked()
                refused_by_clock(lab, what, site, question(65 + 5 * i))
                check(f"{what}: its own log says so",
                      wait_for(lambda: "compare the clocks" in lab.log(i), 5), lab.log(i)[-800:])
                if name == "behind":
                    a = lab.noded(i, "status")
                    check(f"{what}: status says so", "WARNING: the clock" in a.out,
                          a.out)
                    a = lab.noded(i, "doctor")
                    check(f"{what}: doctor says so", a.status == 1 and "PROBLEM" in a.out, a.out)
            lab.stop_node(i)
            lab.serve(i)
            lab.wait_linked()
            answers(lab, f"{site}'s clock put right", 65 + 5 * i)


# ---- the port is taken ----

def nothing_runs(lab, i, what):
    check(f"{what}: no process is left", wait_for(lambda: not lab.processes(i), 10),
          lab.processes(i))
    check(f"{what}: no socket and no number of a process are left",
          not (lab.node(i) / "run" / "admin.sock").exists()
          and not (lab.node(i) / "run" / "pid").exists(), os.listdir(lab.node(i) / "run"))


def listen_at(port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", port))
    s.listen()
    return s


def serve_fails(lab, i, what, *must_say):
    for words, how in ((["serve"], what), (["serve", "--background"], f"{what}, in background")):
        a = lab.noded(i, *words, timeout=30)
        check(f"{how}: serve fails", a.status == 1, (a.status, a.out))
        check(f"{how}: it says {', '.join(must_say)}", all(m in a.err for m in must_say), a.err)
        nothing_runs(lab, i, how)


def test_ports():
    with Lab() as lab:
        settings = lab.node(1) / "node.yaml"
        text = settings.read_text()
        port = int(re.search(r":(\d+)\"?\s*$", text, re.M).group(1))
        check("its processes are seen while it runs", len(lab.processes(1)) >= 3)
        lab.stop_node(1)
        with listen_at(port):
            serve_fails(lab, 1, "a taken port", f"127.0.0.1:{port}", "another program",
                        "end it", "node.yaml")
        settings.write_text(text.replace("127.0.0.1", "192.0.2.1"))
        serve_fails(lab, 1, "an address of another machine", f"192.0.2.1:{port}", "node.yaml")
        settings.write_text(text.replace("tcp://", ""))
        serve_fails(lab, 1, "no address at all", f"127.0.0.1:{port}", "tcp://ADDRESS:PORT",
                    "node.yaml")
        settings.write_text(text)
        a = lab.serve(1)
        check("with the port free it serves", a.status == 0, a.err)
        lab.wait_linked()
        check("and answers", lab.ask(*question(60)).status == 0)
        a = lab.serve(1)
        check("a second one in background hears whose folder it is, not of ports",
              a.status == 1 and "another cohortiumd" in a.err, a.err)
        check("and the first one goes on", lab.ask(*question(60)).status == 0)

        # Taken in the moment in which net is started anew.
        supervisor, net = lab.pid(1), lab.children(1)["net-process"]
        os.kill(supervisor, signal.SIGSTOP)
        os.kill(net, signal.SIGKILL)
        taken = []

        def take():
            try:
                taken.append(listen_at(port))
            except OSError:
                return False
            return True

        check("another program takes the port of a net that ended", wait_for(take, 10))
        os.kill(supervisor, signal.SIGCONT)
        check("a port taken in between: the log names it", wait_for(
            lambda: re.search(rf"{port}.*(taken|in use|another program)", lab.log(1)), 10),
              lab.log(1)[-800:])
        # net's end or the vault's may be seen first: the node ends, or it goes on trying.
        taken[0].close()
        if wait_for(lambda: not lab.processes(1), 3):
            nothing_runs(lab, 1, "a port taken in between")
            a = lab.serve(1)
            check("with the port free it serves again", a.status == 0, a.err)
        lab.wait_linked()
        check("and answers again", is_right(lab.ask(*question(65)), 65))


# ---- a full disk (in a mount namespace: run_in_namespace) ----

def put_on_small_disk(lab, i):
    lab.stop_node(i)
    node, before = lab.node(i), lab.node(i).with_suffix(".before")
    node.rename(before)
    node.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=0700", "tmpfs", node],
                   check=True)
    subprocess.run(["cp", "-a", f"{before}/.", node], check=True)
    shutil.rmtree(before)


def fill(lab, i):
    """To the last byte: what is left of a page is no room either."""
    filler = lab.node(i) / "filler"
    with open(filler, "ab", buffering=0) as f:
        for size in (65536, 4096, 1):
            try:
                while True:
                    f.write(bytes(size))
            except OSError:
                continue
    check("the disk is full", os.statvfs(lab.node(i)).f_bavail == 0)
    return filler


def full_disk(lab, i):
    site = f"hospital_{'abc'[i]}"
    put_on_small_disk(lab, i)
    a = lab.serve(i)
    check(f"{site} serves from a small disk", a.status == 0, a.err)
    lab.wait_linked()
    check("it answers", is_right(lab.ask(*question(60)), 60))
    records, versions = lab.records(i), sorted(p.name for p in (lab.node(i) / "data").iterdir())
    listed = lab.noded(i, "data", "list").out
    charges = lab.charges(i)

    filler = fill(lab, i)
    a = lab.ask(*question(65), "--deadline", "20")
    check("a question fails and names the site", a.status == 1 and site in a.err
          and "patients" not in a.out, a.out + a.err)
    check("the node's log says why", "the disk is full" in lab.log(i), lab.log(i)[-800:])
    a = lab.noded(i, "data", "import", "lung", SITES[i])
    check("an import fails and says why", a.status == 1 and
          ("No space left" in a.err or "disk is full" in a.err), a.err)
    check("nothing is half imported",
          sorted(p.name for p in (lab.node(i) / "data").iterdir()) == versions
          and lab.noded(i, "data", "list").out == listed, os.listdir(lab.node(i) / "data"))
    a = lab.noded(i, "doctor")
    check("doctor says so", a.status == 1 and "0 MB free" in a.out, a.out)
    a = lab.noded(i, "audit", "verify")
    check("its log is whole meanwhile", a.status == 0, a.out + a.err)
    check("and was neither cut nor made longer", lab.records(i) == records, lab.records(i)[-2:])
    check("nothing was charged", lab.charges(i) == charges, lab.charges(i))

    filler.unlink()
    a = lab.ask(*question(65))
    check("with room again it answers, without a new start",
          is_right(a, 65), a.out + a.err)
    a = lab.noded(i, "data", "import", "lung", SITES[i])
    check("and imports", a.status == 0, a.err)

    lab.stop_node(i)
    filler = fill(lab, i)
    a = lab.serve(i)
    check("on a full disk it does not start, and says where to look",
          a.status == 1 and "node.log" in a.err, (a.status, a.err))
    check("where the reason stands", re.search("disk is full|No space left", lab.log(i)[-800:]),
          lab.log(i)[-800:])
    nothing_runs(lab, i, "no room to start")
    filler.unlink()
    a = lab.serve(i)
    check("with room again it starts", a.status == 0, a.err)
    lab.wait_linked()
    a = lab.ask(*question(70))
    check("and answers", is_right(a, 70), a.out + a.err)
    a = lab.noded(i, "audit", "verify")
    check("the log is whole", a.status == 0, a.out + a.err)
    check("no record that was there is lost", lab.records(i)[:len(records)] == records)
    lab.stop_node(i)
    subprocess.run(["umount", lab.node(i)], check=True)


def test_full_disk():
    for i in (1, 0):
        with Lab() as lab:
            full_disk(lab, i)


def run_in_namespace():
    """A small disk can be mounted only where nobody else sees it."""
    for unshare in (["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"]):
        try:
            if subprocess.run([*unshare, "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
                              capture_output=True).returncode == 0:
                done = subprocess.run([*unshare, sys.executable, __file__, NAMESPACE])
                check("a full disk: every claim in its namespace holds", done.returncode == 0)
                return
        except OSError:
            continue
    skip("a full disk", "this user may not mount a disk of its own (unshare --mount)")


# ---- damaged files ----

def add_dataset(lab, name, codebook, files):
    """A second dataset beside the lab's, as officers add one."""
    papers, keys = lab.dir / "papers", lab.dir / "keys"
    permit = lab.home / "second.permit"
    done = [lab.run(NODED, "permit", "new", "--title", "second", "--purpose", "a test", "--dataset",
                    name, "--researcher", papers / "researcher.card", "--member", "all",
                    "--manifest", papers / "manifest", "-o", permit)]
    for i, file in enumerate(files):
        key, signed = keys / f"{lab.node(i).name}.key", lab.home / f"{i}.codebook"
        done += [lab.run(NODED, "codebook", "sign", "--key", key, codebook, "-o", signed),
                 lab.noded(i, "codebook", "add", signed), lab.noded(i, "data", "import", name, file),
                 lab.run(NODED, "permit", "sign", "--key", key, permit)]
    done += [lab.noded(i, "permit", "add", permit) for i in range(len(files))]
    check(f"a second dataset, {name}", all(d.status == 0 for d in done),
          [d.err for d in done if d.status != 0])


def folder_of(lab, i, name):
    return "v" + lab.sql(i, "SELECT lower(hex(version)) FROM dataset_version WHERE name = ?"
                         " AND state = 'answers'", name)[0][0]


def test_truncated_column():
    with Lab() as lab:
        second = lab.home / "second.yaml"
        second.write_text((LUNG / "lung.yaml").read_text().replace("dataset: lung", "dataset: second"))
        add_dataset(lab, "second", second, SITES)
        a = lab.ask("count", "second")
        check("it is answered", a.status == 0 and a.item("patients") == len(AGES), a.out + a.err)
        column = next(p for p in (lab.node(2) / "data" / folder_of(lab, 2, "lung"))
                      .glob("ph_ecog.col"))
        lab.stop_node(2)
        column.chmod(0o600)
        os.truncate(column, column.stat().st_size - 1)
        a = lab.serve(2)
        check("a node with a column cut short starts", a.status == 0, a.out + a.err)
        lab.wait_linked()
        a = lab.ask(*question(70))
        check("the cut dataset is withdrawn and the site named",
              a.status != 0 and "hospital_c" in a.err and "patients" not in a.out, a.out + a.err)
        a = lab.noded(2, "data", "list")
        check("the operator sees why, with the column", re.search("lung .*withdrawn", a.out)
              and "ph_ecog" in a.out, a.out)
        check("the other dataset stays", re.search("second .*answers", a.out), a.out)
        a = lab.ask("count", "second", "--where", "age >= 60")
        check("and goes on answering", is_right(a, 60), a.out + a.err)
        a = lab.noded(2, "doctor")
        check("doctor exits 1 and says so", a.status == 1 and "PROBLEM" in a.out, a.out)
        a = lab.noded(2, "data", "import", "lung", SITES[2])
        check("the dataset is imported again", a.status == 0, a.err)
        a = lab.ask(*question(70))
        check("and answers again", is_right(a, 70), a.out + a.err)


# ---- a kernel without Landlock ----

WITHOUT_LANDLOCK = """
import ctypes, os, sys
lib = ctypes.CDLL("libseccomp.so.2")
lib.seccomp_init.restype = ctypes.c_void_p
allow, not_there, create_ruleset = 0x7fff0000, 0x00050000 | 38, 444
filter = ctypes.c_void_p(lib.seccomp_init(ctypes.c_uint32(allow)))
if lib.seccomp_rule_add(filter, ctypes.c_uint32(not_there), create_ruleset, 0) or \\
        lib.seccomp_load(filter):
    sys.exit(77)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_without_landlock():
    with Lab() as lab:
        def old_kernel(*words):
            return lab.run(sys.executable, "-c", WITHOUT_LANDLOCK, NODED, *words, "--dir",
                           lab.node(1))

        if old_kernel("--version").status != 0:
            skip("a kernel without Landlock", "libseccomp cannot play one here")
            return
        if "PROBLEM" in lab.noded(1, "doctor").out:
            skip("a kernel with Landlock", "this one has none")
        else:
            check("with Landlock nobody speaks of it", "Landlock" not in lab.log(1), lab.log(1))
        lab.stop_node(1)
        a = old_kernel("serve", "--background")
        check("without Landlock a node starts", a.status == 0, a.err)
        lab.wait_linked()
        check("and answers", is_right(lab.ask(*question(60)), 60))
        for process in ("vault", "net"):
            check(f"its log says so for {process}",
                  re.search(f"{process} WARNING this kernel has no Landlock", lab.log(1)),
                  lab.log(1)[-800:])
        a = old_kernel("doctor")
        check("and doctor", a.status == 1 and re.search("PROBLEM .*Landlock", a.out), a.out)


# ---- policies that do not hold ----

def answers_nothing(lab, i, what, *must_say):
    site = lab.node(i).name
    a = lab.ask(*question(60))
    check(f"{what}: nothing is answered and the site is named",
          a.status != 0 and site in a.err and "patients" not in a.out, a.out + a.err)
    a = lab.noded(i, "status")
    check(f"{what}: status says why", "NOT READY" in a.out and all(m in a.out for m in must_say),
          a.out)
    a = lab.noded(i, "doctor")
    check(f"{what}: doctor says so", a.status == 1 and
          re.search("PROBLEM +this node may answer questions", a.out), a.out)
    check(f"{what}: the log says why", all(m in lab.log(i) for m in must_say), lab.log(i)[-800:])


def lowered(packed, before, after):
    """A signed policy whose smallest cell somebody has made smaller."""
    field = b"minimum_frequency_threshold\x11"
    assert packed.count(field + struct.pack("<d", before)) == 1
    return packed.replace(field + struct.pack("<d", before), field + struct.pack("<d", after))


def test_policies():
    with Lab(policy="cautious") as lab:
        honest = lab.ask(*question(60))
        check("an honest policy answers", honest.status == 0, honest.err)
        key = lab.dir / "keys" / "hospital_b.key"
        wish = lab.home / "wish.yaml"
        wish.write_text("minimum_frequency_threshold: 12\nreason: more careful\n")
        stranger = lab.home / "stranger.key"
        lab.cohortium("key", "new", "--lab", "--use", "officer", "--name", "stranger", "-o", stranger)
        theirs, ours = lab.home / "theirs.policy", lab.home / "ours.policy"
        a = lab.noded(1, "policy", "sign", "--key", stranger, wish, "-o", theirs)
        check("a stranger is told that they are no officer", a.status == 1 and
              "no officer" in a.err and not theirs.exists(), a.err)
        a = lab.noded(1, "policy", "sign", "--key", key, wish, "-o", ours)
        check("an officer signs", a.status == 0 and ours.exists(), a.err)
        spoilt = bytearray(ours.read_bytes())
        spoilt[-1] ^= 1  # of the one signature
        theirs.write_bytes(spoilt)
        a = lab.noded(1, "policy", "apply", theirs)
        check("a signature that does not hold is none", a.status != 0 and "officer" in a.err, a.err)
        (lab.home / "edited.policy").write_bytes(lowered(ours.read_bytes(), 12, 5))
        a = lab.noded(1, "policy", "apply", lab.home / "edited.policy")
        check("an edited policy is refused", a.status != 0 and "sign" in a.err, a.err)
        check("the old one stays in force", lab.ask(*question(60)).out.split("receipt")[0]
              == honest.out.split("receipt")[0])

        # Whoever writes on the disk does not make policy.
        whole = lab.sql(1, "SELECT serial, packed FROM policy ORDER BY serial DESC LIMIT 1")[0]
        lab.stop_node(1)
        for packed, what in ((lowered(whole[1], 10, 5), "a policy edited on the disk"),
                             (theirs.read_bytes(), "a policy that no officer signed")):
            lab.sql(1, "UPDATE policy SET packed = ? WHERE serial = ?", packed, whole[0])
            a = lab.serve(1)
            check(f"{what}: the node starts", a.status == 0, a.err)
            lab.wait_linked()
            answers_nothing(lab, 1, what, "sign")
            lab.sql(1, "UPDATE policy SET packed = ? WHERE serial = ?", whole[1], whole[0])
            check("with the officers' own it answers, without a restart",
                  wait_for(lambda: lab.ask(*question(60)).status == 0, 10), lab.log(1)[-800:])
            lab.stop_node(1)
        lab.serve(1)
        lab.wait_linked()
        check("and after one", lab.ask(*question(60)).status == 0)
        check("its log is whole", lab.noded(1, "audit", "verify").status == 0)


def test_expired_policy():
    if NO_CLOCK:
        skip("an expired policy", NO_CLOCK)
        return
    with Lab(policy="cautious") as lab:
        key = lab.dir / "keys" / "hospital_b.key"
        policy = lab.home / "short.yaml"
        today = datetime.datetime.now(datetime.timezone.utc).date()
        policy.write_text(f"valid_until: {today}\nreason: for this day\n")
        lab.noded(1, "policy", "sign", "--key", key, policy, "-o", lab.home / "short")
        a = lab.noded(1, "policy", "apply", lab.home / "short")
        check("a policy for one day is applied", a.status == 0, a.err)
        check("and answers", lab.ask(*question(50)).status == 0)
        lab.env.update(clock_off("+3d"))
        for i in range(3):
            lab.stop_node(i)
            check(f"three days later node {i} starts", lab.serve(i).status == 0)
        lab.wait_linked()
        answers_nothing(lab, 1, "an expired policy", "expired", str(today + datetime.timedelta(1)))
        policy.write_text("reason: for longer\n")
        lab.noded(1, "policy", "sign", "--key", key, policy, "-o", lab.home / "long")
        a = lab.noded(1, "policy", "apply", lab.home / "long")
        check("a new one is applied while it runs", a.status == 0, a.err)
        a = lab.ask(*question(60))
        check("and the node answers", a.status == 0, a.out + a.err)


if sys.argv[1:] == [NAMESPACE]:
    test_full_disk()
else:
    test_clocks()
    test_ports()
    run_in_namespace()
    test_truncated_column()
    test_without_landlock()
    test_policies()
    test_expired_policy()
check.end()
