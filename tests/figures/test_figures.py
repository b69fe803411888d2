"""What single figures draw of small tables; nothing of a large figure is cut, no labels overlap."""

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from made_up_scores import CARDS, runs_of, scores_around

from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.figures.imputation import imputation
from mosaicbench.figures.label_confusion import label_confusion
from mosaicbench.figures.marker_dots import marker_dots
from mosaicbench.figures.resources import resources
from mosaicbench.figures.sweep import sweep
from mosaicbench.figures.training_curves import training_curves
from mosaicbench.figures.umap import imputation_umap, umap
from mosaicbench.files.scores import FEATURE_COLUMNS
from mosaicbench.report import projections, theme
from mosaicbench.report.tables.contract import HISTORY_COLUMNS
from mosaicbench.stats.overall import overall

DIRECTION = "rna->adt"
SPLIT = {"dataset": "d", "scenario": "paired"}
LONG = "a cell type with a name much longer than any column"
MEANS = {
    ("foscttm", DIRECTION): {
        "mvae": 0.1,
        "mmvaepp": 0.2,
        "cca": 0.3,
        "oracle": 0.0,
        "random_latent": 0.5,
    },
    ("recall_at_10", DIRECTION): {
        "mvae": 0.4,
        "mmvaepp": 0.3,
        "oracle": 1.0,
        "random_latent": 0.2,
    },
}
RUNS = runs_of(scores_around(MEANS))


@pytest.fixture(autouse=True)
def _style():
    with theme.style():
        yield


def theme_of(methods):
    return theme.Theme(theme._read_display(theme.DISPLAY), RunMetadata(CARDS, methods))


THEME = theme_of({})


def drawn_resources(means, theme=THEME, **used):
    """Draw means, and the resources of each run."""
    means = means | {(metric, "run"): of_runs for metric, of_runs in used.items()}
    scores = scores_around(means, sd=0)
    runs = runs_of(scores)
    scaled = overall(scores, runs, theme.run_metadata)
    return resources(overall=scaled, scores=scores, runs=runs, theme=theme)


def of_cells(name, **columns):
    return pd.DataFrame(columns).assign(**SPLIT, seed=0)[projections.COLUMNS[name]]


def test_no_other_run_beats_the_front_in_score_and_resource():
    seconds = {"mvae": 10.0, "mmvaepp": 20.0, "cca": 1.0, "oracle": 0.1}
    figure, drawn = drawn_resources(MEANS, fit_seconds=seconds)
    of_alignment = drawn[(drawn["score"] == "alignment") & (drawn["metric"] == "fit_seconds")]
    fronts = of_alignment.set_index("run")["front"].to_dict()
    assert fronts == {"mvae": True, "mmvaepp": False}  # CCA lacks recall, controls are not drawn
    assert set(drawn.loc[drawn["score"] == "score", "run"]) == {"mvae", "mmvaepp"}
    assert len(figure.axes) == 2


def test_confusion_shares_are_of_the_true_type():
    carried = {"cell_type": ["a", "a", "b"], "transferred": ["a", "b", "b"], "cells": [3, 1, 5]}
    table = of_cells("transfers", run="mvae", direction="rna->adt", **carried)
    figure, drawn = label_confusion(transfers=table, runs=RUNS, theme=THEME)
    assert drawn["share"].tolist() == [0.75, 0.25, 1.0]
    assert {text.get_text() for text in figure.axes[0].texts} == {"0.75", "1.00"}


def test_dots_are_scaled_from_the_lowest_to_the_highest_cluster():
    values = {"leiden": [0, 1, 2], "mean": [1.0, 3.0, 2.0], "above": [0.1, 0.9, 0.5]}
    named = {"run": "mvae", "modality": "rna", "normalization": "lognorm", "feature": "CD3D"}
    facts = {"marks": 1, "cells": 10, "cell_type": "t", "share": 1.0}
    table = of_cells("markers", **named, **values, **facts)
    _, drawn = marker_dots(markers=table, runs=RUNS, theme=THEME)
    assert drawn["scaled"].tolist() == [0.0, 1.0, 0.5]


def test_a_direction_that_a_run_does_not_impute_is_a_dash():
    random, parts = np.random.default_rng(0), []
    directions = ("mvae", "rna->adt"), ("mmvaepp", "rna->adt"), ("mmvaepp", "adt->rna")
    for (run, direction), place in product(directions, ("best", "median", "worst")):
        named = {"run": run, "direction": direction, "normalization": "clr", "place": place}
        cells = {"cell": [f"c{i}" for i in range(50)], "feature": f"{place} feature", "r": 0.5}
        both = {"measured": random.random(50), "imputed": random.random(50)}
        parts.append(of_cells("imputed_values", **named, **cells, **both))
    values, features = pd.concat(parts), pd.DataFrame(columns=FEATURE_COLUMNS)
    none = pd.DataFrame(columns=["metric", "direction", "normalization", "ceiling"])
    tables = {"features": features, "comparison": none, "imputed_values": values}
    figure, drawn = imputation(**tables, runs=RUNS, theme=THEME)
    shown = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert shown.count("–") == 6  # of three scatters, and of three histograms
    assert shown.count("r = 0.50") == 9
    assert len(drawn) == len(values)


def curves_of(epochs, **curves):
    """Draw the losses of one run and seed."""
    history = pd.DataFrame({"epoch": epochs} | curves).melt("epoch", var_name="loss")
    history = history.assign(**SPLIT, run="mvae", seed=0)[HISTORY_COLUMNS]
    return training_curves(history=history, runs=RUNS, theme=THEME)


def test_losses_are_in_order_and_named_and_the_start_is_left_out():
    epochs = np.arange(1, 101)
    curves = {"kl": epochs / 10, "nll_rna": 1000 / epochs, "validation_loss": 1100 / epochs}
    curves["loss"] = 1010 / epochs
    curves["discriminator_output_adt_cross_entropy"] = 1 / epochs
    curves["discriminator_output_adt_top_prediction"] = 0.5 + 0 * epochs
    figure, drawn = curves_of(epochs, **curves)
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
    labels = [THEME.loss(name) for name in THEME.order("losses", drawn["loss"])]
    assert [title.replace("\n", " ") for title in titles] == labels  # broken, not cut
    assert labels[:2] == ["Loss, train cells", "Loss, validation cells"]
    assert figure.axes[0].get_ylim()[1] < 200
    assert len(drawn) == 500


def test_the_epoch_with_the_saved_weights_is_marked_though_another_has_a_lower_loss():
    epochs = np.arange(1, 11)
    saved = (epochs == 7).astype(float)
    figure, drawn = curves_of(epochs, validation_loss=10.0 + epochs, kept=saved)
    assert [line.get_xydata().tolist() for line in figure.axes[0].lines[1:]] == [[[7, 17]]]
    assert set(drawn["loss"]) == {"validation_loss"}


def test_ticks_of_a_wide_time_axis_do_not_overlap_and_fractions_have_their_zero():
    figure, _ = drawn_resources(MEANS, fit_seconds={"mvae": 0.01, "mmvaepp": 60.0, "cca": 1.0})
    figure.draw_without_rendering()
    labels = [label for label in figure.axes[-1].get_xticklabels() if label.get_text()]
    low, high = figure.axes[-1].get_xlim()
    shown = [label for label in labels if low <= label.get_position()[0] <= high]
    assert [label.get_text() for label in shown] == ["0.01", "0.1", "1", "10"]


def test_ticks_of_less_than_a_decade_are_few():
    figure, _ = drawn_resources(MEANS, fit_seconds={"mvae": 175.0, "mmvaepp": 375.0, "cca": 180.0})
    axes = figure.axes[-1]
    low, high = axes.get_xlim()
    assert 2 <= sum(low <= tick <= high for tick in axes.get_xticks()) <= 5


def test_a_ceiling_beyond_a_panel_is_a_text_with_room_above_the_lines(results):
    heights = []
    for ceiling in (np.nan, 9.0):
        table = results.tables["sweep"].query("metric == 'foscttm'").assign(ceiling=ceiling)
        axes = sweep(sweep=table, runs=RUNS, theme=THEME)[0].axes[0]
        heights.append(np.ptp(axes.get_ylim()))
    assert "ceiling 9.00 ↑" in [text.get_text() for text in axes.texts]
    assert heights[1] > 1.1 * heights[0]


def test_ticks_of_a_sweeps_memory_are_plain_numbers(results):
    table = results.tables["sweep"]
    table = table[table["metric"] == "foscttm"].assign(metric="peak_host_mb")
    for column in ("mean", "low", "high", "value"):
        table[column] = table["x"].map({2: 170.0, 3: 2030.0})
    figure, _ = sweep(sweep=table, runs=RUNS, theme=THEME)
    axes = figure.axes[0]
    low, high = axes.get_ylim()
    labels = [x for x in axes.get_yticklabels(which="both") if low <= x.get_position()[1] <= high]
    shown = [x.get_text() for x in labels if x.get_text()]
    assert shown == ["200", "500", "1,000", "2,000"]


def _layout(sources, types):
    random, parts = np.random.default_rng(0), []
    cells = len(types)
    named = {"run": "mvae", "cell": [f"c{i}" for i in range(cells)], "batch": "b"}
    for source in sources:
        place = {"x": random.random(cells), "y": random.random(cells), "cell_type": types}
        clusters = random.integers(0, 9, cells)
        of_source = {"source": source, "modality": source, "leiden": clusters}
        parts.append(of_cells("projection", **named, **of_source, **place))
    return pd.concat(parts, ignore_index=True)


def legends_of(figure):
    """Return title -> label -> colour of every legend of a panel."""
    legends = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    found = {}
    for legend in legends:
        entries = zip(legend.get_texts(), legend.legend_handles, strict=True)
        colours = {text.get_text(): handle.get_color() for text, handle in entries}
        found[legend.get_title().get_text()] = colours
    return found


def test_a_type_has_one_colour_in_every_figure_and_one_batch_no_column():
    layout = _layout(("rna", "adt"), ["a", "b", "c", ""] * 20)
    figure, _ = umap(projection=layout, runs=RUNS, theme=THEME)
    legends = legends_of(figure)
    assert set(legends) == {"Modality", "Cell type", "Leiden cluster"}
    assert "unknown" in legends["Cell type"]
    named = {"run": ["measured", "mvae"], "direction": ["measured", "rna->adt"]}
    cell = {"cell": "c2", "cell_type": "c", "modality": "adt", "x": 0.0, "y": 0.0}
    few = of_cells("imputed_layout", **named, **cell)
    figure, _ = imputation_umap(imputed_layout=few, projection=layout, runs=RUNS, theme=THEME)
    assert legends_of(figure) == {"Cell type": {"c": legends["Cell type"]["c"]}}


MANY = {f"run-{i}": "mvae" for i in range(22)} | {"cca": "cca", "oracle": "oracle"}


def _confusion_of_many():
    types = [f"{LONG} {i}" for i in range(30)]
    same = {"cell_type": types, "transferred": types, "cells": 1000}
    parts = [
        of_cells("transfers", run=run, direction=direction, **same)
        for run, direction in product(list(MANY)[:4], ("rna->adt", "adt->rna"))
    ]
    return label_confusion(transfers=pd.concat(parts), runs=RUNS, theme=theme_of(MANY))[0]


def _umap_of_many():
    layout = _layout(("rna", "adt"), [f"{LONG} {i}" for i in range(40)])
    return umap(projection=layout, runs=RUNS, theme=THEME)[0]


def _resources_of_many():
    values = {run: 0.3 - 0.01 * place for place, run in enumerate(MANY)}
    used = dict.fromkeys(("fit_seconds", "peak_host_mb"), values)
    figure, drawn = drawn_resources({("foscttm", DIRECTION): values}, theme_of(MANY), **used)
    assert set(drawn["run"]) == set(MANY) - {"oracle"}
    return figure


@pytest.mark.parametrize("make", [_confusion_of_many, _umap_of_many, _resources_of_many])
def test_nothing_of_a_figure_of_many_runs_or_types_is_cut(make):
    figure = make()
    figure.draw_without_rendering()
    drawn = figure.get_tightbbox()
    assert (drawn.min > -0.02).all() and (drawn.max < figure.get_size_inches() + 0.02).all()
    for axes in figure.axes:
        boxes = [label.get_window_extent() for label in axes.get_yticklabels() if label.get_text()]
        for above, below in zip(boxes, boxes[1:], strict=False):
            overlap = min(above.y1, below.y1) - max(above.y0, below.y0)
            assert overlap < 2, "labels of two rows overlap"


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
}
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def _lab(colour, vision):
    """Return CIE 1976 L*a*b* of a colour as somebody sees it."""
    srgb = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    x = XYZ @ np.clip(np.array(SEEN[vision]) @ linear, 0, 1) / np.array([0.95047, 1, 1.08883])
    f = np.where(x > 216 / 24389, np.cbrt(x), (24389 / 27 * x + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", SEEN)
def test_models_can_be_told_apart_with_every_common_colour_vision(vision):
    listed = THEME.display["methods"]
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
