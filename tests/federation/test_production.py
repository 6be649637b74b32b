"""A production consortium set up as people do it: passphrases, cards, signatures, no lab."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

from lab import CLI, LUNG, NODED, SITES, Checks, wait_for

check = Checks()
home = pathlib.Path(tempfile.mkdtemp(prefix="cohortium-production-"))
env = dict(os.environ, HOME=str(home), XDG_CONFIG_HOME=str(home / "config"))
(home / "secret").write_text("correct horse battery\n")
(home / "wrong").write_text("incorrect horse battery\n")
SECRET = ("--passphrase-file", home / "secret")


def run(program, *words):
    return subprocess.run([str(program), *map(str, words)], capture_output=True, text=True,
                          timeout=120, env=env, cwd=home)


def must(what, program, *words):
    done = run(program, *words)
    check(what, done.returncode == 0, f"{words}: {done.stdout}{done.stderr}")
    return done.stdout


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


nodes = ["north", "south", "west"]
try:
    for name in ("g1", "g2", "g3"):
        must(f"governance key {name}", CLI, "key", "new", "--use", "governance", "--name", name,
             "-o", f"{name}.key", *SECRET)
    for name in nodes:
        port = free_port()
        for k in (1, 2):
            must(f"officer {k} of {name}", CLI, "key", "new", "--use", "officer", "--name",
                 f"{name}_{k}", "-o", f"{name}{k}.key", *SECRET)
        must(f"init {name}", NODED, "init", "--name", name, "--listen", f"tcp://127.0.0.1:{port}",
             *SECRET, name)
        must(f"card of {name}", NODED, "consortium", "card", "--dir", name, "--endpoint",
             f"tcp://127.0.0.1:{port}", "--officer", f"{name}1.key.card", "--officer",
             f"{name}2.key.card", "-o", f"{name}.member")
    out = must("manifest", NODED, "consortium", "create", "--name", "oncology", "--governance",
               "g1.key.card", "--governance", "g2.key.card", "--governance", "g3.key.card",
               "-o", "manifest", *[f"{n}.member" for n in nodes])
    genesis = out.split()[1]
    must("first signature", NODED, "consortium", "sign", "--key", "g1.key", *SECRET, "manifest")
    a = run(NODED, "consortium", "adopt", "--dir", "north", "--genesis", genesis, "manifest")
    check("one signature of two is not enough", a.returncode == 1 and "sign" in a.stderr, a.stderr)
    must("second signature", NODED, "consortium", "sign", "--key", "g3.key", *SECRET, "manifest")
    a = run(NODED, "consortium", "adopt", "--dir", "north", "--genesis", "00" * 32, "manifest")
    check("another genesis is refused", a.returncode == 1, a.stdout)
    for name in nodes:
        must(f"{name} adopts", NODED, "consortium", "adopt", "--dir", name, "--genesis", genesis,
             "manifest")
    a = run(NODED, "serve", "--background", "--dir", "north", "--passphrase-file", home / "wrong")
    check("a wrong passphrase is named", a.returncode == 1 and "passphrase" in a.stderr, a.stderr)
    for name in nodes:
        must(f"{name} serves", NODED, "serve", "--background", "--dir", name, *SECRET)
    a = run(NODED, "status", "--dir", "north")
    check("without a policy it answers nothing and says so", "NOT READY" in a.stdout
          and "policy" in a.stdout, a.stdout)

    must("a policy to begin with", NODED, "policy", "new", "--template", "cautious", "-o",
         "policy.yaml")
    must("it is valid", NODED, "policy", "check", "policy.yaml")
    for name in nodes:
        one = run(NODED, "policy", "sign", "--dir", name, "--key", f"{name}1.key", *SECRET,
                  "cautious", "-o", f"{name}.one")
        a = run(NODED, "policy", "apply", "--dir", name, f"{name}.one")
        check(f"{name}: the first policy needs two officers", a.returncode != 0, a.stdout)
        must(f"{name}: two officers sign", NODED, "policy", "sign", "--dir", name, "--key",
             f"{name}1.key", "--key", f"{name}2.key", *SECRET, "--reason", "the first policy",
             "policy.yaml", "-o", f"{name}.policy")
        must(f"{name}: policy applied", NODED, "policy", "apply", "--dir", name, f"{name}.policy")
        must(f"{name}: codebook signed", NODED, "codebook", "sign", "--key", f"{name}1.key",
             *SECRET, LUNG / "lung.yaml", "-o", f"{name}.codebook")
        must(f"{name}: codebook added", NODED, "codebook", "add", "--dir", name,
             f"{name}.codebook")
    a = run(NODED, "policy", "sign", "--dir", "north", "--key", "north1.key", *SECRET,
            "exact-for-testing", "-o", "x")
    check("exact answers are for labs", a.returncode != 0 and "lab" in a.stderr, a.stderr)
    (home / "looser.yaml").write_text("minimum_frequency_threshold: 5\nreason: try\n")
    a = run(NODED, "policy", "diff", "--dir", "north", "in-force", "looser.yaml")
    check("a looser policy is told in sentences, and that two must sign", a.returncode == 0
          and "allows cells of 5 to 9 patients that were hidden" in a.stdout
          and "two officers of north must sign looser.yaml in the place of in-force" in a.stdout,
          a.stdout + a.stderr)
    must("a looser policy, one signature", NODED, "policy", "sign", "--dir", "north", "--key",
         "north1.key", *SECRET, "looser.yaml", "-o", "looser")
    a = run(NODED, "policy", "apply", "--dir", "north", "looser")
    check("loosening needs two officers", a.returncode != 0, a.stdout + a.stderr)
    a = run(NODED, "policy", "sign", "--dir", "north", "--key", "south1.key", *SECRET,
            "looser.yaml", "-o", "x")
    check("another institution's officer cannot sign", a.returncode == 1
          and "is no officer of north" in a.stderr and not (home / "x").exists(), a.stderr)
    (home / "reasonless.yaml").write_text("minimum_frequency_threshold: 12\n")
    a = run(NODED, "policy", "sign", "--dir", "north", "--key", "north1.key", *SECRET,
            "reasonless.yaml", "-o", "x")
    check("a policy without a reason is not signed", a.returncode == 2 and "reason" in a.stderr,
          a.stderr)
    (home / "tighter.yaml").write_text("minimum_frequency_threshold: 12\nreason: careful\n")
    a = run(NODED, "policy", "diff", "--dir", "north", "in-force", "tighter.yaml")
    check("a tighter one needs one officer, it says", a.returncode == 0
          and "hides cells of 10 to 11 patients" in a.stdout
          and "one officer of north must sign" in a.stdout, a.stdout + a.stderr)
    must("a tighter policy, one signature", NODED, "policy", "sign", "--dir", "north", "--key",
         "north1.key", *SECRET, "tighter.yaml", "-o", "tighter")
    a = run(NODED, "policy", "diff", "--dir", "north", "tighter", "in-force")
    check("what is signed can be compared", a.returncode == 0
          and "LOOSENS   minimum_frequency_threshold: 12 -> 10" in a.stdout, a.stdout + a.stderr)
    told = must("tightening needs one", NODED, "policy", "apply", "--dir", "north", "tighter")
    check("what was applied is told in sentences", "hides cells of 10 to 11 patients" in told, told)
    a = run(NODED, "policy", "history", "--dir", "north")
    check("and so is the history", "careful" in a.stdout
          and "hides cells of 10 to 11 patients" in a.stdout, a.stdout + a.stderr)
    a = run(NODED, "policy", "apply", "--dir", "north", "north.policy")
    check("an old policy cannot be applied again", a.returncode != 0, a.stdout)

    bad = home / "bad.csv"
    lines = SITES[0].read_text().splitlines()
    bad.write_text("\n".join(lines[:3] + [lines[3].replace("male", "mael").replace("female",
                                                                                  "femael")]))
    a = run(NODED, "data", "import", "--dir", "north", "lung", bad)
    check("a wrong level is named with its place and nothing is imported",
          a.returncode == 1 and "sex" in a.stderr and "male" in a.stderr, a.stderr)
    with open(home / "big.csv", "w") as f:
        f.write(lines[0] + "\n")
        for i in range(1500000):
            f.write(f"{i}{lines[1][lines[1].index(','):]}\n")
    importing = subprocess.Popen([str(NODED), "data", "import", "--dir", "north", "lung",
                                  "big.csv"], cwd=home, env=env, stderr=subprocess.PIPE, text=True)
    check("an import begins", wait_for(lambda: list((home / "north/data").glob("staging-*")), 20))
    importing.send_signal(signal.SIGINT)
    said = importing.communicate(timeout=30)[1]
    check("an import that is interrupted says so", importing.returncode == 1
          and "interrupted; nothing was imported" in said, said)
    check("and leaves nothing", not list((home / "north/data").glob("staging-*")))
    a = run(NODED, "data", "list", "--dir", "north")
    check("nothing is half imported", "no dataset yet" in a.stdout, a.stdout)
    for name, file in zip(nodes, SITES):
        must(f"{name} imports", NODED, "data", "import", "--dir", name, "lung", file)

    must("researcher's key", CLI, "key", "new", "--use", "researcher", "--name", "ada", "-o",
         "ada.key", *SECRET)
    issued = must("credential", NODED, "researcher", "issue", "--dir", "north", "ada.key.card", "-o",
         "ada.credential")
    must("permit", NODED, "permit", "new", "--title", "lung survival", "--purpose", "a test",
         "--dataset", "lung", "--researcher", "ada.key.card", "--member", "all", "--manifest",
         "manifest", "-o", "permit")
    a = run(NODED, "researcher", "issue", "--dir", "north", "ada.key.card")
    listed = run(NODED, "researcher", "list", "--dir", "north").stdout
    check("without a place for it no credential is issued", a.returncode == 2
          and listed.count("ada") == 1, a.stderr + listed)
    a = run(NODED, "permit", "add", "--dir", "north", "permit")
    check("an unsigned permit is not honoured", a.returncode == 1, a.stdout)
    for name in nodes:
        must(f"{name}'s officer signs the permit", NODED, "permit", "sign", "--key",
             f"{name}1.key", *SECRET, "permit")
    for name in nodes:
        must(f"{name} honours it", NODED, "permit", "add", "--dir", name, "permit")
    shown = must("the manifest in words", NODED, "consortium", "show", "--dir", "north")
    check("it names members and officers", "south" in shown and "west_2" in shown, shown)
    line = issued[issued.index("profile add"):].replace("\\\n", " ").split()
    must("another's key", CLI, "key", "new", "--name", "eve", "-o", "eve.key", *SECRET)
    a = run(CLI, *[{"THEIR.key": "eve.key", "north": "study"}.get(w, w) for w in line])
    check("a credential of another key makes no profile", a.returncode == 2
          and "for another key" in a.stderr, a.stdout + a.stderr)
    a = run(CLI, *[{"THEIR.key": "ada.key", "north": "study"}.get(w, w) for w in line])
    check("profile added", a.returncode == 0, a.stdout + a.stderr)
    mode = (home / "config/cohortium/profiles/study/researcher.key").stat().st_mode & 0o777
    check("the key's copy is private", mode == 0o600, oct(mode))
    a = run(CLI, "count", "lung", "--where", 'sex == "female"', "--profile", "study", *SECRET)
    check("a production answer, rounded", a.returncode == 0 and "90" in a.stdout,
          a.stdout + a.stderr)
    a = run(CLI, "count", "lung", "--profile", "study", "--passphrase-file", home / "wrong")
    check("the researcher's wrong passphrase is named",
          a.returncode == 1 and "passphrase" in a.stderr, a.stderr)
    a = run(NODED, "doctor", "--dir", "north")
    check("doctor finds nothing wrong", a.returncode == 0, a.stdout + a.stderr)
    a = run(NODED, "policy", "history", "--dir", "north")
    check("the history of policies", "policy 1" in a.stdout and "policy 2" in a.stdout, a.stdout)
    a = run(NODED, "audit", "verify", "--dir", "north")
    check("the log is whole", a.returncode == 0, a.stdout + a.stderr)
finally:
    for name in nodes:
        pid = home / name / "run" / "pid"
        if pid.exists():
            n = int(pid.read_text())
            os.kill(n, signal.SIGTERM)
            wait_for(lambda: not pathlib.Path(f"/proc/{n}").exists(), 10)
    shutil.rmtree(home, ignore_errors=True)
check.end()
