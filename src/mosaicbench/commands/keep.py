"""Keep: the models of runs that are over, fitted again as they were, and held against what the benchmark scored."""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench import catalog
from mosaicbench.config import registry
from mosaicbench.errors import Diverged, UserError
from mosaicbench.files.config import read_config
from mosaicbench.files.models import is_kept
from mosaicbench.files.runs import latents_of, read_part_of_latents, read_record
from mosaicbench.files.tables import read_table, write_table
from mosaicbench.fitting.job import Fit
from mosaicbench.fitting.keeping import keep
from mosaicbench.fitting.outputs import embedded, open_view
from mosaicbench.layout import Results

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

NAMES = ("dataset", "scenario", "run")


def main(
    *,
    runs: list[Path],
    best: Path | None = None,
    table: Path | None = None,
    named: Sequence[str] = (),
) -> None:
    """Write the model of each run into its folder, where it is not kept already.

    Parameters
    ----------
    runs
        Folders of runs and seeds, in a results folder whose views are still there; their models are fitted again.
    best
        A results folder: also the run of each of its views with the best overall score, of the first seed; none that a check
        names, nor one that is above the trivial control in no question.
    table
        A ``.tsv`` to write with the best runs; models of the first seed of all others are then removed.
    named
        Of these, the runs whose models stay.

    Raises
    ------
    UserError
        When a run failed or its method has no model for other cells.
    """
    if not runs and best is None:
        raise UserError(
            "name the folder of a run and seed, such as results/runs/DATASET/SCENARIO/RUN/seed-0, or --best results"
        )
    for folder in runs:
        _keep(folder.resolve())
    if best is not None:
        chosen = [
            folder
            for ranked in ranked_runs(best, only_winners=True)
            for folder in _first_kept(ranked)
        ]
        if table is not None:
            _remove_others(best, chosen, named)
            rows = [
                [*folder.parts[-4:-1], int(_seed(folder)), f"{folder}/model"] for folder in chosen
            ]
            write_table(table, pd.DataFrame(rows, columns=[*NAMES, "seed", "model"]))


def ranked_runs(results: Path, *, only_winners: bool = False) -> list[list[Path]]:
    """Return, for each view, the folders of the first seed of its runs, the best overall score first, controls aside.

    With `only_winners`, those that have no overall score or may not be called the best are left out.
    """
    lies = Results(results)
    table = read_table(lies.table("overall"))
    if absent := {"kind", "method", "score", "complete", "may_win"} - set(table.columns):
        raise UserError(
            f"{lies.table('overall')}: has no column {min(absent)!r}, it is of another version; run the benchmark again"
        )
    table = table[(table["kind"] != "control") & (table["dataset"] != "(all)")]
    of_others = [
        bool({"wraps", "elsewhere"} & catalog.card("methods", method).keys())
        for method in table["method"]
    ]
    table = table[~np.array(of_others, dtype=bool)]
    table = table.assign(
        score=pd.to_numeric(table["score"]), whole=table["complete"].astype(str) == "True"
    )
    if only_winners:
        table = table[table["score"].notna() & (table["may_win"].astype(str) == "True")]
    table = table.sort_values(["whole", "score"], ascending=False, kind="stable")
    config, ranked = _config(lies), []
    for _, of_view in table.groupby(["dataset", "scenario"], sort=False):
        seeds = [_folders_of_seeds(config, lies, *name) for name in of_view[list(NAMES)].to_numpy()]
        ranked.append([folders[0] for folders in seeds if folders])
    return ranked


def _first_kept(folders: list[Path]) -> list[Path]:
    """Return the first of the folders whose run has a model, fitted again where it was not kept; none where none has."""
    for folder in folders:
        try:
            if not is_kept(folder):
                _keep(folder.resolve())
        except UserError as reason:
            print(f"{folder}: {reason}", file=sys.stderr)
        else:
            print(f"{folder}/model")
            return [folder]
    return []


def _remove_others(results: Path, chosen: list[Path], named: Sequence[str]) -> None:
    """Remove the models of candidates that were not chosen; those of named runs, and of later seeds, stay."""
    for ranked in ranked_runs(results):
        for folder in ranked:
            if (
                folder not in chosen
                and folder.parent.name not in named
                and (folder / "model").is_dir()
            ):
                shutil.rmtree(folder / "model")


def _config(lies: Results) -> dict:
    """Return the recorded config, {} where there is none."""
    return read_config(lies.config) if Path(lies.config).is_file() else {}


def _folders_of_seeds(
    config: dict, lies: Results, dataset: str, scenario: str, run: str
) -> list[Path]:
    """Return the folders of a run's fits in the order of the recorded config's seeds; all that are there where it has none."""
    if "seeds" not in config:
        return sorted(Path(lies.run(dataset, scenario, run)).glob("seed-*"), key=_seed)
    folders = [Path(lies.fit(dataset, scenario, run, seed)) for seed in config["seeds"]]
    return [folder for folder in folders if folder.is_dir()]


def _licence(config: dict, dataset: str) -> str:
    """Return the licence of a dataset by the card of its loader, "" where the recorded config says too little of it."""
    if dataset not in config.get("datasets", {}):
        return ""
    known = registry.load(config.get("registry") or registry.REGISTRY)
    loader = registry.loader_of(dataset, config["datasets"][dataset] or {}, known)
    return catalog.card("datasets", loader)["licence"] if loader else ""


def _seed(folder: Path) -> int:
    return int(folder.name.removeprefix("seed-"))


def _keep(folder: Path) -> None:
    """Fit one run as it was fitted, all seeds at once where they were, and keep the model of this seed."""
    record = read_record(folder / "run.json")
    if record["status"] not in ("ok", "collapsed"):
        raise UserError(f"{folder}: its status is {record['status']}, so there is no model to keep")
    if record["method"] == catalog.ELSEWHERE:
        raise UserError(
            f"{folder}: {record['run']!r} was computed elsewhere, so it has no model; name a run that was fitted here"
        )
    together = record["seeds_at_once"] > 1
    lies = Results(folder.parents[4])
    config = _config(lies)
    folders = (
        _folders_of_seeds(config, lies, *(record[key] for key in NAMES)) if together else [folder]
    )
    if folder not in folders or together and len(folders) != record["seeds_at_once"]:
        raise UserError(
            f"{folder}: it was fitted at once with seeds that {lies.config}, key seeds, does not name, so it cannot be fitted"
            f" as it was; run the benchmark with these seeds"
        )
    fits = [_fit(each) for each in folders]
    module = importlib.import_module(fits[0].module)
    opened = [open_view(module, fit) for fit in fits]
    methods, views, seeds = (
        [each.method for each in opened],
        [each.view() for each in opened],
        [fit.seed for fit in fits],
    )
    print(
        f"fitting {record['run']} on {record['dataset']}, {record['scenario']} again",
        file=sys.stderr,
    )
    outcomes = (
        methods[0].fit_at_once(methods, views, seeds)
        if together
        else [methods[0].fit(views[0], seeds[0])]
    )
    place = folders.index(folder)
    if isinstance(outcomes[place], Diverged):
        raise UserError(
            f"{folder}: fitted again it diverged; packages or the machine are others than before"
        )
    fit, fitted = fits[place], opened[place]
    latents, _ = embedded(fitted) if {"joint", "single"} & set(fitted.gives) else ({}, [])
    licence = _licence(config, record["dataset"])
    keep(
        fit.model,
        fitted.method,
        module,
        fitted.train,
        latents,
        identity=fit.identity,
        licence=licence,
    )
    apart = _difference(latents, read_part_of_latents(folder / "latents.h5ad", fit.identity))
    same = (
        "it embeds the query bit for bit as before"
        if apart == 0
        else f"latents differ from the run's by up to {apart:.2g}"
    )
    print(f"{fit.model}: {same}")


def _fit(folder: Path) -> Fit:
    record = read_record(folder / "run.json")
    identity = {key: record[key] for key in ("dataset", "scenario", "run", "method", "seed")}
    view = Path(
        Results(folder.parents[4]).view(record["dataset"], record["scenario"], record["seed"])
    )
    parts = {part: view / f"{part}.h5mu" for part in ("train", "query", "solution")}
    module = catalog.module("methods", record["method"])
    return Fit(
        identity=identity,
        module=module,
        hyperparameters=record["hyperparameters"],
        output=folder,
        **parts,
    )


def _difference(latents: dict, before: AnnData) -> float:
    """Return the largest difference of any latent of the query cells from those that were scored."""
    found = [0.0]
    for (source, subset), (names, z) in latents.items():
        if subset == "query":
            known, scored = latents_of(before, source, subset)
            found.append(
                float(
                    np.abs(
                        np.asarray(z, dtype=np.float32) - scored[known.get_indexer(pd.Index(names))]
                    ).max()
                )
            )
    return max(found)
