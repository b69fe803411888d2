"""The report: what was compared and what came out, with every number, picture and failure traceable to its file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import yaml

from mosaicbench.files.runs import STATUSES
from mosaicbench.layout import Jobs
from mosaicbench.report import reference_sections, statistics, tables
from mosaicbench.report.embedded_figures import Pictures
from mosaicbench.report.html_tables import Cell, Column, Grid, Row, grid, interval, key, many, named, row, with_arrow
from mosaicbench.report.page import render
from mosaicbench.report.theme import Theme

QUESTION = (
    "Cells were measured in several modalities, and the benchmark hides part of what is known. How well does each method bring "
    "the modalities into one space, so that a cell's partner can be found (alignment) and cell types carry over (label "
    "transfer), and how well does it predict a modality that was not measured (imputation)?"
)
KINDS = ("model", "baseline", "control")
CONTESTS = [name for name in tables.HEADLINE if name not in tables.RESOURCES]
REMEDIES = {
    "diverged": "The cost stopped being finite. Lower the run's `learning_rate` in the config; the log says in which epoch.",
    "out_of_memory": "Raise `limits: memory_mb`, make the run's `latent` or the `minibatch` of `training` smaller, or choose a "
    "larger machine.",
    "timeout": "Raise `limits: minutes`, or lower `max_epochs` of `training`.",
    "crashed": "An error in the method or in what it was given: the log ends with it.",
    "collapsed": "No latent dimension varies, so every cell looks the same; its scores are right, and say nothing. Lower the "
    "weight of the divergence (`beta`), or train longer.",
    "not_applicable": "The method cannot take part in this scenario, by its design: nothing to mend. Where the reason names a "
    "package or links that are missing, the run takes part once they are there.",
}
GIVES = {  # what a method's card must give, so that it has scores of a group
    "alignment": ("single", "it gives no latents of single modalities"),
    "label_transfer": ("single", "it gives no latents of single modalities"),
    "imputation": ("impute", "it does not impute"),
    "realism": ("impute", "it does not impute"),
}
TRAITS = {
    "uses_pairs": "was it told which cells of two modalities are the same",
    "uses_links": "was it told which features of two modalities belong together",
    "uses_labels": "was it told the cell types of the train cells",
    "transductive": "was it fitted on the query cells too",
}


def page(
    *,
    read: Mapping[str, pd.DataFrame],
    figures: Path,
    figure_cards: Mapping[str, dict],
    theme: Theme,
    config: Mapping,
    views: list[str],
    records: Sequence[Mapping],
) -> str:
    """Return the report as HTML; everything that comes from a file or a name is escaped.

    Parameters
    ----------
    read
        The tables of ``tables.read_tables``.
    figures
        The folder that ``draw`` wrote; every figure that is there is shown.
    figure_cards
        figure -> card, in the order of the report.
    theme
        Labels, colours and order.
    config
        The configuration, shown as it is; its `title` and `question`, where it has them, head the page.
    views
        "dataset/scenario" in the order of the report.
    records
        The ``run.json`` of the runs: hyperparameters, versions, commits and machines; none leaves them out.
    """
    pictures = Pictures(Path(figures), figure_cards)
    runs = read["runs"]
    places = [tuple(view.split("/")) for view in views]
    return render(
        "report.html.j2",
        title=config.get("title", "mosaicbench"),
        question=config.get("question", QUESTION),
        facts=_facts(runs, places, theme),
        standings=_standings(read["overall"], theme),
        winners=_winners(read, places, theme),
        packages=_packages(read, places, theme),
        controls=_controls(read["overall"], theme),
        troubles=_troubles(runs, theme),
        overall=pictures.of(),
        scoreboards=_scoreboards(read["overall"], theme),
        groups=_groups(theme),
        ranks=_ranks(read["ranks"], theme),
        datasets_of_figures=[
            {"anchor": f"figures-{dataset}", "title": theme.label("datasets", dataset), "figures": found}
            for dataset in dict.fromkeys(dataset for dataset, _ in places)
            if (found := pictures.of(dataset))
        ],
        views=[_view(number, place, read, pictures, theme) for number, place in enumerate(places)],
        absent=_absent(runs, config, theme),
        remedies=_remedies(runs),
        gates=_gates(read["gates"], theme),
        published=reference_sections.published(read["published"], theme),
        methods=reference_sections.methods(runs, records, theme),
        metrics=reference_sections.metrics(read["scores"], theme),
        datasets=reference_sections.datasets(runs, theme),
        provenance=reference_sections.provenance(runs, records),
        config=yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True),
        signs={"not_given": tables.NOT_GIVEN, "cross": tables.CROSS, "fewer": tables.FEWER},
    )


# --- summary -------------------------------------------------------------------------------------------------------------


def _facts(runs: pd.DataFrame, places: list[tuple[str, ...]], theme: Theme) -> dict[str, str]:
    made = runs[runs["status"] != "not_applicable"]
    seeds = sorted(int(seed) for seed in made["seed"].dropna().unique())
    kinds = pd.Series({run: theme.kind(run) for run in runs["run"].unique()}, dtype=object)
    per_kind = [many(int((kinds == kind).sum()), kind) for kind in KINDS if (kinds == kind).any()]
    datasets = theme.order("datasets", (dataset for dataset, _ in places))
    scenarios = theme.order("scenarios", (scenario for _, scenario in places))
    return {
        "Datasets": ", ".join(theme.label("datasets", name) for name in datasets),
        "Scenarios": ", ".join(theme.label("scenarios", name) for name in scenarios),
        "Runs": f"{len(kinds)} ({', '.join(per_kind)})",
        "Seeds": f"{len(seeds)} ({', '.join(map(str, seeds))}); each repeats the whole experiment: split, start, minibatches",
        "Fits": f"{len(made)}: {_counted(made)}",
    }


def _standings(overall: pd.DataFrame, theme: Theme) -> list[dict[str, str]]:
    """Return one entry per scenario: who leads, by how much, and whether the intervals keep the next apart."""
    entries = []
    for scenario, whole in _totals(overall, theme):
        ranked = whole.dropna(subset="rank").sort_values("rank", kind="stable")
        entries.append({"scenario": theme.label("scenarios", scenario).capitalize(), "words": _leader(ranked, theme)})
    return entries


def _leader(ranked: pd.DataFrame, theme: Theme) -> str:
    if ranked.empty:
        return "No run has every score that the overall score is made of, so none is ranked."
    first, others = ranked.iloc[0], ranked.iloc[1:]
    name = f"{theme.label('runs', first['run'])} ({theme.kind(first['run'])})"
    value = f"{_three(first['score'])} (95 % {interval(first['low'], first['high'])})"
    if others.empty:
        return f"{name} is the only run with every score: {value}."
    words = [f"{name} has the highest overall score of {len(ranked)} ranked runs: {value}."]
    level = others[(others["high"] >= first["low"]) | others["high"].isna() | pd.isna(first["low"])]
    following = f"Next is {theme.label('runs', others.iloc[0]['run'])} with {_three(others.iloc[0]['score'])}"
    if level.empty:
        words.append(f"{following}; no interval reaches the leader's.")
    else:
        names = ", ".join(theme.label("runs", run) for run in level["run"])
        words.append(f"{following}. Not apart from the leader by their intervals, so that the order may be chance: {names}.")
    other_kinds = others[[theme.kind(run) != theme.kind(first["run"]) for run in others["run"]]]
    if len(other_kinds):
        best = other_kinds.iloc[0]
        words.append(f"The best {theme.kind(best['run'])} is {theme.label('runs', best['run'])} with {_three(best['score'])}.")
    return " ".join(words)


def _winners(read: Mapping[str, pd.DataFrame], places: list[tuple[str, ...]], theme: Theme) -> Grid | None:
    """Return who is best in each headline score of each view; None where nobody competes."""
    best = _best(read, theme)
    if best.empty:
        return None
    rows = []
    for dataset, scenario in places:
        cells: list[Cell | str] = [theme.label("datasets", dataset), theme.label("scenarios", scenario)]
        for metric in CONTESTS:
            found = tables.of_view(best[best["metric"] == metric], dataset, scenario)
            if found.empty:
                cells.append(Cell(tables.NOT_GIVEN, why="fewer than two runs, controls aside, have this score in this view"))
                continue
            names = ", ".join(theme.label("runs", run) for run in theme.order("runs", found["run"]))
            line = found.iloc[0]
            cells.append(Cell(f"{names} {tables.number(metric, line['mean'])}", about=_about(line)))
        rows.append(cells)
    columns = [Column("Dataset", choices=True), Column("Scenario", choices=True)]
    columns += [Column(with_arrow(metric, theme), about=theme.metric(metric).get("definition", "")) for metric in CONTESTS]
    return grid("The best run of each score and view", columns, rows)


def _packages(read: Mapping[str, pd.DataFrame], places: list[tuple[str, ...]], theme: Theme) -> str:
    """Return where a wrapped package is the best, in words; nothing where no package took part."""
    wrapped = {run for run in read["runs"]["run"] if "wraps" in theme.cards["methods"].get(theme.methods.get(run, run), {})}
    best = _best(read, theme)
    if not wrapped or best.empty:
        return ""
    contests, wins, won_by_packages = best[[*tables.VIEW, "metric"]], [], best["run"].isin(wrapped)
    for place in places:
        won = tables.of_view(best[won_by_packages], *place)
        where = ", ".join((theme.label("datasets", place[0]), theme.label("scenarios", place[1])))
        for run in theme.order("runs", won["run"]):
            metrics = [theme.label("metrics", name) for name in CONTESTS if name in set(won.loc[won["run"] == run, "metric"])]
            wins.append(f"{theme.label('runs', run)} in {', '.join(metrics)} ({where})")
    of = f"of these {len(contests.drop_duplicates())}"
    if not wins:
        return f"No wrapped package has the best mean in any {of}."
    return f"Wrapped packages have the best mean in {len(contests[won_by_packages].drop_duplicates())} {of}: {'; '.join(wins)}."


def _best(read: Mapping[str, pd.DataFrame], theme: Theme) -> pd.DataFrame:
    """Return the rows of the best runs of each headline score of each view."""
    summary = read["headline"][read["headline"]["metric"].isin(CONTESTS)]
    return summary[tables.best(summary, read["runs"], theme.cards)]


def _controls(overall: pd.DataFrame, theme: Theme) -> Grid | None:
    """Return each control's overall score in every scenario, beside what it is for."""
    totals = {scenario: whole.set_index("run") for scenario, whole in _totals(overall, theme)}
    controls = theme.order("runs", (run for run in overall["run"] if theme.kind(run) == "control"))
    if not controls:
        return None
    rows = []
    for run in controls:
        scores = [_score(totals[scenario], run) for scenario in totals]
        summary = theme.cards["methods"].get(theme.methods.get(run, run), {}).get("summary", "")
        rows.append([named(run, theme), *scores, summary])
    columns = [Column("Control"), *(Column(theme.label("scenarios", name), descending=True) for name in totals)]
    return grid("Overall scores of the controls", [*columns, Column("What it is", words=True)], rows)


def _score(totals: pd.DataFrame, run: str) -> Cell:
    if run not in totals.index or not totals.loc[run, "of_seeds"]:
        return Cell(tables.NOT_GIVEN, why="not applicable in this scenario")
    line = totals.loc[run]
    return Cell(_three(line["score"]), sort=key(line["score"]), about=f"95 % {interval(line['low'], line['high'])}")


def _troubles(runs: pd.DataFrame, theme: Theme) -> list[str]:
    """Return one sentence per status that a reader must know of; that a control collapses is what it is for."""
    competing = runs[[theme.kind(run) != "control" for run in runs["run"]]]
    found = []
    for status in (*tables.FAILED, "collapsed"):
        those = (competing if status == "collapsed" else runs)["status"] == status
        names = theme.order("runs", runs.loc[those[those].index, "run"])
        if names:
            listed = ", ".join(theme.label("runs", run) for run in names)
            found.append(f"{many(int(those.sum()), 'fit')} {status.replace('_', ' ')}: {listed}")
    return found


def _totals(overall: pd.DataFrame, theme: Theme) -> Iterable[tuple[str, pd.DataFrame]]:
    """Yield each scenario with its rows over all datasets, or of its one dataset."""
    for scenario in theme.order("scenarios", overall["scenario"]):
        of_scenario = overall[overall["scenario"] == scenario]
        datasets = set(of_scenario["dataset"])
        total = statistics.ALL if statistics.ALL in datasets else theme.order("datasets", datasets)[0]
        yield scenario, of_scenario[of_scenario["dataset"] == total]


# --- overall scores and ranks --------------------------------------------------------------------------------------------


def _scoreboards(overall: pd.DataFrame, theme: Theme) -> list[dict]:
    """Return one board per scenario: complete runs by rank, then incomplete ones, controls, and what did not apply."""
    boards = []
    for scenario, whole in _totals(overall, theme):
        of_scenario = overall[overall["scenario"] == scenario].set_index(["dataset", "run"])
        datasets = theme.order("datasets", (name for name in of_scenario.index.unique("dataset") if name != statistics.ALL))
        several = datasets if len(datasets) > 1 else []
        lines = whole.set_index("run")
        sections: dict[str, list[tuple[float, Row]]] = {"complete": [], "incomplete": [], "control": []}
        missing, absent = [], []
        for run in theme.order("runs", lines.index):
            line = lines.loc[run]
            if not line["of_seeds"]:
                absent.append(theme.label("runs", run))
                continue
            section = "control" if line["kind"] == "control" else "complete" if line["complete"] else "incomplete"
            what = _short(line["missing"], len(datasets), theme)
            if section == "incomplete":
                missing.append(f"{theme.label('runs', run)} ({what})")
            of_datasets = [of_scenario.loc[(name, run), "score"] for name in several]
            sections[section].append((line["rank"], _board_row(run, line, of_datasets, section, what, theme)))
        sections["complete"].sort(key=lambda ranked: ranked[0])
        headings = {
            "Complete": [line for _, line in sections["complete"]],
            f"Incomplete ({tables.FEWER}): a mean over what there is, not comparable, not ranked": [
                line for _, line in sections["incomplete"]
            ],
            "Controls": [line for _, line in sections["control"]],
        }
        columns = [Column("Run"), Column("Rank"), Column("Overall ↑", descending=True), Column("95 % interval")]
        columns += [Column(f"{group['label']} ↑", about=group["metrics"], descending=True) for group in _groups(theme)]
        columns += [Column(theme.label("datasets", name), descending=True) for name in several]
        columns += [
            Column("Scores", about="how many of the scores that the overall score is made of"),
            "Seeds",
            *_trait_columns(),
        ]
        heads = tuple(Column(column) if isinstance(column, str) else column for column in columns)
        title = theme.label("scenarios", scenario).capitalize() + (", mean over datasets" if several else "")
        boards.append(
            {"title": title, "grid": Grid(f"Overall scores, {title}", heads, headings), "absent": ", ".join(absent)}
            | {"missing": ", ".join(missing)}
            | {"interval": ", ".join(sorted(set(whole["interval"]) - {tables.NO_INTERVAL})) or tables.NO_INTERVAL}
        )
    return boards


def _board_row(run: str, line: pd.Series, datasets: list[float], section: str, missing: str, theme: Theme) -> Row:
    ranked = not pd.isna(line["rank"])
    no_rank = "controls are not ranked" if section == "control" else f"it lacks {missing}" if missing else ""
    rank = Cell(f"{int(line['rank'])}", sort=int(line["rank"])) if ranked else Cell(tables.NOT_GIVEN, why=no_rank)
    score = _number_cell(line["score"], why=f"it lacks {missing}" if missing else "")
    if section == "incomplete" and not pd.isna(line["score"]):
        score = Cell(f"{score.text} {tables.FEWER}", sort=score.sort, why=f"it lacks {missing}")
    groups = [_number_cell(line[name], why=f"it lacks {missing}" if missing else "") for name in statistics.GROUPS]
    return row(
        named(run, theme),
        rank,
        score,
        Cell(interval(line["low"], line["high"]), sort=key(line["low"])),
        *groups,
        *(_number_cell(value, why="not applicable, or without a score") for value in datasets),
        f"{line['metrics']}/{line['of_metrics']}",
        f"{line['seeds']}/{line['of_seeds']}",
        *_traits(run, theme),
        run=run,
    )


def _short(missing: object, datasets: int, theme: Theme) -> str:
    """Return what is missing in words: a group where all of it is, and once where every dataset misses the same."""
    if not isinstance(missing, str) or not missing:
        return ""
    parts = [part.rsplit(": ", 1) for part in missing.split("; ")]
    words = {tuple(part[:-1]): _in_groups(part[-1].split(", "), theme) for part in parts}
    everywhere = len(words) == datasets or () in words  # without a dataset's name there is only one
    if everywhere and len(set(words.values())) == 1:
        return next(iter(words.values()))
    return "; ".join(": ".join([*(theme.label("datasets", name) for name in place), what]) for place, what in words.items())


def _in_groups(names: list[str], theme: Theme) -> str:
    left, found = list(names), []
    for group, metrics in statistics.GROUPS.items():
        if set(metrics) <= set(left):
            found.append(group.replace("_", " "))
            left = [name for name in left if name not in metrics]
    return ", ".join([*found, *(theme.label("metrics", name) for name in left)])


def _groups(theme: Theme) -> list[dict]:
    return [
        {
            "label": name.replace("_", " ").capitalize(),
            "metrics": ", ".join(theme.label("metrics", metric) for metric in metrics),
        }
        for name, metrics in statistics.GROUPS.items()
    ]


def _ranks(ranks: pd.DataFrame, theme: Theme) -> Grid | None:
    """Return one row per scenario, headline score and run, the ranked first; None where there is nothing to rank."""
    rows = []
    shown = ranks[ranks["metric"].isin(tables.HEADLINE)]
    for scenario in theme.order("scenarios", shown["scenario"]):
        of_scenario = shown[shown["scenario"] == scenario]
        for metric in [name for name in tables.HEADLINE if name in set(of_scenario["metric"])]:
            of_metric = of_scenario[of_scenario["metric"] == metric].sort_values("rank", kind="stable")
            for line in of_metric.to_dict("records"):
                note = line["note"] if isinstance(line["note"], str) else ""
                unranked = pd.isna(line["rank"])
                rank = (
                    Cell(tables.NOT_GIVEN, why=note)
                    if unranked
                    else Cell(f"{line['rank']:.2f} of {int(line['ranked'])}", sort=line["rank"])
                )
                rows.append(
                    [named(line["run"], theme), theme.label("scenarios", scenario), theme.label("metrics", metric), rank]
                    + [Cell(interval(line["low"], line["high"], decimals=2), sort=key(line["low"]))]
                    + [f"{int(line['blocks'])}/{int(line['of_blocks'])}", note]
                )
    columns = ["Run", Column("Scenario", choices=True), Column("Score", choices=True), "Mean rank", "95 % interval"]
    columns += ["Datasets x seeds", Column("Note", words=True)]
    return grid("Mean ranks", columns, rows) if rows else None


# --- a view --------------------------------------------------------------------------------------------------------------


def _view(number: int, place: tuple[str, ...], read: Mapping, pictures: Pictures, theme: Theme) -> dict:
    names_of_tables = ("headline", "runs", "overview", "gates", "paired_tests")
    of_view = {name: tables.of_view(read[name], *place) for name in names_of_tables}
    names = theme.order("runs", of_view["runs"]["run"])
    title = theme.view(*place)
    return {
        "anchor": f"view-{number + 1}",
        "title": title,
        "statuses": _counted(of_view["runs"]),
        "headline": _headline(of_view, names, title, theme) if names else None,
        "columns": [reference_sections.metric(metric, theme) for metric in tables.HEADLINE],
        "families": _families(of_view, names, title, theme),
        "tests": _tests(of_view["paired_tests"], title, theme),
        "figures": pictures.of(*place),
    }


def _headline(of_view: Mapping[str, pd.DataFrame], names: list[str], title: str, theme: Theme) -> Grid:
    """Return the headline scores of every run of a view."""
    summary = of_view["headline"].set_index(["run", "metric"])
    winners = of_view["headline"][tables.best(of_view["headline"], of_view["runs"], theme.cards)]
    best = set(zip(winners["run"], winners["metric"], strict=True))
    at_chance = of_view["gates"][of_view["gates"]["gate"] == "chance"]
    chance = dict(zip(zip(at_chance["run"], at_chance["metric"], strict=True), at_chance["message"], strict=True))
    overview = of_view["overview"].set_index("run")
    rows = []
    for run in names:
        cells = [named(run, theme), theme.kind(run)]
        for metric in tables.HEADLINE:
            text = overview.loc[run, metric]
            if (run, metric) not in summary.index:
                cells.append(Cell(text, sort="", why=_reason(run, metric, of_view["runs"], theme), mark=_failed_mark(text)))
                continue
            line = summary.loc[(run, metric)]
            known = {"sort": line["mean"], "about": _about(line)}
            if (run, metric) in chance:
                mark = "best" if (run, metric) in best else "faint"
                cells.append(Cell(f"{text} ≈", why=chance[(run, metric)], mark=mark, **known))
            else:
                cells.append(Cell(text, mark="best" if (run, metric) in best else "", **known))
        status = overview.loc[run, "status"]
        why = _messages(run, of_view["runs"]) if status != "ok" else ""
        cells += [*_traits(run, theme), overview.loc[run, "seeds"]]
        cells.append(Cell(status.replace("_", " "), sort=status, why=why, mark="" if status == "ok" else "warn"))
        rows.append(row(*cells, run=run))
    columns = [Column("Run"), Column("Kind", choices=True)]
    columns += [_metric_column(metric, theme) for metric in tables.HEADLINE]
    columns += [*_trait_columns(), Column("Seeds", about="how many of those run gave scores"), Column("Status", choices=True)]
    return Grid(f"Headline scores, {title}", tuple(columns), {"": rows})


def _families(of_view: Mapping[str, pd.DataFrame], names: list[str], title: str, theme: Theme) -> list[dict]:
    """Return all scores of a view, a table for each group of metrics."""
    summary = of_view["headline"]
    groups: dict[str, list[str]] = {}
    for metric in theme.order("metrics", summary["metric"]):
        groups.setdefault(str(theme.metric(metric).get("group", "other")), []).append(metric)
    by_run = summary.set_index(["run", "metric"])
    families = []
    for group, metrics in sorted(groups.items(), key=lambda family: family[0] in statistics.NO_QUALITY):
        rows = []
        for run in names:
            found = [by_run.loc[(run, metric)] if (run, metric) in by_run.index else None for metric in metrics]
            if all(line is None for line in found) and not _failures(run, of_view["runs"]):
                continue
            cells = [named(run, theme), theme.kind(run)]
            for metric, line in zip(metrics, found, strict=True):
                if line is None:
                    failures = _failures(run, of_view["runs"])
                    text = f"{tables.CROSS} {failures}" if failures else tables.NOT_GIVEN
                    cells.append(Cell(text, why=_reason(run, metric, of_view["runs"], theme), mark=_failed_mark(text)))
                else:
                    cells.append(Cell(tables.formatted(metric, line), sort=line["mean"], about=_about(line)))
            rows.append(row(*cells, run=run))
        label = group.replace("_", " ").capitalize()
        columns = (Column("Run"), Column("Kind", choices=True), *(_metric_column(metric, theme) for metric in metrics))
        families.append({"label": label, "count": len(metrics), "grid": Grid(f"{label}, {title}", columns, {"": rows})})
    return families


def _tests(paired: pd.DataFrame, title: str, theme: Theme) -> Grid | None:
    """Return the paired tests of the headline scores, over seeds beside over cells; None where there are none."""
    rows = []
    for metric in [name for name in tables.HEADLINE if name in set(paired["metric"])]:
        of_metric = paired[paired["metric"] == metric]
        for against in of_metric["against"].unique():
            pairs = of_metric[of_metric["against"] == against]
            for run in theme.order("runs", pairs["run"]):
                rows.append(_test(pairs[pairs["run"] == run].set_index("test"), run, against, metric, theme))
    if not rows:
        return None
    columns = [Column("Run"), Column("Score", choices=True), Column("Against", choices=True)]
    columns += [Column("Effect", about="the run's mean less the other's, in units of the score", descending=True), "Better"]
    columns += ["95 % over seeds", "Seeds", "p", "p (Holm)", "95 % over cells", "Cells", "p (Holm), cells"]
    return grid(f"Paired tests, {title}", [*columns, Column("Note", words=True)], rows)


def _test(pair: pd.DataFrame, run: str, against: str, metric: str, theme: Theme) -> list[Cell | str]:
    seeds = pair.loc[statistics.OVER_SEEDS]
    no_cells = Cell(tables.NOT_GIVEN, why="this score has no value for a single cell")
    of_cells = [no_cells] * 3
    if statistics.OVER_CELLS in pair.index:
        cells = pair.loc[statistics.OVER_CELLS]
        of_cells = [
            interval(cells["low"], cells["high"]),
            f"{int(cells['n'])}",
            Cell(_p(cells["p_holm"]), sort=key(cells["p_holm"])),
        ]
    return [
        named(run, theme),
        theme.label("metrics", metric),
        f"{theme.label('runs', against)} ({seeds['role']})",
        Cell(_signed(seeds["effect"]), sort=key(seeds["effect"])),
        "yes" if seeds["better"] == run else "no",
        interval(seeds["low"], seeds["high"]),
        f"{int(seeds['seeds'])}",
        Cell(_p(seeds["p"]), sort=key(seeds["p"])),
        Cell(_p(seeds["p_holm"]), sort=key(seeds["p_holm"])),
        *of_cells,
        seeds["note"] if isinstance(seeds["note"], str) else "",
    ]


# --- what there is no number of ------------------------------------------------------------------------------------------


def _reason(run: str, metric: str, runs: pd.DataFrame, theme: Theme) -> str:
    """Return why a run of a view has no value of a metric."""
    if runs.loc[runs["run"] == run, "status"].isin((*tables.FAILED, "not_applicable")).all():
        return _messages(run, runs)
    needed, why = GIVES.get(str(theme.metric(metric).get("group", "")), ("", ""))
    gives = theme.cards["methods"].get(theme.methods.get(run, run), {}).get("gives")
    if needed and gives is not None and needed not in gives:
        return f"not given by this method: {why}"
    said = runs.loc[(runs["run"] == run) & (runs["status"] == "ok") & (runs["message"] != ""), "message"].dropna().unique()
    return "; ".join(["not given by this method, or not defined on these data", *map(str, said)])


def _messages(run: str, runs: pd.DataFrame) -> str:
    """Return what the records of a run say where it did not succeed: "diverged: cost is not finite (seeds 0, 1)"."""
    own = runs[(runs["run"] == run) & (runs["status"] != "ok")]
    said = []
    for (status, message), group in own.groupby(["status", "message"], sort=False):
        seeds = ", ".join(str(seed) for seed in group["seed"].dropna())
        words = f"{status.replace('_', ' ')}: {message}" if message else status.replace("_", " ")
        said.append(f"{words} (seed{'s' if ',' in seeds else ''} {seeds})" if seeds else words)
    return "; ".join(said)


def _failures(run: str, runs: pd.DataFrame) -> str:
    """Return the statuses of a run of which no seed succeeded, "" where one did or none was tried."""
    tried = runs[(runs["run"] == run) & (runs["status"] != "not_applicable")]
    failed = tried["status"].isin(tables.FAILED)
    return ", ".join(sorted(set(tried["status"]))) if len(tried) and failed.all() else ""


def _failed_mark(text: str) -> str:
    return "warn" if text.startswith(tables.CROSS) else ""


def _absent(runs: pd.DataFrame, config: Mapping, theme: Theme) -> Grid | None:
    """Return one row per view, run, status and reason, with its seeds: failed, then collapsed, then not applicable."""
    order = (*tables.FAILED, "collapsed", "not_applicable")
    logs = Jobs((config.get("pathvars") or {}).get("logs", "logs"), "log")
    rows = []
    groups = runs[runs["status"].isin(order)].groupby([*tables.RUN, "status", "message"], sort=False)
    for (dataset, scenario, run, status, message), group in groups:
        seeds = [str(seed) for seed in group["seed"].dropna()]
        log = logs.fit(dataset, scenario, run, seeds[0]) if status in tables.FAILED else ""
        cells = [named(run, theme), theme.label("datasets", dataset), theme.label("scenarios", scenario)]
        cells.append(Cell(status.replace("_", " "), mark="warn" if status in tables.FAILED else ""))
        cells += [", ".join(seeds) or tables.NOT_GIVEN, message or tables.NOT_GIVEN, log or tables.NOT_GIVEN]
        rows.append((order.index(status), cells))
    rows.sort(key=lambda ranked: ranked[0])
    columns = [Column("Run"), Column("Dataset", choices=True), Column("Scenario", choices=True), Column("Status", choices=True)]
    columns += ["Seeds", Column("Message", words=True), Column("Log", words=True)]
    return grid("Failed, collapsed, not applicable", columns, [cells for _, cells in rows]) if rows else None


def _remedies(runs: pd.DataFrame) -> dict[str, str]:
    """Return status -> what to do, of the statuses that occur."""
    return {status.replace("_", " "): remedy for status, remedy in REMEDIES.items() if status in set(runs["status"])}


def _gates(gates: pd.DataFrame, theme: Theme) -> Grid | None:
    """Return one row per finding; None where there is none."""
    rows = []
    for line in gates.to_dict("records"):
        metric = "" if line["metric"] == "all" else theme.label("metrics", line["metric"])
        place = [theme.label("datasets", line["dataset"]), theme.label("scenarios", line["scenario"])]
        rows.append([named(line["run"], theme), *place, line["gate"], metric, line["message"]])
    columns = [Column("Run"), Column("Dataset", choices=True), Column("Scenario", choices=True), Column("Gate", choices=True)]
    columns += [Column("Score", choices=True), Column("Finding", words=True)]
    return grid("What the gates found", columns, rows) if rows else None


# --- cells and numbers ---------------------------------------------------------------------------------------------------


def _metric_column(metric: str, theme: Theme) -> Column:
    card = theme.metric(metric)
    return Column(with_arrow(metric, theme), about=card.get("definition", ""), descending=card.get("better") != "lower")


def _trait_columns() -> list[Column]:
    return [Column(name.removeprefix("uses_").capitalize(), about=about, choices=False) for name, about in TRAITS.items()]


def _traits(run: str, theme: Theme) -> list[Cell]:
    given = tables.traits(theme.cards["methods"].get(theme.methods.get(run, run), {}))
    return [Cell(given[name], mark="no" if given[name] == "no" else "") for name in TRAITS]


def _about(line: pd.Series) -> str:
    """Return what stands behind a mean: its interval, and how many seeds."""
    seeds = many(int(line["seeds"]), "seed")
    if pd.isna(line["low"]):
        return f"{seeds}, no interval"
    return f"95 % {interval(line['low'], line['high'])} ({line['interval']}), {seeds}"


def _number_cell(value: float, *, why: str) -> Cell:
    return Cell(tables.NOT_GIVEN, why=why) if pd.isna(value) else Cell(_three(value), sort=value)


def _counted(runs: pd.DataFrame) -> str:
    """Return how the fits of a table of runs ended, and how many runs could not take part: "6 ok, 1 diverged"."""
    counts = runs["status"].value_counts()
    ended = [f"{counts[status]} {status.replace('_', ' ')}" for status in STATUSES[:-1] if status in counts]
    if absent := counts.get("not_applicable", 0):
        ended.append(f"and {many(int(absent), 'run')} not applicable")
    return ", ".join(ended)


def _three(value: float) -> str:
    return tables.NOT_GIVEN if pd.isna(value) else f"{value:z.3f}"


def _signed(value: float) -> str:
    return tables.NOT_GIVEN if pd.isna(value) else f"{value:+z.3f}"


def _p(value: float) -> str:
    return tables.NOT_GIVEN if pd.isna(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"
