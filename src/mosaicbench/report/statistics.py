"""What the numbers can bear: intervals, paired comparisons, ranks, and an overall score, with what is missing left missing.

Seeds are replicates of the whole experiment (split, initialisation, minibatches), cells are replicates within a seed, and
datasets are replicates of the question. A statement about a method needs seeds; a statement about one dataset's cells needs
only cells; every table says which of them gave its numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from mosaicbench.files.scores import CellScores
from mosaicbench.report import tables
from mosaicbench.report.tables import RUN, VIEW, Cards

REPLICATES = 2000
LEVEL = 0.95
ALL = "(all)"  # a dataset's id cannot hold brackets
CELLS_AND_SEEDS = "bootstrap cells x seeds"
CELLS_ONLY = "bootstrap cells, one seed"
POSITIVE = "oracle"
NEGATIVE = ("random_latent", "shuffled", "constant", "train_mean")  # methods that know nothing about a single cell
# Groups of metrics in which less or more is not better science; other people's definitions may reward a collapse.
NO_QUALITY = ("resources", "reference", "sanity", "published_variants")
GROUPS = {
    "alignment": ("foscttm", "recall_at_10"),
    "label_transfer": ("label_transfer_accuracy", "label_transfer_macro_f1"),
    "imputation": ("imputation_pearson_per_feature", "imputation_skill"),
}
OVER_SEEDS = "paired t over seeds"
OVER_CELLS = "t over cells, seeds fixed, clustered by cell"


# --- the bootstrap -------------------------------------------------------------------------------------------------------


def resampled(values: Mapping[object, np.ndarray], *, replicates: int = REPLICATES, seed: int = 0) -> np.ndarray:
    """Return bootstrap replicates of the mean over units of the mean within a unit; both levels are resampled.

    A replicate draws as many units as there are, with replacement, then as many rows within each, with replacement
    (hierarchical bootstrap, Davison & Hinkley 1997, section 3.8). All columns share the draws, so that differences between
    columns are paired.

    Parameters
    ----------
    values
        unit -> (rows, columns); NaN where a row has no value in a column. Units are seeds with rows of cells, or datasets
        with rows of seeds.

    Returns
    -------
    numpy.ndarray
        (replicates, columns).
    """
    random = np.random.default_rng(seed)
    means = np.stack([_resampled_means(np.asarray(x, dtype=float), replicates, random) for x in values.values()])
    units = random.integers(0, len(means), (replicates, len(means)))
    total = np.zeros(means.shape[1:])
    for place in range(len(means)):
        # A unit drawn twice in one replicate takes two different resamples of its rows.
        rows = (np.arange(replicates) + place * replicates // len(means)) % replicates
        total += means[units[:, place], rows]
    return total / len(means)


def _resampled_means(x: np.ndarray, replicates: int, random: np.random.Generator) -> np.ndarray:
    """Return means over rows drawn with replacement, (replicates, columns), a block of replicates at a time."""
    n = len(x)
    known = ~np.isnan(x)
    filled, complete = np.where(known, x, 0), known.all()
    means = np.empty((replicates, x.shape[1]))
    step = max(1, 2**22 // n)
    for start in range(0, replicates, step):
        count = min(step, replicates - start)
        drawn = random.integers(0, n, (count, n)) + n * np.arange(count)[:, None]
        times = np.bincount(drawn.ravel(), minlength=count * n).reshape(count, n).astype(float)  # (replicates, rows)
        with np.errstate(invalid="ignore"):
            means[start : start + count] = (times @ filled) / (n if complete else times @ known)
    return means


def percentiles(replicates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the 95 % percentile interval of each column."""
    low, high = np.nanpercentile(replicates, [50 * (1 - LEVEL), 50 * (1 + LEVEL)], axis=0)
    return low, high


def intervals_over_cells(cells: Iterable[CellScores]) -> dict[tuple, tuple[float, float, str]]:
    """Return bootstrap intervals over cells and seeds of every score that is a mean over cells.

    All runs of a view share the draws. A percentile interval cannot reach beyond the seeds that there are: where seeds differ
    far more than cells do, one of nominal 95 % covers the truth in about 74 % of cases with 3 seeds, 84 % with 5 and 90 % with
    10 (simulated); where only cells differ, in 98 %.

    Parameters
    ----------
    cells
        The scores of single cells of every run.

    Returns
    -------
    dict
        (dataset, scenario, run, metric, direction, space), and for the mean over directions (dataset, scenario, run, metric)
        -> low, high and what the interval is made of.
    """
    blocks_of: dict[tuple, list[tuple[CellScores, tuple]]] = {}
    for own in cells:
        seeds_of: dict[tuple[str, str, str], list[int]] = {}
        for (seed, *names), x in own.values.items():
            if not np.isnan(x).all():
                seeds_of.setdefault(tuple(names), []).append(seed)
        for names, seeds in seeds_of.items():
            blocks_of.setdefault((own.dataset, own.scenario, tuple(seeds)), []).append((own, names))
    ends: dict[tuple, tuple[float, float, str]] = {}
    for (dataset, scenario, seeds), blocks in blocks_of.items():
        values = {seed: np.stack([own.values[(seed, *names)] for own, names in blocks], axis=1) for seed in seeds}
        replicates = pd.DataFrame(resampled(values).T, index=pd.MultiIndex.from_tuples([(o.run, *n) for o, n in blocks]))
        kind = CELLS_AND_SEEDS if len(seeds) > 1 else CELLS_ONLY
        for part in (replicates, replicates.groupby(level=[0, 1], sort=False).mean()):  # by direction, and over directions
            low, high = percentiles(part.to_numpy().T)
            for name, first, last in zip(part.index, low, high, strict=True):
                ends[(dataset, scenario, *name)] = (float(first), float(last), kind)
    return ends


def with_intervals(summary: pd.DataFrame, over_cells: Mapping[tuple, tuple[float, float, str]]) -> pd.DataFrame:
    """Replace t intervals over seeds by those over cells and seeds where there are some; `interval` says which is which.

    Parameters
    ----------
    summary
        ``tables.comparison`` (one row per direction and space) or ``tables.headline`` (means over directions).
    over_cells
        As :func:`intervals_over_cells` gives them.
    """
    keys = [*RUN, "metric", *(["direction", "space"] if "direction" in summary else [])]
    found = [over_cells.get(key) for key in summary[keys].itertuples(index=False, name=None)]
    new = {
        column: [old if ends is None else ends[place] for old, ends in zip(summary[column], found, strict=True)]
        for place, column in enumerate(("low", "high", "interval"))
    }
    return summary.assign(**new)


# --- who competes, and on what scale -------------------------------------------------------------------------------------


def qualities(names: Iterable[str], cards: Cards) -> list[str]:
    """Return the metrics whose card says which way is better and that are no resource, reference, sanity value or variant."""
    known = {name: cards["metrics"].get(name, {}) for name in dict.fromkeys(names)}
    return [name for name, card in known.items() if card.get("better") and card.get("group") not in NO_QUALITY]


def ends(means: pd.Series, metric: str, methods: Mapping[str, str], cards: Cards) -> dict[str, object]:
    """Return which values count as 0 and as 1 on the common scale of a view's metric, and what they are.

    Zero is chance where the metric's card states a number, else the strongest negative control; one is the oracle, else the
    best possible value. Competitors never set the scale.

    Parameters
    ----------
    means
        run -> mean of the metric in one view.
    """
    card = cards["metrics"].get(metric, {})
    method_of = {run: methods.get(run, run) for run in means.index}
    oracle = [run for run, method in method_of.items() if method == POSITIVE]
    negative = means[[run for run, method in method_of.items() if method in NEGATIVE]].dropna()
    found = {"zero": np.nan, "zero_is": "", "one": np.nan, "one_is": ""}
    if _is_number(card.get("chance")):
        found |= {"zero": float(card["chance"]), "zero_is": "chance"}
    elif len(negative):
        strongest = negative.idxmin() if card.get("better") == "lower" else negative.idxmax()
        found |= {"zero": float(negative[strongest]), "zero_is": strongest}
    if oracle:
        found |= {"one": float(means[oracle[0]]), "one_is": oracle[0]}
    elif _is_number(card.get("best")):
        found |= {"one": float(card["best"]), "one_is": "best possible"}
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _sign(metric: str, cards: Cards) -> float:
    return -1.0 if cards["metrics"][metric]["better"] == "lower" else 1.0


def _kind(run: str, methods: Mapping[str, str], cards: Cards) -> str:
    return cards["methods"].get(methods.get(run, run), {}).get("kind", "model")


def _methods(runs: pd.DataFrame) -> dict[str, str]:
    return dict(zip(runs["run"], runs["method"], strict=True))


def _competing(table: pd.DataFrame, methods: Mapping[str, str], cards: Cards) -> pd.DataFrame:
    """Return the rows of models and baselines."""
    controls = [run for run in table["run"].unique() if _kind(run, methods, cards) == "control"]
    return table[~table["run"].isin(controls)]


def _by_seed(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the means over directions of each seed; NA for a run with fewer directions than the view has."""
    means = tables.seed_means(scores)
    return means.assign(value=means["value"].where(means["directions"] == means["of_directions"]))


# --- paired comparisons --------------------------------------------------------------------------------------------------


def paired_tests(
    scores: pd.DataFrame,
    runs: pd.DataFrame,
    cells: Iterable[CellScores],
    cards: Cards,
    *,
    reference: str | None = None,
) -> pd.DataFrame:
    """Compare every model and baseline with the best of its view and metric and with a reference, on what both were given.

    Two tests answer two questions. Over matched seeds (paired t): would the method win again, on another split from another
    start? With few seeds it rests on normal differences; `least_p` is the smallest p that a test without that assumption
    (sign flips) can give with so many seeds. Over matched cells (t of the mean difference, clustered by cell, seeds given
    equal weight): do these fits differ on more cells than chance would give? That says nothing about another fit. The best run
    was picked on the same scores, so comparisons with it flatter it.

    Parameters
    ----------
    scores, runs
        Columns ``files.SCORE_COLUMNS`` and ``tables.RUN_COLUMNS``.
    cells
        The scores of single cells of every run.
    reference
        A run; None is the best baseline of each view and metric.

    Returns
    -------
    pandas.DataFrame
        Columns ``tables.PAIRED_COLUMNS``. `effect` is the run's mean less the other's, in units of the metric, with its 95 %
        interval; `p_holm` is corrected over all comparisons of one dataset, scenario, metric and test. Where there is no test,
        p is NA and `note` says why.
    """
    methods = _methods(runs)
    of_run = {(own.dataset, own.scenario, own.run): own for own in cells}
    means = _by_seed(scores).dropna(subset="value")
    summary = tables.headline(scores)
    winners = summary[tables.best(summary, runs, cards)].groupby([*VIEW, "metric"], sort=False)["run"].first()
    rows = []
    for (*view, metric), group in means.groupby([*VIEW, "metric"], sort=False):
        competing = _competing(group, methods, cards)
        if metric not in qualities([metric], cards) or (*view, metric) not in winners.index:
            continue
        table = competing.pivot(index="seed", columns="run", values="value")[competing["run"].unique()]  # (seeds, runs)
        others = _opponents(table, winners[(*view, metric)], reference, metric, methods, cards)
        tested = [
            _tested(table, run, against, role, metric, {name: of_run.get((*view, name)) for name in (run, against)}, cards)
            for against, role in others.items()
            for run in table.columns
            if run != against and not (run in others and list(others).index(run) < list(others).index(against))
        ]
        rows += [dict(zip(VIEW, view, strict=True)) | row for pair in tested for row in pair]
    found = pd.DataFrame(rows, columns=tables.PAIRED_COLUMNS)
    families = found.groupby([*VIEW, "metric", "test"], sort=False)["p"]
    return found.assign(p=found["p"].astype(float), p_holm=families.transform(holm).astype(float))


def holm(p: pd.Series) -> pd.Series:
    """Return p values corrected after Holm over those that exist."""
    ordered = p.astype(float).dropna().sort_values()  # statsmodels' own, asked for every family, collects garbage each time
    corrected = (ordered * np.arange(len(ordered), 0, -1)).cummax().clip(upper=1)
    return corrected.reindex(p.index)


def _opponents(
    table: pd.DataFrame, best: str, reference: str | None, metric: str, methods: Mapping[str, str], cards: Cards
) -> dict[str, str]:
    """Return run -> what it is: the best, the reference, or both."""
    if reference is None:
        baselines = [run for run in table if _kind(run, methods, cards) == "baseline"]
        reference = (_sign(metric, cards) * table[baselines].mean()).idxmax() if baselines else None
    if reference == best:
        return {best: "best, reference"}
    return {best: "best"} | ({reference: "reference"} if reference in table.columns else {})


def _tested(
    table: pd.DataFrame,
    run: str,
    against: str,
    role: str,
    metric: str,
    own: Mapping[str, CellScores | None],
    cards: Cards,
) -> list[dict]:
    """Return one row per test that can be asked for."""
    matched = table[[run, against]].dropna()
    common = {"metric": metric, "run": run, "against": against, "role": role, "seeds": len(matched)}
    rows = [common | {"test": OVER_SEEDS, "n": len(matched)} | over_seeds((matched[run] - matched[against]).to_numpy())]
    sides = {name: _per_cell(of, metric, list(matched.index)) for name, of in own.items()}
    if all(sides.values()):
        differences = {seed: sides[run][seed] - sides[against][seed] for seed in sides[run]}
        names = {seed: own[run].cells[seed] for seed in differences}
        rows.append(common | {"test": OVER_CELLS} | over_cells(differences, names))
    for row in rows:
        gain = _sign(metric, cards) * row["effect"]
        row["better"] = run if gain > 0 else against if gain < 0 else "neither"
    return rows


def over_seeds(differences: np.ndarray) -> dict[str, object]:
    """Return effect, interval and p of a paired t test over seeds, (seeds,) differences."""
    from scipy import stats

    n = len(differences)
    found = {"effect": np.nan, "low": np.nan, "high": np.nan, "p": np.nan, "least_p": np.nan, "note": ""}
    if n == 0:
        return found | {"note": "no seed in common"}
    found |= {"effect": float(np.mean(differences)), "least_p": 2.0 ** (1 - n)}
    if n == 1:
        return found | {"least_p": np.nan, "note": "one seed in common: no test over seeds"}
    if _same(differences):
        return found | {"note": "the difference is the same in every seed: its spread cannot be estimated"}
    test = stats.ttest_1samp(differences, 0.0)
    interval = test.confidence_interval(LEVEL)
    return found | {"low": float(interval.low), "high": float(interval.high), "p": float(test.pvalue)}


def over_cells(differences: Mapping[int, np.ndarray], names: Mapping[int, np.ndarray]) -> dict[str, object]:
    """Return n, effect, interval and p of the mean difference over cells; a cell met with several seeds is one cluster.

    Parameters
    ----------
    differences, names
        seed -> (cells,); a difference is NaN where a side has no value.
    """
    from statsmodels.regression.linear_model import WLS

    known = {seed: ~np.isnan(x) for seed, x in differences.items()}
    d = np.concatenate([x[known[seed]] for seed, x in differences.items()]).astype(float)
    weights = np.concatenate([np.full(k.sum(), 1 / max(k.sum(), 1)) for k in known.values()])
    clusters, found_names = pd.factorize(np.concatenate([names[seed][known[seed]] for seed in differences]))
    found = {"n": len(found_names), "effect": np.nan, "low": np.nan, "high": np.nan, "p": np.nan, "least_p": np.nan, "note": ""}
    if len(d) == 0:
        return found | {"note": "no cell in common"}
    found["effect"] = float(np.average(d, weights=weights))
    if len(found_names) < 2 or _same(d):
        return found | {"note": "the difference is the same in every cell: its spread cannot be estimated"}
    fit = WLS(d, np.ones_like(d), weights=weights).fit(cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True)
    low, high = fit.conf_int(1 - LEVEL)[0]
    return found | {"low": float(low), "high": float(high), "p": float(fit.pvalues[0])}


def _same(x: np.ndarray) -> bool:
    return bool(np.ptp(x) <= 1e-12 * np.abs(x).max())


def _per_cell(own: CellScores | None, metric: str, seeds: list[int]) -> dict[int, np.ndarray]:
    """Return seed -> (cells,) means over directions; empty where a seed has no scores of cells."""
    found = {}
    for seed in seeds if own is not None else []:
        blocks = [x.astype(float) for (of, name, *_), x in own.values.items() if (of, name) == (seed, metric)]
        if not blocks:
            return {}
        found[seed] = np.mean(blocks, axis=0)
    return found


# --- ranks ---------------------------------------------------------------------------------------------------------------


def ranks(scores: pd.DataFrame, runs: pd.DataFrame, cards: Cards) -> pd.DataFrame:
    """Rank models and baselines within each dataset and seed, and average: one row per scenario, metric and run.

    Only runs with a value for every dataset and seed are ranked, among themselves, so that no rank depends on who was absent
    where; the others are listed without one. Ties share the mean rank.

    Returns
    -------
    pandas.DataFrame
        Columns ``tables.RANK_COLUMNS``: `rank` is the mean over datasets of the mean over seeds, 1 is best, with a bootstrap
        interval over datasets and seeds; `critical_difference` is Nemenyi's at 5 % with datasets as blocks (Demšar 2006), NA
        where there are fewer than two.
    """
    methods = _methods(runs)
    competing = _competing(_by_seed(scores).dropna(subset="value"), methods, cards)
    rows = []
    for (scenario, metric), group in competing.groupby(["scenario", "metric"], sort=False):
        if metric not in qualities([metric], cards):
            continue
        table = group.pivot(index=["dataset", "seed"], columns="run", values="value")  # (datasets x seeds, runs)
        table = table[group["run"].unique()]
        whole = table.dropna(axis="columns")
        ranked = whole.rank(axis="columns", ascending=_sign(metric, cards) < 0) if whole.shape[1] > 1 else whole.iloc[:, :0]
        placed = _mean_ranks(ranked)
        for run in table:
            row = {"scenario": scenario, "metric": metric, "run": run, "blocks": int(table[run].notna().sum())}
            row |= {"of_blocks": len(table), "datasets": table.index.get_level_values("dataset").nunique()}
            row |= {"ranked": ranked.shape[1], "note": "" if run in ranked else _unranked(table[run])}
            rows.append(row | placed.get(run, {"interval": tables.NO_INTERVAL}))
    return pd.DataFrame(rows, columns=tables.RANK_COLUMNS)


def _mean_ranks(ranked: pd.DataFrame) -> dict[str, dict]:
    """Return run -> mean rank, interval and critical difference; no runs where fewer than two are ranked."""
    if ranked.shape[1] < 2:
        return {}
    units = {dataset: part.to_numpy() for dataset, part in ranked.groupby(level="dataset", sort=False)}  # (seeds, runs)
    mean = np.mean([x.mean(axis=0) for x in units.values()], axis=0)
    low, high, interval = _over_datasets(units)
    difference = critical_difference(ranked.shape[1], len(units)) if len(units) > 1 else np.nan
    return {
        run: {"rank": mean[i], "low": low[i], "high": high[i], "interval": interval, "critical_difference": difference}
        for i, run in enumerate(ranked)
    }


def _over_datasets(units: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, str]:
    """Return bootstrap intervals over datasets and their seeds, and what they are made of."""
    seeds = max(len(x) for x in units.values())
    columns = next(iter(units.values())).shape[1]
    if len(units) == 1 and seeds == 1:
        return np.full(columns, np.nan), np.full(columns, np.nan), tables.NO_INTERVAL
    name = "bootstrap datasets x seeds" if len(units) > 1 and seeds > 1 else "bootstrap seeds, one dataset"
    return *percentiles(resampled(units)), name if seeds > 1 else "bootstrap datasets, one seed"


def _unranked(values: pd.Series) -> str:
    missing = values[values.isna()].index
    if not len(missing):
        return "nothing to rank against"
    return "no value for " + ", ".join(f"{dataset} seed {seed}" for dataset, seed in missing)


def critical_difference(runs: int, blocks: int) -> float:
    """Return Nemenyi's critical difference of mean ranks at 5 %, for so many runs over so many blocks (Demšar 2006)."""
    from scipy import stats

    return float(stats.studentized_range.ppf(LEVEL, runs, np.inf) / np.sqrt(2) * np.sqrt(runs * (runs + 1) / (6 * blocks)))


# --- the overall score ---------------------------------------------------------------------------------------------------


def overall(scores: pd.DataFrame, runs: pd.DataFrame, cards: Cards) -> pd.DataFrame:
    """Return one score per run and view, from 0 (chance or negative control) to 1 (oracle), and per scenario over datasets.

    Each metric of :data:`GROUPS` is scaled by :func:`ends`; a group is the mean of its metrics, the score the mean of the
    groups. A metric that a run lacks is left out of its mean, never filled in, and then the run is not `complete`: it is listed
    with what it has, and no rank is given to it. So is a run of which a seed failed. Scores may be below 0: worse than chance.

    Returns
    -------
    pandas.DataFrame
        Columns ``tables.OVERALL_COLUMNS``. Dataset "(all)" is the mean over the datasets of a scenario, if several.
    """
    methods = _methods(runs)
    seeds = _scaled_by_seed(scores, runs, cards)
    rows = []
    for (dataset, scenario), group in runs.groupby(VIEW, sort=False):
        of_view = seeds[(seeds["dataset"] == dataset) & (seeds["scenario"] == scenario)]
        wanted = [metric for metric in _metrics_of_groups() if metric in set(of_view["metric"])]
        for run, own in group.groupby("run", sort=False):
            names = {"dataset": dataset, "scenario": scenario, "run": run, "method": methods[run]}
            names["kind"] = _kind(run, methods, cards)
            rows.append(names | _overall_of(of_view[of_view["run"] == run], own, wanted))
    found = pd.DataFrame(rows, columns=[*tables.OVERALL_COLUMNS, "by_seed"])
    found = pd.concat([part for part in (found, _over_all(found)) if len(part)] or [found], ignore_index=True)
    competing = found["complete"].astype(bool) & (found["kind"] != "control")
    places = found["score"].astype(float).where(competing).groupby([found["scenario"], found["dataset"]])
    return found.assign(rank=places.rank(ascending=False, method="min"))[tables.OVERALL_COLUMNS]


def _metrics_of_groups() -> list[str]:
    return [metric for metrics in GROUPS.values() for metric in metrics]


def _scaled_by_seed(scores: pd.DataFrame, runs: pd.DataFrame, cards: Cards) -> pd.DataFrame:
    """Return one row per run, metric of the overall score and seed: the value, scaled; metrics without a scale are left out."""
    methods = _methods(runs)
    means = _by_seed(scores).dropna(subset="value")
    parts = [means.iloc[:0].assign(scaled=pd.Series(dtype=float))]
    for (_, _, metric), group in means[means["metric"].isin(_metrics_of_groups())].groupby([*VIEW, "metric"], sort=False):
        scale = ends(group.groupby("run")["value"].mean(), metric, methods, cards)
        width = scale["one"] - scale["zero"]
        if np.isfinite(width) and width != 0:
            parts.append(group.assign(scaled=(group["value"] - scale["zero"]) / width))
    return pd.concat(parts[1:] or parts, ignore_index=True)


def _overall_of(scaled: pd.DataFrame, own: pd.DataFrame, wanted: list[str]) -> dict[str, object]:
    """Return the overall score of one run in one view, over the seeds in which it has every metric that it has at all."""
    made = own[own["status"] != "not_applicable"]
    table = scaled.pivot(index="seed", columns="metric", values="scaled").dropna()  # (seeds, metrics)
    groups = {name: table[[m for m in metrics if m in table]] for name, metrics in GROUPS.items()}
    by_seed = pd.DataFrame({name: part.mean(axis=1) for name, part in groups.items() if part.shape[1]})
    missing = [metric for metric in wanted if metric not in table] if len(table) else list(wanted)
    failed = made[~made["seed"].isin(table.index)] if len(table) else made[made["status"].isin(tables.FAILED)]
    reasons = [f"seed {seed} {status}" for seed, status in zip(failed["seed"], failed["status"], strict=True)]
    if not len(made):
        reasons = ["not applicable"]
    score = by_seed.mean(axis=1)
    found = {name: by_seed[name].mean() if name in by_seed else np.nan for name in GROUPS}
    found |= _mean_and_t(score.to_numpy())
    found |= {"seeds": len(score), "of_seeds": len(made), "metrics": len(wanted) - len(missing), "of_metrics": len(wanted)}
    found |= {"complete": bool(wanted) and not missing and not reasons, "missing": ", ".join([*missing, *reasons])}
    return found | {"by_seed": score.to_numpy()}


def _mean_and_t(x: np.ndarray) -> dict[str, object]:
    found = {"score": float(x.mean()) if len(x) else np.nan, "low": np.nan, "high": np.nan, "interval": tables.NO_INTERVAL}
    if len(x) > 1:
        half = _half_width(x)
        found |= {"low": found["score"] - half, "high": found["score"] + half, "interval": tables.T_OVER_SEEDS}
    return found


def _over_all(of_views: pd.DataFrame) -> pd.DataFrame:
    """Return one row per scenario and run over its datasets, where there are at least two."""
    rows = []
    for (scenario, run), group in of_views.groupby(["scenario", "run"], sort=False):
        if len(group) < 2:
            continue
        first, scored = group.iloc[0], group[group["score"].notna()]
        row = {"dataset": ALL, "scenario": scenario, "run": run, "method": first["method"], "kind": first["kind"]}
        row |= {name: scored[name].mean(skipna=False) if len(scored) else np.nan for name in [*GROUPS, "score"]}
        if len(scored):
            units = {dataset: x[:, None] for dataset, x in zip(scored["dataset"], scored["by_seed"], strict=True)}
            low, high, interval = _over_datasets(units)
            row |= {"low": low[0], "high": high[0], "interval": interval}
        else:
            row |= {"low": np.nan, "high": np.nan, "interval": tables.NO_INTERVAL}
        row |= {name: int(group[name].sum()) for name in ("seeds", "of_seeds", "metrics", "of_metrics")}
        missing = [f"{dataset}: {what}" for dataset, what in zip(group["dataset"], group["missing"], strict=True) if what]
        rows.append(row | {"complete": bool(group["complete"].all()), "missing": "; ".join(missing)})
    return pd.DataFrame(rows, columns=[*tables.OVERALL_COLUMNS, "by_seed"])


# --- sentinels -----------------------------------------------------------------------------------------------------------


def sentinels(scores: pd.DataFrame, runs: pd.DataFrame, cards: Cards) -> pd.DataFrame:
    """Return what should not be read as a result: one row per finding, of models and baselines.

    "chance": a headline score that cannot be told from chance, or from the strongest negative control on the same seeds (95 %
    interval of the gain, t over seeds). "perfect": a score as good as can be, which real data do not allow: were both
    modalities read from one file? "impossible": a score outside of its metric's bounds. "no number": a run that ended well but
    has none.

    Returns
    -------
    pandas.DataFrame
        Columns ``tables.GATE_COLUMNS``.
    """
    methods = _methods(runs)
    competing = _competing(scores[scores["metric"] != "status"], methods, cards)
    rows = [*_impossible(competing, cards), *_chance_or_perfect(scores, methods, cards)]
    return pd.DataFrame(rows, columns=tables.GATE_COLUMNS)


def _impossible(competing: pd.DataFrame, cards: Cards) -> list[dict]:
    rows = []
    for (*names, metric), group in competing.groupby([*RUN, "metric"], sort=False):
        low, high = cards["metrics"].get(metric, {}).get("bounds") or (None, None)
        beyond = pd.Series(False, index=group.index)
        if low is not None:
            beyond |= group["value"] < low - 1e-9
        if high is not None:
            beyond |= group["value"] > high + 1e-9
        lost = group["value"].isna() if metric in qualities([metric], cards) else pd.Series(False, index=group.index)
        identity = dict(zip(RUN, names, strict=True)) | {"metric": metric}
        if beyond.any():
            worst = ", ".join(f"{value:.6g}" for value in group.loc[beyond, "value"].unique()[:3])
            message = f"{worst} is outside of the bounds {low} to {high}: is the metric or its input wrong?"
            rows.append(identity | {"gate": "impossible", "seeds": _listed(group.loc[beyond, "seed"]), "message": message})
        if lost.any():
            message = "the run ended well, but the score is no number"
            rows.append(identity | {"gate": "no number", "seeds": _listed(group.loc[lost, "seed"]), "message": message})
    return rows


def _chance_or_perfect(scores: pd.DataFrame, methods: Mapping[str, str], cards: Cards) -> list[dict]:
    shown = {*tables.HEADLINE, *_metrics_of_groups()}
    means = tables.seed_means(scores).dropna(subset="value")
    rows = []
    for (*view, metric), group in means[means["metric"].isin(shown)].groupby([*VIEW, "metric"], sort=False):
        if metric not in qualities([metric], cards):
            continue
        table = group.pivot(index="seed", columns="run", values="value")
        scale = ends(table.mean(), metric, methods, cards)
        best = cards["metrics"][metric].get("best")
        for run in table:
            if _kind(run, methods, cards) == "control":
                continue
            values = table[run].dropna()
            identity = dict(zip(VIEW, view, strict=True)) | {"run": run, "metric": metric}
            perfect = values[values == best] if _is_number(best) else values.iloc[:0]
            if len(perfect):
                message = f"exactly {best:g}, the best possible: were both modalities read from one file, or the solution seen?"
                rows.append(identity | {"gate": "perfect", "seeds": _listed(perfect.index), "message": message})
            zero = table[scale["zero_is"]] if scale["zero_is"] in table else pd.Series(scale["zero"], index=table.index)
            gain = (_sign(metric, cards) * (table[run] - zero)).dropna().to_numpy()
            if len(gain) and _lower_end(gain) <= 0:
                over = f"the control {scale['zero_is']}" if scale["zero_is"] in table else "chance"
                message = (
                    f"{values.mean():.3f} over {len(gain)} seed{'s' if len(gain) > 1 else ''} cannot be told from {over} "
                    f"({scale['zero']:.3f})"
                )
                rows.append(identity | {"gate": "chance", "seeds": _listed(table[run].dropna().index), "message": message})
    return rows


def _lower_end(x: np.ndarray) -> float:
    """Return the lower end of the 95 % t interval; of one value, the value."""
    return float(x.mean() - (_half_width(x) if len(x) > 1 else 0.0))


def _half_width(x: np.ndarray) -> float:
    """Return half the width of the 95 % t interval of a mean."""
    from scipy import stats

    return float(stats.t.ppf(0.5 + LEVEL / 2, len(x) - 1) * stats.sem(x))


def _listed(seeds: Iterable[object]) -> str:
    return ", ".join(str(seed) for seed in dict.fromkeys(seeds))
