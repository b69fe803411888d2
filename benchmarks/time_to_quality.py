"""CPU seconds of training until a score of query cells is reached: this package's VAEs, and packages with their own defaults.

    OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/time_to_quality.py bmmc_cite_small teaseq_small snareseq_small
    python benchmarks/time_to_quality.py    # table and figure of what was measured

A dataset is one of the package's, or a file that ``mosaicbench prepare`` wrote. Packages are totalVI (RNA and protein) or
MultiVI (RNA and ATAC), UniVI and MOFA+. For each seed, all are trained on the same train cells of the scenario `paired` with all
its genes, one after the other in one process. A dataset and seed that were measured are skipped. Seconds are user and system time
since the call of `fit`, with validation, without imports, copies and scores. Weights of `vae_poe`, totalVI and MultiVI are copied
after epochs 1, 2, 3, 4, 5, 7, 9, 12, ... and at the end, and scored after training; the others are scored at the end alone. The
last score is that of the fitted model: ours has the weights of the lowest validation loss, totalVI and MultiVI their last.

Scores are of query cells, by the same functions for all (`scoring.scorer.ask`):

types       label transfer accuracy by the 15 nearest train cells, in joint latents
map         mean average precision among query cells, in joint latents
foscttm     of latents of two modalities, mean of both directions; totalVI embeds no protein alone
r_*         mean r per feature of values of that modality, imputed from the other one

Joint latents are posterior means given all modalities. totalVI is trained as in its tutorial: one cell alone is repeated
without proteins. `vae_poe` is trained with its defaults, and with counts and the package's width, latent and minibatch, the latter also
with the package's largest number of epochs and its patience. `contrastive_vae` has its defaults.

Two levels are used for each seed: the final score of the package and ours, each minus its standard deviation over seeds.
Seconds to a level are those of the first copy that reaches it. The table has medians over seeds, minimum and maximum; a seed
that never reaches the level counts as infinite, NA in the table. ``results/time_to_quality/NAME-SEED.tsv`` has the scores of
every copy; ``docs/benchmarks/time_to_quality.tsv`` and ``.svg`` are made of all files there.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import partial
from itertools import permutations, product
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback

from mosaicbench.contract import Cells, Split
from mosaicbench.data import embedded
from mosaicbench.data.split import make_split
from mosaicbench.errors import NotApplicable
from mosaicbench.files.dataset import read_dataset
from mosaicbench.files.splits import as_cells, as_split, said_of_cells, unstandardised_values
from mosaicbench.fitting.record import git_commit
from mosaicbench.methods.contrastive import ContrastiveVAE
from mosaicbench.methods.fusion import PoEVAE
from mosaicbench.metrics._nearest import transfer
from mosaicbench.models import training
from mosaicbench.peers import _scvi
from mosaicbench.peers.mofa import MOFA
from mosaicbench.peers.multivi import MultiVI
from mosaicbench.peers.totalvi import TotalVI
from mosaicbench.peers.univi import UniVI
from mosaicbench.scoring.collect import values_of
from mosaicbench.scoring.scorer import ask

REPOSITORY = Path(__file__).parents[1]
CURVES = REPOSITORY / "results/time_to_quality"
DRAWN = REPOSITORY / "docs/benchmarks/time_to_quality"
ALL_GENES = {"rna": {"features": 10**6}}
NO_SCORES = ["dataset", "run", "role", "seed", "commit", "epoch", "end", "cpu_seconds"]
OURS, SCVI = (PoEVAE, ContrastiveVAE), (TotalVI, MultiVI)
COPIED = {1, 2, 3, 4, 5, 7, 9, 12, 16, 21, 28, 37, 49, 65, 87, 116, 155, 207, 276, 368}  # epochs


class Copies(Callback):
    """Copies of a training's weights after the epochs of COPIED; the time of copying is excluded.

    Attributes
    ----------
    taken
        (epochs done, CPU seconds, weights) of each copy.
    """

    def __init__(self):
        self.taken, self.done, self.began = [], 0, time.process_time()

    @property
    def seconds(self) -> float:
        """CPU seconds since the beginning."""
        return time.process_time() - self.began

    def before_epoch(self, nets: torch.nn.Module) -> None:
        """Copy the weights if the number of finished epochs is in COPIED."""
        seconds = self.seconds
        if self.done in COPIED:
            self.taken.append((self.done, seconds, copy.deepcopy(nets.state_dict())))
        self.done += 1
        self.began += self.seconds - seconds

    def on_train_epoch_start(self, trainer: object, plan: object) -> None:
        """Copy weights in a training of scvi-tools."""
        self.before_epoch(plan.module)


def runs(modalities: tuple[str, ...], peaks: int) -> dict[str, object]:
    """Return name -> method to train on these modalities, packages first."""
    if "adt" in modalities:
        methods = {"totalVI": TotalVI(without=0)}
        size = {"hidden": 256, "latent": 20, "batch_size": 256}
        longer = {"max_epochs": 400, "patience": 45}
    else:
        methods = {"MultiVI": MultiVI()}
        hidden = min(128, int(np.sqrt(peaks)))
        size = {"hidden": hidden, "latent": int(np.sqrt(hidden))}
        longer = {"max_epochs": 500, "patience": 50}
    counts = size | {"likelihood": "counts"}
    return methods | {
        "UniVI": UniVI(),
        "MOFA+": MOFA(),
        "vae_poe": PoEVAE(),
        "vae_poe, counts": PoEVAE(**counts),
        "vae_poe, counts, longer": PoEVAE(**counts, **longer),
        "contrastive_vae": ContrastiveVAE(),
    }


@dataclass(frozen=True)
class Task:
    """Train cells and query cells of a seed.

    Attributes
    ----------
    split, train, query
        Train cells as a method gets them, the same with their types, and query cells in the order of `labels`.
    labels
        (query cells,) types.
    solution
        The part of the split that has the truth.
    """

    split: Split
    train: Cells
    query: Cells
    labels: np.ndarray
    solution: object

    @classmethod
    def of(cls, dataset: object, name: str, seed: int) -> Task:
        """Split a dataset's cells by seed."""
        place = {"dataset_name": name, "scenario": "paired", "kind": "paired", "seed": seed}
        parts = make_split(dataset, **place, preprocess={"rna": {"features": 10**6}})
        train, query, solution = (parts[part] for part in ("train", "query", "solution"))
        names = pd.Index(solution["rna"].obs["query_name"].astype(str))
        (block,) = as_split(train, labels=True).blocks
        cells = as_cells(query, list(query.mod), names, counts=True)
        labels = said_of_cells(solution, "cell_type")
        return cls(as_split(train, labels=False), block, cells, labels, solution)


def fitted(method: object, split: Split, seed: int) -> Copies:
    """Fit a method and return the copies, the last one of the fitted model."""
    module, copies = sys.modules[type(method).__module__], Copies()
    if isinstance(method, PoEVAE):
        rules = method.rules()

        def steps(blocks: list, size: int):
            copies.before_epoch(method.nets)
            return training.each_alone(blocks, size)

        method.rules = lambda: rules | {"steps": steps}
        method.fit(split, seed)
    elif isinstance(method, SCVI):
        with mock.patch.object(module, "trained", partial(_scvi.trained, callbacks=[copies])):
            method.fit(split, seed)
    else:
        copies.done = len(method.fit(split, seed))
    nets = nets_of(method)
    copies.taken.append((copies.done, copies.seconds, nets and copy.deepcopy(nets.state_dict())))
    return copies


def nets_of(method: object) -> torch.nn.Module | None:
    """Return all networks of a method; None if it is scored at the end alone."""
    if isinstance(method, PoEVAE):
        return method.nets
    return method.module if isinstance(method, SCVI) else None


def scores_of(method: object, task: Task) -> dict[str, float]:
    """Return the scores of query cells by name, without undefined ones."""
    query = task.query
    joint, reference = method.embed(query), method.embed(task.train)
    transferred = transfer(reference, task.train.labels, joint)
    scores = {
        "types": ask("label_transfer_accuracy", transferred=transferred, labels=task.labels),
        "map": ask("mean_average_precision", latent=joint, labels=task.labels),
    }
    with suppress(NotApplicable):
        a, b = (method.embed(query.only(modality)) for modality in query.modalities)
        both = [ask("foscttm", latent_a=x, latent_b=y) for x, y in ((a, b), (b, a))]
        scores["foscttm"] = float(np.mean(both))
    for source, target in permutations(query.modalities, 2):
        with suppress(NotApplicable):
            values = method.impute(query.only(source), target)
            imputed = unstandardised_values(task.solution[target], values)
            truth = values_of(task.solution[target])
            r = ask("imputation_pearson_per_feature", truth=truth, imputed=imputed)
            scores[f"r_{target}"] = r
    return scores


def curves_of(name: str, dataset: object, seed: int) -> pd.DataFrame:
    """Return a row for each run and copy of one seed, with its scores."""
    rows, task = [], Task.of(dataset, name, seed)
    fitted_transforms = task.split.normalizations
    peaks = len(fitted_transforms["atac"].fraction) if "atac" in fitted_transforms else 0
    for method in runs(task.split.modalities, peaks).values():
        # imports and compiles before the clock starts
        short = {"max_epochs", "epochs", "iterations"} & {field.name for field in fields(method)}
        setattr(method, *short, 2)
        method.fit(task.split, 0)
    for run, method in runs(task.split.modalities, peaks).items():
        copies, nets = fitted(method, task.split, seed), nets_of(method)
        role = "ours" if isinstance(method, OURS) else "package"
        row = {"dataset": name, "run": run, "role": role, "seed": seed, "commit": git_commit()}
        for place, (epoch, seconds, weights) in enumerate(copies.taken, 1):
            if weights:
                nets.load_state_dict(weights)
            row |= {"epoch": epoch, "end": int(place == len(copies.taken)), "cpu_seconds": seconds}
            rows.append(row | scores_of(method, task))
        print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def levels_reached(curves: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each dataset, score, run of ours and level: when the run, and the package, first reach it."""
    rows = []
    for name, of_dataset in curves.groupby("dataset", sort=False):
        for score in of_dataset.columns.drop(NO_SCORES):
            measured = of_dataset[of_dataset[score].notna()]
            packages = measured.loc[measured["role"] == "package", "run"].unique()
            ours = measured.loc[measured["role"] == "ours", "run"].unique()
            for package, run in product(packages, ours):
                sides = {"run": run, "package": package}
                parts = {side: measured[measured["run"] == one] for side, one in sides.items()}
                for level, side in (("package's", "package"), ("ours", "run")):
                    row = {"dataset": name, "score": score, **sides, "level": level}
                    for one, part in parts.items():
                        found = _reached(part, parts[side], score)
                        row |= {f"{one}_{key}": value for key, value in found.items()}
                    commits = measured.loc[measured["run"].isin([run, package]), "commit"].unique()
                    rows.append(row | {"commit": " ".join(commits)})
    table = pd.DataFrame(rows).replace(np.inf, np.nan)
    return table.assign(ratio=table["package_seconds"] / table["run_seconds"])


def _reached(curves: pd.DataFrame, theirs: pd.DataFrame, score: str) -> dict[str, float]:
    """Return a run's final score, and the seconds until it first has the final score of another."""
    sign = -1 if score == "foscttm" else 1
    ends, levels = (some[some["end"] == 1].set_index("seed") for some in (curves, theirs))
    wanted = sign * levels[score] - np.nan_to_num(levels[score].std())  # one seed has no deviation
    there = curves[sign * curves[score] >= curves["seed"].map(wanted)]
    seconds = there.groupby("seed")["cpu_seconds"].min().reindex(ends.index, fill_value=np.inf)
    return {
        "score": ends[score].mean(),
        "sd": ends[score].std(),
        "full_seconds": ends["cpu_seconds"].mean(),
        "seconds": seconds.median(),
        "least": seconds.min(),
        "most": seconds.max(),
        "reached": f"{np.isfinite(seconds).sum()} of {len(seconds)}",
    }


def drawn(curves: pd.DataFrame):
    """Return a figure: a row per dataset, a panel per score, a line per run, its mean over seeds while all of them train."""
    from matplotlib.figure import Figure

    datasets = {
        name: some.dropna(axis=1, how="all") for name, some in curves.groupby("dataset", sort=False)
    }
    widest = max(len(some.columns.drop(NO_SCORES)) for some in datasets.values())
    colours = {run: f"C{place}" for place, run in enumerate(curves["run"].unique())}
    figure = Figure(figsize=(2.3 * widest, 2.4 * len(datasets) + 0.6), layout="constrained")
    grid = figure.subplots(len(datasets), widest, squeeze=False)
    for (name, some), panels in zip(datasets.items(), grid, strict=True):
        scores = list(some.columns.drop(NO_SCORES))
        for axes, score in zip(panels, scores, strict=False):
            for run, one in some[some[score].notna()].groupby("run", sort=False):
                _draw_line(axes, one, score, run, colours[run])
            axes.set_xscale("log")
            axes.set_title(f"{name}: {score}", fontsize=8)
            axes.tick_params(labelsize=7)
            axes.spines[["top", "right"]].set_visible(False)
        for axes in panels[len(scores) :]:
            axes.set_axis_off()
        panels[0].set_ylabel("score of query cells", fontsize=8)
    figure.supxlabel(
        "CPU seconds of training; a point is the end, bars are standard deviations over seeds",
        fontsize=8,
    )
    handles = {
        label: line
        for axes in grid.flat
        for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside upper center",
        ncols=4,
        fontsize=7,
        frameon=False,
    )
    return figure


def _draw_line(axes: object, curves: pd.DataFrame, score: str, run: str, colour: str) -> None:
    ended = curves["end"] == 1
    by_epoch = curves[~ended].groupby("epoch")[["cpu_seconds", score]].agg(["mean", "size"])
    whole = by_epoch[by_epoch[(score, "size")] == curves["seed"].nunique()]
    if not whole.empty:
        line = (whole[("cpu_seconds", "mean")], whole[(score, "mean")])
        axes.plot(*line, color=colour, label=run, linewidth=1)
    ends = curves.loc[ended, ["cpu_seconds", score]]
    label = run if whole.empty else None
    axes.errorbar(
        *ends.mean(),
        yerr=ends[score].std(),
        fmt="o",
        color=colour,
        markersize=3,
        linewidth=0.8,
        label=label,
    )


def main() -> None:
    """Measure the datasets that the arguments name, and write the table and the figure of all that were measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "datasets",
        nargs="*",
        help="names of those inside the package, or files; none: only draw again",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    CURVES.mkdir(parents=True, exist_ok=True)
    for seed, given in product(arguments.seeds, arguments.datasets):
        file = Path(given)
        curve = CURVES / f"{file.stem}-{seed}.tsv"
        if not curve.exists():
            dataset = read_dataset(file) if file.exists() else embedded.load(given)
            curves_of(file.stem, dataset, seed).to_csv(curve, sep="\t", index=False)
    curves = pd.concat(
        [pd.read_csv(file, sep="\t") for file in sorted(CURVES.glob("*.tsv"))], ignore_index=True
    )
    table = levels_reached(curves)
    table.to_csv(DRAWN.with_suffix(".tsv"), sep="\t", index=False, na_rep="NA", float_format="%.4g")
    drawn(curves).savefig(DRAWN.with_suffix(".svg"), metadata={"Date": None})
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
