"""Prints the coefficients of `activation.rs`, and the error of the function that they make.

tanh x ≈ x·P(x²)/Q(x²) for |x| ≤ 9, with P and Q of degree 4: least squares, weighted anew until the largest errors are
equal (Lawson 1961, for rationals linearised by the last denominator), to 10⁻⁸. A search among
the coefficients' neighbours then makes the rounding of single precision less bad. Takes five minutes. From PyPI: numpy.
"""

import numpy
from numpy.polynomial import chebyshev

LIMIT, DEGREE = 9.0, 4


def fit():
    """P and Q, from the lowest power up, with Q(0) = 1."""
    nodes = (1 - numpy.cos(numpy.pi * (numpy.arange(4000) + 0.5) / 4000)) / 2
    x = LIMIT * numpy.concatenate([nodes, numpy.linspace(0, 1, 1000)[1:] ** 2])
    powers = chebyshev.chebvander(2 * (x / LIMIT) ** 2 - 1, DEGREE)
    exact, weights, below, best = numpy.tanh(x), numpy.ones_like(x), numpy.ones_like(x), (numpy.inf,)
    for _ in range(3000):
        scale = numpy.sqrt(weights) / below
        system = numpy.hstack([powers * x[:, None], -exact[:, None] * powers[:, 1:]]) * scale[:, None]
        norms = numpy.linalg.norm(system, axis=0)
        found = numpy.linalg.lstsq(system / norms, exact * scale, rcond=1e-16)[0] / norms
        above, below = found[: DEGREE + 1], numpy.concatenate([[1.0], found[DEGREE + 1 :]])
        candidate, below = (above, below), powers @ below
        error = numpy.abs(powers @ above / below * x - exact)
        if error.max() < best[0]:
            best = (error.max(), candidate)
        weights *= numpy.sqrt(error / error.max() + 1e-9)
        weights /= weights.sum()
    to_square = numpy.polynomial.Polynomial([-1, 2 / LIMIT**2])
    above, below = (numpy.polynomial.Polynomial(chebyshev.cheb2poly(c))(to_square).coef for c in best[1])
    return above / below[0], below / below[0]


def single(x, coefficients):
    """What `tanh` of activation.rs does, in single precision."""
    x = numpy.minimum(x, numpy.float32(LIMIT))
    square = x * x
    p, q = (numpy.full_like(x, coefficients[at]) for at in (DEGREE, 2 * DEGREE + 1))
    for at in range(DEGREE - 1, -1, -1):
        p, q = p * square + coefficients[at], q * square + coefficients[DEGREE + 1 + at]
    return x * p / q


def search(coefficients):
    """Nearby coefficients with a smaller largest error, and in the second place a smaller mean square."""
    first, last = (numpy.float32(x).view(numpy.uint32) for x in (0.01, 9.2))
    x = numpy.arange(first, last, 997, dtype=numpy.uint32).view(numpy.float32)
    exact = numpy.tanh(x.astype(numpy.float64))

    def badness(candidate):
        error = numpy.abs(single(x, candidate) - exact)
        return error.max() * 1e7 + numpy.sqrt((error**2).mean()) * 1e7 * 0.5

    random, best = numpy.random.default_rng(1), (badness(coefficients), coefficients)
    for _ in range(20000):
        candidate = best[1].copy()
        for at in random.choice(10, random.integers(1, 4), replace=False):
            if at != DEGREE + 1:  # Q(0) stays 1
                moved = candidate[at : at + 1].view(numpy.int32) + numpy.int32(random.integers(-6, 7))
                candidate[at] = moved.view(numpy.float32)[0]
        found = badness(candidate)
        if found < best[0]:
            best = (found, candidate)
    return best[1]


coefficients = search(numpy.concatenate(fit()).astype(numpy.float32))
for name, some in (("P", coefficients[: DEGREE + 1]), ("Q", coefficients[DEGREE + 1 :])):
    print(name, ", ".join(numpy.format_float_scientific(number, unique=True) for number in some))
magnitudes = numpy.arange(0, numpy.float32(16).view(numpy.uint32), 37, dtype=numpy.uint32).view(numpy.float32)
errors = numpy.abs(single(magnitudes, coefficients) - numpy.tanh(magnitudes.astype(numpy.float64)))
print("largest error", errors.max(), "mean square", numpy.sqrt((errors**2).mean()))
