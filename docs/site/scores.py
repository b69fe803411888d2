"""Scores of a method from the reference results: a table, and a picture of its place among all runs of one benchmark."""

from __future__ import annotations

from functools import cache
from xml.sax.saxutils import escape

import pandas as pd
from blocks import table

from mosaicbench.catalog import catalog
from mosaicbench.files import reference
from mosaicbench.stats.means import headline

COLUMNS = {  # metric -> its heading, and whether the lowest is best
    "foscttm": ("FOSCTTM ↓", True),
    "label_transfer_accuracy": ("Label transfer ↑", False),
    "imputation_skill": ("Imputation skill ↑", False),
}
CONTROLS = [name for name, card in catalog.cards("methods").items() if card["kind"] == "control"]
WIDTH, LEFT, ROW = 660, 230, 40  # of the picture, in pixels


@cache
def known() -> pd.DataFrame:
    """Return a row per cells (text), run and metric: the mean over seeds and directions (value)."""
    rows = headline(reference.read().scores).rename(columns={"mean": "value"})
    rows = rows[(rows["directions"] == rows["of_directions"]) & rows["metric"].isin(COLUMNS)]
    rows = rows.assign(cells=rows["dataset"] + ", " + rows["scenario"])
    return rows[["cells", "run", "metric", "value"]].dropna(subset="value").reset_index(drop=True)


def of_method(name: str) -> str:
    """Return a table of all scores of a method."""
    rows = known()[known()["run"] == name]
    metrics = [metric for metric in COLUMNS if metric in set(rows["metric"])]
    lines = []
    for cells, part in rows.groupby("cells", sort=False):
        values = part.set_index("metric")["value"]
        shown = [f"{values[metric]:.3f}" if metric in values else "–" for metric in metrics]
        lines.append([cells, *shown])
    return table(
        ["[reference results](../leaderboard.md)", *(COLUMNS[metric][0] for metric in metrics)],
        lines,
    )


def picture(name: str) -> str | None:
    """Return a method's place among models and baselines on the first cells that it was scored on, as SVG; None without scores."""
    of_run = known()[known()["run"] == name]
    if of_run.empty:
        return None
    cells = of_run.iloc[0]["cells"]
    rows = known()[known()["cells"] == cells]
    rows = rows[~rows["run"].isin(CONTROLS) | (rows["run"] == name)]
    metrics = [
        metric for metric in COLUMNS if metric in set(of_run[of_run["cells"] == cells]["metric"])
    ]
    parts = [
        _text(8, 18, f"Models and baselines on {cells}, from worst to best; large: this method")
    ]
    for place, metric in enumerate(metrics, 1):
        parts += _row(rows[rows["metric"] == metric].set_index("run")["value"], name, metric, place)
    height = ROW * len(metrics) + 34
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">'
        f"<title>Scores of {escape(name)} among models and baselines</title>"
        "<style>text{font:12px system-ui,sans-serif;fill:#222}</style>"
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _row(values: pd.Series, name: str, metric: str, place: int) -> list[str]:
    """Return the parts of one score: a line, a dot per run, and both ends of the scale."""
    heading, lowest_is_best = COLUMNS[metric]
    values = values[~values.index.duplicated()]
    worst, best = values.min(), values.max()
    if lowest_is_best:
        worst, best = best, worst
    y, right = ROW * place + 4, WIDTH - 60
    parts = [_text(8, y + 4, heading), _text(LEFT - 46, y + 4, f"{worst:.2f}")]
    parts += [_text(right + 10, y + 4, f"{best:.2f}")]
    parts.append(f'<path d="M{LEFT} {y}H{right}" stroke="#CCC"/>')
    for run in sorted(values.index, key=lambda run: run == name):  # the method last: on top
        share = (values[run] - worst) / (best - worst) if best != worst else 1
        x = LEFT + share * (right - LEFT)
        look = 'r="7" fill="#D55E00"' if run == name else 'r="4" fill="#777" fill-opacity=".5"'
        title = f"<title>{escape(run)}: {values[run]:.3f}</title>"
        parts.append(f'<circle cx="{x:.1f}" cy="{y}" {look}>{title}</circle>')
    return parts


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x}" y="{y}">{escape(text)}</text>'
