"""Apply: a kept model embeds cells that come later, gives them types, and imputes what was not measured."""

from __future__ import annotations

import sys
from pathlib import Path

from mosaicbench.applying.model import Model
from mosaicbench.errors import UserError


def main(
    *, run: Path, cells: Path, output: Path, impute: bool = True, least_share: float = 0.5
) -> None:
    """Write the user's cells with what the model of a run gives of them.

    Parameters
    ----------
    run
        The folder of a run whose model was kept, or of a model.
    cells
        ``.h5mu``, ``.h5ad`` or 10x ``.h5`` with some of the model's modalities.
    output
        ``.h5mu``: the cells with ``obsm["X_mosaicbench"]`` in every modality and of all of them, types with the share of
        agreeing neighbours, and a modality per imputed direction, as "rna->atac".
    impute
        Whether modalities that cells lack are imputed.
    least_share
        Share of a modality's features that must be there.

    Raises
    ------
    UserError
        When the model or the cells cannot be used.
    """
    check_output(output, cells)
    tell(Model.read(run).apply_to_file(cells, output, impute=impute, least_share=least_share))


def check_output(output: Path, cells: Path) -> None:
    """Refuse an output of another kind, and one that would take the place of the cells that are read."""
    if output.suffix != ".h5mu":
        raise UserError(f"--output {output}: name an .h5mu file")
    if output.resolve() == cells.resolve():
        raise UserError(f"--output {output}: is the file of the cells; name another")


def tell(applied: object) -> None:
    """Say how much of the model's features was found, and what was left out."""
    for modality, matched in applied.matched.items():
        called = "" if matched.theirs == modality else f" (here {matched.theirs})"
        print(
            f"{modality}{called}: {matched.found.sum()} of {len(matched.found)} features, {len(matched.names)} cells"
        )
    for remark in applied.remarks:
        print(f"remark: {remark}", file=sys.stderr)
