"""Apply: a kept model embeds cells that come later, gives them types, and imputes what was not measured."""

from __future__ import annotations

import sys
from pathlib import Path

from mosaicbench.errors import UserError
from mosaicbench.files.models import is_kept
from mosaicbench.files.tables import read_table
from mosaicbench.inference.model import Model
from mosaicbench.workflow.layout import Results


def main(
    *,
    run: Path,
    cells: Path,
    output: Path,
    impute: bool = True,
    min_fraction: float = 0.5,
    split: str | None = None,
) -> None:
    """Write the user's cells with what the model of a run gives of them.

    Parameters
    ----------
    run
        The folder of a run whose model was kept, or of a model; or a results folder, of which :func:`recommended_run` is taken.
    cells
        ``.h5mu``, ``.h5ad`` or 10x ``.h5`` with some of the model's modalities.
    output
        ``.h5mu``: the cells with ``obsm["X_mosaicbench"]`` in every modality and of all of them, types with the share of
        agreeing neighbours, and a modality per imputed direction, as "rna->atac".
    impute
        Whether modalities that cells lack are imputed.
    min_fraction
        Share of a modality's features that must be there.
    split
        "DATASET/SCENARIO", in which the recommended run is looked for; not needed where the results folder has one only.

    Raises
    ------
    UserError
        When the model or the cells cannot be used.
    """
    check_output(output, cells)
    if Path(Results(run).table("overall")).is_file():
        run = recommended_run(run, split)
        print(f"the model of {run}")
    tell(Model.read(run).apply_to_file(cells, output, impute=impute, min_fraction=min_fraction))


def recommended_run(results: Path, split: str | None = None) -> Path:
    """Return the folder of the fit with a model of the run with the best overall score, controls aside.

    A run that a check names, or that is above the trivial control in no question, is not recommended.

    Parameters
    ----------
    split
        "DATASET/SCENARIO"; not needed where only one has such a run.

    Raises
    ------
    UserError
        When no such run has a model, or several splits have one and none is named.
    """
    lies = Results(results)
    table = read_table(lies.table("overall"))
    table = table[(table["kind"] != "control") & table["score"].notna()]
    table = table[table["may_win"].astype(str) == "True"]
    table = table.sort_values(["complete", "score"], ascending=False, kind="stable")
    found: dict[str, Path] = {}
    for names in table[["dataset", "scenario", "run"]].to_numpy():
        for fit in sorted(Path(lies.run(*names)).glob("seed-*")):
            if is_kept(fit):
                found.setdefault("/".join(names[:2]), fit)
    if split is None and len(found) > 1:
        raise UserError(f"{results}: name one of its splits with --split: {', '.join(found)}")
    chosen = found.get(split) if split else next(iter(found.values()), None)
    if chosen is None:
        raise UserError(
            f"{results}: no recommended run{f' of {split}' if split else ''} kept a model; splits that have one:"
            f" {', '.join(found) or 'none'}; where the report recommends none, name a run's folder; for its model, say `keep: [best]` in the config and run the"
            " benchmark again"
        )
    return chosen


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
