"""What single figures draw, on tables small enough to know the answer; nothing of a large figure is cut, no labels overlap."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure
from matplotlib.text import Text

from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.figures._panels import label_rows
from mosaicbench.figures.imputation import imputation
from mosaicbench.figures.label_confusion import label_confusion
from mosaicbench.figures.marker_dots import marker_dots
from mosaicbench.figures.overview_heat import FAMILIES, overview_heat
from mosaicbench.figures.resources import resources
from mosaicbench.figures.training_curves import training_curves
from mosaicbench.figures.umap import umap
from mosaicbench.files.scores import FEATURE_COLUMNS, SCORE_COLUMNS
from mosaicbench.report import projections, theme
from mosaicbench.report.tables.contract import HISTORY_COLUMNS, RUN_COLUMNS, checked_runs
from mosaicbench.stats.overall import overall

DISPLAY = Path(__file__).parents[2] / "config/display.yaml"
SPLIT = {"dataset": "d", "scenario": "s"}
KINDS = {
    "mvae": "model",
    "mmvaepp": "model",
    "cca": "baseline",
    "oracle": "control",
    "random_latent": "control",
}
CARDS = {
    "methods": {
        name: {"label": name, "kind": kind, "inputs": ["pairs"]} for name, kind in KINDS.items()
    },
    "metrics": {
        "foscttm": {"better": "lower", "best": 0.0, "chance": 0.5, "group": "alignment"},
        "recall_at_10": {"better": "higher", "best": 1.0, "chance": None, "group": "alignment"},
        "modality_mixing": {"better": "higher", "best": None, "chance": None, "group": "mixing"},
        "fit_seconds": {"better": "lower", "group": "resources"},
        "peak_host_mb": {"better": "lower", "group": "resources"},
    },
    "datasets": {},
}
LONG = "a cell type with a name much longer than any column"


@pytest.fixture(autouse=True)
def _style():
    with theme.style():
        yield


def theme_of(methods: dict[str, str]) -> theme.Theme:
    return theme.Theme(
        display=theme._read_display(DISPLAY), run_metadata=RunMetadata(CARDS, methods)
    )


THEME = theme_of({name: name for name in KINDS})


def overall_scores(scores: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    return overall(
        scores, runs, RunMetadata(CARDS, dict(zip(runs["run"], runs["method"], strict=True)))
    )


def runs_table(methods: dict[str, str], *, status: dict[str, str] | None = None) -> pd.DataFrame:
    found = {run: (status or {}).get(run, "ok") for run in methods}
    rows = [
        SPLIT | {"run": r, "method": m, "seed": s, "status": found[r]}
        for r, m in methods.items()
        for s in (0, 1)
    ]
    return checked_runs(pd.DataFrame(rows).reindex(columns=RUN_COLUMNS))


def scores_table(values: dict[tuple[str, str], float]) -> pd.DataFrame:
    """Return scores from (run, metric) -> mean of two seeds."""
    rows = [
        SPLIT
        | {
            "run": run,
            "seed": seed,
            "metric": metric,
            "direction": "x",
            "normalization": "-",
            "value": value + 0.001 * (seed - 0.5),
        }
        for (run, metric), value in values.items()
        for seed in (0, 1)
    ]
    return pd.DataFrame(rows).assign(status="ok")[SCORE_COLUMNS]


def of_cells(name: str, **columns: object) -> pd.DataFrame:
    return pd.DataFrame(columns).assign(**SPLIT, seed=0)[projections.COLUMNS[name]]


RUNS = runs_table({name: name for name in KINDS})
SCORES = scores_table(
    {
        ("mvae", "foscttm"): 0.1,
        ("mmvaepp", "foscttm"): 0.2,
        ("cca", "foscttm"): 0.3,
        ("oracle", "foscttm"): 0.0,
    }
    | {
        ("random_latent", "foscttm"): 0.5,
        ("mvae", "recall_at_10"): 0.4,
        ("oracle", "recall_at_10"): 1.0,
    }
    | {
        ("random_latent", "recall_at_10"): 0.2,
        ("mvae", "modality_mixing"): 0.1,
        ("oracle", "modality_mixing"): 0.5,
    }
    | {
        ("random_latent", "modality_mixing"): 0.6,
        ("mvae", "fit_seconds"): 10.0,
        ("mmvaepp", "fit_seconds"): 20.0,
    }
    | {
        ("cca", "fit_seconds"): 1.0,
        ("oracle", "fit_seconds"): 0.1,
        ("mmvaepp", "recall_at_10"): 0.3,
    }
)
OVERALL = overall_scores(SCORES, RUNS)


def test_overview_scales_ranks_and_leaves_white_what_has_no_scale():
    status = {"mmvaepp": "diverged"}
    failed = SCORES[SCORES["run"] != "mmvaepp"]
    runs = runs_table({name: name for name in KINDS}, status=status)
    figure, drawn = overview_heat(
        scores=failed, overall=overall_scores(failed, runs), runs=runs, theme=THEME
    )
    cells = drawn.set_index(["metric", "run"])
    assert cells.loc[("recall_at_10", "mvae"), "scaled"] == pytest.approx((0.4 - 0.2) / (1 - 0.2))
    assert cells.loc[("modality_mixing", "mvae"), "mean"] == pytest.approx(0.1)
    assert np.isnan(
        cells.loc[("modality_mixing", "mvae"), "scaled"]
    )  # the control that knows nothing beats the oracle
    assert cells.loc[("foscttm", "mmvaepp"), "shown"] == "✗ diverged"
    assert np.isnan(cells.loc[("foscttm", "mmvaepp"), "mean"])
    assert cells.loc[("recall_at_10", "cca"), "shown"] == "–"
    assert np.isnan(
        cells.loc[("score", "mvae"), "rank"]
    )  # the others failed or lack recall: it is the first of one
    texts = [text.get_text() for text in figure.findobj(Text)]
    assert "✗ diverged" in texts
    assert any("2 seeds" in text for text in texts)


def test_overview_leaves_out_a_leading_zero_and_no_other():
    values = {"mvae": -10.25, "mmvaepp": -0.25, "cca": 0.25, "oracle": 10.0}
    scores = scores_table({(run, "recall_at_10"): value for run, value in values.items()})
    _, drawn = overview_heat(
        scores=scores, overall=overall_scores(scores, RUNS), runs=RUNS, theme=THEME
    )
    shown = drawn[drawn["metric"] == "recall_at_10"].set_index("run")["shown"]
    assert shown[list(values)].to_list() == ["-10.250", "-.250", ".250", "10.000"]


def test_overview_prints_the_place_among_those_that_are_ranked():
    figure, drawn = overview_heat(scores=SCORES, overall=OVERALL, runs=RUNS, theme=THEME)
    places = drawn[drawn["metric"] == "score"].set_index("run")["rank"]
    assert places.dropna().to_dict() == {"mvae": 1, "mmvaepp": 2}
    assert sum(text.get_text().endswith("#1") for text in figure.findobj(Text)) == 1


def test_no_other_run_beats_the_front_in_score_and_loss():
    figure, drawn = resources(overall=OVERALL, scores=SCORES, runs=RUNS, theme=THEME)
    of_alignment = drawn[
        (drawn["score"] == "alignment") & (drawn["metric"] == "fit_seconds")
    ].set_index("run")
    assert of_alignment["front"].to_dict() == {
        "mvae": True,
        "mmvaepp": False,
    }  # CCA lacks recall; controls are ends of the scale
    overall = drawn[drawn["score"] == "score"]
    assert set(overall["run"]) == {"mvae", "mmvaepp"}
    assert len(figure.axes) == 3


def test_confusion_shares_are_of_the_true_type():
    carried = {"cell_type": ["a", "a", "b"], "transferred": ["a", "b", "b"], "cells": [3, 1, 5]}
    table = of_cells("transfers", run="mvae", direction="rna->adt", **carried)
    _, drawn = label_confusion(transfers=table, runs=RUNS, theme=THEME)
    assert drawn["share"].tolist() == [0.75, 0.25, 1.0]


def test_dots_are_scaled_from_the_lowest_to_the_highest_cluster():
    values = {
        "leiden": [0, 1, 2],
        "mean": [1.0, 3.0, 2.0],
        "above": [0.1, 0.9, 0.5],
        "cells": 10,
        "cell_type": "t",
        "share": 1.0,
    }
    table = of_cells(
        "markers",
        run="mvae",
        modality="rna",
        normalization="lognorm",
        feature="CD3D",
        marks=1,
        **values,
    )
    _, drawn = marker_dots(markers=table, runs=RUNS, theme=THEME)
    assert drawn["scaled"].tolist() == [0.0, 1.0, 0.5]


def _imputed(runs: list[str], cells: int = 50) -> pd.DataFrame:
    random = np.random.default_rng(0)
    parts = []
    for run in runs:
        for direction, place in (
            (d, p) for d in ("rna->adt", "adt->rna") for p in ("best", "median", "worst")
        ):
            values = {
                "measured": random.random(cells),
                "imputed": random.random(cells),
                "cell": [f"c{i}" for i in range(cells)],
            }
            named = {
                "direction": direction,
                "normalization": "clr",
                "feature": f"{place} feature",
                "place": place,
                "r": 0.5,
            }
            parts.append(of_cells("imputed_values", run=run, **named, **values))
    return pd.concat(parts, ignore_index=True)


def test_a_direction_that_a_run_does_not_impute_is_a_dash():
    values = _imputed(["mvae", "mmvaepp"])
    values = values[(values["run"] != "mvae") | (values["direction"] == "rna->adt")]
    figure, drawn = imputation(
        features=pd.DataFrame(columns=FEATURE_COLUMNS),
        imputed_values=values,
        runs=RUNS,
        theme=THEME,
    )
    shown = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert shown.count("–") == 6  # of three scatters, and of three histograms
    assert shown.count("r = 0.50") == 9
    assert len(drawn) == len(values)


def test_losses_are_in_order_and_named_and_the_start_is_left_out():
    epochs = np.arange(1, 101)
    curves = {
        "kl": epochs / 10,
        "nll_rna": 1000 / epochs,
        "validation_loss": 1100 / epochs,
        "loss": 1010 / epochs,
    }
    curves |= {
        "discriminator_output_adt_cross_entropy": 1 / epochs,
        "discriminator_output_adt_top_prediction": 0.5 + 0 * epochs,
    }
    parts = [
        pd.DataFrame({"epoch": epochs, "loss": name, "value": x, "seed": 0})
        for name, x in curves.items()
    ]
    history = pd.concat(parts).assign(**SPLIT, run="mvae")[HISTORY_COLUMNS]
    figure, drawn = training_curves(history=history, runs=RUNS, theme=THEME)
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
    assert titles == [
        "Loss, train cells",
        "Loss, validation cells",
        "−log likelihood, RNA",
        "KL divergence",
        "Discriminator, output\nADT cross entropy",  # a line more, not cut
    ]
    assert figure.axes[0].get_ylim()[1] < 200
    assert len(drawn) == 500


def test_the_epoch_whose_weights_were_kept_is_marked_though_another_loss_less():
    epochs = np.arange(1, 11)
    curves = {"validation_loss": 10.0 + epochs, "kept": (epochs == 7).astype(float)}
    parts = [
        pd.DataFrame({"epoch": epochs, "loss": name, "value": x, "seed": 0})
        for name, x in curves.items()
    ]
    history = pd.concat(parts).assign(**SPLIT, run="mvae")[HISTORY_COLUMNS]
    figure, drawn = training_curves(history=history, runs=RUNS, theme=THEME)
    assert [line.get_xydata().tolist() for line in figure.axes[0].lines[1:]] == [[[7, 17]]]
    assert set(drawn["loss"]) == {"validation_loss"}


def _layout(sources: tuple[str, ...], types: list[str]) -> pd.DataFrame:
    random = np.random.default_rng(0)
    cells = len(types)
    parts = []
    for source in sources:
        named = {
            "run": "mvae",
            "source": source,
            "modality": source,
            "cell": [f"c{i}" for i in range(cells)],
            "batch": "b",
        }
        place = {
            "leiden": random.integers(0, 9, cells),
            "x": random.random(cells),
            "y": random.random(cells),
        }
        parts.append(of_cells("projection", **named, **place, cell_type=types))
    return pd.concat(parts, ignore_index=True)


def test_a_type_has_one_colour_in_every_figure_and_one_batch_no_column():
    layout = _layout(("rna", "adt"), ["a", "b", "c", ""] * 20)
    figure, _ = umap(projection=layout, imputed_layout=layout[:0], runs=RUNS, theme=THEME)
    legends = {
        axes.get_legend().get_title().get_text(): axes.get_legend()
        for axes in figure.axes
        if axes.get_legend()
    }
    assert set(legends) == {"Modality", "Cell type", "Leiden cluster"}
    two = {
        "run": ["measured", "mvae"],
        "direction": ["measured", "rna->adt"],
        "cell": "c2",
        "cell_type": "c",
    }
    few = of_cells("imputed_layout", **two, modality="adt", x=0.0, y=0.0)
    other, _ = umap(
        imputed_layout=few, projection=layout, runs=RUNS, imputed_by="cell_type", theme=THEME
    )
    alone = next(axes.get_legend() for axes in other.axes if axes.get_legend())

    def colours(legend: object) -> dict[str, str]:
        return {
            t.get_text(): h.get_color()
            for t, h in zip(legend.get_texts(), legend.legend_handles, strict=True)
        }

    assert colours(alone) == {"c": colours(legends["Cell type"])["c"]}
    assert "unknown_labels" in colours(legends["Cell type"])


@pytest.mark.parametrize(
    ("sources", "latent"), [(("joint", "rna", "adt"), "joint"), (("rna", "adt"), "rna")]
)
def test_imputed_cells_have_the_colour_of_their_cluster_in_the_latents(sources, latent):
    layout = _layout(sources, ["a", "b"] * 10)
    where = {"run": ["measured", "mvae"] * 20, "direction": ["measured", "rna->adt"] * 20}
    names = {
        "cell": np.repeat([f"c{i}" for i in range(20)], 2),
        "cell_type": np.repeat(["a", "b"] * 10, 2),
    }
    points = of_cells("imputed_layout", **where, **names, modality="adt", x=0.0, y=0.0)
    figure, drawn = umap(
        imputed_layout=points, projection=layout, runs=RUNS, imputed_by="leiden", theme=THEME
    )
    clusters = layout[layout["source"] == latent].set_index("cell")["leiden"]
    imputed = drawn[drawn["run"] == "mvae"]
    assert list(imputed["leiden"]) == list(clusters[imputed["cell"]])
    assert set(drawn.loc[drawn["run"] == "measured", "leiden"]) == {""}
    legend = next(axes.get_legend() for axes in figure.axes if axes.get_legend())
    assert {text.get_text() for text in legend.get_texts()} == {
        str(cluster) for cluster in clusters
    }


MANY = {f"run-{i}": "mvae" for i in range(22)} | {
    "cca": "cca",
    "oracle": "oracle",
    "random_latent": "random_latent",
}


def _overview_of_many() -> object:
    metrics = [name for names in FAMILIES.values() for name in names]
    scores = scores_table(
        {(run, metric): 0.5 for run in MANY for metric in (*metrics, "fit_seconds", "peak_host_mb")}
    )
    runs = runs_table(MANY, status={"run-3": "out_of_memory"})
    scores = scores[scores["run"] != "run-3"]
    return overview_heat(
        scores=scores, overall=overall_scores(scores, runs), runs=runs, theme=theme_of(MANY)
    )[0]


def _confusion_of_many() -> object:
    types = [f"{LONG} {i}" for i in range(30)]
    parts = [
        of_cells(
            "transfers",
            run=run,
            direction=direction,
            cell_type=types,
            transferred=types,
            cells=1000,
        )
        for run in list(MANY)[:4]
        for direction in ("rna->adt", "adt->rna")
    ]
    return label_confusion(transfers=pd.concat(parts), runs=RUNS, theme=theme_of(MANY))[0]


def _umap_of_many() -> object:
    layout = _layout(("rna", "adt"), [f"{LONG} {i}" for i in range(40)])
    return umap(projection=layout, imputed_layout=layout[:0], runs=RUNS, theme=THEME)[0]


def _resources_of_many() -> object:
    scores = scores_table(
        {
            (r, m): 0.3 + 0.01 * i
            for i, r in enumerate(MANY)
            for m in ("foscttm", "fit_seconds", "peak_host_mb")
        }
    )
    runs = runs_table(MANY)
    library_size = overall_scores(scores, runs)
    return resources(overall=library_size, scores=scores, runs=runs, theme=theme_of(MANY))[0]


def test_rows_are_named_once_and_panels_beside_have_no_ticks_to_lay_out():
    figure = Figure()
    panels = figure.subplots(2, 3, sharex=True, sharey=True)
    for axes in panels.ravel():
        label_rows(axes, theme_of(MANY), list(MANY))
    assert [axes.yaxis.get_visible() for axes in panels.ravel()] == [True, False, False] * 2
    for axes in panels[:, 0]:
        assert [label.get_text() for label in axes.get_yticklabels()] == [
            theme_of(MANY).label("runs", run) for run in MANY
        ]
        assert all(label.get_visible() for label in axes.get_yticklabels())


@pytest.mark.parametrize(
    "make", [_overview_of_many, _confusion_of_many, _umap_of_many, _resources_of_many]
)
def test_nothing_of_a_figure_of_many_runs_or_types_is_cut(make):
    figure = make()
    figure.draw_without_rendering()
    drawn, size = figure.get_tightbbox(), figure.get_size_inches()
    assert (
        drawn.x0 > -0.02
        and drawn.y0 > -0.02
        and drawn.x1 < size[0] + 0.02
        and drawn.y1 < size[1] + 0.02
    )
    for axes in figure.axes:
        boxes = [label.get_window_extent() for label in axes.get_yticklabels() if label.get_text()]
        for above, below in zip(boxes, boxes[1:], strict=False):
            assert min(above.y1, below.y1) - max(above.y0, below.y0) < 2, (
                "labels of two rows overlap"
            )


# Machado, Oliveira & Fernandes 2009, severity 1
SEEN = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def _lab(colour: str, vision: str) -> np.ndarray:
    """Return CIE 1976 L*a*b* of a colour as somebody sees it."""
    srgb = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    x = XYZ @ np.clip(np.array(SEEN[vision]) @ linear, 0, 1) / np.array([0.95047, 1, 1.08883])
    f = np.where(x > 216 / 24389, np.cbrt(x), (24389 / 27 * x + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", SEEN)
def test_models_can_be_told_apart_with_every_common_colour_vision(vision):
    listed = yaml.safe_load(DISPLAY.read_text())["methods"]
    models = list(listed)[: list(listed).index("pca_joint")]
    for one, other in combinations(models, 2):
        sisters = {name.removesuffix("_sup").removesuffix("_ss") for name in (one, other)}
        if len(sisters) == 1:  # the same hue, told apart by their markers
            assert listed[one].get("marker") != listed[other].get("marker")
        else:
            difference = np.linalg.norm(
                _lab(listed[one]["colour"], vision) - _lab(listed[other]["colour"], vision)
            )
            assert difference > 10, (one, other)


def test_more_names_than_colours_still_differ():
    palette = THEME.palette("cell_types", [f"type {i}" for i in range(40)])
    assert len(set(palette.values())) == 40
