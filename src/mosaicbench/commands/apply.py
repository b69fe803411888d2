"""Apply: a saved model embeds later cells, gives them types, and imputes what they lack."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import h5py

from mosaicbench.errors import UserError, nearest
from mosaicbench.files.models import is_kept
from mosaicbench.files.tables import read_table
from mosaicbench.inference.embedding import Applied
from mosaicbench.inference.model import Model
from mosaicbench.inference.output import EMBEDDING
from mosaicbench.report.recommendation import ALL_DIRECTIONS, PARTNER, SPEED
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
    question: str = PARTNER,
) -> None:
    """Write the user's cells with latents, types and imputed values of a saved model.

    `run` is its folder; or a results folder, for its :func:`recommended_run`. `output` has
    ``obsm[key_added]``, types with the fraction of neighbours that agree, and a modality per
    imputed direction, as "rna->atac".
    """
    check_output(output, cells)
    if Results(run).tables.is_dir():
        run = recommended_run(run, split, question)
        print(f"the model of {run}, recommended by the question {question!r}")
    applied = Model.read(run).apply_to_file(
        cells, output, impute=impute, min_fraction=min_fraction, key_added=key_added
    )
    print_matches(applied)
    print(written(output, key_added))


def recommended_run(results: Path, split: str | None = None, question: str = PARTNER) -> Path:
    """Return the folder of a saved fit of the run that the report recommends.

    `split`, as "DATASET/SCENARIO", is needed if the results have several. `question` is "partner"
    (matching cells), "labels" (transferring them), or a direction of imputation. The error lists what
    can be chosen.
    """
    file = Results(results).table("recommendations")
    table = read_table(file)
    table = table[table["question"] != SPEED]
    asked = table["question"].where(table["direction"] == ALL_DIRECTIONS, table["direction"])
    splits = table["dataset"] + "/" + table["scenario"]
    answers = table.set_index([splits, asked])["run"]
    kept = {name: _kept(results, name) for name in splits.unique()}
    if split is None and len(kept) == 1:
        (split,) = kept
    if split not in (None, *kept):
        raise UserError(f"--split {split}: {file} does not have it{nearest(split, kept)}")
    if question not in set(asked):
        raise UserError(f"--question {question}: not in {file}{nearest(question, asked.unique())}")
    why = f"{results}: has {len(kept)} datasets and scenarios"
    if split is not None:
        run, kept = answers.get((split, question), ""), {split: kept[split]}
        if run in kept[split]:
            return kept[split][run]
        why = f"{file} recommends {run or 'no run'} in {split} by the question {question!r}"
        why += ", which kept no model" * bool(run)
    folders = next(filter(None, kept.values()), None)
    if folders is None:
        raise UserError(
            f"{why}; no run kept a model: name some under `save_models` in the config, and run the "
            "benchmark again"
        )
    choices = [
        f"\n  {shlex.join(['--split', name, '--question', other])}: {run}"
        for (name, other), run in answers.items()
        if run in kept.get(name, ())
    ]
    raise UserError(
        f"{why}; instead of {results}, name the folder of a run, such as "
        f"{next(iter(folders.values()))}{', or add one of these:' * bool(choices)}{''.join(choices)}"
    )


def _kept(results: Path, split: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for fit in sorted(Results(results).run(*split.split("/"), "any").parent.glob("*/seed-*")):
        if is_kept(fit):
            found.setdefault(fit.parent.name, fit)
    return found


def check_output(output: Path, cells: Path) -> None:
    """Refuse an output of another kind, or the file of the cells."""
    if output.suffix != ".h5mu":
        raise UserError(f"--output {output}: name an .h5mu file")
    if output.resolve() == cells.resolve():
        raise UserError(f"--output {output}: is the file of the cells; name another")


def written(output: Path, key: str) -> str:
    """Return what a file of embedded cells has, and where."""
    with h5py.File(output) as file:
        having = [f"modality {name}" for name, part in file["mod"].items() if key in part["obsm"]]
        having = ["all cells"] * (key in file["obsm"]) + having
    if not having:
        return f"wrote {output}: the model gives no latents of these cells"
    return f"wrote {output}: latents are obsm[{key!r}] of {', '.join(having)}"


def print_matches(applied: Applied) -> None:
    """Print how many of the model's features were found, and what was left out."""
    for modality, match in applied.matched.items():
        theirs = "" if match.theirs == modality else f" (here {match.theirs})"
        found = f"{match.found.sum()} of {len(match.found)} features"
        print(f"{modality}{theirs}: {found}, {len(match.names)} cells")
    for remark in applied.remarks:
        print(f"remark: {remark}", file=sys.stderr)
