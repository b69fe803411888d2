"""Where everything lies: the files of the project, and what a benchmark writes. No other module builds such a path.

The rules of the workflow ask here for patterns, with Snakemake's wildcards in the place of names, and commands for paths:

>>> Results("<results>").split("{dataset}", "{scenario}", "{seed}")
'<results>/splits/{dataset}/{scenario}/seed-{seed}'
>>> Results("results").split("pbmc68k_split", "paired", 0)
'results/splits/pbmc68k_split/paired/seed-0'

Standard library only, since every job of the workflow imports it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
INSTALLED = PACKAGE / "_project"  # setup.py copies the project's files here when it builds a wheel

PARTS_OF_SPLIT = ("train.h5mu", "query.h5mu", "solution.h5mu")
FILES_OF_FIT = ("latents.h5ad", "train_latents.h5ad", "imputed.h5mu", "history.tsv", "run.json")
FILES_OF_TUNING = ("trials.tsv", "best.json")
FILES_OF_SCORES = ("scores.tsv", "features.tsv", "cells.npz")
TABLES = (
    "scores",
    "features",
    "runs",
    "comparison",
    "headline",
    "overview",
    "paired_tests",
    "ranks",
    "overall",
    "sanity_checks",
)
TABLES += (
    "published",
    "resources",
    "history",
    "rankings",
    "phases",
    "scaling",
    "sweep",
    "recommendations",
    "contents",
)
TABLES += ("trials", "tuning_gains", "tuning_settings", "tuning_proposals")
PROJECTIONS = (
    "projection",
    "markers",
    "transfers",
    "imputed_values",
    "imputed_layout",
    "virtual_cells",
    "virtual_markers",
    "virtual_realism",
    "contents",
)  # what `project` writes
# Of logs and expenses that runs of a split share; no run's name begins with an underscore.
CONTROLS, BASELINES, MODELS = "_controls", "_baselines", "_models"


def project() -> Path:
    """Return the folder of the Snakefile, ``config`` and ``envs``: the checkout, or, installed, a folder in the package."""
    return INSTALLED if INSTALLED.is_dir() else PACKAGE.parents[1]


def project_file(name: str) -> Path:
    """Return the path of a file of the project, such as ``config/datasets.yaml``, wherever Python runs."""
    return project() / name


@dataclass(frozen=True)
class Results:
    """What lies in a results folder.

    Attributes
    ----------
    folder
        Its path, or ``<results>`` for patterns that the workflow's rules are made of.
    """

    folder: str | Path

    def at(self, *parts: object) -> str:
        """Return a path in the folder."""
        return "/".join(map(str, (self.folder, *parts)))

    def dataset(self, dataset: str) -> str:
        """Return a dataset's file."""
        return self.at("datasets", f"{dataset}.h5mu")

    def split(self, dataset: str, scenario: str, seed: int | str) -> str:
        """Return the folder of a split: ``PARTS_OF_SPLIT`` and ``audit.tsv``."""
        return self.at("splits", dataset, scenario, f"seed-{seed}")

    @property
    def runs(self) -> str:
        """The folder of all runs."""
        return self.at("runs")

    def run(self, dataset: str, scenario: str, run: str) -> str:
        """Return the folder of a run: ``FILES_OF_SCORES``, and the folders of its fits."""
        return self.at("runs", dataset, scenario, run)

    def fit(self, dataset: str, scenario: str, run: str, seed: int | str) -> str:
        """Return the folder of a run's fit of one seed: ``FILES_OF_FIT``."""
        return self.at("runs", dataset, scenario, run, f"seed-{seed}")

    def inner_split(self, dataset: str, scenario: str, seed: int | str) -> str:
        """Return the folder of the split that train cells of a split were divided into once more: ``PARTS_OF_SPLIT``."""
        return self.at("tuning/splits", dataset, scenario, f"seed-{seed}")

    def tuning(self, dataset: str, scenario: str, run: str, seed: int | str) -> str:
        """Return the folder of the search for a tuned run's settings: ``FILES_OF_TUNING``."""
        return self.at("tuning/runs", dataset, scenario, run, f"seed-{seed}")

    @property
    def tables(self) -> str:
        """The folder of ``TABLES``."""
        return self.at("tables")

    def table(self, table: str) -> str:
        """Return the file of a table."""
        return self.at("tables", f"{table}.tsv")

    @property
    def latex(self) -> str:
        """The folder of the tables as LaTeX."""
        return self.at("tables", "latex")

    @property
    def projections(self) -> str:
        """The folder of what figures of cells need, ``PROJECTIONS`` of every split."""
        return self.at("projections")

    def projection(self, dataset: str, scenario: str) -> str:
        """Return the folder of what figures of a split's cells need."""
        return self.at("projections", dataset, scenario)

    @property
    def figures(self) -> str:
        """The folder of all figures."""
        return self.at("figures")

    @property
    def report(self) -> str:
        """The report."""
        return self.at("report.html")

    @property
    def citations(self) -> str:
        """BibTeX of what the benchmark used."""
        return self.at("citations.bib")

    @property
    def config(self) -> str:
        """The recorded config, with every default filled in."""
        return self.at("config.json")

    @property
    def code(self) -> str:
        """The folder of the files that stand for the code of jobs."""
        return self.at("code")

    @property
    def resources(self) -> Jobs:
        """Where Snakemake writes what jobs took."""
        return Jobs(self.at("resources"), "tsv")


@dataclass(frozen=True)
class Jobs:
    """Files of jobs, alike for logs and for what jobs took.

    Attributes
    ----------
    folder
        Their folder, or ``<logs>`` for patterns.
    suffix
        ``log`` or ``tsv``.
    """

    folder: str | Path
    suffix: str

    def at(self, *parts: object) -> str:
        """Return the file of a job."""
        return "/".join(map(str, (self.folder, *parts))) + f".{self.suffix}"

    def fit(self, dataset: str, scenario: str, run: str, seed: int | str) -> str:
        """Return the file of the fit of one seed."""
        return self.at("fit", dataset, scenario, run, f"seed-{seed}")

    def fit_of_seeds(self, dataset: str, scenario: str, run: str) -> str:
        """Return the file of the fit of all seeds of a run."""
        return self.at("fit", dataset, scenario, run, "seeds")

    def adopt(self, dataset: str, scenario: str, run: str) -> str:
        """Return the file of the taking in of a run that was computed elsewhere."""
        return self.at("adopt", dataset, scenario, run)

    def fit_of_runs(self, dataset: str, scenario: str, part: str) -> str:
        """Return the file of the fits of several runs of a split: ``CONTROLS``, "_baselines_1", "_models_2" and so on."""
        return self.at("fit", dataset, scenario, part)

    def of_fit(self, dataset: str, scenario: str, run: str, seed: int | str) -> str:
        """Return the log of the job that fitted a seed of a run: alone, with its other seeds, or with other runs.

        It is the newest one that is there; where none is, as when results were moved, that of a fit alone.
        """
        own = [self.fit(dataset, scenario, run, seed), self.fit_of_seeds(dataset, scenario, run)]
        shared = Path(self.at("fit", dataset, scenario, "_")).parent.glob(f"_*.{self.suffix}")
        written = [file for file in own if Path(file).is_file()] or [
            str(file) for file in shared if _tells_of(file, run)
        ]
        return max(written, key=lambda file: Path(file).stat().st_mtime, default=own[0])

    def cut(self, dataset: str, scenario: str, seed: int | str) -> str:
        """Return the file of the cut of a split."""
        return self.at("split", dataset, scenario, f"seed-{seed}")

    def cut_of_seeds(self, dataset: str, scenario: str) -> str:
        """Return the file of the cut of a split with all seeds."""
        return self.at("split", dataset, scenario, "seeds")

    def divide(self, dataset: str, scenario: str, seed: int | str) -> str:
        """Return the file of the division of a split's train cells."""
        return self.at("split_inner", dataset, scenario, f"seed-{seed}")

    def tune(self, dataset: str, scenario: str, run: str, seed: int | str) -> str:
        """Return the file of the search for a tuned run's settings."""
        return self.at("tune", dataset, scenario, run, f"seed-{seed}")

    def of_split(self, rule: str, dataset: str, scenario: str) -> str:
        """Return the file of a rule's job of a split."""
        return self.at(rule, dataset, scenario)

    def score(self, dataset: str, scenario: str, part: str) -> str:
        """Return the file of the scoring of a part of a split's runs: ``CONTROLS``, "_1" and so on."""
        return self.at("score", dataset, scenario, part)

    def prepare(self, dataset: str) -> str:
        """Return the file of the preparation of a dataset."""
        return self.at("prepare", dataset)


def _tells_of(log: Path, run: str) -> bool:
    """Return whether a log that runs share has the line with which the fits of this one end."""
    return any(
        line.startswith(f"{run}: ")
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines()
    )


def environments() -> Path:
    """Return the folder of wrapped packages' own environments: the checkout's, or, installed, one where Snakemake runs."""
    return Path(".venvs") if INSTALLED.is_dir() else project() / ".venvs"
