"""Virtual cells drawn from the prior of a VAE: values of each modality, and a cell type."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.files._h5 import KEY, check_finite, quiet_mudata, write_h5
from mosaicbench.files.splits import unstandardised_values, values_table

if TYPE_CHECKING:
    from mudata import MuData


def generated_table(
    generated: dict[str, np.ndarray],
    train: MuData,
    names: np.ndarray,
    cell_types: np.ndarray,
    identity: dict,
) -> MuData:
    """Return virtual cells from modality -> (cells, features) standardised values.

    The table holds the values in the normalization of the train cells.
    """
    import mudata

    modalities = {
        modality: values_table(train[modality], names, unstandardised_values(train[modality], x))
        for modality, x in generated.items()
    }
    with quiet_mudata():
        table = mudata.MuData(modalities)
    table.obs["cell_type"] = pd.Categorical(cell_types.astype(str))
    table.uns[KEY] = {"noun": "generated"} | identity
    return table


def write_generated(path: str | Path, generated: MuData) -> None:
    """Check and write virtual cells."""
    for modality, cells in generated.mod.items():
        check_finite(path, modality, cells.X)
    write_h5(path, generated)
