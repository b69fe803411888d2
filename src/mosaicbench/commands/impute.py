"""Impute: what a run imputed, as a file, also where the run keeps a small model in the place of the values."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from mosaicbench.errors import UserError
from mosaicbench.files.runs import read_record, write_imputed
from mosaicbench.files.views import read_view
from mosaicbench.fitting.imputing import imputed_of
from mosaicbench.layout import Results


def main(*, run: Path, output: Path, view: Path | None = None) -> None:
    """Write the imputed values of one seed of a run.

    Parameters
    ----------
    run
        The folder of a run and seed.
    output
        ``.h5mu``: a modality per direction, as "rna->adt", in the target's value space; rows are the query's cells.
    view
        The folder of its view; by default the one in the same results folder.

    Raises
    ------
    UserError
        When the run failed or imputes nothing, or its model gives other values than it did.
    """
    if output.suffix != ".h5mu":
        raise UserError(f"--output {output}: name an .h5mu file")
    folder = run.resolve()
    record = read_record(folder / "run.json")
    if record["status"] not in ("ok", "collapsed"):
        raise UserError(f"{run}: its status is {record['status']}, so it imputed nothing")
    if output.resolve() == folder / "imputed.h5mu":
        raise UserError(f"--output {output}: is the run's own file; name another")
    whose = {key: record[key] for key in ("dataset", "scenario", "seed")}
    view = Path(Results(folder.parents[4]).view(**whose)) if view is None else view
    imputed = imputed_of(folder, record, partial(_query, view, whose))
    if not len(imputed.mod):
        raise UserError(
            f"{run}: its method, {record['method']}, imputes nothing from one modality to another"
        )
    write_imputed(output, imputed)
    for direction, cells in imputed.mod.items():
        print(f"{direction}: {cells.n_obs} cells, {cells.n_vars} features")


def _query(view: Path, whose: dict) -> object:
    path = view / "query.h5mu"
    if not path.is_file():
        raise UserError(
            f"{path}: is not there, and values are imputed of its cells; name the view's folder with --view"
        )
    return read_view(path, "query", whose)
