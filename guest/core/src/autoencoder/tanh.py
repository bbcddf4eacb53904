"""Prints the coefficients of `activation.rs`, and the error of the function that they make.

tanh x ≈ x·P(x²)/Q(x²) for |x| ≤ 9, with P and Q of degree 4: least squares, weighted anew until the largest errors are
equal (Lawson 1961, for rationals linearised by the last denominator). From PyPI: numpy.
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


def single(x, above, below):
    """What `tanh` of activation.rs does, in single precision."""
    x = numpy.clip(x, numpy.float32(-LIMIT), numpy.float32(LIMIT))
    square, p, q = x * x, above[-1], below[-1]
    for a, b in zip(above[-2::-1], below[-2::-1]):
        p, q = p * square + a, q * square + b
    return x * p / q


above, below = (c.astype(numpy.float32) for c in fit())
for name, coefficients in (("P", above), ("Q", below)):
    print(name, ", ".join(numpy.format_float_scientific(c, unique=True) for c in coefficients))
magnitudes = numpy.arange(0, numpy.float32(16).view(numpy.uint32), 37, dtype=numpy.uint32).view(numpy.float32)
ours = single(magnitudes, above, below)
print("largest error", numpy.abs(ours - numpy.tanh(magnitudes.astype(numpy.float64))).max(), "largest value", repr(ours.max()))
