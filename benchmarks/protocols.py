"""Published numbers beside ours in the papers' own settings, the configs of config/protocols.

    snakemake --cores all --configfile config/protocols/NAME.yaml
    python benchmarks/protocols.py NAME      # results/protocols/NAME/published.tsv
    python benchmarks/protocols.py twice     # docs/results/protein_file_twice.tsv

A number of config/published.yaml with `protocol: NAME` is computed by a function of `DEFINITIONS`,
as its publication defines it, on our fits of that config.

`twice` repeats what a notebook did that loaded one file as both modalities, which `prepare`
refuses: scMODAL is trained on the proteins of some cells and on the proteins of others, and on RNA
and proteins for comparison. It uses cells of this package, takes minutes, and writes its sentence
into docs/originals.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml
from mudata import MuData

from mosaicbench.catalog import catalog
from mosaicbench.config import recorded, settings
from mosaicbench.data import embedded
from mosaicbench.data.assemble import rewrapped
from mosaicbench.data.links import linked
from mosaicbench.data.split import make_split
from mosaicbench.errors import UserError
from mosaicbench.files.atomic import write_text
from mosaicbench.files.scores import read_scores
from mosaicbench.files.splits import (
    as_cells,
    as_split,
    read_split,
    space_values,
    unstandardised_values,
)
from mosaicbench.files.tables import read_table, write_table
from mosaicbench.inference.model import Model
from mosaicbench.metrics._nearest import transfer
from mosaicbench.metrics.published_variants import foscttm_maxfuse
from mosaicbench.models.training import seeded
from mosaicbench.workflow.layout import Results

REPOSITORY = Path(__file__).parents[1]
sys.path.append(str(REPOSITORY / "docs/site"))
from blocks import replaced  # noqa: E402

PUBLISHED, PROTOCOLS = REPOSITORY / "config/published.yaml", REPOSITORY / "config/protocols"
TWICE = REPOSITORY / "docs/results/protein_file_twice.tsv"
ORIGINALS = REPOSITORY / "docs/originals.md"
SCORES = ["foscttm_maxfuse", "label_transfer_accuracy_k1"]
BOTH = "mean"  # the direction of a number over both directions
COLUMNS = [
    "dataset",
    "condition",
    "method",
    "metric",
    "direction",
    "published",
    "run",
    "ours",
    "seeds",
]


# --- definitions, as published ---


def cosine_per_cell(truth: np.ndarray, imputed: np.ndarray) -> float:
    """Return the mean over cells of the cosine between two profiles, (cells, features)."""
    lengths = np.linalg.norm(truth, axis=1) * np.linalg.norm(imputed, axis=1)
    return float(np.mean(np.sum(truth * imputed, axis=1) / lengths))


def pearson_per_cell(truth: np.ndarray, imputed: np.ndarray) -> float:
    """Return the mean over cells of Pearson's r of their profiles, (cells, features).

    The covariance is over n features, the deviations over n - 1: it is at most (n - 1) / n.
    """
    x, y = (z - z.mean(axis=1, keepdims=True) for z in (truth, imputed))
    deviations = x.std(axis=1, ddof=1) * y.std(axis=1, ddof=1)
    return float(np.mean((x * y).mean(axis=1) / deviations))


def sampled_profiles(
    method: object, split: Path, source: str, target: str, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return measured values of the query cells, and those imputed from a draw of the posterior."""
    query, solution = (read_split(split / f"{noun}.h5mu", noun) for noun in ("query", "solution"))
    cells = as_cells(query, [source], pd.Index(solution[source].obs["query_name"]))
    with seeded(seed), torch.no_grad():
        drawn = method.computed(
            lambda x: method.decoded(method.posterior(x).sample(), target), cells
        )
    measured = solution[target]
    return space_values(measured), unstandardised_values(measured, drawn)


def _of_sampled(score: Callable[[np.ndarray, np.ndarray], float]) -> Callable:
    def scored(results: Results, place: tuple, run: str, seed: int, direction: str) -> float:
        method = Model.read(results.fit(*place, run, seed)).method
        split = Path(results.split(*place, seed))
        return score(*sampled_profiles(method, split, *direction.split("->"), seed))

    return scored


def _of_scores(metric: str) -> Callable:
    def scored(results: Results, place: tuple, run: str, seed: int, direction: str) -> float:
        scores = read_scores(Path(results.run(*place, run), "scores.tsv"))
        rows = scores[(scores["metric"] == metric) & (scores["seed"] == seed)]
        rows = rows if direction == BOTH else rows[rows["direction"] == direction]
        return float(rows["value"].mean())

    return scored


# Metric of published.yaml -> a function of results, (dataset, scenario), run, seed and direction.
DEFINITIONS = {
    "imputation_cosine_per_cell_vaeomics": _of_sampled(cosine_per_cell),
    "imputation_pearson_per_cell_vaeomics": _of_sampled(pearson_per_cell),
    "cross_split_r2": _of_scores("shared_features_r2"),
}


def beside(numbers: list[dict], bench: settings.Settings, results: Results) -> pd.DataFrame:
    """Return published numbers beside ours, a mean over seeds, columns `COLUMNS`.

    Parameters
    ----------
    numbers
        Entries of ``published.yaml`` of one protocol. With a `condition` such as "20 private
        features", its number ends the name of our dataset.
    """
    rows = []
    for number in numbers:
        ending = str(number.get("condition", "")).split(" ")[0]
        places = [place for place in bench.splits if not ending or place[0].endswith(f"-{ending}")]
        runs = [name for name, run in bench.runs.items() if run.method == number["method_id"]]
        define = DEFINITIONS[number["metric"]]
        for place in places:
            for run in runs:
                ours = [define(results, place, run, s, number["direction"]) for s in bench.seeds]
                facts = [number.get(key, "") for key in COLUMNS[:5]]
                rows.append([*facts, number["value"], run, np.mean(ours), len(ours)])
    return pd.DataFrame(rows, columns=COLUMNS)


def of_protocol(name: str) -> list[dict]:
    """Return the published numbers that a protocol's config computes."""
    published = yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))
    return [number for number in published["numbers"] if number.get("protocol") == name]


# --- one file as both modalities ---


def twice(cells: int = 1000, seeds: int = 3, steps: int = 1000) -> pd.DataFrame:
    """Return scores of scMODAL on proteins twice, and on RNA and proteins, a row per seed."""
    whole = embedded.load("covid_citeseq_small")[:cells].copy()
    proteins = whole["adt"]
    copy = rewrapped(whole, {"rna": proteins.copy(), "adt": proteins.copy()})
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "links.tsv")
        lines = [f"{name}\t{name}\t1" for name in proteins.var_names]
        table.write_text("\n".join(["rna\tadt\tsign", *lines]) + "\n", encoding="utf-8")
        data = {"one file twice": linked(copy, table=table), "two files": linked(whole)}
    rows = []
    for name, dataset in data.items():
        for seed in range(seeds):
            rows.append(
                {"data": name, "seed": seed, "cells": cells, "steps": steps}
                | _aligned(dataset, seed, steps)
            )
    return pd.DataFrame(rows)


def in_words(table: pd.DataFrame) -> str:
    """Return the sentence of docs/originals.md from the result of :func:`twice`."""
    means = table.groupby("data")[SCORES].mean()
    (far, right), (near, all_right) = means.loc["two files"], means.loc["one file twice"]
    first = table.iloc[0]
    text = f"""Repeated here with our scMODAL, {first["steps"]:,} steps on {first["cells"]:,} cells
        of this package, mean of {table["seed"].nunique()} seeds: if the file of the proteins is both
        modalities, that FOSCTTM is {near:.4f} and the accuracy of the nearest neighbour
        {all_right:.3f}; with RNA and proteins they are {far:.3f} and {right:.3f}
        ([numbers](results/protein_file_twice.tsv);
        `python benchmarks/protocols.py twice`). `prepare` refuses such files."""
    unbroken = {"break_long_words": False, "break_on_hyphens": False}
    return textwrap.fill(" ".join(text.split()), 100, **unbroken)


def _aligned(dataset: MuData, seed: int, steps: int) -> dict[str, float]:
    parts = make_split(dataset, dataset_name="d", scenario="s", kind="unpaired", seed=seed)
    solution, method = parts["solution"], catalog.method_class("scmodal")(steps=steps)
    method.fit(as_split(parts["train"], labels=False, links=True), seed)
    latents = []
    for modality in ("rna", "adt"):
        names = pd.Index(solution[modality].obs["query_name"])
        latents.append(method.embed(as_cells(parts["query"], [modality], names)))
    types = np.asarray(solution["rna"].obs["cell_type"], dtype=object)
    transferred = transfer(latents[0], types, latents[1], k=1)  # a cell's own partner votes
    accuracy = float((transferred == types)[types != ""].mean())
    return dict(zip(SCORES, [foscttm_maxfuse(*latents), accuracy], strict=True))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = sorted(path.stem for path in PROTOCOLS.glob("*.yaml"))
    parser.add_argument("protocol", choices=[*known, "twice"])
    name = parser.parse_args().protocol
    if name == "twice":
        table = twice().round(4)
        write_table(TWICE, table)
        table = read_table(TWICE)
        text = replaced(ORIGINALS.read_text(encoding="utf-8"), "twice", f"\n{in_words(table)}\n")
        write_text(ORIGINALS, text)
        return
    numbers = of_protocol(name)
    if not numbers:
        raise UserError(f"{name}: config/published.yaml has no number that its config computes")
    folder = Results(settings.read(PROTOCOLS / f"{name}.yaml").results)
    bench = recorded.read(Path(folder.config))
    table = beside(numbers, bench, folder)
    write_table(Path(folder.folder, "published.tsv"), table.round(4))
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    try:
        main()
    except (UserError, OSError) as error:
        sys.exit(f"protocols: {error}")
