"""Doctors: what can be wrong between a researcher and an answer, and between a node and its own."""
import re
import shutil

from lab import NODED, Checks, Lab, clock_off, wait_for, why_no_clock

check = Checks()


def doctor(lab, folder=None, env=None):
    """{check: [(state, text, remedy)]} and the answer itself."""
    a = lab.cohortium("doctor", "--json", *([] if folder else ["--profile", "lab-test"]),
                      env=dict(lab.env, **(env or {}),
                               **({"COHORTIUM_HOME": str(folder)} if folder else {})))
    found = {}
    for c in a.json["checks"] if a.out else []:
        found.setdefault(c["check"], []).append((c["state"], c["text"], c["remedy"]))
    return a, found


def copy(lab, name):
    folder = lab.home / name
    shutil.copytree(lab.home / "config/cohortium/profiles/lab-test", folder)
    return folder


def problems(found):
    return [word for word, all in found.items() for c in all if c[0] == "problem"]


with Lab() as lab:
    a, found = doctor(lab)
    check("a lab is well", a.status == 0 and a.json["well"] and problems(found) == []
          and a.err == "", a.out + a.err)
    check("everything is looked at", set(found) >= {
        "profile", "folder", "disk", "key", "port", "credential", "link", "genesis", "clock",
        "manifest", "site", "versions", "permit"} and len(found["site"]) == 3, found.keys())
    a = lab.cohortium("doctor", "--profile", "lab-test")
    check("for people a line a check", a.status == 0 and a.out.count("\n") >= 14
          and all(line.startswith("ok") for line in a.out.splitlines()), a.out)

    folder = copy(lab, "open")
    folder.chmod(0o755)
    a, found = doctor(lab, folder)
    check("a folder that others may read", problems(found) == ["folder"] and a.status == 1
          and "chmod 700" in found["folder"][0][2], a.out)
    folder = copy(lab, "openkey")
    (folder / "researcher.key").chmod(0o644)
    a, found = doctor(lab, folder)
    check("a key that others may read", problems(found) == ["key"], a.out)
    folder = copy(lab, "other")
    (folder / "researcher.key").unlink()
    lab.cohortium("key", "new", "--name", "eve", "-o", folder / "researcher.key", "--lab")
    a, found = doctor(lab, folder)
    check("a credential for another key", problems(found) == ["credential"]
          and "another key" in found["credential"][0][2], a.out)
    folder = copy(lab, "nocredential")
    (folder / "credential").unlink()
    a, found = doctor(lab, folder)
    check("no credential", problems(found) == ["credential"], a.out)
    folder = copy(lab, "genesis")
    text = (folder / "profile.yaml").read_text()
    hex = text.split("genesis: ")[1].split()[0].strip('"')
    (folder / "profile.yaml").write_text(text.replace(hex, "ab" * 32))
    a, found = doctor(lab, folder)
    check("another consortium's genesis", problems(found) == ["link"] and
          "genesis" in found["link"][0][2] and found["port"][0][0] == "ok", a.out)
    folder = copy(lab, "port")
    (folder / "profile.yaml").write_text(text.replace(text.split("home: ")[1].split()[0],
                                                      "tcp://127.0.0.1:1"))
    a, found = doctor(lab, folder)
    check("a port where nothing listens", problems(found) == ["port"]
          and "refused" in found["port"][0][2], a.out)
    a, found = doctor(lab, lab.home / "nothing")
    check("no profile", a.status == 1 and problems(found) == ["profile"], a.out + a.err)
    a = lab.cohortium("doctor", "now")
    check("a word too many is wrong usage", a.status == 2, a.err)

    why = why_no_clock()
    if why is None:
        a, found = doctor(lab, env=clock_off("+10m"))
        check("a clock that is ten minutes fast", problems(found) == ["clock"]
              and "behind" in found["clock"][0][1] and "NTP" in found["clock"][0][2], a.out)
        a, found = doctor(lab, env=clock_off("-30s"))
        check("half a minute is worth a note", a.status == 0
              and found["clock"][0][0] == "note", a.out)
        a, found = doctor(lab, env=clock_off("+28d"))
        check("a credential that ends soon", found["credential"][0][0] == "note", a.out)
        a, found = doctor(lab, env=clock_off("+40d"))
        check("a credential that ended", "credential" in problems(found)
              and "ended" in found["credential"][0][1], a.out)
        lab.stop_node(2)
        lab.serve(2, clock_off("+5m"))
        lab.wait_linked()
        a, found = doctor(lab)
        check("a member whose clock is off", problems(found) == ["site_clock"]
              and any(f"hospital_c is {s} s ahead" in found["site_clock"][0][1]
                      for s in (299, 300)), a.out)
    else:
        print(f"SKIP    wrong clocks: {why}")

    lab.stop_node(1)
    a, found = doctor(lab)
    check("a member that is down", "site" in problems(found) and any(
        "hospital_b" in text for state, text, _ in found["site"] if state == "problem"), a.out)
    a = lab.noded(0, "researcher", "revoke", "--reason", "a test", "lab_researcher")
    a, found = doctor(lab)
    check("a revoked credential", problems(found) == ["link"]
          and "revoked" in found["link"][0][2], a.out)
    lab.stop_node(0)
    a, found = doctor(lab)
    check("home that is down", problems(found) == ["port"], a.out)


def without_numbers(lines):
    return [re.sub(r"[0-9]+", "#", line.split(" since ")[0]) for line in lines]


def node_json(lab, i, what):
    """What --json says is what the lines for people say, in their order; {check: [state, ...]}."""
    seen = []

    def same():
        a, b = lab.noded(i, "doctor"), lab.noded(i, "doctor", "--json")
        lines = []
        for c in b.json["checks"]:
            word = {"ok": "ok", "note": "NOTE", "problem": "PROBLEM"}[c["state"]]
            lines.append(f"{word:8} {c['text']}")
            lines += [f"         -> {c['remedy']}"] if c["remedy"] else []
        seen[:] = [a.out, b.out, b]
        return (b.status == a.status and b.json["well"] == (a.status == 0)
                and without_numbers(lines) == without_numbers(a.out.splitlines()))

    check(f"as JSON the same: {what}", wait_for(same, 10), seen)
    found = {}
    for c in seen[2].json["checks"]:
        found.setdefault(c["check"], []).append(c["state"])
    return found


def node_problems(a):
    """[(what, remedy)] of the PROBLEM lines of cohortiumd doctor."""
    lines = a.out.splitlines() + [""]
    return [(line[9:], lines[i + 1].strip(" ->")) for i, line in enumerate(lines)
            if line.startswith("PROBLEM")]


with Lab() as lab:
    a = lab.noded(0, "doctor")
    check("a node of a lab is well", a.status == 0 and node_problems(a) == [] and a.err == "",
          a.out + a.err)
    for text in ("this user's alone", "where this node listens", "hospital_b can be reached",
                 "hospital_c is linked since", "it last dialled this node: ", "MB free",
                 "the policy in force is valid until", "log of"):
        check(f"it tells: {text}", text in a.out, a.out)
    found = node_json(lab, 0, "a node that is well")
    check("every check has its word", set(found) == {
        "folder", "files", "landlock", "manifest", "port", "own_address", "way", "node", "ready",
        "clock", "governance", "manifest_fresh", "policy", "data", "ledger", "log", "witness",
        "contradictions", "disk", "member"} - (set() if "witness" in found else {"witness"})
        and set(sum(found.values(), [])) == {"ok"}, found)
    a = lab.noded(0, "doctor", "--jsn")
    check("an option that is not there is wrong usage", a.status == 2 and "--json" in a.err, a.err)
    key = lab.node(0) / "keys" / "signing.key"
    key.chmod(0o640)
    a = lab.noded(0, "doctor")
    check("a key that others may read", a.status == 1 and len(node_problems(a)) == 1
          and f"chmod 0600 {key}" in node_problems(a)[0][1], a.out)
    key.chmod(0o600)
    (lab.node(0) / "vault.db").chmod(0o644)
    lab.node(0).chmod(0o755)
    a = lab.noded(0, "doctor")
    check("a folder and a database that others may read", len(node_problems(a)) == 2, a.out)
    found = node_json(lab, 0, "two problems")
    check("under their words", found["files"] == ["problem"] * 2, found)
    (lab.node(0) / "vault.db").chmod(0o600)
    lab.node(0).chmod(0o700)
    papers = lab.dir / "papers"
    permit = lab.home / "short.permit"
    for words in (("permit", "new", "--title", "short study", "--purpose", "a test", "--dataset",
                   "lung", "--researcher", papers / "researcher.card", "--member", "all",
                   "--days", "5", "--manifest", papers / "manifest", "-o", permit),
                  ("permit", "sign", "--key", lab.dir / "keys" / "hospital_a.key", permit),
                  ("permit", "add", "--dir", lab.node(0), permit)):
        a = lab.run(NODED, *words)
        check(f"{words[0]} {words[1]}", a.status == 0, a.err)
    a = lab.noded(0, "doctor")
    check("a permit that ends soon is a note", a.status == 0
          and "NOTE     the permit short study ends" in a.out, a.out)
    lab.stop_node(1)
    wait_for(lambda: "nothing listens at" in lab.noded(0, "doctor").out, 10)
    a = lab.noded(0, "doctor")
    check("a member that is down: what the dial found, and since when",
          [w for w, _ in node_problems(a)] == ["hospital_b is linked"]
          and "nothing listens at" in node_problems(a)[0][1]
          and "its last link ended 2" in node_problems(a)[0][1]
          and "NOTE     hospital_b cannot be reached from here" in a.out, a.out)
    found = node_json(lab, 0, "a member that is down")
    check("as a problem of a member", sorted(found["member"]) == ["ok", "problem"]
          and "note" in found["way"], found)
    check("and everything else is told all the same", "MB free" in a.out
          and "hospital_c is linked since" in a.out, a.out)
    if why_no_clock() is None:
        lab.serve(1, clock_off("-10m"))
        check("a member whose clock is off is found",
              wait_for(lambda: "the clock of hospital_b is" in lab.noded(0, "doctor").out, 15))
        a = lab.noded(0, "doctor")
        check("with how far, and what to do", len(node_problems(a)) == 1
              and "s behind this node's" in node_problems(a)[0][0]
              and "NTP" in node_problems(a)[0][1], a.out)
        a = lab.noded(2, "doctor")
        check("by the other members, too", wait_for(
            lambda: "hospital_b is" in lab.noded(2, "doctor").out, 5), a.out)
    lab.stop_node(0)
    a = lab.noded(0, "doctor")
    check("a node that does not run", a.status == 1 and {w for w, _ in node_problems(a)} >= {
        "the node runs and answers"} and any("where this node listens" in w
                                              for w, _ in node_problems(a)), a.out)
    found = node_json(lab, 0, "a node that does not run")
    check("its node and port are problems", found["node"] == found["port"] == ["problem"], found)
    (lab.node(0) / "keys" / "patient.key").unlink()
    a = lab.noded(0, "doctor")
    check("a key that is gone", any("patient.key is there" in w and "restore" in r
                                    for w, r in node_problems(a)), a.out)
check.end()
