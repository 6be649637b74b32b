"""Questions by their id: killed programs and nodes, cancel, and what is left for later."""
import json
import os
import pty
import shutil
import signal
import sqlite3
import subprocess
import time

from lab import CLI, Checks, Lab, is_gone, wait_for

GLM = ["glm", "lung", "status ~ age + sex + ph_karno", "--family", "binomial"]
check = Checks()


def glm(i):
    """A fit of its own each time, so that nothing is held of it."""
    return [*GLM, "--where", f"age >= {40 + i}"]


def start(lab, words, *more):
    return subprocess.Popen([str(CLI), *words, "--profile", "lab-test", "--json", *more],
                            env=lab.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def pending(lab):
    got = []
    wait_for(lambda: got.append(lab.ask("pending")) or got[-1].status == 0, 20)
    return {p["id"]: p for p in got[-1].json["pending"]}


def running(lab, i):
    """How many sessions a node's vault runs."""
    a = lab.noded(i, "status")
    return int(a.out.split("questions that run: ")[1].split()[0])


def id_of(line):
    """The id that a waiting program has printed."""
    return line.split()[1].rstrip(";")


def held(lab, first, *more):
    """Starts fits until one stands still in the middle: a member's vault is stopped as soon as
    home has charged the question, before the first sum. One that was too quick for that is
    followed by another. (process, its words, stopped vault, the question's id)."""
    vault = lab.children(2)["vault-process"]
    db = sqlite3.connect(f"file:{lab.node(0)}/vault.db?mode=ro", uri=True, timeout=10)
    for i in range(first, first + 20):
        before = db.execute("SELECT count(*) FROM permit_charge").fetchone()[0]
        p = start(lab, glm(i), *more)
        until = time.monotonic() + 10
        while (db.execute("SELECT count(*) FROM permit_charge").fetchone()[0] == before
               and time.monotonic() < until):
            pass
        os.kill(vault, signal.SIGSTOP)
        line = p.stderr.readline()  # comes after a second, or nothing when the program ends
        time.sleep(0.5)
        if line.startswith("question ") and p.poll() is None and running(lab, 1) > 0:
            db.close()
            return p, glm(i), vault, id_of(line)
        os.kill(vault, signal.SIGCONT)
        p.communicate()
    raise SystemExit("no fit could be stopped in its middle")


def end(p):
    p.kill()
    p.communicate()


def charges(lab):
    return [lab.charges(i) for i in range(3)]


def one_more(before, lab):
    return charges(lab) == [n + 1 for n in before]


def back(lab, i, role, old):
    wait_for(lambda: lab.children(i).get(role, old) != old, 15)
    lab.wait_linked()


def items(a):
    return a.json["items"] if a.status == 0 else a.err


def left_over(lab):
    """How often a site still had a session of the request that was sent again."""
    return (lab.log(1) + lab.log(2)).count("session is running already")


def undisturbed():
    """What the fits give where nobody is killed."""
    with Lab() as lab:
        return {i: items(lab.ask(*glm(i))) for i in range(12)}


def test_killed(want):
    with Lab() as lab:
        # The program dies: the question goes on at home, and its answer is collected.
        before = charges(lab)
        p, words, vault, i = held(lab, 0)
        check("a long question tells its id", len(i) == 12, i)
        check("and is pending, and runs", [(k[:12], v["state"]) for k, v in pending(lab).items()]
              == [(i, "running")], pending(lab))
        end(p)
        os.kill(vault, signal.SIGCONT)
        a = lab.ask("collect", i)
        check("after kill -9 of the program it is collected", a.status == 0, a.err)
        check("the same bytes as undisturbed", items(a) == want[int(words[-1].split()[-1]) - 40],
              a.out)
        check("for one charge", [n - 1 for n in charges(lab)] >= before, (before, charges(lab)))
        check("and nothing is pending any more", pending(lab) == {}, pending(lab))
        a = lab.ask("collect", i)
        check("a second time there is nothing to collect",
              a.status == 1 and "cohortium pending" in a.err, a.err)

        # Home's net, then its vault, then a member's vault die in the middle.
        first = 1 + int(words[-1].split()[-1]) - 40
        for node, role in ((0, "net-process"), (0, "vault-process"), (1, "vault-process")):
            p, words, vault, i = held(lab, first, "--wait", "0")
            number = int(words[-1].split()[-1]) - 40
            first = number + 1
            at_home, found = lab.charges(0), left_over(lab)
            old = lab.children(node)[role]
            os.kill(old, signal.SIGKILL)
            os.kill(vault, signal.SIGCONT)
            out, err = p.communicate(timeout=60)
            check(f"after kill -9 of node {node}'s {role} the program fails and says how to go on",
                  p.returncode == (1 if node else 4) and f"cohortium collect {i}" in err,
                  (p.returncode, err))
            back(lab, node, role, old)
            a = lab.ask("collect", i)
            check("it is collected", a.status == 0, a.err)
            check("the same bytes as undisturbed", number not in want or items(a) == want[number],
                  a.out)
            check("for one charge", charges(lab) == [at_home] * 3, (at_home, charges(lab)))
            if role == "net-process" and node == 0:  # the sites hear nothing of its death; of a
                # vault's they may, from the net process that outlives it for a moment
                check("what was left of the first run was ended first",
                      left_over(lab) > found, lab.log(1)[-500:])
            check("and no session is left anywhere",
                  wait_for(lambda: sum(running(lab, n) for n in range(3)) == 0, 10))

        # A request that has expired is asked anew: no charge.
        p, words, vault, i = held(lab, first)
        end(p)
        os.kill(vault, signal.SIGCONT)
        wait_for(lambda: not pending(lab) or list(pending(lab).values())[0]["state"] == "sent", 20)
        file = next((lab.home / "config/cohortium/profiles/lab-test/pending").glob(i + "*"))
        kept = file.read_bytes()
        at_home = lab.charges(0)
        a = lab.ask(*words, "--deadline", "12")
        check("its words give the answer, too", a.status == 0, a.err)
        same = items(a)
        file.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        a = lab.ask("collect", i)
        check("a pending request with a flipped bit is not sent", a.status == 1, a.out + a.err)
        file.write_bytes(kept)
        a = lab.ask("collect", i)
        check("collect gives it, however often", a.status == 0 and items(a) == same, a.err)
        check("and nothing is charged for that", charges(lab) == [at_home] * 3, charges(lab))


def number_of(words):
    return int(words[-1].split()[-1]) - 40


def kill_home(lab):
    """All of it at once, so that nothing takes over."""
    found = lab.processes(0)
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: all(is_gone(pid) for pid in found), 20)


def up_again(lab):
    a = lab.serve(0)
    assert a.status == 0, a.out + a.err


def resumed(lab, what, p, before, want):
    """The program itself has got the answer, once."""
    out, err = p.communicate(timeout=120)
    check(f"{what}: the program waits for home and gets its answer", p.returncode == 0
          and "home is away" in err and "goes on" in err, (p.returncode, out, err))
    check(f"{what}: the same bytes as undisturbed", p.returncode == 0
          and (want is None or json.loads(out)["items"] == want), out)
    check(f"{what}: for one charge", charges(lab) == [n + 1 for n in before],
          (before, charges(lab)))
    check(f"{what}: and nothing is pending", pending(lab) == {}, pending(lab))
    lab.wait_linked()


def test_resumed(want):
    with Lab() as lab:
        vault = lab.children(2)["vault-process"]
        before = charges(lab)
        os.kill(vault, signal.SIGSTOP)
        p = start(lab, glm(0))
        p.stderr.readline()
        kill_home(lab)
        os.kill(vault, signal.SIGCONT)
        up_again(lab)
        resumed(lab, "home dies before a charge", p, before, want[0])

        before = charges(lab)
        p, words, vault, _ = held(lab, 1)
        done = number_of(words) - 1  # fits that were too quick
        kill_home(lab)
        os.kill(vault, signal.SIGCONT)
        up_again(lab)
        resumed(lab, "home dies in the middle", p, [n + done for n in before],
                want.get(number_of(words)))

        # The program stands still while home answers and dies: what it hears is the end of its link.
        before, first = charges(lab), number_of(words) + 1
        os.kill(vault, signal.SIGSTOP)
        p = start(lab, glm(first))
        p.stderr.readline()
        os.kill(p.pid, signal.SIGSTOP)
        os.kill(vault, signal.SIGCONT)
        answered = wait_for(lambda: charges(lab) == [n + 1 for n in before] and
                            running(lab, 0) == 0, 20)
        kill_home(lab)
        up_again(lab)
        os.kill(p.pid, signal.SIGCONT)
        out, err = p.communicate(timeout=120)
        check("home dies with its answer given: the program has it", answered and p.returncode == 0
              and (first not in want or json.loads(out)["items"] == want[first]), out + err)
        check("for one charge", charges(lab) == [n + 1 for n in before], (before, charges(lab)))
        lab.wait_linked()

        # Whenever it dies.
        for n, delay in enumerate((0.02, 0.05, 0.08, 0.12, 0.2)):
            before = lab.charges(0)
            p = start(lab, ["count", "lung", "--where", f"age >= {50 + n}"])
            time.sleep(delay)
            kill_home(lab)
            up_again(lab)
            out, err = p.communicate(timeout=120)
            early = p.returncode == 1 and "home" in err and lab.charges(0) == before
            check(f"home dies {delay} s after the program began", early or (p.returncode == 0 and
                  charges(lab) == [before + 1] * 3), (p.returncode, out, err, charges(lab)))
            lab.wait_linked()
            a = lab.ask("count", "lung", "--where", f"age >= {50 + n}")
            check("asked again it is the same, for nothing more", a.status == 0
                  and (early or a.json["items"] == json.loads(out)["items"])
                  and charges(lab) == [before + 1] * 3, (a.out, charges(lab)))

        # Home stays away; Ctrl-C meanwhile.
        first += 1
        for how in ("--wait 2", "Ctrl-C"):
            p, words, vault, i = held(lab, first, *(how.split() if "wait" in how else ()))
            first = number_of(words) + 1
            at_home = lab.charges(0)
            kill_home(lab)
            os.kill(vault, signal.SIGCONT)
            line = p.stderr.readline()
            if how == "Ctrl-C":
                p.send_signal(signal.SIGINT)
            out, err = p.communicate(timeout=60)
            check(f"{how}: it says that home is away", "home is away" in line, line)
            check(f"{how}: it ends with how to go on and a status of its own", p.returncode == 4
                  and f"cohortium collect {i}" in err, (p.returncode, err))
            up_again(lab)
            lab.wait_linked()
            a = lab.ask("collect", i)
            check(f"{how}: which serves, for one charge", a.status == 0
                  and charges(lab) == [at_home] * 3, (a.err, at_home, charges(lab)))
        a = lab.ask("count", "lung", "--wait", "-1")
        check("--wait is a time", a.status == 2 and "--wait" in a.err, a.err)


def test_replay():
    with Lab() as lab:
        a = lab.ask("count", "lung")
        check("a question is answered", a.status == 0, a.err)
        want, at_home = items(a), charges(lab)
        vault = lab.children(2)["vault-process"]
        os.kill(vault, signal.SIGSTOP)
        p = start(lab, ["replay", "last"])
        i = id_of(p.stderr.readline())
        end(p)
        os.kill(vault, signal.SIGCONT)
        check("a replay that dies is pending", [k[:12] for k in pending(lab)] == [i], pending(lab))
        a = lab.ask("collect", i)
        check("and can be collected", items(a) == want, a.err)
        check("for no charge", charges(lab) == at_home, charges(lab))
        a = lab.ask("replay", "last")
        check("one that is answered leaves nothing", a.status == 0 and pending(lab) == {}, a.err)
        os.kill(vault, signal.SIGSTOP)
        p = start(lab, ["replay", "last"])
        p.stderr.readline()
        kill_home(lab)
        os.kill(vault, signal.SIGCONT)
        up_again(lab)
        out, err = p.communicate(timeout=60)
        check("a replay outlives home, too", p.returncode == 0 and json.loads(out)["same"]
              and "goes on" in err and charges(lab) == at_home, out + err)


def test_expired():
    with Lab() as lab:
        p = start(lab, ["count", "lung", "--deadline", "11"])
        out, _ = p.communicate(timeout=60)
        want, at_home = json.loads(out)["items"], lab.charges(0)
        vault = lab.children(2)["vault-process"]
        os.kill(vault, signal.SIGSTOP)
        p = start(lab, ["count", "lung", "--deadline", "3"])
        i = id_of(p.stderr.readline())
        end(p)
        os.kill(vault, signal.SIGCONT)
        a = lab.ask("collect", i)
        check("one that ran out of time is asked anew",
              a.status == 0 and ("asked anew" in a.err or items(a) == want), a.err)
        check("and is the same answer for no charge",
              items(a) == want and charges(lab) == [at_home] * 3, a.out)


def test_cancel():
    with Lab() as lab:
        p, words, vault, i = held(lab, 20)
        a = lab.ask("cancel", i)
        os.kill(vault, signal.SIGCONT)
        check("a fit is cancelled, and it is told where it was charged",
              a.status == 0 and a.json["cancelled"] and "hospital_a" in a.json["charged"], a.out)
        out, err = p.communicate(timeout=20)
        check("who waited for it hears so", p.returncode == 1 and "cancelled" in err, err)
        check("nothing runs anywhere",
              wait_for(lambda: [running(lab, n) for n in range(3)] == [0, 0, 0], 10))
        check("nothing is pending", pending(lab) == {}, pending(lab))
        at_home = lab.charges(0)
        a = lab.cohortium("cancel", i, "--profile", "lab-test")
        check("a second cancel finds nothing and is no failure",
              a.status == 0 and "nothing to cancel" in a.out, a.out + a.err)
        a = lab.ask(*words)
        check("asked again it is answered, for the one charge",
              a.status == 0 and charges(lab) == [at_home] * 3, a.err)

        p, words, vault, i = held(lab, 45)
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=20)
        os.kill(vault, signal.SIGCONT)
        check("Ctrl-C cancels it at home and says what was charged",
              p.returncode == 1 and "cancelled" in err and "hospital_a" in err, err)
        check("and nothing runs or is pending", pending(lab) == {} and
              wait_for(lambda: [running(lab, n) for n in range(3)] == [0, 0, 0], 10), pending(lab))
        for bad in ("xyz", "12", "g" * 12, "1" * 33):
            a = lab.cohortium("cancel", bad, "--profile", "lab-test")
            check(f"`{bad[:12]}` is no id", a.status == 2, a.err)


def second_researcher(lab):
    """bob, of the same home, with a profile of his own."""
    profiles = lab.home / "config/cohortium/profiles"
    shutil.copytree(profiles / "lab-test", profiles / "bob")
    for name in ("researcher.key", "credential"):
        (profiles / "bob" / name).unlink()
    shutil.rmtree(profiles / "bob" / "pending", ignore_errors=True)
    key = lab.home / "bob.key"
    a = lab.cohortium("key", "new", "--use", "researcher", "--name", "bob", "--lab", "-o", key)
    assert a.status == 0, a.err
    shutil.copy(key, profiles / "bob" / "researcher.key")
    out = lab.home / "bob.credential"
    a = lab.noded(0, "researcher", "issue", f"{key}.card", "-o", out)
    assert a.status == 0, a.out + a.err
    shutil.copy(out, profiles / "bob" / "credential")


def fetched(lab):
    """How often home's log says that an answer left for later was fetched."""
    return lab.noded(0, "audit", "show", "--last", "1000", "--kind", "collect").out.count("fetched")


def test_later():
    with Lab() as lab:
        second_researcher(lab)
        at_home = lab.charges(0)
        assert lab.noded(2, "stop").status == 0
        a = lab.ask("count", "lung", "--where", "age >= 61", "--later")
        check("a question is left with home while a site is down", a.status == 0, a.err)
        i = a.json["later"]["id"]
        check("it waits", wait_for(lambda: pending(lab)[i]["state"] == "waiting"
                                   and "hospital_c" in pending(lab)[i]["text"], 20), pending(lab))
        a = lab.ask("collect", i)
        check("collect says what it waits for",
              a.status == 1 and "hospital_c" in a.err and "--wait" in a.err, a.err)
        a = lab.cohortium("collect", i, "--profile", "bob", "--json")
        check("another researcher cannot collect it", a.status == 1 and not a.out
              and "no question" in a.err, a.out + a.err)
        a = lab.cohortium("cancel", i, "--profile", "bob", "--json")
        check("nor cancel it", a.status == 0 and not a.json["cancelled"], a.out)
        a = lab.cohortium("pending", "--profile", "bob", "--json")
        check("nor see it", a.status == 0 and a.json["pending"] == [], a.out)
        check("and it waits still", i in pending(lab))

        # Home itself dies meanwhile: what it keeps is durable.
        old = lab.children(0)["vault-process"]
        os.kill(old, signal.SIGKILL)
        back_up = wait_for(lambda: lab.children(0).get("vault-process", old) != old, 15)
        check("home comes back", back_up)
        check("and keeps it", wait_for(lambda: pending(lab).get(i, {}).get("state") == "waiting",
                                       15), pending(lab))
        waiting = start(lab, ["collect", i, "--wait"])
        time.sleep(1)
        a = lab.serve(2)
        assert a.status == 0, a.err
        out, err = waiting.communicate(timeout=60)
        check("with all sites up it is answered and collected",
              waiting.returncode == 0 and json.loads(out)["items"]["patients"] == 134, out + err)
        check("for one charge", charges(lab) == [at_home + 1] * 3, charges(lab))
        check("home and profile forget it", pending(lab) == {}, pending(lab))
        a = lab.ask("count", "lung", "--where", "age >= 61")
        check("asked directly the same comes for nothing", a.item("patients") == 134
              and charges(lab) == [at_home + 1] * 3, a.out)

        # Answered while nobody waits.
        a = lab.ask("count", "lung", "--where", "age >= 62", "--later", "--days", "1")
        i = a.json["later"]["id"]
        check("one that can be answered is answered at once",
              wait_for(lambda: pending(lab)[i]["state"] == "done", 20), pending(lab))
        shutil.rmtree(lab.home / "config/cohortium/profiles/lab-test/pending")
        drawn = fetched(lab)
        a = lab.ask("collect", i[:10])
        check("it is collected by the beginning of its id, from home alone", a.status == 0, a.err)
        check("home's officers see that, and by whom", fetched(lab) == drawn + 1 and all(
            words in " ".join(lab.noded(0, "audit", "report").out.split()) for words in
            ("who lab_researcher of hospital_a", f"was fetched by collect {i[:12]}")),
              lab.noded(0, "audit", "report").out[-1500:])
        at_others = [lab.noded(n, "audit", "show", "--kind", "collect").out for n in (1, 2)]
        check("only there", not any("fetched" in text for text in at_others), at_others)

        # Home dies amid a try, all of it or its net: the next one goes on with it.
        for n, role in enumerate(("home", "net-process")):
            at_home, member = lab.charges(0), lab.children(2)["vault-process"]
            os.kill(member, signal.SIGSTOP)
            a = lab.ask("count", "lung", "--where", f"age >= {67 + n}", "--later")
            i = a.json["later"]["id"]
            check(f"{role}: it is being tried", wait_for(
                lambda: pending(lab)[i]["state"] == "running", 20), pending(lab))
            if role == "home":
                kill_home(lab)
            else:
                old = lab.children(0)[role]
                os.kill(old, signal.SIGKILL)
            os.kill(member, signal.SIGCONT)
            if role == "home":
                up_again(lab)
            else:
                back(lab, 0, role, old)
            check(f"{role} dies amid a try: it is answered all the same, for one charge", wait_for(
                lambda: pending(lab)[i]["state"] == "done", 30)
                and charges(lab) == [at_home + 1] * 3, (pending(lab), charges(lab)))
            a = lab.ask("collect", i)
            check("and collected", a.status == 0, a.err)

        # One that cannot be answered says so when it is collected.
        a = lab.ask("count", "lung", "--where", "age >= 63", "--later", "--by-site")
        i = a.json["later"]["id"]
        wait_for(lambda: pending(lab)[i]["state"] == "failed", 20)
        a = lab.ask("collect", i)
        check("one that no site may answer fails when it is collected",
              a.status in (1, 3) and "by site" in a.err.replace("by-site", "by site"), a.err)
        check("and is forgotten", pending(lab) == {}, pending(lab))

        # A site's officer has yet to add the permit: it waits for that, too.
        permits = lab.sql(2, "SELECT id, packed FROM permit")
        lab.sql(2, "DELETE FROM permit")
        a = lab.ask("count", "lung", "--where", "age >= 66", "--later")
        i = a.json["later"]["id"]
        check("one that lacks an officer's permit waits for it", wait_for(
            lambda: pending(lab)[i]["state"] == "waiting" and "permit" in pending(lab)[i]["text"],
            20), pending(lab))
        for row in permits:
            lab.sql(2, "INSERT INTO permit(id, packed) VALUES(?, ?)", *row)
        a = lab.ask("collect", i, "--wait", timeout=90)
        check("and is answered once it is there", a.status == 0, a.err)

        # Cancelled while it waits; expired; too many.
        assert lab.noded(2, "stop").status == 0
        a = lab.ask("count", "lung", "--where", "age >= 64", "--later")
        i = a.json["later"]["id"]
        a = lab.ask("cancel", i)
        check("one that waits is cancelled for nothing",
              a.json["cancelled"] and a.json["charged"] == [], a.out)
        check("and is gone", pending(lab) == {}, pending(lab))
        left = [lab.ask("count", "lung", "--where", f"age >= {20 + n}", "--later")
                for n in range(16)]
        check("a researcher may leave sixteen", all(a.status == 0 for a in left))
        a = lab.ask("count", "lung", "--where", "age >= 65", "--later")
        check("the next one is refused and it is told why",
              a.status == 1 and "16 questions" in a.err and "cancel" in a.err, a.err)
        a = lab.cohortium("count", "lung", "--later", "--profile", "bob", "--json")
        check("another researcher still has room, or hears of the permit alone",
              a.status == 0 or "permit" in a.err, a.err)
        i = left[0].json["later"]["id"]
        lab.sql(0, "UPDATE later SET expires_at=1 WHERE hex(request)=?", i.upper())
        check("what has expired home keeps no longer", wait_for(
            lambda: pending(lab).get(i, {}).get("state") in ("sent", None), 10), pending(lab))
        for words in (["--later", "--dry-run"], ["--days", "3"], ["--later", "--days", "8"],
                      ["--later", "--save", "x.receipt"]):
            a = lab.ask("count", "lung", *words)
            check(f"{' '.join(words)} is wrong usage", a.status == 2, a.err)
        assert lab.serve(2).status == 0
        ids = [a.json["later"]["id"] for a in left[1:]]
        check("with the site back all are answered", wait_for(
            lambda: all(pending(lab)[k]["state"] == "done" for k in ids), 60), pending(lab))
        got = [lab.ask("collect", k) for k in ids]
        check("and collected", all(a.status == 0 for a in got), [a.err for a in got])


def on_a_terminal(lab, words, seconds):
    """What a program writes on a terminal's standard error until it is killed."""
    ours, theirs = pty.openpty()
    p = subprocess.Popen([str(CLI), *words, "--profile", "lab-test"], env=lab.env,
                         stdout=subprocess.DEVNULL, stderr=theirs)
    time.sleep(seconds)
    said = os.read(ours, 65536).decode()
    p.kill()
    p.wait()
    os.close(ours)
    os.close(theirs)
    return said


def test_progress():
    with Lab() as lab:
        vault = lab.children(1)["vault-process"]
        os.kill(vault, signal.SIGSTOP)
        p = start(lab, ["count", "lung"], "--progress")
        time.sleep(7)  # three of them go by with the list of sites
        os.kill(vault, signal.SIGCONT)
        out, err = p.communicate(timeout=30)
        check("progress tells how far each site is", p.returncode == 0
              and "hospital_a checked, hospital_b checking, hospital_c checked" in err, err)
        check("a line only when something changed", len(err.splitlines()) <= 4, err)
        os.kill(vault, signal.SIGSTOP)
        said = on_a_terminal(lab, ["count", "lung", "--where", "age >= 51"], 7)
        os.kill(vault, signal.SIGCONT)
        check("on a terminal it is one line that is written over",
              said.count("\r\x1b[K") >= 2 and "hospital_b checking" in said
              and said.count("\n") == 1, repr(said))
        a = lab.ask("count", "lung", "--where", "age >= 50")
        check("a quick question says nothing", a.err == "", a.err)


def test_review():
    """An officer of one site looks at each fit before it leaves."""
    with Lab(policy="cautious") as lab:
        (lab.home / "looks.yaml").write_text(
            "class: cautious\nreviewed_statistics: [lm]\nreason: new analyses\n")
        key = lab.dir / "keys" / "hospital_b.key"
        a = lab.noded(1, "policy", "sign", "--key", key, lab.home / "looks.yaml",
                      "-o", lab.home / "looks")
        b = lab.noded(1, "policy", "apply", lab.home / "looks")
        check("one officer is enough to look at more", a.status == 0 and b.status == 0,
              a.err + b.err)
        fit = ["lm", "lung", "wt_loss ~ age + sex"]
        before = charges(lab)
        a = lab.ask(*fit, "--dry-run")
        check("a dry run says who will hold it", [s["held"] for s in a.json["sites"]]
              == [False, True, False], a.out)
        a = lab.ask(*fit)
        check("the answer is held, and it says where", a.status == 1 and "officer of hospital_b"
              in a.err and "--later" in a.err and "items" not in a.out, a.out + a.err)
        a = lab.ask("count", "lung")
        check("another analysis is not", a.status == 0, a.err)
        left = lab.ask(*fit, "--later").json["later"]["id"]
        time.sleep(3)
        state = pending(lab)[left]
        check("left for later it waits, and says for what", state["state"] == "waiting"
              and "officer" in json.dumps(state), state)
        listed = lab.noded(1, "review", "list")
        name = listed.out.split()[0]
        check("the officer sees it, once", len(listed.out.splitlines()) == 1
              and "lm lung 'wt_loss ~ age + sex'" in listed.out, listed.out)
        check("nobody else does", "no answer waits" in lab.noded(0, "review", "list").out)
        shown = lab.noded(1, "review", "show", name)
        check("... with every number that would leave", "coef" in shown.out
              and "cannot be rounded" in shown.out, shown.out)
        a = lab.noded(1, "review", "round", "--multiple", "20", "--key", key, "--reason", "x", name)
        check("a pooled answer is not rounded by one site", a.status == 3
              and "under masks" in a.err, a.err)
        a = lab.noded(1, "review", "accept", "--key", lab.dir / "keys" / "hospital_a.key",
                      "--reason", "x", name)
        check("another site's officer decides nothing", a.status == 1, a.err)
        a = lab.noded(1, "review", "accept", "--key", key, "--reason", "fits the study", name)
        check("the officer accepts it", a.status == 0 and "accepted" in a.out, a.err)
        check("it comes by itself", wait_for(
            lambda: pending(lab)[left]["state"] == "done", 30) is not False)
        a = lab.cohortium("collect", left, "--json", "--profile", "lab-test")
        check("and is what was shown", a.status == 0 and a.json["released"]
              and all(f"{x:.10g}" in shown.out for x in a.item("coef")), a.out + a.err)
        check("it was charged once", charges(lab) == [n + 2 for n in before], charges(lab))
        a = lab.noded(1, "audit", "show", "--kind", "review")
        check("the log has who and why", "held" in a.out and "accepted" in a.out
              and "fits the study" in a.out, a.out)
        other = ["lm", "lung", "wt_loss ~ age"]
        lab.ask(*other)
        name = lab.noded(1, "review", "list").out.split()[0]
        a = lab.noded(1, "review", "refuse", "--key", key, "--reason", "not of this study", name)
        b = lab.ask(*other)
        check("what an officer refuses is not released, like any other", a.status == 0
              and b.status == 3 and "not of this study" not in b.out + b.err, b.out + b.err)


test_progress()
test_review()
test_later()
test_cancel()
test_expired()
test_replay()
want = undisturbed()
test_killed(want)
test_resumed(want)
check.end()
