"""The paths of all files of the project and of a benchmark.

Rules ask for patterns with Snakemake's wildcards, commands for paths:

>>> Results("<results>").split("{dataset}", "{scenario}", "{seed}")
PosixPath('<results>/splits/{dataset}/{scenario}/seed-{seed}')
>>> Results("results").split("pbmc68k_split", "paired", 0)
PosixPath('results/splits/pbmc68k_split/paired/seed-0')

Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
INSTALLED = PACKAGE / "_project"  # setup.py copies the project's files here when it builds a wheel

PARTS_OF_SPLIT = ("train.h5mu", "query.h5mu", "solution.h5mu")
FILES_OF_SPLIT = (*PARTS_OF_SPLIT, "audit.tsv")
FILES_OF_FIT = ("latents.h5ad", "train_latents.h5ad", "imputed.h5mu", "history.tsv", "run.json")
FILES_OF_TUNING = ("trials.tsv", "best.json")
FILES_OF_SCORES = ("scores.tsv", "features.tsv", "cells.npz")
TABLES = (  # those that the report and figures read
    "datasets",
    "warnings",
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
    "distances",
    "published",
    "history",
    "rankings",
    "sweep",
    "recommendations",
    "trials",
    "tuning_gains",
    "tuning_settings",
)
FILES_OF_TABLES = (*TABLES, "resources", "phases", "scaling", "contents")  # what `tabulate` writes
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
)  # what `layout` writes
CHEAP = "_cheap"  # of the fits and the log that cheap runs of a split share; no run's name begins with "_"


def project() -> Path:
    """Return the folder of the Snakefile, ``config`` and ``envs``."""
    return INSTALLED if INSTALLED.is_dir() else PACKAGE.parents[1]


def project_file(name: str) -> Path:
    """Return the path of a file of the project, such as ``config/datasets.yaml``, wherever Python runs."""
    return project() / name


@dataclass(frozen=True)
class Results:
    """The files of a results folder; ``<results>`` gives the patterns of the workflow's rules."""

    folder: str | Path

    def at(self, *parts: object) -> Path:
        """Return a path in the folder."""
        return Path(self.folder, *map(str, parts))

    def dataset(self, dataset: str) -> Path:
        """Return a dataset's file."""
        return self.at("datasets", f"{dataset}.h5mu")

    def split(self, dataset: str, scenario: str, seed: int | str) -> Path:
        """Return the folder of a split: ``FILES_OF_SPLIT``."""
        return self.at("splits", dataset, scenario, f"seed-{seed}")

    def run(self, dataset: str, scenario: str, run: str) -> Path:
        """Return the folder of a run: ``FILES_OF_SCORES``, and the folders of its fits."""
        return self.at("runs", dataset, scenario, run)

    def fit(self, dataset: str, scenario: str, run: str, seed: int | str) -> Path:
        """Return the folder of a run's fit of one seed: ``FILES_OF_FIT``."""
        return self.run(dataset, scenario, run) / f"seed-{seed}"

    def cheap_fits(self, dataset: str, scenario: str) -> Path:
        """Return the list of files that the fits of a split's cheap runs wrote."""
        return self.at("runs", dataset, scenario, f"{CHEAP}.txt")

    def scores_of_split(self, dataset: str, scenario: str) -> Path:
        """Return the list of files that the scoring of all runs of a split wrote."""
        return self.at("runs", dataset, scenario, "_scores.txt")

    def inner_split(self, dataset: str, scenario: str, seed: int | str) -> Path:
        """Return the folder of the inner split of a split's train cells: ``PARTS_OF_SPLIT``."""
        return self.at("tuning/splits", dataset, scenario, f"seed-{seed}")

    def tuning(self, dataset: str, scenario: str, run: str, seed: int | str) -> Path:
        """Return the folder of the search for a tuned run's settings: ``FILES_OF_TUNING``."""
        return self.at("tuning/runs", dataset, scenario, run, f"seed-{seed}")

    def embeddings(self, dataset: str, scenario: str) -> Path:
        """Return the file of the latents of all runs of a split, of the first seed."""
        return self.at("embeddings", f"{dataset}-{scenario}.h5ad")

    @property
    def tables(self) -> Path:
        """The folder of ``FILES_OF_TABLES``."""
        return self.at("tables")

    def table(self, table: str) -> Path:
        """Return the file of a table."""
        return self.tables / f"{table}.tsv"

    @property
    def latex(self) -> Path:
        """The folder of the tables as LaTeX."""
        return self.tables / "latex"

    @property
    def projections(self) -> Path:
        """The folder of what figures of cells need, ``PROJECTIONS`` of every split."""
        return self.at("projections")

    def projection(self, dataset: str, scenario: str) -> Path:
        """Return the folder of what figures of a split's cells need."""
        return self.at("projections", dataset, scenario)

    @property
    def figures(self) -> Path:
        """The folder of all figures."""
        return self.at("figures")

    @property
    def report(self) -> Path:
        """The report."""
        return self.at("report.html")

    @property
    def citations(self) -> Path:
        """BibTeX of what the benchmark used."""
        return self.at("citations.bib")

    @property
    def config(self) -> Path:
        """The recorded config, with every default filled in."""
        return self.at("config.json")

    @property
    def code(self) -> Path:
        """The folder of the files that stand for the code of jobs."""
        return self.at("code")

    @property
    def resources(self) -> Jobs:
        """Where Snakemake writes what jobs took."""
        return Jobs(self.at("resources"), "tsv")


@dataclass(frozen=True)
class Jobs:
    """Files of jobs, logs (suffix ``log``) or what jobs took (``tsv``); `folder` may be ``<logs>``."""

    folder: str | Path
    suffix: str

    def at(self, *parts: object) -> str:
        """Return the file of a job: that of its rule, then the names of its wildcards."""
        return "/".join(map(str, (self.folder, *parts))) + f".{self.suffix}"

    def fit(self, dataset: str, scenario: str, run: str, seed: int | str = "seeds") -> str:
        """Return the file of the fit of a seed, or of all; `CHEAP` is the run of all cheap ones."""
        return self.at("fit", dataset, scenario, run, f"seed-{seed}" if seed != "seeds" else seed)

    def of_fit(self, dataset: str, scenario: str, run: str, seed: int | str) -> str:
        """Return the newest log of a job that fitted a seed of a run."""
        possible = [
            self.fit(dataset, scenario, run, seed),
            self.fit(dataset, scenario, run),
            self.fit(dataset, scenario, CHEAP),
        ]
        written = [file for file in possible if Path(file).is_file()]
        return max(written, key=lambda file: Path(file).stat().st_mtime, default=possible[0])


def environments() -> Path:
    """Return the folder of the environments of wrapped packages."""
    return Path(".venvs") if INSTALLED.is_dir() else project() / ".venvs"
