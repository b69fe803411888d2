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
from mosaicbench.files.config import read_config
from mosaicbench.files.place import digest_of
from mosaicbench.files.scores import read_scores
from mosaicbench.files.tables import read_table
from mosaicbench.layout import Results
from mosaicbench.report.recommendation import ALL_DIRECTIONS, IMPUTATION, METRICS, question_in_words
from mosaicbench.report.records import differing_facts
from mosaicbench.report.tables.contract import RUN_COLUMNS, checked_runs, checked_scores
from mosaicbench.report.theme import Theme, read_theme
from mosaicbench.statistics.common import VIEW
from mosaicbench.statistics.race import Race, Standing, last_of
from mosaicbench.statistics.summary import seed_means

FOLDER = "race"  # in the results folder: a benchmark of its own for each seed
ENTRANTS = "entrants.json"  # in the folder of a round: whose scores it makes
PARTS = ("datasets", "scenarios", "runs")  # of a config, what the names of an entrant are ids of
CHOICES = ("datasets", "runs")  # keys of a scenario that say what takes part, and change no score

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
        Print what the next round would fit; start and write nothing.

    Raises
    ------
    UserError
        When the folder has no finished benchmark, a round was of another one, or Snakemake fails.
    """
    if budget < 1:
        raise UserError(f"--budget: at least one fit is needed, found {budget}")
    if cores != "all" and not (cores.isdecimal() and int(cores) > 0):
        raise UserError(f"--cores: expected a whole number of at least 1, or all, found {cores!r}")
    config = read_config(Results(results).config)
    rounds = _rounds(results, config)
    _check_rounds(rounds, config)
    _check_data(results, rounds)
    for folder in sorted(_folders(results) - rounds.keys(), key=_seed):
        print(
            f"{folder}: not counted, the benchmark has this seed itself, or these runs no more",
            file=sys.stderr,
        )
    if not dry_run:
        for folder in _unfinished(rounds):  # a round that was interrupted
            _start(folder, cores)
    runs = checked_runs(read_table(Results(results).table("runs"), RUN_COLUMNS))
    theme = read_theme(display, runs)
    tables = tables_of(_scores(results, config), theme)
    race = Race(
        len(config["seeds"]), {key: theme.roster.sign(METRICS[key[2]]) for key in tables}, tables
    )
    seed = 1 + max([*config["seeds"], *(int(n) for table in tables.values() for n in table.index)])
    if dry_run:
        entrants = race.wanted(entrant)
        print(f"seed {seed}: {len(entrants)} fits" + ("" if entrants else "; nothing is undecided"))
        for names in entrants:
            print(f"  {theme.view(*names[:2])}: {theme.label('runs', names[2])}")
    else:
        race.run(seed, _Fit(results, config, theme, cores), entrant, budget=budget)
    for key, standing in race.standings().items():
        print(in_words(key, standing, race, theme))
    if tuned := [
        theme.label("runs", run) for run in runs["run"].unique() if theme.roster.tuned_from(run)
    ]:
        print(f"not in the race, since their settings are searched for: {', '.join(tuned)}")
    if not dry_run and race.wanted(entrant):
        print(
            f"stopped after {race.fits} fits: the next round needs {len(race.wanted(entrant))}, the budget was {budget}"
        )


def tables_of(scores: pd.DataFrame, theme: Theme) -> dict[Question, pd.DataFrame]:
    """Return question -> (seeds, runs) of the models and baselines that can be fitted again, seeds in order of appearance.

    Tuned runs are left out: a round would have to search for their settings.
    """
    roster = theme.roster
    competing = [
        run
        for run in scores["run"].unique()
        if roster.competes(run) and not roster.is_elsewhere(run)
    ]
    scores = scores[scores["run"].isin([run for run in competing if not roster.tuned_from(run)])]
    found = {}
    for question, metric in METRICS.items():
        of_metric = scores[scores["metric"] == metric]
        parts = (
            of_metric.groupby("direction", sort=False)
            if question == IMPUTATION
            else [(ALL_DIRECTIONS, of_metric)]
        )
        for direction, part in parts:
            means = seed_means(part)
            for view, here in means[means["directions"] == means["of_directions"]].groupby(
                VIEW, sort=False
            ):
                seeds = list(dict.fromkeys(scores["seed"]))
                table = here.pivot(index="seed", columns="run", values="value").reindex(seeds)
                found[(*view, question, direction)] = table[list(here["run"].unique())].dropna(
                    how="all"
                )
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
    failed = (
        f" {', '.join(theme.label('runs', run) for run in standing.failed)} failed in a seed."
        if standing.failed
        else ""
    )
    return f"{where}, {', '.join(names) or 'nobody'} {'are' if names else 'is'} still in after {seeds} seeds.{ended}{failed}"


class _Fit:
    """Fits a seed of some runs with the workflow, in the race's own folder."""

    def __init__(self, results: Path, config: dict, theme: Theme, cores: str):
        self.results, self.config, self.theme, self.cores = results, config, theme, cores

    def __call__(
        self, entrants: list[Entrant], seed: int
    ) -> Mapping[Question, Mapping[str, float]]:
        folder = _written(self.results, self.config, entrants, seed)
        write_text(folder / ENTRANTS, json.dumps(entrants))
        _start(folder, self.cores)
        _check_data(
            self.results, {folder: entrants}
        )  # the workflow prepares anew what its source has changed since
        tables = tables_of(_scores(self.results, self.config), self.theme)
        return {
            key: table.loc[seed].dropna().to_dict()
            for key, table in tables.items()
            if seed in table.index
        }


def _scores(results: Path, config: dict) -> pd.DataFrame:
    """Return the scores of the benchmark and of the finished rounds of its race, seeds in the order in which they came."""
    own = checked_scores(read_table(Results(results).table("scores")))
    targets = [
        path
        for folder, entrants in _rounds(results, config).items()
        for path in _scores_of(folder, entrants)
    ]
    return pd.concat(
        [own, *(read_scores(path) for path in targets if path.is_file())], ignore_index=True
    )


def _rounds(results: Path, config: dict) -> dict[Path, list[Entrant]]:
    """Return the folders of the rounds, in order, with what they fitted that the benchmark has, but not with that seed."""
    rounds = {}
    for folder in sorted(_folders(results), key=_seed):
        entrants = [
            names
            for names in _entrants(folder)
            if all(n in config[p] for p, n in zip(PARTS, names, strict=True))
        ]
        if entrants and _seed(folder) not in config["seeds"]:
            rounds[folder] = entrants
    return rounds


def _check_rounds(rounds: dict[Path, list[Entrant]], config: dict) -> None:
    """Refuse rounds that were fitted with another config than today's."""
    found = {}
    for folder, entrants in rounds.items():
        path = folder / "config.yaml"
        before = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
        differs = differing_facts(_decisive(before, entrants), _decisive(config, entrants))
        if len(differs):
            found[path] = differs.iloc[0]
    if found:
        path, (place, before, now) = next(iter(found.items()))
        raise UserError(
            f"{path}: this round of the race is of another benchmark: its {place} is {before}, today's is {now}; to race anew,"
            f" delete or move {', '.join(str(each.parent) for each in found)}"
        )


def _check_data(results: Path, rounds: dict[Path, list[Entrant]]) -> None:
    """Refuse rounds whose datasets have not the bytes of the benchmark's, as when a user's own file has changed since."""
    found = {}
    for folder, entrants in rounds.items():
        for dataset, _, _ in entrants:
            own, other = (Path(Results(place).dataset(dataset)) for place in (results, folder))
            if (
                own.is_file()
                and other.is_file()
                and not own.samefile(other)
                and digest_of(own) != digest_of(other)
            ):
                found[folder] = other
    if found:
        raise UserError(
            f"{next(iter(found.values()))}: this round of the race is of other data than the benchmark's; if its own files have"
            f" changed, run the benchmark again; then delete or move {', '.join(map(str, found))}"
        )


def _decisive(config: dict, entrants: list[Entrant]) -> dict:
    """Return the parts of a config that scores of these entrants depend on."""
    training = {
        key: value for key, value in config.get("training", {}).items() if key != "seeds_at_once"
    }
    parts = {
        "registry": config.get("registry"),
        "training": training,
        "preprocess": config.get("preprocess"),
    }
    for part, names in zip(PARTS, zip(*entrants, strict=True), strict=True):
        stanzas = {name: config.get(part, {}).get(name) or {} for name in names}
        left_out = CHOICES if part == "scenarios" else ()
        parts[part] = {
            n: {key: v for key, v in stanza.items() if key not in left_out}
            for n, stanza in stanzas.items()
        }
    return parts


def _folders(results: Path) -> set[Path]:
    """Return the folders of the rounds that were started."""
    return {path.parent for path in Path(results, FOLDER).glob(f"seed-*/{ENTRANTS}")}


def _seed(folder: Path) -> int:
    return int(folder.name.removeprefix("seed-"))


def _entrants(folder: Path) -> list[Entrant]:
    return json.loads((folder / ENTRANTS).read_text())


def _unfinished(rounds: dict[Path, list[Entrant]]) -> list[Path]:
    return [
        folder
        for folder, entrants in rounds.items()
        if not all(path.is_file() for path in _scores_of(folder, entrants))
    ]


def _scores_of(folder: Path, entrants: list[Entrant]) -> list[Path]:
    return [Path(Results(folder).run(*names), "scores.tsv") for names in entrants]


def _written(results: Path, config: dict, entrants: list[Entrant], seed: int) -> Path:
    """Write the config of one seed of some runs, and take the datasets over; return the folder."""
    folder = Path(results, FOLDER, f"seed-{seed}")
    named = [list(dict.fromkeys(names)) for names in zip(*entrants, strict=True)]
    chosen = {
        part: {name: config[part][name] for name in names}
        for part, names in zip(PARTS, named, strict=True)
    }
    for name, stanza in chosen["scenarios"].items():
        there = {
            key: [one for one in stanza[key] if one in chosen[key]]
            for key in CHOICES
            if key in stanza
        }
        chosen["scenarios"][name] = stanza | there
    kept = {
        key: config[key]
        for key in ("registry", "training", "preprocess", "metrics", "limits")
        if key in config
    }
    places = {**config.get("pathvars", {}), "results": str(folder), "logs": str(folder / "logs")}
    text = yaml.safe_dump(
        kept | chosen | {"seeds": [seed], "keep": [], "pathvars": places}, sort_keys=False
    )
    write_text(folder / "config.yaml", text)
    datasets = [Path(Results(results).dataset(dataset)) for dataset in chosen["datasets"]]
    for source in [
        *datasets,
        *Path(Results(results).code).glob("prepare*.txt"),
    ]:  # a dataset is not older than its code
        _take_over(source, folder / source.relative_to(results))
    return folder


def _take_over(source: Path, target: Path) -> None:
    """Make a file stand in another folder, too, as old as it is; a dataset that is gone is prepared again by the workflow."""
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(
            missing_ok=True
        )  # of a round that was planned before, and perhaps of other data
        try:
            os.link(source, target)
        except OSError:  # another file system
            shutil.copy2(source, target)


def _start(folder: Path, cores: str) -> None:
    entrants = _entrants(folder)
    print(f"{folder.name}: {len(entrants)} fits", file=sys.stderr)
    if subprocess.run(_command(folder, entrants, cores), check=False).returncode:
        raise UserError(
            f"{folder}: Snakemake failed; its message stands above, and the same command goes on from there"
        )


def _command(folder: Path, entrants: list[Entrant], cores: str) -> list[str]:
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(layout.project_file("Snakefile")),
        "--cores",
        cores,
    ]
    return [
        *command,
        "--configfile",
        str(folder / "config.yaml"),
        "--",
        *map(str, _scores_of(folder, entrants)),
    ]
