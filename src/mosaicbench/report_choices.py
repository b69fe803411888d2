"""What a config chooses for its report: runs, and a sweep, that the benchmark has to have."""

from __future__ import annotations

from mosaicbench import catalog
from mosaicbench.errors import UserError, nearest

BEST_OF_VIEW = "best"  # in `keep`, all runs that may have the best overall score of a view, with the first seed


def check(config: dict, datasets: dict, scenarios: dict, runs: dict) -> None:
    """Refuse a run of `report` or `keep` that there is not or that cannot be shown so, and a wrong sweep.

    Parameters
    ----------
    config
        With every default filled in, `report.projected_runs` included.
    datasets, scenarios, runs
        What there is: id -> anything, and id -> ``settings.Run``.

    Raises
    ------
    UserError
        With the key, and the nearest name that there is.
    """
    for name in config["report"]["projected_runs"]:
        if name not in runs:
            raise UserError(
                f"config key report.projected_runs: there is no run {name!r}{nearest(name, runs)}"
            )
    for name in config["report"]["generated_runs"]:
        if name not in runs:
            raise UserError(
                f"config key report.generated_runs: there is no run {name!r}{nearest(name, runs)}"
            )
        card = catalog.card("methods", runs[name].method)
        if "generates" not in card.get("claims", ()):
            why = "has no prior for"
            why = "wraps a package, which is not asked for" if "wraps" in card else why
            why = "was computed elsewhere, so nothing can draw" if "elsewhere" in card else why
            raise UserError(
                f"config key report.generated_runs: {name!r} {why} virtual cells; take a run of one of the VAEs"
            )
    for name in set(config["keep"]) - {BEST_OF_VIEW}:
        if name not in runs:
            raise UserError(f"config key keep: there is no run {name!r}{nearest(name, runs)}")
        if runs[name].method == catalog.ELSEWHERE:
            raise UserError(f"config key keep: {name!r} was computed elsewhere, so it has no model")
        if catalog.card("methods", runs[name].method)["kind"] == "control":
            raise UserError(
                f"config key keep: {name!r} is a control, which has no model for other cells"
            )
    reference = config["report"]["reference_run"]
    if reference is not None and reference not in runs:
        raise UserError(
            f"config key report.reference_run: there is no run {reference!r}{nearest(reference, runs)}"
        )
    if config["report"]["sweep"] is not None:
        _check_sweep(
            config["report"]["sweep"], config["metrics"]["groups"], datasets, scenarios, runs
        )


def _check_sweep(sweep: dict, groups: list[str], *rooms: dict) -> None:
    """Refuse a metric that is not scored, and a series whose ids are not all datasets, all scenarios or all runs."""
    scored = [name for name, card in catalog.cards("metrics").items() if card["group"] in groups]
    for metric in sweep["metrics"]:
        if metric in catalog.names("metrics") and metric not in scored:
            group = catalog.card("metrics", metric)["group"]
            raise UserError(
                f"config key report.sweep.metrics: {metric!r} is in group {group!r}, which metrics.groups leaves out"
            )
        if metric not in scored:
            raise UserError(
                f"config key report.sweep.metrics: there is no metric {metric!r}{nearest(metric, scored)}"
            )
    for name, values in sweep["series"].items():
        known = next((room for room in rooms if set(values) & set(room)), rooms[0])
        if unknown := [key for key in values if key not in known]:
            raise UserError(
                f"config key report.sweep.series.{name}: {unknown[0]!r} is no dataset, scenario or run as the others are"
                f"{nearest(unknown[0], known)}"
            )
        if sweep["log"] and (wrong := [value for value in values.values() if value <= 0]):
            raise UserError(
                f"config key report.sweep.series.{name}: {wrong[0]} cannot stand on a logarithmic axis"
            )
