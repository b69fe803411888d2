"""Integrate: fit a method to the user's cells, without a benchmark, and embed them."""

from __future__ import annotations

from pathlib import Path

from mosaicbench.commands.apply import check_output, print_matches, written
from mosaicbench.data import read
from mosaicbench.errors import UserError
from mosaicbench.files._h5 import write_h5
from mosaicbench.inference.measured import as_mudata
from mosaicbench.inference.output import EMBEDDING
from mosaicbench.inference.training import trained


def main(
    *,
    cells: list[str],
    method: str,
    output: Path,
    seed: int = 0,
    hyperparameters: dict | None = None,
    model: Path | None = None,
    impute: bool = True,
    min_fraction: float = 0.5,
    key_added: str = EMBEDDING,
    **options: object,
) -> None:
    """Write the cells with latents, types and imputed values, as `mosaicbench apply` does.

    The method is fitted to the cells with every modality. `options` are those of a stanza of the
    config's `datasets`: cell_type, batch, values, kinds.
    """
    named = dict(one.split("=", 1) for one in cells if "=" in one)
    for file in map(Path, named.values() or cells):
        check_output(output, file)
        if file.is_dir():
            raise UserError(f"{file}: is a folder; write its modalities in Python as one .h5mu")
    if len(named) not in (0, len(cells)) or not (named or len(cells) == 1):
        raise UserError("cells: give one file, or MODALITY=FILE.h5ad of each modality")
    whole = Path(cells[0])
    if named:
        whole = as_mudata({name: read.annotated(Path(file)) for name, file in named.items()})
    fitted = trained(
        whole, method, hyperparameters=hyperparameters or {}, seed=seed, folder=model, **options
    )
    how = {"impute": impute, "min_fraction": min_fraction, "key_added": key_added}
    if named:
        write_h5(output, fitted.apply(whole, **how))
    else:
        print_matches(fitted.apply_to_file(whole, output, **how))
    print(written(output, key_added))
