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
    return [np.ldexp(latent, -exponent) for latent in latents] if abs(exponent) > FAR else list(latents)


def rough_of(latent: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return latents, (cells, dims) and (reference cells, dims), in the form that bounds their distances from below in float32.

    Both are centred and multiplied by one power of two, so that no value exceeds 1. Let x and y be such vectors, and h half a
    squared norm, less a margin. Then h_x + h_y - x·y in float32 is no more than half the squared distance, so scaled.

    Proof: let n be the dimensions, u = 2^-24 and s = |x|² + |y|², so |x||y| <= s / 2 and the squared distance <= 2s. Rounding x
    and y to float32 changes x·y by 2u|x||y| <= us at most; n + 1 products and sums, in any order, by (n + 1)u(|x||y| + h_y) <=
    (n + 1)us; rounding h_x, h_y and a limit by 2us; what float64 rounds is far less than us. The margin, (2n + 16)us, is more
    than twice the sum, which leaves room for squares of u. Values too small for float32 add less than LEAST to the limit.

    Returns
    -------
    rough, shifts, rough_reference, half
        (-x, 1) and (y, h_y), (cells, dims + 1) each, whose products are h_y - x·y; h_x, (cells,); all in float32. Half of what
        multiplies a squared distance.
    """
    dims, centre = latent.shape[1], reference.mean(axis=0)
    centred = [latent - centre, reference - centre]
    exponent = int(np.frexp(max(np.abs(x).max(initial=0) for x in centred))[1])
    x, y = (np.ldexp(x, -exponent) for x in centred)
    h_x, h_y = ((0.5 - (dims + 8) / 2**23) * np.square(x).sum(axis=1) for x in (x, y))
    rough, rough_reference = (np.column_stack(pair).astype(np.float32) for pair in ((-x, np.ones(len(x))), (y, h_y)))
    return rough, h_x.astype(np.float32), rough_reference, 0.5 * 4.0**-exponent
