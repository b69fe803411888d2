"""Integrate: fit a method to the user's cells, without a benchmark, and embed them."""

from __future__ import annotations

from pathlib import Path

from mosaicbench.commands.apply import check_output, print_matches
from mosaicbench.errors import UserError
from mosaicbench.inference.training import trained


def main(
    *,
    cells: Path,
    method: str,
    output: Path,
    seed: int = 0,
    hyperparameters: dict | None = None,
    model: Path | None = None,
    impute: bool = True,
    min_fraction: float = 0.5,
    **options: object,
) -> None:
    """Write the cells with latents, types and imputed values, as `mosaicbench apply` does.

    Parameters
    ----------
    cells
        ``.h5mu`` or 10x ``.h5``; the method is fitted to the cells with every modality.
    method, seed, hyperparameters
        The method's id, the random seed, and changes to its defaults.
    output
        ``.h5mu``.
    model
        A folder to save the model in, for `mosaicbench apply`.
    impute, min_fraction
        As in `mosaicbench apply`.
    **options
        As in a stanza of the config's `datasets`: cell_type, batch, values, kinds.

    Raises
    ------
    UserError
        When the cells cannot be read, or the method cannot be fitted to them.
    """
    check_output(output, cells)
    if cells.is_dir():
        raise UserError(f"{cells}: is a folder; write its modalities in Python as one .h5mu")
    fitted = trained(
        cells, method, hyperparameters=hyperparameters or {}, seed=seed, folder=model, **options
    )
    print_matches(fitted.apply_to_file(cells, output, impute=impute, min_fraction=min_fraction))
