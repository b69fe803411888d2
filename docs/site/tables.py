"""Write the tables of cards, of imports and of measurements into the pages of docs, and the names of methods into README.md.

Run it after a card has changed:  python docs/site/tables.py
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import measured
import pandas as pd
from blocks import replaced, table

from mosaicbench.catalog import catalog
from mosaicbench.catalog import search_spaces as spaces
from mosaicbench.scoring import trust

REPOSITORY = Path(__file__).parents[2]
COLUMNS = {
    "methods": ("label", "kind", "summary", "tuned over"),
    "peers": ("label", "kind", "package", "licence", "citation", "summary", "tuned over"),
    "metrics": ("label", "group", "best", "chance", "definition", "fooled by"),
}
FOOLS = {  # property that a metric lacks -> the input that it scores better than it should
    "collapse_is_not_rewarded": "a collapse",
    "noise_never_improves": "noise",
    "shuffled_is_chance": "answers for other cells",
    "train_mean_is_chance": "the mean profile",
}

CHANGES = {  # column of docs/benchmarks/schedules.tsv -> header
    "epochs": "epochs",
    "reaches": "epochs to the same loss",
    "cpu_seconds": "CPU seconds",
    "validation_loss": "validation loss",
    "foscttm": "FOSCTTM",
    "label_transfer_accuracy": "label transfer accuracy",
    "imputation_skill": "imputation skill",
}
ESTIMATES = (
    "left out",
    "runs",
    "FOSCTTM: in its interval",
    "Spearman",
    "label transfer: in its interval",
    "Spearman",
    "exchanges called bad",
    "others called bad",
)
EXCHANGES = ["cells", "links", "FOSCTTM (from, to)", "of the lowest probe", "most types matched"]
EXCHANGED = 0.5  # of the cell types, or fewer, are nearest to themselves in the other modality
RATIOS = ["epochs", "reaches", "cpu_seconds"]
MEASURED = ("speed", "quality", "scale", "exponents", "extrapolated", "gpu")
KINDS = {
    "model": "Models of this package",
    "peer": "Packages of others",
    "baseline": "Baselines",
    "control": "Controls",
}
VARIANT = re.compile(r", .*| (semi-)?supervised$")


def with_fresh_tables(text: str) -> str:
    """Return a page with new tables between its marks."""
    for name in [
        *COLUMNS,
        "imports",
        "names",
        "studies",
        "schedules",
        "definitions",
        "estimates",
        "bounds",
        "exchanges",
        *MEASURED,
    ]:
        if f"<!-- {name} -->" in text:
            text = replaced(text, name, f"\n{markdown(name)}\n")
    return text


def markdown(name: str) -> str:
    """Return a table of cards, of imports, of studies or of measurements, or the list of names."""
    if name == "definitions":
        return table(["definition", "direction", "score"], definitions())
    if name == "estimates":
        return table(list(ESTIMATES), estimates())
    if name == "bounds":
        return table(["dataset", "direction", "lowest by counting", "best stored run"], bounds())
    if name == "exchanges":
        return table(EXCHANGES, exchanges())
    if name in MEASURED:
        return getattr(measured, name)()
    if name == "schedules":
        return table(["run", "fits", *CHANGES.values()], schedules())
    if name == "studies":
        return table(["study", "question"], studies())
    if name == "names":
        return "\n".join(
            f"- **{kind}** ({len(of_kind)}): {', '.join(of_kind)}"
            for kind, of_kind in names().items()
        )
    if name == "imports":
        return table(["level", "rooms"], layers())
    columns = COLUMNS[name]
    rows = [[f"`{id}`", *map(card.get, columns)] for id, card in listed(name).items()]
    return table(["id", *columns], rows)


def pages() -> list[Path]:
    """Return the pages that may have marks."""
    return [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


def studies() -> list[list[str]]:
    """Return (study with a link, question) of every page of results; the question is its title."""
    rows = []
    for page in sorted((REPOSITORY / "docs/results").glob("*.md")):
        title = page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        if title.endswith("?"):
            rows.append([f"[`{page.stem}`](results/{page.name})", title])
    return rows


def definitions() -> list[list[str]]:
    """Return (label, direction, score) of the latents in docs/benchmarks/definitions.tsv."""
    rows = pd.read_csv(REPOSITORY / "docs/benchmarks/definitions.tsv", sep="\t")
    return [[row.label, row.direction, f"{row.score:.3f}"] for row in rows.itertuples()]


def bounds() -> list[list[str]]:
    """Return dataset, direction, bound and best run of docs/results/alignment_bound.tsv."""
    rows = pd.read_csv(REPOSITORY / "docs/results/alignment_bound.tsv", sep="\t")
    stored = rows[rows["check"] == "stored runs"]
    return [
        [f"`{row.data}`", row.direction, f"{row.bound:.3f}", f"{row.compared:.3f}, `{row.run}`"]
        for row in stored.itertuples()
    ]


def exchanges() -> list[list[str]]:
    """Return a row per dataset, without and with links, of docs/results/exchanges.tsv."""
    rows = pd.read_csv(REPOSITORY / "docs/results/exchanges.tsv", sep="\t")
    found = []
    for (dataset, links), fits in rows.groupby(["dataset", "links"]):
        score, chosen = fits["foscttm"], fits.loc[fits["probe"].idxmin(), "foscttm"]
        matched = f"{(fits['types_matched'] > EXCHANGED).sum()} of {len(fits)}"
        spread = f"{score.mean():.3f} ({score.min():.3f}, {score.max():.3f})"
        found.append([f"`{dataset}`", "yes" if links else "no", spread, f"{chosen:.3f}", matched])
    return found


def estimates() -> list[list[str]]:
    """Return a row per dataset of docs/benchmarks/trust_estimate.tsv, of all runs, and of groups of them."""
    rows = pd.read_csv(REPOSITORY / "docs/benchmarks/trust_estimate.tsv", sep="\t")
    runs = rows[rows["kind"] != "control"]
    groups = {f"`{name}`": of_name for name, of_name in runs.groupby("dataset")}
    groups["each in turn"] = runs
    groups["only D-MMVAE"] = runs[runs["run"].str.startswith("dmmvae")]
    groups["only controls"] = rows[rows["kind"] == "control"]
    return [[name, str(len(of_name)), *_estimated(of_name)] for name, of_name in groups.items()]


def _estimated(runs: pd.DataFrame) -> list[str]:
    found = []
    for score in ("foscttm", "label_transfer_skill"):
        low, middle, high = (runs[f"{score}_{end}"] for end in ("low", "estimate", "high"))
        found.append(f"{runs[score].between(low, high).mean():.1%}".replace("%", " %"))
        found.append(f"{runs[score].corr(middle, method='spearman'):.2f}")
    exchanged, bad = runs["types_matched"] <= EXCHANGED, runs["foscttm_estimate"] >= trust.BAD
    for chosen in (exchanged, ~exchanged):
        found.append(f"{(bad & chosen).sum()} of {chosen.sum()}")
    return found


def schedules() -> list[list[object]]:
    """Return a row per method of docs/benchmarks/schedules.tsv: ratios and differences, means over splits."""
    fits = pd.read_csv(REPOSITORY / "docs/benchmarks/schedules.tsv", sep="\t")
    fits = fits.set_index(["method", "dataset", "scenario", "seed"])
    before, now = (fits[fits["schedule"] == one] for one in ("constant", "cooldown"))
    ratios = (now[RATIOS] / before[RATIOS]).groupby("method").mean().map("{:.2f}".format)
    others = [name for name in CHANGES if name not in RATIOS]
    differences = (now[others] - before[others]).groupby("method").mean().map("{:+.3f}".format)
    number = now.groupby("method").size()
    rows = pd.concat([number, ratios, differences], axis=1)
    return [[f"`{method}`", *row] for method, row in zip(rows.index, rows.to_numpy(), strict=True)]


def names() -> dict[str, list[str]]:
    """Return kind -> labels of its methods; variants of a method, such as a supervised one, are one name."""
    found: dict[str, dict[str, None]] = {kind: {} for kind in KINDS.values()}
    for card in catalog.cards("methods").values():
        kind = KINDS["peer" if "wraps" in card else card["kind"]]
        found[kind][VARIANT.sub("", card["label"])] = None
    return {kind: sorted(of_kind, key=str.lower) for kind, of_kind in found.items()}


def layers() -> list[list[object]]:
    """Return (level, rooms), the highest first, as in pyproject.toml's contract for import-linter."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    (contract,) = [one for one in contracts if one["type"] == "layers"]
    rooms = [layer.replace(" | ", ", ") for layer in reversed(contract["layers"])]
    return [[level, of_level] for level, of_level in enumerate(rooms)][::-1]


def listed(name: str) -> dict[str, dict]:
    """Return the cards of a table, with its columns; peers are the methods that wrap a package."""
    if name == "metrics":
        return {id: card | _of_metric(card) for id, card in catalog.cards("metrics").items()}
    methods = {}
    for id, card in catalog.cards("methods").items():
        if ("wraps" in card) == (name == "peers"):
            space = card.get("space", {})
            tuned = "; ".join(f"`{key}` {spaces.in_words(values)}" for key, values in space.items())
            methods[id] = card | {"tuned over": tuned} | _of_package(card)
    return methods


def _of_metric(card: dict) -> dict[str, str]:
    ends = {end: "" if card[end] is None else f"{card[end]:g}" for end in ("best", "chance")}
    why = card.get("exempt_from", {})
    fooled = [f"{what} ({why[name]})" for name, what in FOOLS.items() if name in why]
    return ends | {"fooled by": "; ".join(fooled)}


def _of_package(card: dict) -> dict[str, str]:
    if "wraps" not in card:
        return {}
    package = card["wraps"]
    where = " (own environment)" if "environment" in card else ""
    return {
        "package": f"{package['package']} {package['version']}{where}",
        "licence": package["licence"],
        "citation": f"[{card['paper']}](https://doi.org/{card['doi']})" if card["doi"] else "",
    }


if __name__ == "__main__":
    for page in pages():
        page.write_text(with_fresh_tables(page.read_text()))
