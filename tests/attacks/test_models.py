"""Models that one patient decides (DISCLOSURE.md 2.4, A64)."""
import math

from attack import TIM, UNA, VIC, Suite, first, flat, known, play

suite = Suite()
attack = suite.attack
THREE = f"({TIM} or {UNA} or {VIC})"


def coefficients(x, question):
    return flat(known(x.ask(question).get("coef")))


@attack("A42", "an indicator as covariate", "bmi", "the victim's bmi", within=0.05)
def _(x):
    b = coefficients(x, "lm clinic 'bmi ~ I(dx == \"C3\")'")
    return b[0] + b[1]


@attack("A42 A64", "a level of one: a stratum, a risk set", "etime", "the victim's time", within=0.5)
def _(x):
    b = coefficients(x, "lm clinic 'etime ~ dx'")
    return b[0] + b[-1]


@attack("A43", "an indicator, hidden under another variable", "bmi", "the victim's bmi", within=0.05)
def _(x):
    b = coefficients(x, "lm clinic 'bmi ~ I(dx == \"C3\"):age'")
    return b[0] + 47 * b[-1]


@attack("A44", "as many parameters as patients", "bmi", "the victim's bmi", within=0.05)
def _(x):
    b = coefficients(x, f"lm clinic 'bmi ~ age + I(age^2)' --where '{THREE}'")
    return b[0] + 47 * b[1] + 47 * 47 * b[2]


@attack("A45", "a covariate that is huge for one (leverage, Rai and Hall)", "etime",
        "the victim's time", within=20)
def _(x):
    b = coefficients(x, "lm clinic 'etime ~ I(exp(bmi))'")
    return b[0] + b[1] * math.exp(x.knows("bmi"))


@attack("A47", "weights that are one patient's", "bmi", "the victim's bmi", within=1.2)
def _(x):
    return coefficients(x, "lm clinic 'bmi ~ 1' --weights cost --where 'ward == \"W4\"'")[0]


@attack("A56", "a correlation with a known column", "bmi", "the victim's bmi", within=0.1)
def _(x):
    a = x.ask("lm clinic 'bmi ~ I(dx == \"C3\")'")
    r2, n = known(a.get("r_squared"), a.get("n"))
    mean, sd = known(*(first(x.ask("describe clinic bmi").get(i)) for i in ("mean", "sd")))
    # of an indicator of one: r = (y - mean) / (sd (n - 1)) sqrt(n)
    return mean + math.sqrt(r2) * sd * (n - 1) / math.sqrt(n)


if __name__ == "__main__":
    play(suite).end()
