"""What of float64 and of float32 squared distances need: a range of numbers, and a bound of what rounding changes."""

from __future__ import annotations

import numpy as np

FAR = 400  # binary orders of magnitude; squares of values beyond would leave the range of float64
LEAST = 2.0**-100  # of a limit in float32: more than what values too small for float32 add up to


def within_range(*latents: np.ndarray) -> list[np.ndarray]:
    """Return latents times one power of two, where they are so large or small that their squares are not numbers any more.

    The order of their distances stays, and with it every tie.
    """
    exponent = int(np.frexp(max(np.abs(latent).max(initial=0) for latent in latents))[1])
    return (
        [np.ldexp(latent, -exponent) for latent in latents]
        if abs(exponent) > FAR
        else list(latents)
    )


def rough_of(latent: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return latents, (cells, dims) and (reference cells, dims), in the form that bounds their distances in float32.

    Both are centred and multiplied by one power of two, so that no value exceeds 1. Let x and y be such vectors, d half their
    squared distance, s = |x|² + |y|², c the :func:`margin`, and h_x = (1/2 - c)|x|², likewise h_y. Then h_x + h_y - x·y in
    float32 is no more than d, and no less than d - 2cs.

    Proof: without rounding it is d - cs; rounding changes that by less than cs. Let n be the dimensions and u = 2^-24. As
    |x||y| <= s / 2 and h_x + h_y <= s / 2, rounding x and y to float32 changes x·y by 2u|x||y| <= us at most; n + 2 products
    and sums, in any order, by (n + 2)u(|x||y| + h_x + h_y) <= (n + 2)us; rounding h_x and h_y by us / 2; what float64 rounds,
    distances that are compared with the bounds included, is far less than us. So cs, with c = (2n + 16)u, is more than twice
    the sum, which leaves room for squares of u. Values too small for float32 add less than LEAST to a limit, and rounding a
    limit to float32 changes its order with no float32.

    Returns
    -------
    rough, rough_reference, half
        (-x, h_x, 1) and (y, 1, h_y), (cells, dims + 2) each, whose products are h_x + h_y - x·y; both in float32. Half of what
        multiplies a squared distance.
    """
    centre = reference.mean(axis=0)
    centred = [latent - centre, reference - centre]
    largest = max(np.abs(x).max(initial=0) for x in centred)
    exponent = max(int(np.frexp(largest)[1]), -FAR)  # what is smaller still adds less than LEAST
    x, y = (np.ldexp(x, -exponent) for x in centred)
    h_x, h_y = ((0.5 - margin(latent.shape[1])) * np.square(x).sum(axis=1) for x in (x, y))
    pairs = (-x, h_x, np.ones(len(x))), (y, np.ones(len(y)), h_y)
    rough, rough_reference = (np.column_stack(pair).astype(np.float32) for pair in pairs)
    return rough, rough_reference, 0.5 * 4.0**-exponent


def margin(dims: int) -> float:
    """Return how much rounding may change a distance of so many dimensions, see :func:`rough_of`."""
    return (dims + 8) / 2**23


def limits_of(squared: np.ndarray, h: np.ndarray, half: float, dims: int) -> np.ndarray:
    """Return between which bounds in float32 distances from each cell may be less than a given one, and may be not.

    A distance whose bound by :func:`rough_of` is below the first limit is certainly less, above the second certainly more.

    Proof: let t be half the given distance, squared and scaled. If d <= t, the bound is no more than t. If d >= t, it is no
    less than d - 2c(|x|² + |y|²) >= d - 2c(3|x|² + 4d), as |y|² <= (|x| + sqrt(2d))² <= 2|x|² + 4d; that grows with d, so it is
    at least (1 - 8c)t - 6c|x|², and |x|² = h / (1/2 - c) < 7h / 3.

    Parameters
    ----------
    squared, h
        (cells,) squared distances; and h of the cells, from `rough`.
    half, dims
        From :func:`rough_of`; of latents.

    Returns
    -------
    limits
        (2, cells) in float32.
    """
    c, t = margin(dims), squared * half
    return np.stack([(1 - 8 * c) * t - 14 * c * h - LEAST, t + LEAST]).astype(np.float32)
