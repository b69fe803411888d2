"""CPU seconds of training until a score of query cells is reached: this package's VAE beside totalVI and MultiVI.

    OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/time_to_quality.py bmmc_cite_small snareseq_small --seeds 0 1 2

A dataset is one inside the package, or the path of a file that ``mosaicbench prepare`` wrote. Of RNA and protein the package is
totalVI, of RNA and ATAC MultiVI. For each seed all are trained on the same train cells of the scenario `paired`, with all its
genes, one after the other in one process. Weights are copied after epochs 1, 2, 3, 4, 5, 7, 9, 12, ... and at the end, and
scored when training is over. Seconds are those of the process, user and system, since the call of `fit`, validation included;
imports, copies and scores are left out. A score after an epoch is that of the weights then; the last one is of what `fit`
leaves: ours the weights of the least validation cost, the packages their last.

Scores are of query cells, by the same functions for all (`scoring.scorer.ask`):

types       share of query cells whose type is that of most of their 15 nearest train cells, in joint latents
map         mean average precision of query cells among each other, in joint latents
foscttm     of latents of RNA alone and of ATAC alone, mean of both directions; totalVI embeds no protein alone
r_*         mean r per feature of values of that modality, imputed from the other one alone
nats_rna    -log p(RNA counts of a cell), summed over genes, mean over cells: under the decoder, at the posterior's mean given
            all modalities and at the cell's depth. The decoder is a negative binomial, of MultiVI one with more zeros; the
            depth is the cell's total, of MultiVI what it encodes from the cell
nats_atac   the same of whether peaks are open, Bernoulli; each model has its own depth

Joint latents are posterior means given all modalities. The nats are the part of a validation cost that compares: bounds do not,
since the divergence depends on the latent, and totalVI's proteins have a background that is latent, too. Values that are not
counts (`vae_poe`, defaults) have no such nats.

totalVI is trained as in its tutorial, on cells with proteins, and once more as this project wraps it: it imputes from RNA alone
only if it is shown cells without proteins, so a half of the cells are shown again that way. Beside the defaults of `vae_poe`
stand those with counts and the package's width, latent and minibatch, these once more with its largest number of epochs and
its patience, and the defaults with a larger learning rate and minibatch, which are reported, not recommended.

Two levels are asked for, by seed: the package's score at its end, and ours, each short of it by its standard deviation over the
seeds. Seconds to a level are those of the first copy that reaches it. The table has medians over seeds, the least and the most;
a seed that never gets there counts as infinite, NA in the table. ``results/time_to_quality/NAME-SEED.tsv`` keeps every copy's
scores; the table and the figure are of all files there: ``docs/benchmarks/time_to_quality.tsv`` and ``.svg``.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback
from scvi.distributions import NegativeBinomial

from mosaicbench.contract import Cells, Split
from mosaicbench.data import embedded
from mosaicbench.data.split import make_split
from mosaicbench.errors import NotApplicable
from mosaicbench.files.dataset import read_dataset
from mosaicbench.files.splits import as_cells, as_split, said_of_cells, unstandardised_values
from mosaicbench.methods.fusion import PoEVAE
from mosaicbench.metrics._nearest import transfer
from mosaicbench.models import training
from mosaicbench.models.minibatch import on_device
from mosaicbench.peers import _scvi
from mosaicbench.peers._scvi import (
    AT_ONCE,
    Batches,
    dense,
    inferring,
    scvi_apart,
    trained,
)
from mosaicbench.peers.multivi import MultiVI
from mosaicbench.peers.totalvi import MEASURED, TotalVI
from mosaicbench.scoring.collect import values_of
from mosaicbench.scoring.scorer import ask

REPOSITORY = Path(__file__).parents[1]
CURVES = REPOSITORY / "results/time_to_quality"
DRAWN = REPOSITORY / "docs/benchmarks/time_to_quality"
ALL_GENES = {"rna": {"features": 10**6}}
HELD = [
    "dataset",
    "run",
    "role",
    "seed",
    "parameters",
    "epoch",
    "end",
    "cpu_seconds",
]  # columns that are no scores
FALLING = ("nats", "foscttm")  # scores that are better where they are lower
COPIED = (
    1,
    2,
    3,
    4,
    5,
    7,
    9,
    12,
    16,
    21,
    28,
    37,
    49,
    65,
    87,
    116,
    155,
    207,
    276,
    368,
)  # epochs: each a third later


class Copies(Callback):
    """CPU seconds of a training so far, and its weights, after the epochs of COPIED; what it takes to copy them is left out.

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
        """Copy what the epochs before have left, if their number is one of those."""
        seconds = self.seconds
        if self.done in COPIED:
            self.taken.append((self.done, seconds, copy.deepcopy(nets.state_dict())))
        self.done += 1
        self.began += self.seconds - seconds

    def on_train_epoch_start(self, trainer: object, plan: object) -> None:
        """Do so in a training of scvi-tools."""
        self.before_epoch(plan.module)


class PairedTotalVI(TotalVI):
    """totalVI as its tutorial trains it, on cells with RNA and proteins; from RNA alone it can do nothing then."""

    def fit(self, train: Split, seed: int) -> list[dict[str, float]]:
        """Train on the cells of a split in which all were measured."""
        (cells,) = train.blocks
        self.rna, self.adt, self.normalization = "rna", "adt", train.normalizations["adt"]
        with scvi_apart(seed):
            from anndata import AnnData
            from scvi.model import TOTALVI

            data = AnnData(cells.counts["rna"], obsm={"proteins": cells.counts["adt"].toarray()})
            data.obs["batch"] = [f"{name}{MEASURED}" for name in cells.batches]
            TOTALVI.setup_anndata(data, protein_expression_obsm_key="proteins", batch_key="batch")
            model = TOTALVI(data)
            history = trained(model, max_epochs=self.epochs)
            coded = model.adata_manager.get_state_registry("batch").categorical_mapping
        self.batches, self.module = Batches(cells.batches, list(coded)), model.module
        return history

    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Refuse."""
        raise NotApplicable("no train cell lacked proteins")


def runs(modalities: tuple[str, ...], peaks: int) -> dict[str, object]:
    """Return name -> method of what is trained on these modalities: packages first."""
    defaults = {"vae_poe": {}, "vae_poe, learning rate .003": {"learning_rate": 0.003}}
    defaults["vae_poe, learning rate .003, minibatch 256"] = {
        "learning_rate": 0.003,
        "batch_size": 256,
    }
    if "adt" in modalities:
        packages = {"totalVI": PairedTotalVI(), "totalVI, a half shown again": TotalVI()}
        widths, longer = (
            {"hidden": 256, "latent": 20, "batch_size": 256},
            {"max_epochs": 400, "patience": 45},
        )
    else:
        packages = {"MultiVI": MultiVI()}
        hidden = min(128, int(np.sqrt(peaks)))
        widths, longer = (
            {"hidden": hidden, "latent": int(np.sqrt(hidden))},
            {"max_epochs": 500, "patience": 50},
        )
    defaults["vae_poe, counts"] = widths | {"likelihood": "counts"}
    defaults["vae_poe, counts, longer"] = widths | {"likelihood": "counts"} | longer
    return packages | {
        name: PoEVAE(**hyperparameters) for name, hyperparameters in defaults.items()
    }


@dataclass(frozen=True)
class Cut:
    """What is trained on, and what is scored.

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
    def of(cls, dataset: object, name: str, seed: int) -> Cut:
        """Cut a dataset's cells by seed."""
        split = {
            "dataset_name": name,
            "scenario": "paired",
            "kind": "paired",
            "seed": seed,
            "preprocess": ALL_GENES,
        }
        parts = make_split(dataset, **split)
        train, query, solution = (parts[part] for part in ("train", "query", "solution"))
        names = pd.Index(solution["rna"].obs["query_name"].astype(str))
        split = as_split(train, labels=False)
        (block,) = as_split(train, labels=True).blocks
        cells = as_cells(query, list(query.mod), names, counts=True)
        return cls(split, block, cells, said_of_cells(solution, "cell_type"), solution)


def fitted(method: object, split: Split, seed: int) -> Copies:
    """Fit a method and return the copies that were taken, the last of them of what it left."""
    module, copies = sys.modules[type(method).__module__], Copies()
    if isinstance(method, PoEVAE):
        rules = method.rules()

        def steps(blocks: list, size: int):
            copies.before_epoch(method.nets)
            return training.each_alone(blocks, size)

        method.rules = lambda: rules | {"steps": steps}
        method.fit(split, seed)
    else:
        with mock.patch.object(module, "trained", partial(_scvi.trained, callbacks=[copies])):
            method.fit(split, seed)
    copies.taken.append((copies.done, copies.seconds, copy.deepcopy(nets_of(method).state_dict())))
    return copies


def nets_of(method: object) -> torch.nn.Module:
    """Return all networks of a method."""
    return method.nets if isinstance(method, PoEVAE) else method.module


def scores_of(method: object, split: Cut) -> dict[str, float]:
    """Return the scores of query cells by name, but for those that are not defined."""
    joint, reference = method.embed(split.query), method.embed(split.train)
    transferred = transfer(reference, split.train.labels, joint)
    scores = {
        "types": ask("label_transfer_accuracy", transferred=transferred, labels=split.labels),
        "map": ask("mean_average_precision", latent=joint, labels=split.labels),
    }
    if "atac" in split.query.modalities:
        alone = {
            modality: method.embed(split.query.only(modality))
            for modality in split.query.modalities
        }
        both = [
            ask("foscttm", latent_a=alone[a], latent_b=alone[b]) for a, b in permutations(alone, 2)
        ]
        scores["foscttm"] = float(np.mean(both))
    for source, target in [("rna", "adt"), ("rna", "atac"), ("atac", "rna")]:
        if {source, target} <= set(split.query.modalities):
            with suppress(NotApplicable):
                imputed = unstandardised_values(
                    split.solution[target], method.impute(split.query.only(source), target)
                )
                truth = values_of(split.solution[target])
                scores[f"r_{target}"] = ask(
                    "imputation_pearson_per_feature", truth=truth, imputed=imputed
                )
    return scores | nats_of(method, split.query)


@inferring()
def nats_of(method: object, cells: Cells) -> dict[str, float]:
    """Return -log p of a cell's RNA, and of its open peaks, given the posterior's mean; nothing where values are no counts."""
    if isinstance(method, PoEVAE):
        if method.likelihood != "counts":
            return {}
        x = on_device(cells, training.device(), counts=cells.modalities)
        z = method.posterior(x).mean
        nats = [{m: method.decoders[m].nll(z, x, m) for m in cells.modalities if m != "adt"}]
    else:
        of = _nats_of_multivi if isinstance(method, MultiVI) else _nats_of_totalvi
        rows = np.arange(len(cells))
        pieces = np.split(rows, rows[AT_ONCE::AT_ONCE])
        nats = [of(method, cells.take(few)) for few in pieces]
    return {f"nats_{m}": float(torch.cat([few[m] for few in nats]).mean()) for m in nats[0]}


def _nats_of_totalvi(method: TotalVI, cells: Cells) -> dict[str, torch.Tensor]:
    x, batch = dense(cells.counts["rna"]), method.batches.of(cells.batches, MEASURED)
    given = {
        "library_gene": x.sum(1, keepdim=True),
        "batch_index": batch,
        "label": torch.zeros_like(batch),
    }
    rna = method.module.generative(z=method._z(cells), **given)["px_"]
    return {"rna": -NegativeBinomial(mu=rna["rate"], theta=rna["r"]).log_prob(x).sum(1)}


def _nats_of_multivi(method: MultiVI, cells: Cells) -> dict[str, torch.Tensor]:
    q, (batches, suffix) = method._posterior(cells), method.batches["rna"]
    batch = batches.of(cells.batches, suffix)
    means = {
        "z": q["qz_m"],
        "qz_m": q["qz_m"],
        "use_z_mean": True,
        "libsize_expr": q["libsize_expr"],
    }
    p = method.module.generative(**means, batch_index=batch, label=torch.zeros_like(batch))
    x, peaks = (dense(cells.counts[modality]) for modality in ("rna", "atac"))
    return {
        "rna": method.module.get_reconstruction_loss_expression(
            x, p["px_rate"], p["px_r"], p["px_dropout"]
        ),
        "atac": method.module.get_reconstruction_loss_accessibility(
            peaks, p["p"], q["libsize_acc"]
        ),
    }


def curves_of(name: str, dataset: object, seed: int) -> pd.DataFrame:
    """Return a row for each run and copy of one seed, with its scores."""
    rows, split = [], Cut.of(dataset, name, seed)
    peaks = (
        len(split.split.normalizations["atac"].share) if "atac" in split.split.normalizations else 0
    )
    for method in runs(
        split.split.modalities, peaks
    ).values():  # what is imported and compiled at a first call
        _warmed(method, split.split)
    for run, method in runs(split.split.modalities, peaks).items():
        copies, nets = fitted(method, split.split, seed), nets_of(method)
        held = {
            "dataset": name,
            "run": run,
            "role": "ours" if isinstance(method, PoEVAE) else "package",
            "seed": seed,
        }
        held["parameters"] = sum(parameter.numel() for parameter in nets.parameters())
        for place, (epoch, seconds, weights) in enumerate(copies.taken, 1):
            nets.load_state_dict(weights)
            ended = {"epoch": epoch, "end": int(place == len(copies.taken)), "cpu_seconds": seconds}
            rows.append(held | ended | scores_of(method, split))
        print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def _warmed(method: object, split: Split) -> None:
    """Train for an epoch."""
    setattr(method, "max_epochs" if isinstance(method, PoEVAE) else "epochs", 1)
    method.fit(split, 0)


def levels_reached(curves: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each dataset, score, run of ours and level: when the run, and the package, first reach it."""
    rows = []
    for name, of_dataset in curves.groupby("dataset", sort=False):
        for score in of_dataset.columns.drop(HELD):
            measured = of_dataset[of_dataset[score].notna()]
            by_run = {
                role: dict(list(some.groupby("run", sort=False)))
                for role, some in measured.groupby("role")
            }
            if len(by_run) < 2:
                continue
            package, of_package = next(iter(by_run["package"].items()))
            for run, of_run in by_run["ours"].items():
                for whose, theirs in [("package's", of_package), ("ours", of_run)]:
                    row = {
                        "dataset": name,
                        "score": score,
                        "run": run,
                        "package": package,
                        "level": whose,
                    }
                    for side, one in [("run", of_run), ("package", of_package)]:
                        row |= {
                            f"{side}_{what}": value
                            for what, value in _reached(one, theirs, score).items()
                        }
                    rows.append(row)
    table = pd.DataFrame(rows).replace(np.inf, np.nan)
    return table.assign(ratio=table["package_seconds"] / table["run_seconds"])


def _reached(curves: pd.DataFrame, theirs: pd.DataFrame, score: str) -> dict[str, float]:
    """Return what a run comes to, and seconds until it first has the score that another has at its end."""
    sign = -1 if score.startswith(FALLING) else 1
    ends, levels = (some[some["end"] == 1].set_index("seed") for some in (curves, theirs))
    wanted = sign * levels[score] - np.nan_to_num(levels[score].std())  # of one seed there is none
    there = curves[sign * curves[score] >= curves["seed"].map(wanted)]
    seconds = there.groupby("seed")["cpu_seconds"].min().reindex(ends.index, fill_value=np.inf)
    return {
        "parameters": ends["parameters"].iloc[0],
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
    widest = max(len(some.columns.drop(HELD)) for some in datasets.values())
    colours = {run: f"C{place}" for place, run in enumerate(curves["run"].unique())}
    figure = Figure(figsize=(2.3 * widest, 2.4 * len(datasets) + 0.6), layout="constrained")
    grid = figure.subplots(len(datasets), widest, squeeze=False)
    for (name, some), panels in zip(datasets.items(), grid, strict=True):
        scores = list(some.columns.drop(HELD))
        for axes, score in zip(panels, scores, strict=False):
            for run, one in some[some[score].notna()].groupby("run", sort=False):
                _draw_line(axes, one, score, run, colours[run])
            axes.set_xscale("log")
            axes.set_title(f"{name}: {score}", fontsize=8)
            axes.tick_params(labelsize=7)
            axes.spines[["top", "right"]].set_visible(False)
            if score.startswith("nats"):
                axes.set_yscale("log")
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
    style = "--" if "rate" in run else "-"
    axes.plot(
        whole[("cpu_seconds", "mean")],
        whole[(score, "mean")],
        style,
        color=colour,
        label=run,
        linewidth=1,
    )
    ends = curves.loc[ended, ["cpu_seconds", score]]
    axes.errorbar(
        *ends.mean(), yerr=ends[score].std(), fmt="o", color=colour, markersize=3, linewidth=0.8
    )


def main() -> None:
    """Measure the datasets that the arguments name, and write the table and the figure of all that were measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "datasets",
        nargs="*",
        help="names of those inside the package, or files; none: only draw again",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    CURVES.mkdir(parents=True, exist_ok=True)
    for given in arguments.datasets:
        file = Path(given)
        dataset = read_dataset(file) if file.exists() else embedded.load(given)
        for seed in arguments.seeds:
            curves_of(file.stem, dataset, seed).to_csv(
                CURVES / f"{file.stem}-{seed}.tsv", sep="\t", index=False
            )
    curves = pd.concat(
        [pd.read_csv(file, sep="\t") for file in sorted(CURVES.glob("*.tsv"))], ignore_index=True
    )
    table = levels_reached(curves)
    table.to_csv(DRAWN.with_suffix(".tsv"), sep="\t", index=False, na_rep="NA", float_format="%.4g")
    drawn(curves).savefig(DRAWN.with_suffix(".svg"), metadata={"Date": None})
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
