"""Sites with other processor features: the same answer, bit for bit, in any order of sites."""
import signal

from lab import SITES, Checks, Lab

QUESTIONS = [
    ["describe", "lung", "age", "wt_loss", "--by", "sex"],
    ["lm", "lung", "wt_loss ~ age + sex + ph_karno"],
    ["glm", "lung", "status ~ age + sex + ph_ecog", "--family", "binomial"],
    ["glm", "lung", "status ~ sex + age + offset(log(time))", "--family", "poisson"],
]
FEATURES = [
    {},
    {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX2,-FMA,-FMA4", "COHORTIUM_KERNEL": "portable",
     "OPENBLAS_CORETYPE": "Prescott"},
    {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F", "COHORTIUM_KERNEL": "avx2",
     "OPENBLAS_CORETYPE": "Haswell"},
]

check = Checks()
answers = []
for name, files in (("as split", SITES), ("in another order", SITES[::-1])):
    with Lab(sites=files) as lab:
        if name == "as split":
            plain = [lab.ask(*q) for q in QUESTIONS]
            for q, a in zip(QUESTIONS, plain):
                check(f"answered: {' '.join(q)}", a.status == 0, a.err)
            answers.append([a.json["items"] for a in plain])
        for i, env in enumerate(FEATURES):
            lab.stop_node(i, signal.SIGTERM)
            a = lab.serve(i, env)
            check(f"node {i} starts with {env}", a.status == 0, a.out + a.err)
        lab.wait_linked()
        # other cohorts, canonically different, same rows: nothing is answered from the store
        again = [lab.ask(*q, "--where", "time >= 1") for q in QUESTIONS]
        for q, a in zip(QUESTIONS, again):
            check(f"answered over mixed processors, {name}: {' '.join(q)}", a.status == 0, a.err)
        answers.append([a.json["items"] for a in again])
for other in answers[1:]:
    for q, one, two in zip(QUESTIONS, answers[0], other):
        check(f"the same numbers to the last bit: {' '.join(q)}", one == two,
              [(k, one[k], two.get(k)) for k in one if one[k] != two.get(k)][:3])
check.end()
