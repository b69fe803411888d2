"""Race: more seeds for the runs that paired tests have not put out, each round a small benchmark, until one leads."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import yaml

from mosaicbench import layout
from mosaicbench.errors import UserError
from mosaicbench.files.atomic import write_text
from mosaicbench.files.scores import read_scores
from mosaicbench.files.tables import read_table
from mosaicbench.layout import Results
from mosaicbench.report.recommendation import ALL_DIRECTIONS, IMPUTATION, METRICS, question_in_words
from mosaicbench.report.tables.contract import RUN_COLUMNS, checked_runs, checked_scores
from mosaicbench.report.theme import Theme, read_theme
from mosaicbench.statistics.common import VIEW
from mosaicbench.statistics.race import Race, Standing, last_of
from mosaicbench.statistics.summary import seed_means

FOLDER = "race"  # in the results folder: a benchmark of its own for each seed
ENTRANTS = "entrants.json"  # in the folder of a round: whose scores it makes

Entrant = tuple[str, str, str]  # dataset, scenario, run
Question = tuple[str, str, str, str]  # dataset, scenario, question, direction


def main(*, results: Path, display: Path, budget: int, cores: str, dry_run: bool = False) -> None:
    """Fit seeds until each question is decided, the budget is spent or the tests allow for no more; print how each stands.

    Parameters
    ----------
    results
        The results folder of a benchmark that ran to the end; the race's own lies in it, and is gone on with.
    display
        ``display.yaml``.
    budget
        Most fits, of all seeds of this call.
    cores
        For Snakemake.
    dry_run
        Print the command of the next round, and start nothing.

    Raises
    ------
    UserError
        When the folder has no finished benchmark, or Snakemake fails.
    """
    if budget < 1:
        raise UserError(f"--budget: at least one fit is needed, found {budget}")
    if cores != "all" and not (cores.isdecimal() and int(cores) > 0):
        raise UserError(f"--cores: expected a whole number of at least 1, or all, found {cores!r}")
    config = _config(results)
    if not dry_run:
        for folder in _unfinished(results):  # a round that was interrupted
            _start(folder, cores)
    runs = checked_runs(read_table(Results(results).table("runs"), RUN_COLUMNS))
    theme = read_theme(display, runs)
    tables = tables_of(_scores(results), theme)
    race = Race(len(config["seeds"]), {key: theme.roster.sign(METRICS[key[2]]) for key in tables}, tables)
    seed = 1 + max([*config["seeds"], *(int(n) for table in tables.values() for n in table.index)])
    if dry_run:
        entrants = race.wanted(entrant)
        print(f"seed {seed}: {len(entrants)} fits" + ("" if entrants else "; nothing is undecided"))
        if entrants:
            print(" ".join(_command(_written(results, config, entrants, seed), entrants, cores)))
    else:
        race.run(seed, _Fit(results, config, theme, cores), entrant, budget=budget)
    for key, standing in race.standings().items():
        print(in_words(key, standing, race, theme))
    if not dry_run and race.wanted(entrant):
        print(f"stopped after {race.fits} fits: the next round needs {len(race.wanted(entrant))}, the budget was {budget}")


def tables_of(scores: pd.DataFrame, theme: Theme) -> dict[Question, pd.DataFrame]:
    """Return question -> (seeds, runs) of the models and baselines that can be fitted again, seeds in order of appearance."""
    fitted = [run for run in scores["run"].unique() if theme.roster.competes(run) and not theme.roster.is_elsewhere(run)]
    scores = scores[scores["run"].isin(fitted)]
    found = {}
    for question, metric in METRICS.items():
        of_metric = scores[scores["metric"] == metric]
        parts = of_metric.groupby("direction", sort=False) if question == IMPUTATION else [(ALL_DIRECTIONS, of_metric)]
        for direction, part in parts:
            means = seed_means(part)
            for view, here in means[means["directions"] == means["of_directions"]].groupby(VIEW, sort=False):
                seeds = list(dict.fromkeys(scores["seed"]))
                table = here.pivot(index="seed", columns="run", values="value").reindex(seeds)
                found[(*view, question, direction)] = table[list(here["run"].unique())].dropna(how="all")
    return {key: table for key, table in found.items() if table.shape[1] > 1}


def entrant(question: Question, run: str) -> Entrant:
    """Return what is fitted for a run of a question."""
    return (*question[:2], run)


def in_words(key: Question, standing: Standing, race: Race, theme: Theme) -> str:
    """Return how a question stands, as a sentence."""
    question = question_in_words({"question": key[2], "direction": key[3]}, theme)
    where = f"{theme.view(*key[:2])}: for {question}"
    seeds = len(race.tables[key])
    names = [theme.label("runs", run) for run in standing.standing]
    if len(names) == 1:
        return f"{where}, {names[0]} leads after {seeds} seeds."
    ended = "" if seeds < last_of(race.first) else " The tests allow for no more."
    failed = f" {', '.join(theme.label('runs', run) for run in standing.failed)} failed in a seed." if standing.failed else ""
    return f"{where}, {', '.join(names) or 'nobody'} {'are' if names else 'is'} still in after {seeds} seeds.{ended}{failed}"


class _Fit:
    """Fits a seed of some runs with the workflow, in the race's own folder."""

    def __init__(self, results: Path, config: dict, theme: Theme, cores: str):
        self.results, self.config, self.theme, self.cores = results, config, theme, cores

    def __call__(self, entrants: list[Entrant], seed: int) -> Mapping[Question, Mapping[str, float]]:
        folder = _written(self.results, self.config, entrants, seed)
        write_text(folder / ENTRANTS, json.dumps(entrants))
        _start(folder, self.cores)
        tables = tables_of(_scores(self.results), self.theme)
        return {key: table.loc[seed].dropna().to_dict() for key, table in tables.items() if seed in table.index}


def _config(results: Path) -> dict:
    path = Path(Results(results).config)
    if not path.is_file():
        raise UserError(f"{path}: there is no such file; run the benchmark to its end first")
    return json.loads(path.read_text())


def _scores(results: Path) -> pd.DataFrame:
    """Return the scores of the benchmark and of the finished rounds of its race, seeds in the order in which they came."""
    own = checked_scores(read_table(Results(results).table("scores")))
    raced = [read_scores(path) for folder in _rounds(results) for path in _targets(folder) if path.is_file()]
    return pd.concat([own, *raced], ignore_index=True)


def _rounds(results: Path) -> list[Path]:
    """Return the folders of the rounds, in order."""
    folders = [path.parent for path in Path(results, FOLDER).glob(f"seed-*/{ENTRANTS}")]
    return sorted(folders, key=lambda folder: int(folder.name.removeprefix("seed-")))


def _unfinished(results: Path) -> list[Path]:
    return [folder for folder in _rounds(results) if not all(path.is_file() for path in _targets(folder))]


def _targets(folder: Path) -> list[Path]:
    """Return what a round that was started makes."""
    return _scores_of(folder, json.loads((folder / ENTRANTS).read_text()))


def _scores_of(folder: Path, entrants: list[Entrant]) -> list[Path]:
    return [Path(Results(folder).run(*names), "scores.tsv") for names in entrants]


def _written(results: Path, config: dict, entrants: list[Entrant], seed: int) -> Path:
    """Write the config of one seed of some runs, and take the datasets over; return the folder."""
    folder = Path(results, FOLDER, f"seed-{seed}")
    named = [list(dict.fromkeys(names)) for names in zip(*entrants, strict=True)]
    parts = ("datasets", "scenarios", "runs")
    chosen = {part: {name: config[part][name] for name in names} for part, names in zip(parts, named, strict=True)}
    for name, stanza in chosen["scenarios"].items():
        there = {key: [one for one in stanza[key] if one in chosen[key]] for key in ("datasets", "runs") if key in stanza}
        chosen["scenarios"][name] = stanza | there
    kept = {key: config[key] for key in ("registry", "training", "preprocess", "metrics", "limits") if key in config}
    places = {**config.get("pathvars", {}), "results": str(folder), "logs": str(folder / "logs")}
    text = yaml.safe_dump(kept | chosen | {"seeds": [seed], "keep": [], "pathvars": places}, sort_keys=False)
    write_text(folder / "config.yaml", text)
    for dataset in chosen["datasets"]:
        _take_over(Path(Results(results).dataset(dataset)), Path(Results(folder).dataset(dataset)))
    return folder


def _take_over(source: Path, target: Path) -> None:
    """Make a prepared dataset stand in another folder, too; where it is gone, the workflow prepares it again."""
    if source.is_file() and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError:  # another file system
            shutil.copy2(source, target)


def _start(folder: Path, cores: str) -> None:
    entrants = json.loads((folder / ENTRANTS).read_text())
    print(f"{folder.name}: {len(entrants)} fits", file=sys.stderr)
    if subprocess.run(_command(folder, entrants, cores), check=False).returncode:
        raise UserError(f"{folder}: Snakemake failed; its message stands above, and the same command goes on from there")


def _command(folder: Path, entrants: list[Entrant], cores: str) -> list[str]:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(layout.project_file("Snakefile")), "--cores", cores]
    return [*command, "--configfile", str(folder / "config.yaml"), "--", *map(str, _scores_of(folder, entrants))]
