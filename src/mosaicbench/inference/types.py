"""Types of the train cells, transferred to cells near them in the model's latent space as the benchmark transfers them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mosaicbench.metrics._nearest import transfer_with_fraction

K = 15  # nearest train cells that vote


def types_of(split: dict[str, np.ndarray], source: str, latents: np.ndarray) -> pd.DataFrame | None:
    """Return each cell's type, and the share of its 15 nearest train cells that have it; None where no train cell has a type.

    Parameters
    ----------
    split
        Of a kept model.
    source
        Of the latents: a modality, or "joint".
    latents
        (cells, latent) of the cells.
    """
    known = split.get(f"latents/{source}/cell_types")
    if known is None or not np.any(known != ""):
        return None
    types, share = transfer_with_fraction(split[f"latents/{source}"], known, latents, ks=[K])[K]
    return pd.DataFrame({"cell_type": types, "agreement": share.astype(np.float32)})
