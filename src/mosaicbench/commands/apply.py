"""Apply: a saved model embeds later cells, gives them types, and imputes what they lack."""

from __future__ import annotations

import sys
from pathlib import Path

from mosaicbench.errors import UserError
from mosaicbench.files.models import is_kept
from mosaicbench.files.tables import read_table
from mosaicbench.inference.embedding import Applied
from mosaicbench.inference.model import Model
from mosaicbench.inference.output import EMBEDDING
from mosaicbench.workflow.layout import Results


def main(
    *,
    run: Path,
    cells: Path,
    output: Path,
    impute: bool = True,
    min_fraction: float = 0.5,
    key_added: str = EMBEDDING,
    split: str | None = None,
) -> None:
    """Write the user's cells with latents, types and imputed values of a saved model.

    Parameters
    ----------
    run
        The folder of a run or model; or a results folder, for its :func:`recommended_run`.
    cells
        ``.h5mu``, ``.h5ad`` or 10x ``.h5`` with some of the model's modalities.
    output
        ``.h5mu``: the cells with ``obsm[key_added]``, types with the fraction of neighbours
        that agree, and a modality per imputed direction, as "rna->atac".
    impute
        Whether to impute the modalities that cells lack.
    min_fraction
        Fraction of a modality's features that the cells must have.
    split
        "DATASET/SCENARIO" of the recommended run, in a results folder of several.

    Raises
    ------
    UserError
        When the model or the cells cannot be used.
    """
    check_output(output, cells)
    if Path(Results(run).table("overall")).is_file():
        run = recommended_run(run, split)
        print(f"the model of {run}")
    applied = Model.read(run).apply_to_file(
        cells, output, impute=impute, min_fraction=min_fraction, key_added=key_added
    )
    print_matches(applied)
    print(written(output, key_added))


def recommended_run(results: Path, split: str | None = None) -> Path:
    """Return the folder of a saved fit of the run with the best overall score, controls aside.

    A run that fails a sanity check, or beats the trivial control in no question, is not
    recommended.

    Parameters
    ----------
    split
        "DATASET/SCENARIO"; needed if several have such a run.

    Raises
    ------
    UserError
        When no such run has a model, or several splits have one and `split` is None.
    """
    place = Results(results)
    table = read_table(place.table("overall"))
    if "may_win" not in table:
        raise UserError(
            f"{place.table('overall')}: of another version; run the benchmark again, or name the "
            "folder of a run"
        )
    table = table[(table["kind"] != "control") & table["score"].notna()]
    table = table[table["may_win"].astype(str) == "True"]
    table = table.sort_values(["complete", "score"], ascending=False, kind="stable")
    found: dict[str, Path] = {}
    for dataset, scenario, run in table[["dataset", "scenario", "run"]].to_numpy():
        for fit in sorted(Path(place.run(dataset, scenario, run)).glob("seed-*")):
            if is_kept(fit):
                found.setdefault(f"{dataset}/{scenario}", fit)
    names = ", ".join(found)
    if split is None and len(found) > 1:
        raise UserError(f"{results}: name one of its splits with --split: {names}")
    chosen = found.get(split) if split else next(iter(found.values()), None)
    if chosen is None:
        raise UserError(
            f"{results}: no recommended run{f' of {split}' if split else ''} kept a model; "
            f"splits with one: {names or 'none'}; name a run's folder, or set "
            "`save_models: [best]` in the config and run the benchmark again"
        )
    return chosen


def check_output(output: Path, cells: Path) -> None:
    """Refuse an output of another kind, or the file of the cells."""
    if output.suffix != ".h5mu":
        raise UserError(f"--output {output}: name an .h5mu file")
    if output.resolve() == cells.resolve():
        raise UserError(f"--output {output}: is the file of the cells; name another")


def written(output: Path, key: str) -> str:
    """Return what a file of embedded cells has, and where."""
    return f"wrote {output}: latents are obsm[{key!r}] of all cells and of each modality"


def print_matches(applied: Applied) -> None:
    """Print how many of the model's features were found, and what was left out."""
    for modality, match in applied.matched.items():
        theirs = "" if match.theirs == modality else f" (here {match.theirs})"
        found = f"{match.found.sum()} of {len(match.found)} features"
        print(f"{modality}{theirs}: {found}, {len(match.names)} cells")
    for remark in applied.remarks:
        print(f"remark: {remark}", file=sys.stderr)
