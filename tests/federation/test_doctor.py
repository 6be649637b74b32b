"""cohortium doctor: each thing that can be wrong between a researcher and an answer."""
import shutil

from lab import Checks, Lab, clock_off, why_no_clock

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
        print("skipped", why)

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
check.end()
