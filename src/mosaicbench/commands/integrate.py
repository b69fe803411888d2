"""Integrate: fit a method to one's own cells, without a benchmark, and show it these cells."""

from __future__ import annotations

from pathlib import Path

from mosaicbench.commands.apply import check_output, tell
from mosaicbench.errors import UserError
from mosaicbench.inference.asked import method_asked
from mosaicbench.inference.training import trained


def main(
    *,
    cells: Path,
    method: str,
    output: Path,
    seed: int = 0,
    hyperparameters: dict | None = None,
    model: Path | None = None,
    cell_type: str | None = None,
    batch: str | None = None,
    values: str = "counts",
    kinds: dict[str, str] | None = None,
    impute: bool = True,
    min_fraction: float = 0.5,
) -> None:
    """Write the cells with what the method gives of them, as `mosaicbench apply` does.

    Parameters
    ----------
    cells
        ``.h5mu`` or 10x ``.h5``; the method is fitted to the cells that have every modality, and shown all of them.
    method, seed, hyperparameters
        Its id, what everything random depends on, and what differs from its defaults.
    output
        ``.h5mu``.
    model
        A folder to keep the model in, for `mosaicbench apply`.
    cell_type, batch, values, kinds
        As in a stanza of the config's `datasets`.
    impute, min_fraction
        As of `mosaicbench apply`.

    Raises
    ------
    UserError
        When the cells cannot be read, or the method cannot be fitted to them.
    """
    check_output(output, cells)
    if cells.is_dir():
        raise UserError(
            f"{cells}: is a folder; read it in Python, split it into modalities, and write them as one .h5mu"
        )
    given = {} if hyperparameters is None else hyperparameters
    implementation = method_asked(method, given, seed)
    options = {"cell_type": cell_type, "batch": batch, "values": values, "kinds": kinds}
    fitted = trained(
        cells, implementation, hyperparameters=given, seed=seed, folder=model, **options
    )
    tell(fitted.apply_to_file(cells, output, impute=impute, min_fraction=min_fraction))
