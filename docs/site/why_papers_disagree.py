"""Figure, page and table of claims from the rows of docs/results/specification.tsv.

    python docs/site/why_papers_disagree.py

It writes docs/results/pictures/why_papers_disagree.png, docs/results/why_papers_disagree.md, and
the block ``settings`` of docs/results/claims.md. Rows come from benchmarks/specification.py; what
has none is named with its hours.
"""

from __future__ import annotations

import math
import sys
import textwrap
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
ALT = "Effects of all specifications of each claim, and how much of them each factor explains"
USUAL = 8  # times the median effect: above, the axis is logarithmic
LEAST = 0.005  # share of a factor that is named
HOLDS, REVERSED, OPEN = "holds", "is reversed", "is undecided"
NAMES = {runner.PAPER: "the paper's setting", runner.OURS: "our setting"}
MARKS_OF_BASES = {runner.PAPER: "o", runner.OURS: "D"}
COMMAND = """python benchmarks/specification.py       # what is left of config/specification.yaml
python docs/site/why_papers_disagree.py  # figure, this page, and the table of claims.md"""


# --- statistics ---


def paired(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the effect of each specification: the mean of the first side's advantage over seeds.

    Parameters
    ----------
    rows
        Columns ``specification.COLUMNS``.

    Returns
    -------
    pandas.DataFrame
        Columns `EFFECTS`, with a 95 % t interval, and the factors. `failed` counts seeds without a
        score of both sides, `collapsed` those in which the first side collapsed.
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
    """Return whether a claim holds: the interval is above 0, below, or neither."""
    return HOLDS if one["low"] > 0 else REVERSED if one["high"] < 0 else OPEN


def shares(of_claim: pd.DataFrame) -> pd.Series:
    """Return factor -> share of the variance of effects that it alone explains, the largest first.

    It is what a least-squares fit of all factors' levels loses without the factor, summed over the
    specifications that start from the paper's setting and those that start from ours: each has a
    fit of its own, so that what differs between the two settings belongs to no factor.

    Parameters
    ----------
    of_claim
        Rows of :func:`paired`.
    """
    total, found = 0.0, dict.fromkeys(runner.FACTORS, 0.0)
    for _, given in of_claim.dropna(subset="mean").groupby("base"):
        effects, changes = given["mean"].to_numpy(float), _changes(given["specification"])
        whole = _rest(effects, changes)
        total += _rest(effects, changes[[]])
        for name in changes:
            found[name] += _rest(effects, changes.drop(columns=name)) - whole
    every = pd.Series(found) / (total or 1.0)
    return every.sort_values(ascending=False, kind="stable")


def _changes(names: pd.Series) -> pd.DataFrame:
    """Return the changed level of each factor, a row per specification; "" where it is the setting's own."""
    found = {name: names.str.extract(f"; {name}=([^;]*)")[0].fillna("") for name in runner.FACTORS}
    return pd.DataFrame(found).loc[:, lambda table: table.nunique() > 1]


def _rest(effects: np.ndarray, changes: pd.DataFrame) -> float:
    """Return the squared deviations of effects that a fit of the levels of some factors leaves."""
    x = pd.get_dummies(changes.assign(mean=1.0), columns=[*changes], dtype=float).to_numpy(float)
    fitted = x @ np.linalg.lstsq(x, effects, rcond=None)[0]
    return float(((effects - fitted) ** 2).sum())


# --- the figure ---


def drawn(listed: dict, effects: pd.DataFrame) -> Figure:
    """Return a row for each claim with effects: specifications by effect, and factors by share.

    Parameters
    ----------
    effects
        The result of :func:`paired`.
    """
    claims = [claim for claim in listed["claims"] if claim in set(effects["claim"])]
    figure = Figure(figsize=(8.6, 0.5 + 3.1 * len(claims)), layout="constrained")
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
    sizes = rows["mean"].abs()
    usual = max(sizes.median() * USUAL, 1e-9)
    far = sizes.max() > usual  # one effect would hide all others
    norm = CenteredNorm(halfrange=usual if far else max(sizes.max(), 1e-9))
    given = rows["low"].notna()
    axes.vlines(places[given], rows["low"][given], rows["high"][given], color=QUIET, linewidth=0.8)
    for base, marker in MARKS_OF_BASES.items():
        shown = {"marker": marker, "edgecolor": INK, "cmap": "RdBu", "norm": norm}
        of_base, itself = rows["base"] == base, rows["specification"] == base
        for chosen, size in ((of_base & ~itself, 18), (itself, 90)):
            y = rows["mean"][chosen]
            axes.scatter(
                places[chosen], y, c=y, s=size, linewidth=size / 60, zorder=2 + size / 90, **shown
            )
    axes.axhline(0, color=INK, linewidth=0.7)
    reach = (
        2.2 * rows["mean"].abs().max() + 1e-9
    )  # a wide interval of few seeds would hide the others
    low, high = max(rows["low"].min(), -reach), min(rows["high"].max(), reach)
    if far:
        axes.set_yscale("symlog", linthresh=usual)
        decades = [-100, -10, -1, 1, 10, 100]
        ticks = [-usual, 0, usual, *(one for one in decades if abs(one) > 2 * usual)]
        axes.set_yticks(ticks, [f"{one:.2g}" for one in ticks])
        axes.minorticks_off()
    margin = (0.2 if far else 0.05) * reach
    axes.set_ylim(low - margin, high + margin)
    changes = (
        rows["specification"]
        .str.partition("; ")[2]
        .mask(rows["specification"].isin(NAMES), rows["specification"])
    )
    axes.set_xticks(places, changes.str.replace("_", " "), rotation=90, fontsize=6)
    axes.set_ylabel(quantity)


def _bars(axes: Axes, found: pd.Series) -> None:
    found = found[found > LEAST][::-1]
    axes.set_visible(len(found) > 0)  # with both settings alone, nothing is known of factors
    axes.barh([_words(name) for name in found.index], 100 * found, color=QUIET, height=0.6)
    axes.set_ylim(len(found) - max(len(found), 6) - 0.5, len(found) - 0.5)  # bars of equal width
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of the variance\nwithin a setting")


def _quantity(listed: dict, claim: str) -> str:
    card = catalog.card("metrics", listed["claims"][claim]["metric"])
    return f"advantage in\n{card['label']}"


# --- the pages ---


def page(listed: dict, rows: pd.DataFrame) -> str:
    """Return the page, with all its numbers from the rows."""
    effects = paired(rows)
    findings = [finding(listed, claim, rows, effects) for claim in listed["claims"]]
    about = f"""Papers of this field compare the same models and disagree. Each claim below compares
        two runs on the same splits and seeds. It is tried in the paper's setting and in ours, as
        far as a CPU allows, then with one factor changed at a time, then with pairs of the changes
        that alone turn the sign. An effect is the advantage of the first run: above 0, the claim
        holds. It is a mean over {listed["seeds"]} seeds with a 95 % t interval. *Holds* and *is
        reversed* mean an interval without 0; the sign *turns* if the interval is on the other side
        of 0 than the mean of the setting. `config/specification.yaml` has the settings,
        [specification.tsv](specification.tsv) every number."""
    caption = """*Left: a point is a specification, its colour and height are the effect; a circle
        starts from the paper's setting (the large one), a diamond from ours. Below it is what was
        changed. Right: what a fit of all factors' levels loses without the factor, within each of
        the two settings.*"""
    text = f"""# Why do papers disagree?

```sh
{COMMAND}
```

{_wrapped(about)}

![{ALT}]({FIGURE.relative_to(RESULTS)})

{_wrapped(caption)}

## Finding

{"".join(findings)}
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
        parts.append(f"Specifications that ran: {len(of_claim)}; in {counts}.")
        parts += _ranked(shares(of_claim))
        parts += _turned(known)
    if waiting:
        plural = "s" if len(waiting) > 1 else ""
        parts.append(f"Not run: {len(waiting)} specification{plural}, {_hours(listed, waiting)}.")
    return _wrapped(" ".join(parts), indent="  ") + "\n"


def _wrapped(text: str, indent: str = "") -> str:
    text = " ".join(text.split())
    unbroken = {"break_long_words": False, "break_on_hyphens": False}
    return textwrap.fill(text, 100, subsequent_indent=indent, **unbroken)


def _ranked(found: pd.Series) -> Iterable[str]:
    """Return a sentence that ranks the factors, if any explains something."""
    largest = found[found > LEAST].head(3)
    ranked = [f"{_words(name)} ({100 * share:.0f} %)" for name, share in largest.items()]
    if ranked:
        yield f"Within a setting, most of the variance is explained by {', '.join(ranked)}."


def _words(factor: str) -> str:
    return factor.replace("_", " ")


def _turned(known: pd.DataFrame) -> Iterable[str]:
    """Return a sentence for each setting: which single changes surely turn the sign of its mean effect."""
    for base, name in NAMES.items():
        own = known[(known["base"] == base) & ~known.index.str.contains("; .*; ")]
        if base in own.index:
            sure = own[own["low"] * own["high"] > 0]
            turned = sure[sure["mean"] * own.loc[base, "mean"] < 0]
            changes = [
                f"`{one.removeprefix(f'{base}; ')}` {_interval(x)}" for one, x in turned.iterrows()
            ]
            if changes:
                yield f"From {name}, the sign turns with {', '.join(changes)}."


def _interval(one: pd.Series) -> str:
    mean, low, high = (f"{round(one[name], 3) + 0.0:.3f}" for name in ("mean", "low", "high"))
    interval = "" if np.isnan(one["low"]) else f" [{low}, {high}]"
    return f"{mean}{interval}" if one["seeds"] else "no score"


def _hours(listed: dict, specs: list) -> str:
    hours = runner.hours_of(listed, specs)
    return f"{hours:.1f} CPU hours" if hours >= 1 else f"{math.ceil(60 * hours)} CPU minutes"


def limits(listed: dict, rows: pd.DataFrame) -> str:
    """Return what the rows do not say."""
    every = []
    for claim in listed["claims"]:
        every += runner.without_rows(listed, claim, rows)
    failed = int(runner.effects(rows).isna().sum())
    commits = ", ".join(f"`{commit}`" for commit in sorted(set(rows["commit"])))
    spent = rows["cpu_seconds"].sum() / 60
    texts = [
        f"Not run yet: {len(every)} specifications, {_hours(listed, every)} (estimated), and the "
        "pairs that follow from them. The command above continues.",
        f"The rows took {spent:.0f} CPU minutes, by the code of {commits}. Of {len(rows)} rows, "
        f"{failed} have no score of both sides.",
        f"{listed['seeds']} seeds give wide intervals, and there is no correction for many "
        "specifications: read the pattern, not a single one.",
        "Alignment is scored by FOSCTTM, also where the paper has another score.",
        "A paper's setting is approached: other cells, fewer of them, and at most 10,000 steps. "
        "`config/specification.yaml` says where.",
        "A factor's share depends on the levels tried. A turn that needs two changes at once is "
        "found only if each of them alone turns the sign.",
    ]
    return "\n".join(_wrapped(f"- {text}", indent="  ") for text in texts)


def settings_table(listed: dict, rows: pd.DataFrame) -> str:
    """Return the table of claims: the verdict in both settings, each with its run."""
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
    runs = f"`{of_spec['first']}` and `{of_spec['second']}`"
    runs += f" on {of_spec['data']}, {of_spec['cells']} cells"
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
