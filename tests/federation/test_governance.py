"""A consortium that changes while it runs: members come and go, keys rotate, officers take back what
they gave, and two manifests of one version freeze whoever sees both."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from lab import CLI, LUNG, NODED, SITES, Checks, clock_off, wait_for, why_no_clock

check = Checks()
home = pathlib.Path(tempfile.mkdtemp(prefix="cohortium-governance-"))
env = dict(os.environ, HOME=str(home), XDG_CONFIG_HOME=str(home / "config"))
env.pop("COHORTIUM_HOME", None)
env.pop("COHORTIUM_NODE", None)


def run(program, *words, timeout=120, env=env):
    return subprocess.run([str(program), *map(str, words)], capture_output=True, text=True,
                          timeout=timeout, env=env, cwd=home)


def must(what, program, *words):
    done = run(program, *words)
    check(what, done.returncode == 0, f"{words}: {done.stdout}{done.stderr}")
    return done.stdout


def quietly(program, *words):
    done = run(program, *words)
    if done.returncode != 0:
        check(" ".join(map(str, words)), False, done.stdout + done.stderr)
    return done.stdout


def refused(what, words, program, *line):
    done = run(program, *line)
    check(what, done.returncode != 0 and words in done.stderr, done.stdout + done.stderr)
    return done


def consortium(word, name, *words):
    return quietly(NODED, "consortium", word, "--dir", name, *words)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def make_node(name):
    port = free_port()
    quietly(CLI, "key", "new", "--lab", "--use", "officer", "--name", f"{name}_officer", "-o",
            f"{name}.key")
    quietly(NODED, "init", "--lab", "--name", name, "--listen", f"tcp://127.0.0.1:{port}", name)
    quietly(NODED, "consortium", "card", "--dir", name, "--endpoint", f"tcp://127.0.0.1:{port}",
            "--officer", f"{name}.key.card", "-o", f"{name}.member")


def serve(name):
    quietly(NODED, "serve", "--background", "--dir", name)


def stop(name):
    quietly(NODED, "stop", "--dir", name)


def fit_out(name, data):
    """Policy, codebook and data, as its own officers decide."""
    quietly(NODED, "policy", "sign", "--dir", name, "--key", f"{name}.key", "exact-for-testing",
            "--reason", "a test", "-o", f"{name}.policy")
    quietly(NODED, "policy", "apply", "--dir", name, f"{name}.policy")
    quietly(NODED, "codebook", "sign", "--key", f"{name}.key", LUNG / "lung.yaml", "-o",
            f"{name}.codebook")
    quietly(NODED, "codebook", "add", "--dir", name, f"{name}.codebook")
    quietly(NODED, "data", "import", "--quiet", "--dir", name, "lung", data)


def sign(path, *keys, by=None):
    for key in keys:
        quietly(NODED, "consortium", "sign", "--key", f"{key}.key",
                *(("--dir", by) if by else ()), path)


def make_permit(title, members, *more):
    quietly(NODED, "permit", "new", "--dir", members[0], "--title", title, "--purpose", "a test",
            "--dataset", "lung", "--researcher", "ada.key.card",
            *(w for m in members for w in ("--member", m)), *more, "-o", f"{title}.permit")
    for name in members:
        quietly(NODED, "permit", "sign", "--dir", name, "--key", f"{name}.key",
                f"{title}.permit")
    for name in members:
        quietly(NODED, "permit", "add", "--dir", name, f"{title}.permit")
    listed = quietly(NODED, "permit", "list", "--dir", members[0])
    return next(line.split()[0] for line in listed.splitlines() if f'"{title}"' in line)


def count(permit, sites, *more):
    return run(CLI, "count", "lung", "--profile", "study", "--permit", permit, "--sites",
               ",".join(sites), "--json", *more)


def patients(done):
    try:
        return int(json.loads(done.stdout)["items"]["patients"])
    except (ValueError, KeyError, IndexError, TypeError):
        return None


def status(name):
    return run(NODED, "status", "--dir", name).stdout


def holds(name, version):
    return f"manifest version {version}," in status(name)


def all_hold(names, version, seconds=15):
    return wait_for(lambda: all(holds(n, version) for n in names), seconds)


def linked(name, others):
    text = status(name)
    return all(any(line.split()[:2] == [o, "linked"] for line in text.splitlines())
               for o in others)


def log_of(name):
    return (home / name / "node.log").read_text(errors="replace")


def vault_of(name):
    """The vault process that the supervisor of this node has started."""
    supervisor = int((home / name / "run" / "pid").read_text())
    for status_file in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status_file.read_text().rsplit(")", 1)[1].split()[1])
            words = (status_file.parent / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if parent == supervisor and words[1:2] == [b"vault-process"]:
            return int(status_file.parent.name)
    raise SystemExit(f"{name} has no vault process")


nodes = ["anna", "bert", "cora", "dora"]
try:
    # ---- three hospitals begin ----
    for name in ("g1", "g2", "g3", "g4"):
        quietly(CLI, "key", "new", "--lab", "--use", "governance", "--name", name, "-o",
                f"{name}.key")
    for name in nodes:
        make_node(name)
    out = quietly(NODED, "consortium", "create", "--lab", "--name", "oncology", "--governance",
                  "g1.key.card", "--governance", "g2.key.card", "--governance", "g3.key.card",
                  "-o", "manifest.1", *[f"{n}.member" for n in nodes[:3]])
    genesis = out.split()[1]
    sign("manifest.1", "g1", "g2")
    for name, data in zip(nodes[:3], SITES):
        consortium("join", name, "--genesis", genesis, "manifest.1")
        serve(name)
        fit_out(name, data)
    quietly(CLI, "key", "new", "--lab", "--name", "ada", "-o", "ada.key")
    issued = quietly(NODED, "researcher", "issue", "--dir", "anna", "ada.key.card", "-o",
                     "ada.credential")
    line = issued[issued.index("profile add"):].replace("\\\n", " ").split()
    quietly(CLI, *[{"THEIR.key": "ada.key", "anna": "study"}.get(w, w) for w in line])
    three = make_permit("three", nodes[:3])
    a = count(three, nodes[:3])
    check("three hospitals answer", patients(a) == 228, a.stdout + a.stderr)

    # ---- a fourth joins ----
    refused("a next manifest says why", "--reason", NODED, "consortium", "invite", "--dir", "anna",
            "-o", "x", "dora.member")
    out = consortium("invite", "anna", "--reason", "dora joins", "-o", "manifest.2",
                     "dora.member")
    check("the invitation tells who is new and the genesis to compare",
          "new      dora" in out and genesis in out, out)
    refused("an unsigned manifest is not published", "signed by 0", NODED, "consortium", "publish",
            "--dir", "anna", "manifest.2")
    sign("manifest.2", "g1")
    refused("nor one signed by too few", "signed by 1", NODED, "consortium", "publish", "--dir",
            "anna", "manifest.2")
    check("and nothing changed", holds("anna", 1), status("anna"))
    refused("a stranger's key does not govern", "none of this manifest's", NODED, "consortium",
            "sign", "--key", "g4.key", "--dir", "anna", "manifest.2")
    sign("manifest.2", "g3")
    out = consortium("show", "anna", "manifest.2")
    check("its signatures under both versions are told", "2 of its 3" in out
          and "2 of the 3 of version 1" in out and "publish" in out, out)
    begun = time.monotonic()
    must("it is published at one member", NODED, "consortium", "publish", "--dir", "anna",
         "manifest.2")
    check("and every running member has it without a restart", all_hold(nodes[:3], 2),
          status("cora"))
    check("within five seconds", time.monotonic() - begun < 5, time.monotonic() - begun)
    consortium("export", "bert", "-o", "oncology.consortium")
    refused("a newcomer does not join with a version alone", "chain", NODED, "consortium", "join",
            "--dir", "dora", "--genesis", genesis, "manifest.2")
    refused("nor under another genesis", "pinned", NODED, "consortium", "join", "--dir", "dora",
            "--genesis", "00" * 32, "oncology.consortium")
    must("it joins with the chain", NODED, "consortium", "join", "--dir", "dora", "--genesis",
         genesis, "oncology.consortium")
    serve("dora")
    fit_out("dora", SITES[0])
    check("it is linked with all", wait_for(lambda: linked("dora", nodes[:3]), 20), status("dora"))
    four = make_permit("four", nodes)
    a = count(four, nodes)
    check("four hospitals answer", patients(a) == 228 + 76, a.stdout + a.stderr)
    check("what was answered before is as it was", patients(count(three, nodes[:3])) == 228)
    a = run(NODED, "consortium", "publish", "--dir", "anna", "manifest.2")
    check("the same manifest again changes nothing", a.returncode == 0 and "already" in a.stdout,
          a.stdout + a.stderr)

    # ---- one is down for two versions; governance keys rotate ----
    stop("cora")
    a = count(four, nodes, "--where", "age > 70", "--later")
    later = json.loads(a.stdout)["later"]["id"] if a.returncode == 0 else ""
    check("a question is left for later", later != "", a.stdout + a.stderr)
    check("and told where it waits", "1 question left for later waits" in status("anna"),
          status("anna"))
    consortium("rotate-key", "bert", "--reason", "g3 retires", "--from", "g3.key.card", "--to",
               "g4.key.card", "-o", "manifest.3")
    shutil.copy(home / "manifest.3", home / "manifest.3x")
    sign("manifest.3x", "g4", "g1", by="bert")
    refused("a key that comes does not count under the old version", "version before's", NODED,
            "consortium", "publish", "--dir", "bert", "manifest.3x")
    sign("manifest.3", "g3", "g1", by="bert")
    refused("nor one that goes under the new", "its own governance", NODED, "consortium",
            "publish", "--dir", "bert", "manifest.3")
    sign("manifest.3", "g4", by="bert")
    must("keys rotate", NODED, "consortium", "publish", "--dir", "bert", "manifest.3")
    check("at those who run", all_hold(["anna", "bert", "dora"], 3), status("dora"))
    consortium("renew", "dora", "--reason", "a short year", "--days", "10", "-o", "manifest.4")
    consortium("export", "dora", "-o", "offline.consortium")
    out = quietly(NODED, "consortium", "sign", "--key", "g2.key", "--manifest",
                  "offline.consortium", "manifest.4")
    check("a governor signs where no node is, by the chain", "1 of the 3 of version 3" in out, out)
    refused("the old key signs no more", "none of this manifest's", NODED, "consortium", "sign",
            "--key", "g3.key", "--dir", "dora", "manifest.4")
    sign("manifest.4", "g4", by="dora")
    must("the next is published elsewhere", NODED, "consortium", "publish", "--dir", "dora",
         "manifest.4")
    check("and reaches those who run", all_hold(["anna", "bert", "dora"], 4), status("anna"))
    serve("cora")
    check("who was down takes both at its next link", all_hold(["cora"], 4, 40), status("cora"))
    records = run(NODED, "audit", "show", "--last", "50", "--kind", "manifest", "--dir", "cora")
    check("and its log says why each was made", "g3 retires" in records.stdout
          or "a short year" in records.stdout, records.stdout)
    text = status("anna")
    check("what ends soon is told in status", "ends soon or waits" in text
          and "consortium renew" in text, text)
    a = run(NODED, "permit", "list", "--dir", "anna")
    check("and with any other command", "note: manifest version 4 ends" in a.stderr, a.stderr)
    a = run(NODED, "doctor", "--dir", "anna")
    check("and by doctor", "manifest version 4 ends" in a.stdout + a.stderr, a.stdout + a.stderr)
    check("all are linked again", wait_for(lambda: linked("anna", nodes[1:]), 30), status("anna"))
    check("and answer", patients(count(four, nodes)) == 304)
    a = run(CLI, "collect", later, "--wait", "--deadline", "90", "--profile", "study", "--json")
    check("what was asked under version 2 is answered under version 4", patients(a) is not None,
          a.stdout + a.stderr)
    check("and waits no more", "left for later" not in status("anna"), status("anna"))

    # ---- a permit is taken back ----
    refused("a revocation says why", "--reason", NODED, "permit", "revoke", "--dir", "cora",
            "--key", "cora.key", four)
    refused("and is signed", "--key", NODED, "permit", "revoke", "--dir", "cora", "--reason", "x",
            four)
    quietly(CLI, "key", "new", "--lab", "--use", "officer", "--name", "mallory", "-o", "mallory.key")
    refused("by an officer of some member", "officer of no member", NODED, "permit", "revoke", "--dir", "cora",
            "--reason", "x", "--key", "mallory.key", four)
    out = must("cora's officer takes the permit back", NODED, "permit", "revoke", "--dir", "cora",
               "--key", "cora.key", "--reason", "the vote ended", four)
    check("which the others are told", "the others see it" in out, out)
    a = count(four, nodes, "--where", "age > 60")
    check("the next request is refused, and says where", a.returncode != 0
          and "revoked at cora" in a.stdout + a.stderr, a.stdout + a.stderr)
    a = count(four, nodes)
    check("what was answered before is not given under it either", a.returncode != 0, a.stdout)
    rest = ["anna", "bert", "dora"]
    check("every member shows who took it back, and why", wait_for(
        lambda: all("an officer of cora has revoked it (the vote ended)" in
                    run(NODED, "permit", "list", "--dir", n).stdout for n in rest), 15),
        run(NODED, "permit", "list", "--dir", "dora").stdout)
    a = count(four, rest)
    check("the others decide for themselves", patients(a) is not None, a.stdout + a.stderr)
    refused("it cannot be added again", "revoked", NODED, "permit", "add", "--dir", "cora",
            "four.permit")
    refused("nor revoked twice", "already", NODED, "permit", "revoke", "--dir", "cora", "--key",
            "cora.key", "--reason", "again", four)
    stop("cora")
    serve("cora")
    a = run(NODED, "permit", "list", "--dir", "cora")
    check("it stays revoked after a restart, with the reason", "REVOKED" in a.stdout
          and "the vote ended" in a.stdout, a.stdout)
    a = run(NODED, "audit", "report", "--dir", "cora")
    check("the report says who took it back and why", "revoked by cora_officer of cora, reason: "
          "the vote ended" in " ".join(a.stdout.split()), a.stdout + a.stderr)
    a = run(NODED, "audit", "report", "--dir", "dora")
    check("at the others as what it is", "does not bind this site" in
          " ".join(a.stdout.split()), a.stdout + a.stderr)

    # ---- by the member that drew it up: everywhere ----
    stop("dora")
    out = must("an officer signs a paper", NODED, "permit", "revoke", "--dir", "anna", "--key",
               "anna.key", "--reason", "ends early", "-o", "four.revocation", four)
    check("which says where it goes", "permit revoke --dir" in out, out)
    a = run(NODED, "permit", "list", "--dir", "anna")
    check("and does nothing by itself", "REVOKED" not in a.stdout, a.stdout)
    paper = (home / "four.revocation").read_bytes()
    (home / "bent.revocation").write_bytes(paper.replace(b"ends early", b"ends later"))
    refused("a forged paper is refused", "valid signature", NODED, "permit", "revoke", "--dir",
            "bert", "bent.revocation")
    must("any member takes it", NODED, "permit", "revoke", "--dir", "bert", "four.revocation")
    check("and it binds those who are told",
          wait_for(lambda: "REVOKED" in run(NODED, "permit", "show", "--dir", "anna", four).stdout,
                   15), run(NODED, "permit", "show", "--dir", "anna", four).stdout)
    refused("the same paper again is refused", "taken here before", NODED, "permit", "revoke",
            "--dir", "bert", "four.revocation")
    serve("dora")
    check("who was down hears of it with its next link",
          wait_for(lambda: "REVOKED" in run(NODED, "permit", "show", "--dir", "dora", four).stdout,
                   40), run(NODED, "permit", "revocations", "--dir", "dora").stdout)
    a = run(NODED, "permit", "revocations", "--dir", "dora")
    check("all papers can be listed", "ends early (obeyed here)" in a.stdout
          and "the vote ended (for information)" in a.stdout, a.stdout + a.stderr)
    a = count(four, rest)
    check("nobody answers under it any more", a.returncode != 0, a.stdout)
    refused("a researcher drafts no permit for what is not there", "ageing", CLI, "permit", "draft",
            "lung", "--profile", "study", "--title", "narrow", "--purpose", "a test", "--variables",
            "ageing", "-o", "narrow.permit")
    out = must("a researcher drafts a narrower permit", CLI, "permit", "draft", "lung", "--profile",
               "study", "--title", "narrow", "--purpose", "a test", "--variables", "age", "-o",
               "narrow.permit")
    check("which tells who must sign it", "anna, bert, cora, dora" in
          ", ".join(sorted(w.strip(",\n") for w in out.split() if w.strip(",\n") in nodes)), out)
    narrow = out.split()[1]
    refused("a draft is not honoured", "0 of the members", NODED, "permit", "add", "--dir", "anna",
            "narrow.permit")
    for name in nodes:
        quietly(NODED, "permit", "sign", "--dir", name, "--key", f"{name}.key", "narrow.permit")
    for name in nodes:
        quietly(NODED, "permit", "add", "--dir", name, "narrow.permit")
    check("all are linked once more", wait_for(lambda: linked("anna", nodes[1:]), 30))
    a = count(narrow, nodes, "--where", "age > 60")
    check("a narrower permit serves", patients(a) is not None, a.stdout + a.stderr)
    a = count(narrow, nodes, "--where", 'sex == "female"')
    check("within what it names", a.returncode != 0 and "sex" in a.stdout + a.stderr,
          a.stdout + a.stderr)

    # ---- a node takes a new link key ----
    port = next(line for line in (home / "dora" / "node.yaml").read_text().splitlines()
                if "listen" in line).rsplit(":", 1)[1].strip('"')
    old_key = (home / "dora" / "keys" / "noise.key").read_bytes()
    consortium("card", "dora", "--endpoint", f"tcp://127.0.0.1:{port}", "--officer",
               "dora.key.card", "--new-link-key", "-o", "dora.member.2")
    out = consortium("invite", "anna", "--reason", "dora's link key was copied", "-o",
                     "manifest.5", "dora.member.2")
    check("a newer card takes the older one's place", "changed  dora: its link key" in out, out)
    check("which is newer nobody has proved, and so it says", "its card is the newer" not in out
          and "compare what is new with its institution" in out, out)
    sign("manifest.5", "g1", "g4", by="anna")
    must("a new link key is published", NODED, "consortium", "publish", "--dir", "anna",
         "manifest.5")
    check("and known", all_hold(nodes, 5, 30), status("dora"))
    check("the node starts again with it", wait_for(
        lambda: (home / "dora" / "keys" / "noise.key").read_bytes() != old_key, 20))
    check("and is linked", wait_for(lambda: linked("dora", nodes[:3]) and
                                    linked("anna", nodes[1:]), 40), status("dora"))
    a = count(narrow, nodes, "--where", "age > 60")
    check("and answers", patients(a) is not None, a.stdout + a.stderr)

    # ---- a member goes, while a question over it runs ----
    consortium("leave", "bert", "--reason", "bert leaves", "-o", "manifest.6")
    sign("manifest.6", "g1", "g4", by="bert")
    slow = vault_of("cora")
    os.kill(slow, signal.SIGSTOP)
    try:
        asking = subprocess.Popen([str(CLI), "count", "lung", "--profile", "study", "--permit",
                                   narrow, "--sites", ",".join(nodes), "--where", "age > 55"],
                                  cwd=home, env=env, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        wait_for(lambda: False, 1)
        must("a member leaves", NODED, "consortium", "publish", "--dir", "bert", "manifest.6")
        check("who is awake knows", all_hold(["anna", "dora"], 6), status("anna"))
        time.sleep(4)
    finally:
        os.kill(slow, signal.SIGCONT)
    said = asking.communicate(timeout=60)
    check("a question over it ends without an answer", asking.returncode != 0
          and "released" not in said[0], said)
    rest = ["anna", "cora", "dora"]
    check("the others know", all_hold(rest, 6), status("cora"))
    check("their links with it end within five seconds",
          wait_for(lambda: all("the link with a stranger ended" in log_of(n) for n in rest), 5),
          log_of("anna")[-500:])
    check("it answers nothing and says why", wait_for(lambda: "no member any more" in
                                                      status("bert"), 5), status("bert"))
    a = count(narrow, nodes, "--where", "age > 50")
    check("it is asked no more", a.returncode != 0 and "bert" in a.stdout + a.stderr,
          a.stdout + a.stderr)
    a = count(narrow, rest, "--where", "age > 50")
    check("the others answer on", patients(a) is not None, a.stdout + a.stderr)
    stop("bert")
    serve("bert")
    check("it can be started to read its log", "no member any more" in status("bert"),
          status("bert"))
    must("which is whole", NODED, "audit", "verify", "--dir", "bert")

    # ---- a researcher is revoked while a question runs ----
    vault = vault_of("dora")
    os.kill(vault, signal.SIGSTOP)
    try:
        asking = subprocess.Popen([str(CLI), "count", "lung", "--profile", "study", "--permit",
                                   narrow, "--sites", ",".join(rest), "--where", "age > 40"],
                                  cwd=home, env=env, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        check("a question waits for a slow site",
              wait_for(lambda: log_of("anna").count("linked with a researcher") >
                       log_of("anna").count("the link with a researcher ended"), 10))
        refused("a researcher is not revoked without a reason", "--reason", NODED, "researcher",
                "revoke", "--dir", "anna", "ada")
        begun = time.monotonic()
        must("ada is revoked", NODED, "researcher", "revoke", "--dir", "anna", "--reason",
             "left the hospital", "ada")
        said = asking.communicate(timeout=10)
        check("and the link ends within five seconds", time.monotonic() - begun < 5
              and asking.returncode != 0, said)
        check("for that reason", "the credential was revoked" in log_of("anna"))
    finally:
        os.kill(vault, signal.SIGCONT)
    a = count(narrow, rest, "--where", "age > 41")
    check("the next request is refused", a.returncode != 0, a.stdout + a.stderr)
    check("every member knows", wait_for(
        lambda: all("left the hospital (obeyed here)" in
                    run(NODED, "permit", "revocations", "--dir", n).stdout for n in rest), 20),
        run(NODED, "permit", "revocations", "--dir", "cora").stdout)
    quietly(NODED, "researcher", "issue", "--dir", "anna", "ada.key.card", "-o",
            "config/cohortium/profiles/study/credential")
    a = count(narrow, rest, "--where", "age > 41")
    check("until a new credential is issued", patients(a) is not None, a.stdout + a.stderr)
    credential = "config/cohortium/profiles/study/credential"
    must("an officer elsewhere takes that back at their own site", NODED, "researcher", "revoke",
         "--dir", "cora", "--key", "cora.key", "--reason", "asks too much", credential)
    a = count(narrow, rest, "--where", "age > 43")
    check("which answers no more", a.returncode != 0 and "revoked" in a.stdout + a.stderr,
          a.stdout + a.stderr)
    a = count(narrow, ["anna", "dora"], "--where", "age > 43")
    check("while the others mind only that they are two", "revoked" not in a.stdout + a.stderr
          and "at least 3 sites" in a.stderr, a.stdout + a.stderr)
    quietly(NODED, "researcher", "issue", "--dir", "anna", "ada.key.card", "-o", credential)

    # ---- two manifests of one version ----
    consortium("export", "anna", "-o", "offline.consortium.6")
    consortium("renew", "anna", "--reason", "one", "-o", "manifest.7a")
    consortium("renew", "cora", "--reason", "another", "--days", "20", "-o", "manifest.7b")
    sign("manifest.7a", "g1", "g4", by="anna")
    sign("manifest.7b", "g1", "g4", by="anna")
    stop("cora")
    must("one is published", NODED, "consortium", "publish", "--dir", "anna", "manifest.7a")
    check("and taken", all_hold(["anna", "dora"], 7), status("dora"))
    stop("anna")
    stop("dora")
    serve("cora")
    must("the other one is published where nobody knows", NODED, "consortium", "publish", "--dir",
         "cora", "manifest.7b")
    check("which is all right as long as nobody sees both", "FROZEN" not in status("cora"))
    serve("anna")
    check("who sees both is frozen", wait_for(lambda: "FROZEN" in status("anna"), 40),
          status("anna"))
    check("on either side", wait_for(lambda: "FROZEN" in status("cora"), 40), status("cora"))
    check("the evidence is kept", len(list((home / "anna" / "manifest").glob("fork-7-*"))) == 1
          and (home / "anna" / "manifest" / "frozen").exists())
    a = run(NODED, "consortium", "show", "--manifest", "offline.consortium.6",
            next((home / "anna" / "manifest").glob("fork-7-*")))
    check("and convinces anybody who has the chain", "3 governance keys have signed" in a.stdout
          and "of the 3 of version 6, which is enough" in a.stdout, a.stdout + a.stderr)
    serve("dora")
    check("whoever comes by sees it, too", wait_for(lambda: "FROZEN" in status("dora"), 40),
          status("dora"))
    a = count(narrow, rest, "--where", "age > 42")
    check("a frozen consortium answers nothing", a.returncode != 0
          and "two versions" in a.stdout + a.stderr, a.stdout + a.stderr)
    a = run(NODED, "doctor", "--dir", "anna")
    check("doctor tells", a.returncode == 1 and "FROZEN" in a.stdout + a.stderr, a.stderr)
    a = run(NODED, "audit", "show", "--last", "5", "--kind", "equivocation", "--dir", "anna")
    check("and the log", "two versions 7" in a.stdout, a.stdout)
    stop("anna")
    serve("anna")
    check("it is frozen after a restart", "FROZEN" in status("anna"), status("anna"))
    consortium("renew", "anna", "--reason", "the next", "-o", "manifest.8")
    sign("manifest.8", "g1", "g2", by="anna")
    refused("and adopts nothing", "FROZEN", NODED, "consortium", "publish", "--dir", "anna",
            "manifest.8")
    refused("it is thawed for a reason", "--reason", NODED, "consortium", "thaw", "--dir", "anna")
    for name in ("anna", "dora"):
        must(f"{name}'s operator thaws", NODED, "consortium", "thaw", "--dir", name, "--reason",
             "all have agreed on ours")
    must("cora's takes the other one", NODED, "consortium", "thaw", "--dir", "cora", "--take",
         "--reason", "all have agreed on theirs")
    stop("cora")
    serve("cora")
    check("no node is frozen", not any("FROZEN" in status(n) for n in rest), status("cora"))
    refused("what is not frozen cannot be thawed", "not frozen", NODED, "consortium", "thaw",
            "--dir", "anna", "--reason", "again")
    must("the next version is published", NODED, "consortium", "publish", "--dir", "anna",
         "manifest.8")
    check("and all go on from it", all_hold(rest, 8, 40), status("cora"))
    check("a fork that was judged freezes nobody again", not wait_for(
        lambda: any("FROZEN" in status(n) for n in rest), 12), status("anna"))
    check("linked", wait_for(lambda: linked("anna", ["cora", "dora"]), 30), status("anna"))
    a = count(narrow, rest, "--where", "age > 42")
    check("they answer again", patients(a) is not None, a.stdout + a.stderr)
    receipts = sorted((home / "config/cohortium/profiles/study/receipts").glob("*.receipt"))
    a = run(CLI, "verify", receipts[0], "--genesis", genesis)
    check("a receipt of the first manifest verifies for good", a.returncode == 0,
          a.stdout + a.stderr)
    a = run(CLI, "verify", receipts[-1], "--genesis", genesis)
    check("and so does one of the newest, with the whole chain", a.returncode == 0
          and "version 8" in a.stdout, a.stdout + a.stderr)
    if why_no_clock() is None:
        stop("anna")
        late = dict(env, **clock_off("+11d"))
        run(NODED, "serve", "--background", "--dir", "anna", env=late)
        check("past its end nothing is answered", "NOT READY" in status("anna")
              and "was valid until" in status("anna"), status("anna"))
        a = run(NODED, "consortium", "renew", "--dir", "anna", "--reason", "late", "-o",
                "manifest.9", env=late)
        sign("manifest.9", "g1", "g4", by="anna")
        must("until the next one is there", NODED, "consortium", "publish", "--dir", "anna",
             "manifest.9")
        check("then it answers", "ready: it answers" in status("anna"), status("anna"))
    else:
        print(f"SKIP    past its end: {why_no_clock()}")
    for name in nodes:
        must(f"the log of {name} is whole", NODED, "audit", "verify", "--dir", name)
    said = [s for n in nodes for s in log_of(n).splitlines()
            if "AddressSanitizer:" in s or "runtime error:" in s]
    check("no sanitizer has complained", not said, "\n".join(said[:40]))
finally:
    for name in nodes:
        pid = home / name / "run" / "pid"
        if pid.exists():
            n = int(pid.read_text())
            os.kill(n, signal.SIGTERM)
            wait_for(lambda: not pathlib.Path(f"/proc/{n}").exists(), 10)
    shutil.rmtree(home, ignore_errors=True)
check.end()
