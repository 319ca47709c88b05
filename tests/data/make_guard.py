#!/usr/bin/env python3
"""Writes guard.json: reference values for the guard's formulas, computed with scipy.

This script is independent of the crate. It implements the formulas of docs/guards.md, if possible in
another way than the crate: probabilities of counts instead of a closed ratio, sums over all looks at
which a bet begins instead of a recursion, numeric roots instead of closed solutions.

    pip install -r requirements.txt     # in this folder
    python3 make_guard.py               # writes guard.json into this folder
    python3 make_guard.py --check       # exit status 1 if the file, or a list of odds in the docs, differs

Numbers have twelve digits. `--check` compares nine of them, because another version of scipy may round
differently.

Layout, one row per line:
    evidence  [name of the odds, looks as [hits, trials, p], ln of the money after each look]
    spread    [ln of the factor that a fault from the first look on must win back, because the money is spread]
    share     [requests with the flag, without, times control's rate, expected share of treatment in the errors]
    wilson    [hits, trials, upper bound of the rate with 99% certainty]
    bounds    [hits, trials, lower and upper bound with 95% certainty each (Wilson), upper bound (Clopper and Pearson)]
    erfcx     [x, e^(x^2) erfc(x)]
    tail      [x, log, e^log times the probability that a standard normal deviate is above x]
    told      [probability of an error, limit, mean and variance of the log likelihood ratio of one trial]
    passed    [time, drift, variance, level, probability that the level is reached by that time]
    minutes   ["above" or "worse", limit, times the base rate, share of users, requests per minute, base rate, alpha,
              minutes until the guard finds the fault in four of five cases], null for never
"""

import json
import math
import random
import sys
from pathlib import Path

import numpy as np
from scipy import integrate, optimize, special, stats

HERE = Path(__file__).parent
VALUES = HERE / "guard.json"
SPECIFICATION = HERE.parent.parent / "docs" / "guards.md"

ODDS = {"worse": [1.25, 1.5, 2, 3, 5, 10], "uneven": [1.01, 1.03, 1.1, 1.3, 2, 5]}

# --- The formulas.


def alternative(p, odds):
    """Returns the probability whose odds are `odds` times the odds of p."""
    times = odds * p / (1 - p)
    return times / (1 + times)


def not_begun(k):
    """Returns the share of the money that has not entered a bet before the (k+1)-th look."""
    return 1 / (1 + math.log(k + 1))


def ln_evidence(odds, looks):
    """Returns ln of the money after each look. A look without trials does not count and leaves the money unchanged."""
    after, ratios = [0.0], []
    for hits, trials, p in looks:
        if trials == 0:
            after.append(after[-1])
            continue
        null = stats.binom.logpmf(hits, trials, p)
        ratios.append([stats.binom.logpmf(hits, trials, alternative(p, r)) - null for r in odds])
        terms = [math.log(not_begun(len(ratios)))]
        for begin in range(len(ratios)):
            stake = (not_begun(begin) - not_begun(begin + 1)) / len(odds)
            terms += [math.log(stake) + ratio for ratio in np.sum(ratios[begin:], axis=0)]
        after.append(special.logsumexp(terms))
    return after[1:]


def ln_spread():
    """Returns -ln of the stake of one alternative at the first look: all alternatives share the money of that look."""
    return -math.log((not_begun(0) - not_begun(1)) / len(ODDS["worse"]))


def treatment_share(treatment, control, times):
    """Returns the probability that an error is treatment's, from two Poisson counts with these means."""
    means = np.array([times * treatment, control]) / (times * treatment + control)
    one = stats.poisson.pmf(1, means[0]) * stats.poisson.pmf(0, means[1])
    return one / stats.poisson.pmf(1, means.sum())


def wilson(hits, trials, certainty):
    """Returns the lower and upper bound of the rate: the roots of the score test."""
    rate, z = hits / trials, stats.norm.ppf(certainty)

    def too_far(p):
        return abs(p - rate) * math.sqrt(trials) - z * math.sqrt(p * (1 - p))

    least = 0 if hits == 0 else optimize.brentq(too_far, 1e-300, rate, xtol=1e-300, rtol=1e-15)
    most = 1 if hits == trials else optimize.brentq(too_far, max(rate, 1e-300), 1, xtol=1e-300, rtol=1e-15)
    return least, most


def clopper_pearson(hits, trials, certainty):
    """Returns the exact upper bound of the rate."""
    return stats.beta.ppf(certainty, hits + 1, trials - hits)


def tail(x, log):
    return math.exp(log + special.log_ndtr(-x))


def told(truth, p):
    """Returns mean and variance of one trial's log likelihood ratio, for the alternative with the largest mean."""
    best = (0, 0)
    for odds in ODDS["worse"]:
        q = alternative(p, odds)
        happens = [(truth, math.log(q / p)), (1 - truth, math.log1p(-q) - math.log1p(-p))]
        mean = sum(chance * told for chance, told in happens)
        variance = sum(chance * (told - mean) ** 2 for chance, told in happens)
        best = max(best, (mean, variance))
    return best


def first_passage(drift, variance, level):
    mean, shape = level / drift, level**2 / variance
    return stats.invgauss(mean / shape, scale=shape)


def passed(time, drift, variance, level):
    """Returns the inverse Gaussian probability, checked against the integral of the first-passage density."""
    found = first_passage(drift, variance, level).cdf(time)

    def density(log):
        t = math.exp(log)
        far = (level - drift * t) ** 2 / (2 * variance * t)
        return level / math.sqrt(2 * math.pi * variance * t) * math.exp(-far)

    # In small steps, so that the quadrature misses no peak.
    steps = np.linspace(math.log(time) - 25, math.log(time), 501)
    parts = [integrate.quad(density, a, b, epsabs=0)[0] for a, b in zip(steps, steps[1:])]
    assert math.isclose(math.fsum(parts), found, rel_tol=1e-8), (time, drift, variance, level)
    return found


def minutes(kind, limit, times, share, requests, base, alpha):
    failing = min(base * times, 1)
    if kind == "above":
        trials, truth, p = share, failing, limit
    else:
        trials = share * failing + (1 - share) * base
        truth, p = share * failing / trials, treatment_share(share, 1 - share, limit)
    drift, variance = told(truth, p)
    if drift == 0:
        return None
    return first_passage(drift, variance, ln_spread() - math.log(alpha)).ppf(0.8) / (requests * trials)


# --- The inputs.


def evidence():
    drawn = random.Random(2026)  # `random()` is the same in every version of Python
    ps = [1e-6, 0.0005, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.999]
    for name, odds in ODDS.items():
        for case in range(50):
            base, size = ps[case % len(ps)], [1, 3, 40, 1_000, 30_000][case // len(ps)]
            rate = base * 4 * drawn.random()  # far too few, far too many
            looks = []
            for _ in range(8):
                trials = round(size * 2 * drawn.random())
                hits = min(trials, round(trials * rate * 2 * drawn.random() + drawn.random() - 0.4))
                p = round(base * (0.9 + 0.1 * drawn.random()), 9)  # differs from look to look
                looks.append([hits, trials, p])
            yield [name, looks, [*ln_evidence(odds, looks)]]
        # A fault after many healthy looks.
        looks = [[1, 100, 0.01]] * 150 + [[4, 100, 0.01]] * 20
        yield [name, looks, [*ln_evidence(odds, looks)]]


def shares():
    for treatment in [1, 100, 2_500, 10_000_000]:
        for control in [0, 1, 900, 1_000_000]:
            for times in [1.0, 1.01, 1.2, 2.0, 10.0]:
                yield [treatment, control, times, treatment_share(treatment, control, times)]


def counts(sizes):
    for size in sizes:
        for hits in sorted({0, 1, 2, size // 100, size // 7, size // 2, size - 1, size}):
            if hits <= size:
                yield hits, size


def bounds():
    # The counts in docs/guards.md, and others.
    documented = [(hits, 20_000) for hits in (34, 40, 41, 43, 44, 46, 50, 55)]
    for hits, size in [*documented, *counts([300, 500, 20_000])]:
        if hits < size:
            yield [hits, size, *wilson(hits, size, 0.95), clopper_pearson(hits, size, 0.95)]


def erfcx():
    small = [step / 10 for step in range(51)]
    near = [1e-300, 1e-9, 0.001, 1.4999, 1.5001, 1.9999, 2.0001]  # where other implementations switch formulas
    large = [5.5, 6.0, 7.5, 10.0, 15.0, 26.0, 27.0, 50.0, 100.0, 1e3, 1e5, 1e8, 1e50, 1e150, 1e200, 1e300]
    for x in [*small, *near, *large]:
        yield [x, special.erfcx(x)]


def tails():
    for x in [0.0, 0.001, 0.1, 0.5, 1.0, 1.644853627, 2.326347874, 2.828, 3.0, 5.0, 8.0, 20.0, 37.0]:
        yield [x, 0.0, tail(x, 0.0)]
        yield [-x, 0.0, tail(-x, 0.0)]
        yield [x, 3.5, tail(x, 3.5)]
        yield [-x, 3.5, tail(-x, 3.5)]
    # The log compensates for the small tail, as in the second half of `passed`.
    for x in [10.0, 38.0, 60.0, 100.0, 300.0, 1_000.0]:
        for more in [-40.0, 0.0, 10.0]:
            yield [x, x * x / 2 + more, tail(x, x * x / 2 + more)]


def tellings():
    for p in [1e-6, 0.001, 0.01, 0.1, 0.5, 0.9]:
        for times in [0.0, 0.5, 1.0, 1.05, 1.3, 2.0, 3.7, 8.0, 100.0]:
            truth = min(p * times, 1)
            yield [truth, p, *told(truth, p)]


def passages():
    for drift, variance in [(1e-6, 1e-5), (0.002, 0.03), (0.05, 0.5), (1.0, 1.0), (0.3, 0.001), (1e-4, 1.0)]:
        for level in [1.0, 7.283, 12.0]:
            for place in [0.05, 0.3, 0.8, 1.0, 1.4, 4.0]:
                time = float(f"{place * level / drift:.6g}")
                value = passed(time, drift, variance, level)
                if value > 1e-250:
                    yield [time, drift, variance, level, value]


def foretold():
    for kind, limit in [("above", 0.01), ("above", 0.05), ("worse", 1.2), ("worse", 2.0)]:
        for times in [1.1, 1.5, 3.0, 10.0]:
            for share in [0.01, 0.25, 0.5]:
                for requests, base, alpha in [(1_000.0, 0.01, 0.01), (60.0, 0.0015, 0.0025)]:
                    asked = [kind, limit, times, share, requests, base, alpha]
                    yield [*asked, minutes(*asked)]


def table():
    return {
        "evidence": [*evidence()],
        "spread": [[ln_spread()]],
        "share": [*shares()],
        "wilson": [[*asked, wilson(*asked, 0.99)[1]] for asked in counts([1, 2, 7, 100, 2_500, 10**6, 10**9])],
        "bounds": [*bounds()],
        "erfcx": [*erfcx()],
        "tail": [*tails()],
        "told": [*tellings()],
        "passed": [*passages()],
        "minutes": [*foretold()],
    }


# --- The file.


def rounded(value):
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    return float(f"{value:.12g}") if isinstance(value, float) else value


def render(names):
    def lines(rows):
        return ",\n".join(json.dumps(rounded(row), separators=(",", ":"), allow_nan=False) for row in rows)

    return "{" + ",\n".join(f'"{name}":[\n{lines(rows)}\n]' for name, rows in names.items()) + "}\n"


def same(a, b, least=0.0):
    """Compares to nine digits, or with an absolute tolerance of `least`."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(*pair, least) for pair in zip(a, b))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=least)
    return a == b


def check(text):
    written = json.loads(VALUES.read_text(encoding="ascii")) if VALUES.exists() else {}
    for name, rows in json.loads(text).items():
        known = written.pop(name, [])
        # Evidence sums logarithms that may cancel, so a relative tolerance alone is too strict.
        least = 1e-9 if name == "evidence" else 0.0
        differ = [index for index, pair in enumerate(zip(rows, known)) if not same(*pair, least)]
        if len(rows) != len(known):
            yield f"{VALUES.name} has {len(known)} rows of `{name}`, and this script writes {len(rows)}"
        elif differ:
            yield f"{VALUES.name} differs in `{name}`, first in row {differ[0]}"
    for name in written:
        yield f"{VALUES.name} has `{name}`, which this script does not write"
    specification = " ".join(SPECIFICATION.read_text(encoding="utf-8").split())
    for odds in ODDS.values():
        if ", ".join(map(str, odds)) not in specification:
            yield f"{SPECIFICATION.name} does not contain the odds {odds}"


def main():
    if sys.argv[1:] == ["--check"]:
        problems = list(check(render(table())))
        for problem in problems:
            print(problem, file=sys.stderr)
        sys.exit(1 if problems else 0)
    if sys.argv[1:]:
        sys.exit(__doc__)
    VALUES.write_text(render(table()), encoding="ascii", newline="\n")


if __name__ == "__main__":
    main()
