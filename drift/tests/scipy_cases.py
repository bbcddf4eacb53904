#!/usr/bin/env python3
"""Writes scipy_cases.json beside it: what SciPy says of samples and counts, for scipy.rs. Needs scipy."""

import json
import pathlib
import random

import numpy
import scipy
from scipy import special, stats
from scipy.spatial import distance


def samples(generator):
    """Pairs of samples: sizes, ties, heavy tails, constants, samples that are apart."""
    normal, cauchy = generator.normal, generator.standard_cauchy
    yield "one value each", [1.5], [2.5]
    yield "the same value", [1.5], [1.5]
    yield "a constant, the same", [3.0] * 7, [3.0] * 11
    yield "a constant, another", [3.0] * 50, [4.0] * 60
    yield "apart", normal(0, 1, 40), normal(100, 1, 40)
    yield "apart, large", normal(0, 1, 120), normal(50, 1, 150)
    for n, m in [(2, 3), (5, 5), (7, 13), (20, 20), (31, 64), (100, 100), (201, 512), (200, 300), (512, 640)]:
        yield f"normal {n} {m}", normal(0, 1, n), normal(0, 1, m)
        yield f"normal, moved {n} {m}", normal(0, 1, n), normal(0.7, 1, m)
        yield f"normal, wider {n} {m}", normal(0, 1, n), normal(0, 3, m)
        yield f"ties {n} {m}", generator.poisson(2.0, n), generator.poisson(2.5, m)
        yield f"heavy tails {n} {m}", cauchy(n), 1.5 * cauchy(m)
        yield f"far from 0 {n} {m}", normal(1e9, 1e-3, n), normal(1e9, 2e-3, m)
    yield "the whole of a small one", normal(0, 1, 3), normal(0, 1, 300)


def counts(generator):
    """Pairs of counts in bins, none of them empty in the reference."""
    yield "the same", [10] * 10, [10] * 10
    yield "totals differ", [100] * 10, [7] * 10
    yield "one bin takes all", [100] * 10, [0, 0, 0, 500, 0, 0, 0, 0, 0, 0]
    yield "a live bin is empty", [100, 200, 300], [10, 0, 90]
    for bins in range(2, 11):
        shares = generator.dirichlet([5.0] * bins)
        reference = generator.multinomial(43200, shares) + 1
        yield f"chance, {bins} bins", reference, generator.multinomial(8640, shares)
        yield f"other, {bins} bins", reference, generator.multinomial(8640, generator.dirichlet(shares * 200))
        yield f"far, {bins} bins", reference, generator.multinomial(512, generator.dirichlet(shares * 20))


def floats(values):
    return [float(value) for value in values]


def main():
    generator = numpy.random.default_rng(2026)
    cases = {"scipy": scipy.__version__, "two_sample": [], "binned": [], "survival": [], "kolmogorov": [], "adjusted": []}
    for name, a, b in samples(generator):
        a, b = sorted(floats(a)), sorted(floats(b))
        exact = stats.ks_2samp(a, b, method="exact")
        cases["two_sample"].append({
            "name": name, "a": a, "b": b, "statistic": float(exact.statistic), "p_value": float(exact.pvalue),
            "wasserstein": float(stats.wasserstein_distance(a, b)),
        })
    for name, reference, live in counts(generator):
        reference, live = numpy.array(floats(reference)), numpy.array(floats(live))
        test = stats.chisquare(live, reference / reference.sum() * live.sum())
        p, q = (numpy.maximum(side / side.sum(), 1e-4) for side in (reference, live))
        cases["binned"].append({
            "name": name, "reference": floats(reference), "live": floats(live),
            "statistic": float(test.statistic), "p_value": float(test.pvalue),
            "jensen_shannon": float(distance.jensenshannon(reference, live, base=2)),
            "stability_index": float(numpy.sum(special.rel_entr(p, q) + special.rel_entr(q, p))),
        })
    for degrees in [*range(1, 13), 25, 40]:
        for x in [0.0, 1e-6, 0.1, 1.0, 4.0, 9.5, 20.0, 60.0, 200.0, 700.0, 1300.0]:
            cases["survival"].append({"x": x, "degrees": degrees, "p_value": float(stats.chi2.sf(x, degrees))})
    for statistic in [0.0, 0.002, 0.005, 0.01, 0.0123, 0.013, 0.02, 0.05, 0.1, 0.3]:
        n, m = 8640, 9000
        p_value = float(special.kolmogorov(numpy.sqrt(n * m / (n + m)) * statistic))
        cases["kolmogorov"].append({"statistic": statistic, "n": n, "m": m, "p_value": p_value})
    chance = random.Random(7)
    for size in [1, 2, 3, 10, 100]:
        for power in [1, 8]:
            p_values = [chance.random() ** power for _ in range(size)]
            p_values[-1] = p_values[0]
            cases["adjusted"].append({"p_values": p_values, "adjusted": floats(stats.false_discovery_control(p_values))})
    cases["adjusted"].append({"p_values": [1e-300, 0.0, 1.0, 1.0], "adjusted": floats(stats.false_discovery_control([1e-300, 0.0, 1.0, 1.0]))})
    text = json.dumps(cases).replace('{"name"', '\n{"name"').replace("], \"", "],\n\"")
    pathlib.Path(__file__).with_suffix(".json").write_text(text + "\n")


if __name__ == "__main__":
    main()
