"""Figure, page and table of claims from the rows of docs/results/specification.tsv.

    python docs/site/why_papers_disagree.py

It writes docs/results/pictures/why_papers_disagree.png, docs/results/why_papers_disagree.md, and the block ``settings`` of
docs/results/claims.md. Rows come from benchmarks/specification.py; what has none is named with its hours.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from blocks import replaced, table
from matplotlib.axes import Axes
from matplotlib.colors import CenteredNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

REPOSITORY = Path(__file__).parents[2]
sys.path.append(str(REPOSITORY / "benchmarks"))
import specification as runner  # noqa: E402
from provenance import MARKS, marked, read  # noqa: E402

from mosaicbench.catalog import catalog  # noqa: E402
from mosaicbench.files.atomic import write_text  # noqa: E402
from mosaicbench.report.theme import INK, QUIET, style  # noqa: E402
from mosaicbench.stats.common import half_width  # noqa: E402

RESULTS = REPOSITORY / "docs/results"
PAGE, CLAIMS = RESULTS / "why_papers_disagree.md", RESULTS / "claims.md"
FIGURE = RESULTS / "pictures/why_papers_disagree.png"
EFFECTS = ["claim", "specification", "base", "mean", "low", "high", "seeds", "failed", "collapsed"]
HOLDS, REVERSED, OPEN = "holds", "is reversed", "is undecided"
NAMES = {runner.PAPER: "the paper's setting", runner.OURS: "our setting"}
MARKS_OF_BASES = {runner.PAPER: "o", runner.OURS: "D"}
COMMAND = """python benchmarks/specification.py       # runs what is left of config/specification.yaml; --plan prints its hours
python docs/site/why_papers_disagree.py  # figure, this page, and the table of claims.md"""


# --- statistics ---


def paired(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the effect of each specification: the mean over seeds of the first side's advantage, with its 95 % t interval.

    Parameters
    ----------
    rows
        Columns ``specification.COLUMNS``.

    Returns
    -------
    pandas.DataFrame
        Columns `EFFECTS` and the factors. `failed` counts seeds without a score of both sides, `collapsed` those in which the
        first side collapsed.
    """
    found = []
    rows = rows.assign(effect=runner.effects(rows))
    for (claim, name), part in rows.groupby(["claim", "specification"], sort=False):
        values = part["effect"].dropna().to_numpy()
        mean = values.mean() if len(values) else np.nan
        half = half_width(values) if len(values) > 1 else np.nan
        one = part.iloc[0]
        facts = [claim, name, one["base"], mean, mean - half, mean + half, len(values)]
        failed, collapsed = part["effect"].isna().sum(), (part["status_first"] == "collapsed").sum()
        found.append([*facts, failed, collapsed, *one[runner.FACTORS]])
    return pd.DataFrame(found, columns=[*EFFECTS, *runner.FACTORS])


def verdict(one: pd.Series) -> str:
    """Return whether a claim holds in a specification: its interval is above 0, below, or neither."""
    return HOLDS if one["low"] > 0 else REVERSED if one["high"] < 0 else OPEN


def shares(of_claim: pd.DataFrame) -> pd.Series:
    """Return factor -> share of the variance of mean effects over specifications that it alone explains, the largest first.

    It is what a least-squares fit of all factors' levels loses without the factor. As a setting differs from the other in
    many factors at once, what only both together explain belongs to none.

    Parameters
    ----------
    of_claim
        Rows of :func:`paired`.
    """
    given = of_claim.dropna(subset="mean")
    y = given["mean"] - given["mean"].mean()
    varied = [name for name in runner.FACTORS if given[name].nunique() > 1]
    total = float((y**2).sum())
    whole, found = _rest(given, varied, y), {}
    for name in varied:
        others = [other for other in varied if other != name]
        found[name] = (_rest(given, others, y) - whole) / total if total else 0.0
    return pd.Series(found, dtype=float).sort_values(ascending=False, kind="stable")


def _rest(rows: pd.DataFrame, factors: list[str], y: pd.Series) -> float:
    """Return the squared deviations that a fit of the levels of some factors leaves."""
    columns = [np.ones(len(rows))]
    for name in factors:
        columns += [(rows[name] == level).to_numpy(float) for level in rows[name].unique()[1:]]
    x = np.stack(columns, axis=1)
    fitted = x @ np.linalg.lstsq(x, y.to_numpy(), rcond=None)[0]
    return float(((y - fitted) ** 2).sum())


# --- the figure ---


def drawn(listed: dict, effects: pd.DataFrame) -> Figure:
    """Return a row for each claim with effects: its specifications by effect, and its factors by share.

    Parameters
    ----------
    effects
        The result of :func:`paired`.
    """
    claims = [claim for claim in listed["claims"] if claim in set(effects["claim"])]
    figure = Figure(figsize=(8.6, 0.5 + 2.3 * len(claims)), layout="constrained")
    panels = figure.subplots(len(claims), 2, squeeze=False, width_ratios=[2.4, 1])
    for (curve, bars), claim in zip(panels, claims, strict=True):
        of_claim = effects[effects["claim"] == claim]
        _curve(curve, of_claim, _quantity(listed, claim))
        curve.set_title(listed["claims"][claim]["claim"], loc="left")
        _bars(bars, shares(of_claim))
    handles = [
        Line2D([], [], linestyle="", marker=MARKS_OF_BASES[base], color=INK, label=name)
        for base, name in NAMES.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _curve(axes: Axes, of_claim: pd.DataFrame, quantity: str) -> None:
    rows = of_claim.dropna(subset="mean").sort_values("mean", kind="stable")
    places = np.arange(len(rows))
    norm = CenteredNorm(halfrange=max(rows["mean"].abs().max(), 1e-9))
    given = rows["low"].notna()
    colours = {"c": rows["mean"], "cmap": "RdBu", "norm": norm}
    axes.vlines(places[given], rows["low"][given], rows["high"][given], color=QUIET, linewidth=0.8)
    axes.scatter(places, rows["mean"], s=22, edgecolor=QUIET, linewidth=0.4, zorder=3, **colours)
    for base, marker in MARKS_OF_BASES.items():
        own = np.flatnonzero(rows["specification"] == base)
        shown = {"s": 90, "zorder": 4, "edgecolor": INK, "linewidth": 1.4, "marker": marker}
        axes.scatter(own, rows["mean"].iloc[own], **shown | colours | {"c": rows["mean"].iloc[own]})
    axes.axhline(0, color=INK, linewidth=0.7)
    reach = (
        2.2 * rows["mean"].abs().max() + 1e-9
    )  # a wide interval of few seeds would hide the others
    low, high = max(rows["low"].min(), -reach), min(rows["high"].max(), reach)
    axes.set_ylim(low - 0.05 * reach, high + 0.05 * reach)
    axes.set_xticks([])
    axes.set_xlabel(f"{len(rows)} specifications, by effect")
    axes.set_ylabel(quantity)


def _bars(axes: Axes, found: pd.Series) -> None:
    found = found[found > 0.0005][::-1]
    names = [name.replace("_", " ") for name in found.index]
    axes.barh(names, 100 * found, color=QUIET, height=0.6)
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of the effect's variance")


def _quantity(listed: dict, claim: str) -> str:
    card = catalog.card("metrics", listed["claims"][claim]["metric"])
    return f"advantage in\n{card['label']}"


# --- the pages ---


def page(listed: dict, rows: pd.DataFrame) -> str:
    """Return the page, with all its numbers from the rows."""
    effects = paired(rows)
    findings = [finding(listed, claim, rows, effects) for claim in listed["claims"]]
    text = f"""# Why do papers disagree?

```sh
{COMMAND}
```

Papers of this field compare the same models and disagree. Each claim below compares two runs on the same splits and seeds. It is
tried in the paper's setting and in ours, as far as a CPU allows, then with one factor changed at a time, then with pairs of the
changes that alone turn the sign. An effect is the advantage of the first run: above 0, the claim holds. It is a mean over
{listed["seeds"]} seeds with a 95 % t interval. *Holds* and *is reversed* mean an interval without 0. `config/specification.yaml`
has the settings, [specification.tsv](specification.tsv) every number.

![Effects of all specifications of each claim, and the share of their variance that each factor explains]({FIGURE.relative_to(RESULTS)})

*Left: a point is a specification, its colour and height are the effect; the large circle is the paper's setting, the diamond
ours. Right: what a fit of all factors' levels loses without the factor.*

## Finding

{chr(10).join(findings)}

## Limits

{limits(listed, rows)}
"""
    note = next(row["note"] for row in read(MARKS) if row["page"] == PAGE.name)
    return marked(text, note)


def finding(listed: dict, claim: str, rows: pd.DataFrame, effects: pd.DataFrame) -> str:
    """Return what the rows of a claim say, and what has not run."""
    stanza, of_claim = listed["claims"][claim], effects[effects["claim"] == claim]
    parts = [f"- **{stanza['claim']}** ({stanza['by']}; [page]({stanza['page']}.md))."]
    waiting = runner.without_rows(listed, claim, rows)
    if len(of_claim):
        known = of_claim.set_index("specification")
        for base, name in NAMES.items():
            if base in known.index:
                one = known.loc[base]
                parts.append(f"In {name} it {verdict(one)}: {_interval(one)}.")
        verdicts = of_claim.apply(verdict, axis=1).value_counts()
        counts = ", ".join(f"{verdicts.get(word, 0)} it {word}" for word in (HOLDS, REVERSED, OPEN))
        parts.append(f"Of {len(of_claim)} specifications, in {counts}.")
        largest = shares(of_claim).head(3)
        ranked = [
            f"{name.replace('_', ' ')} ({100 * share:.0f} %)" for name, share in largest.items()
        ]
        parts.append(f"Most of the variance is explained by {', '.join(ranked)}.")
        parts += _turned(known)
    if waiting:
        parts.append(f"Not run: {len(waiting)} specifications, {_hours(listed, waiting)}.")
    return " ".join(parts)


def _turned(known: pd.DataFrame) -> Iterable[str]:
    """Return a sentence for each setting: which single changes turn the sign of its effect."""
    for base, name in NAMES.items():
        own = known[(known["base"] == base) & ~known.index.str.contains("; .*; ")]
        if base in own.index:
            turned = own[own["mean"] * own.loc[base, "mean"] < 0]
            changes = [
                f"`{one.removeprefix(f'{base}; ')}` {_interval(x)}" for one, x in turned.iterrows()
            ]
            if changes:
                yield f"From {name}, the sign turns with {', '.join(changes)}."


def _interval(one: pd.Series) -> str:
    interval = "" if np.isnan(one["low"]) else f" [{one['low']:.3f}, {one['high']:.3f}]"
    return f"{one['mean']:.3f}{interval}" if one["seeds"] else "no score"


def _hours(listed: dict, specs: list) -> str:
    return f"{runner.hours_of(listed, specs):.1f} CPU hours"


def limits(listed: dict, rows: pd.DataFrame) -> str:
    """Return what the rows do not say."""
    every = []
    for claim in listed["claims"]:
        every += runner.without_rows(listed, claim, rows)
    failed = int(runner.effects(rows).isna().sum())
    commits = ", ".join(f"`{commit}`" for commit in sorted(set(rows["commit"])))
    spent = rows["cpu_seconds"].sum() / runner.HOUR
    return f"""- Not run yet: {len(every)} specifications and the pairs that follow from them, {_hours(listed, every)} (estimated).
- Rows took {spent:.1f} CPU hours, by the code of {commits}. {failed} have no score of both sides.
- A few seeds give wide intervals, and many specifications without a correction: read the pattern, not single ones.
- A paper's setting is approached: other cells, fewer of them, at most 10,000 steps. `config/specification.yaml` says where.
- The share of a factor depends on the levels tried, and an effect that needs two changes at once is found only if each alone turns
  the sign."""


def settings_table(listed: dict, rows: pd.DataFrame) -> str:
    """Return the table of claims: the verdict in the paper's setting and in ours, each with its run."""
    known, lines = paired(rows).set_index(["claim", "specification"]), []
    for claim, stanza in listed["claims"].items():
        cells = []
        for base in runner.BASES:
            spec = runner.specification(listed, claim, base, {})
            cells.append(_cell(listed, spec, known, rows))
        where = f"[{stanza['page']}]({stanza['page']}.md)"
        lines.append([stanza["claim"], stanza["by"], *cells, where])
    return table(["claim", "by", *NAMES.values(), "study"], lines)


def _cell(listed: dict, spec: runner.Specification, known: pd.DataFrame, rows: pd.DataFrame) -> str:
    place = (spec.claim, spec.name)
    if place not in known.index:
        return f"not run: {_hours(listed, [spec])}"
    one = known.loc[place]
    of_spec = rows[(rows["claim"] == spec.claim) & (rows["specification"] == spec.name)].iloc[0]
    quantity = catalog.card("metrics", of_spec["metric"])["label"]
    runs = f"`{of_spec['first']}` and `{of_spec['second']}` on {of_spec['data']}, {of_spec['cells']} cells"
    return f"{verdict(one)}: {_interval(one)} of {quantity} ({runs}; commit `{of_spec['commit']}`)"


def main() -> None:
    """Write the figure and both pages."""
    listed, rows = runner.read_list(), runner.known()
    with style():
        drawn(listed, paired(rows)).savefig(FIGURE, dpi=120)
    write_text(PAGE, page(listed, rows))
    block = f"\n{settings_table(listed, rows)}\n"
    write_text(CLAIMS, replaced(CLAIMS.read_text(encoding="utf-8"), "settings", block))


if __name__ == "__main__":
    main()
