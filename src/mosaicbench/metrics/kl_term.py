"""The KL term of a trained method's cost: how much its latents say, as it was weighted in training."""

from __future__ import annotations

import numpy as np

CARD = {
    "label": "KL term (nats per cell)",
    "group": "sanity",
    "best": None,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, None],
    "definition": "The divergence of the posteriors from the prior in the epoch whose weights were kept, in nats per cell, "
    "with the weight it had in the cost and summed over the posteriors that the method trains; near 0 the "
    "latents say nothing.",
    "doi": "",
}


def kl_term(history: dict[str, np.ndarray]) -> float:
    """Return the entry of "kl" of the epoch whose weights were kept, from the columns of a run's history, (epochs,) each.

    That is where "kept" is 1, or "validation_cost" is lowest in the history of a package that has no such column.

    Raises
    ------
    ValueError
        When the entry is not finite.
    """
    epoch = (
        np.argmax(history["kept"])
        if "kept" in history
        else np.nanargmin(history["validation_cost"])
    )
    kept = float(history["kl"][epoch])
    if not np.isfinite(kept):
        raise ValueError("the history holds NaN or infinite values")
    return max(0.0, kept)
