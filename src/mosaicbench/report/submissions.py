"""Results folders as submissions to a leaderboard: each is taken in whole, or refused with every reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from mosaicbench import __version__
from mosaicbench.errors import UserError
from mosaicbench.files.config import read_config
from mosaicbench.files.place import check_digest
from mosaicbench.files.runs import read_record
from mosaicbench.files.scores import SCORE_COLUMNS, read_cells, read_scores
from mosaicbench.layout import Results
from mosaicbench.report.tables.contract import checked_scores, read_tables
from mosaicbench.roster import roster_of
from mosaicbench.statistics.common import ALL, FAILED, RUN, VIEW, joined
from mosaicbench.statistics.out_of_place import controls_out_of_place
from mosaicbench.statistics.overall import overall
from mosaicbench.statistics.scale import NEGATIVE, POSITIVE
from mosaicbench.statistics.summary import headline

FAULTS = (
    "impossible",
    "no number",
    "perfect",
    "identical seeds",
)  # gates that a submission may not have
KEYS = SCORE_COLUMNS[:7]
NEAR = 1e-6  # relative and absolute: two numbers that should be the same


@dataclass(frozen=True)
class Submission:
    """A results folder that was taken in.

    Attributes
    ----------
    name
        What the board calls it: the folder's own name, with a number where another has the same.
    folder
        Where it lies.
    tables
        As ``contract.read_tables`` gives them.
    config
        The recorded config.
    records
        ``run.json`` of every fit.
    written
        The day on which its tables were written, UTC: "2026-11-22".
    """

    name: str
    folder: Path
    tables: Mapping[str, pd.DataFrame]
    config: Mapping
    records: Sequence[Mapping]
    written: str

    def settings(self, dataset: str, scenario: str) -> str:
        """Return a short digest of all that the config says of a view: of two equal ones the scores may be compared."""
        stanza = (self.config.get("scenarios") or {}).get(scenario) or {}
        of_view = {key: value for key, value in stanza.items() if key not in ("datasets", "runs")}
        parts = [
            (self.config.get("datasets") or {}).get(dataset),
            of_view,
            self.config.get("preprocess"),
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:8]

    def records_of(self, dataset: str, scenario: str, run: str) -> list[Mapping]:
        """Return the records of one run of one view."""
        place = (dataset, scenario, run)
        return [record for record in self.records if tuple(record[key] for key in RUN) == place]


def examined(folders: Sequence[Path]) -> tuple[list[Submission], dict[Path, list[str]]]:
    """Return the folders that may stand on one board, and folder -> every reason of those that may not.

    Raises
    ------
    UserError
        When a folder is named twice.
    """
    resolved = [folder.resolve() for folder in folders]
    if twice := {str(folder) for folder in resolved if resolved.count(folder) > 1}:
        raise UserError(f"{', '.join(sorted(twice))}: named twice; name every results folder once")
    taken: list[Submission] = []
    refused: dict[Path, list[str]] = {}
    for folder in folders:
        submission, reasons = _examined(folder, _free_name(folder, taken))
        reasons += [] if submission is None else _against(submission, taken)
        if reasons:
            refused[folder] = reasons
        else:
            taken.append(submission)
    return taken, refused


def _examined(folder: Path, name: str) -> tuple[Submission | None, list[str]]:
    """Return a submission, None where it cannot even be read, and the reasons against it."""
    results = Results(folder)
    needed = [results.config, results.table("contents"), results.table("standings")]
    if absent := [Path(file).relative_to(folder) for file in needed if not Path(file).is_file()]:
        return None, [
            f"there is no {part} in it; name the folder of a finished benchmark (with report.html)"
            for part in absent
        ]
    try:
        tables = read_tables(results.tables)
        config = read_config(results.config)
    except UserError as error:
        return None, [str(error)]
    records, reasons = _records(results, tables["runs"])
    written = datetime.fromtimestamp(Path(results.table("contents")).stat().st_mtime, UTC).strftime(
        "%Y-%m-%d"
    )
    submission = Submission(name, folder, tables, config, records, written)
    reasons += _of_scores(results, tables)
    reasons += _of_versions(records)
    reasons += _of_controls(tables["scores"], tables["runs"], records)
    gates = tables["gates"][tables["gates"]["gate"].isin(FAULTS)]
    reasons += [
        f"{'/'.join(line[key] for key in RUN)}: {line['metric']}: {line['message']}"
        for _, line in gates.iterrows()
    ]
    return submission, reasons


# --- one folder ----------------------------------------------------------------------------------------------------------


def _records(results: Results, runs: pd.DataFrame) -> tuple[list[dict], list[str]]:
    """Return the records of all fits, and what is wrong with those that are absent, broken, or not what the table says."""
    records, reasons = [], []
    for line in runs[runs["status"] != "not_applicable"].to_dict("records"):
        place = {key: line[key] for key in (*RUN, "seed")}
        try:
            record = read_record(f"{results.fit(**place)}/run.json", place)
        except UserError as error:
            reasons.append(str(error))
            continue
        records.append(record)
        for key in ("method", "status"):
            if str(record[key]) != str(line[key]):
                where = "/".join(str(value) for value in place.values())
                reasons.append(
                    f"{where}: tables/runs.tsv says {key} {line[key]!r}, its run.json {record[key]!r}"
                )
    return records, reasons


def _of_scores(results: Results, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return where the tables are not what the runs' own scores give."""
    runs, parts, reasons = tables["runs"], [], []
    for place in (
        runs.loc[runs["status"] != "not_applicable", RUN].drop_duplicates().to_dict("records")
    ):
        folder = Path(results.run(**place))
        try:
            check_digest(
                folder / "scores.tsv", read_cells(folder / "cells.npz", place).digests, "score"
            )
            parts.append(read_scores(folder / "scores.tsv", place))
        except UserError as error:
            reasons.append(str(error))
    if reasons:
        return reasons
    scores, said = checked_scores(joined(parts, SCORE_COLUMNS)), tables["scores"]
    if not _same(scores.set_index(KEYS)["value"], said.set_index(KEYS)["value"]):
        return [
            "tables/scores.tsv: does not hold the numbers of the runs' own scores.tsv; run the workflow again"
        ]
    means = headline(scores).set_index([*RUN, "metric"])["mean"]
    if not _same(means, tables["headline"].set_index([*RUN, "metric"])["mean"]):
        reasons.append(
            "tables/headline.tsv: its means are not those of the scores; delete it and run the workflow again"
        )
    of_views = [
        table[table["dataset"] != ALL]
        for table in (overall(scores, runs, roster_of(runs)), tables["overall"])
    ]
    if not _same(*(table.set_index(RUN)["score"] for table in of_views)):
        reasons.append(
            "tables/overall.tsv: its scores are not those that this version makes; delete it and run the workflow again"
        )
    standings = tables["standings"]
    shown = standings[(standings["dataset"] != "(all)") & (standings["seeds"] > 0)].set_index(
        [*RUN, "metric"]
    )["mean"]
    known = shown.index.intersection(means.index)
    if not _same(shown.loc[known], means.loc[known]):
        reasons.append(
            "tables/standings.tsv: its means are not those of the scores; delete it and run the workflow again"
        )
    return reasons


def _same(a: pd.Series, b: pd.Series) -> bool:
    """Return whether two columns name the same things, and give them the same numbers."""
    if len(a) != len(b) or set(a.index) != set(b.index):
        return False
    return bool(
        np.allclose(
            a.astype(float), b.loc[a.index].astype(float), rtol=NEAR, atol=NEAR, equal_nan=True
        )
    )


def _of_versions(records: Sequence[Mapping]) -> Iterator[str]:
    """Yield what the versions of the fits forbid."""
    versions = sorted(
        {str(record["versions"].get("mosaicbench", "not stated")) for record in records}
    )
    if versions and versions != [__version__]:
        yield (
            f"fitted with mosaicbench {', '.join(versions)}, and this board is made by {__version__}: scores of two versions "
            "are not compared; fit again with this one, or make the board with that one"
        )
    dirty = sorted(
        {record["git_commit"] for record in records if str(record["git_commit"]).endswith("-dirty")}
    )
    if dirty:
        yield f"fitted with changes that no commit holds ({', '.join(dirty)}): nobody could repeat it; commit them, fit again"


def _of_controls(
    scores: pd.DataFrame, runs: pd.DataFrame, records: Sequence[Mapping]
) -> Iterator[str]:
    """Yield what is wrong with the controls: one that a view lacks, that failed, or that is not where theory puts it."""
    roster = roster_of(runs)
    for view, of_view in runs.groupby(VIEW, sort=False):
        where = "/".join(view)
        methods = {
            roster.method(run) for run in of_view.loc[of_view["status"] != "not_applicable", "run"]
        }
        if POSITIVE not in methods:
            yield f"{where}: no run of the control {POSITIVE!r}, which pins the upper end of every scale"
        if not methods & set(NEGATIVE):
            yield f"{where}: no run of a control that knows nothing ({', '.join(NEGATIVE)})"
        for line in of_view[of_view["status"].isin(FAILED)].itertuples():
            if roster.kind(line.run) == "control":
                yield f"{where}: the control {line.run} {line.status.replace('_', ' ')} with seed {line.seed}"
    sizes = {
        (record["dataset"], record["scenario"]): (
            record["cells"]["train"],
            record["cells"]["query"],
        )
        for record in records
        if {"train", "query"} <= set(record["cells"])
    }
    for row in controls_out_of_place(scores, roster, sizes):
        yield f"{'/'.join(row[key] for key in RUN)}: {row['metric']}: {row['message']}"


# --- beside the others ---------------------------------------------------------------------------------------------------


def _against(new: Submission, taken: Sequence[Submission]) -> list[str]:
    """Return where a submission's controls disagree with another's that says to have the same views.

    Mean profiles are not trained: of the same view and seed they have the same scores wherever they were computed.
    """
    reasons = []
    for other in taken:
        for view in _shared_views(new, other):
            mine, theirs = (
                _of_mean_profiles(submission.tables, view) for submission in (new, other)
            )
            known = mine.index.intersection(theirs.index)
            if not np.allclose(
                mine.loc[known], theirs.loc[known], rtol=1e-3, atol=1e-3, equal_nan=True
            ):
                reasons.append(
                    f"{'/'.join(view)}: its controls score otherwise than those of {other.name}, whose config says the same of "
                    "this view: the data are not the same; give one of the datasets another name"
                )
    return reasons


def _shared_views(a: Submission, b: Submission) -> list[tuple[str, str]]:
    views = [
        set(map(tuple, submission.tables["runs"][VIEW].drop_duplicates().to_numpy()))
        for submission in (a, b)
    ]
    return sorted(view for view in views[0] & views[1] if a.settings(*view) == b.settings(*view))


def _of_mean_profiles(tables: Mapping[str, pd.DataFrame], view: tuple[str, str]) -> pd.Series:
    """Return the scores of imputation of the mean profiles of one view, which depend on its cells and on nothing else."""
    roster, scores = roster_of(tables["runs"]), tables["scores"]
    here = (scores["dataset"] == view[0]) & (scores["scenario"] == view[1])
    methods, groups = scores["run"].map(roster.method), scores["metric"].map(roster.group)
    chosen = scores[here & methods.isin(["train_mean", "celltype_mean"]) & (groups == "imputation")]
    return chosen.assign(run=methods).set_index(KEYS)["value"].astype(float)


def _free_name(folder: Path, taken: Sequence[Submission]) -> str:
    """Return the name of a folder that none of those taken has."""
    name = named(folder)
    names = {submission.name for submission in taken}
    return (
        name
        if name not in names
        else next(f"{name} ({n})" for n in range(2, len(names) + 3) if f"{name} ({n})" not in names)
    )


def named(folder: Path) -> str:
    """Return what a board calls a folder; one that is called "results" is named with the folder that it lies in."""
    path = folder.resolve()
    return f"{path.parent.name}/{path.name}" if path.name == "results" else path.name
