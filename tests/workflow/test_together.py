"""Which runs one job fits and scores, and which figures it draws."""

import pytest

from mosaicbench.catalog import catalog
from mosaicbench.workflow.together import (
    MOST_FIGURES,
    MOST_RUNS,
    MOST_RUNS_OF_FEW_JOBS,
    drawn,
    fitted,
    scored,
    scored_by_scenario,
)


def splits_of(runs, *splits):
    return [(dataset, scenario, run) for dataset, scenario in splits for run in runs]


A, B, UNPAIRED = ("a", "paired"), ("b", "paired"), ("a", "unpaired")


def test_runs_of_the_same_splits_are_scored_together_and_controls_apart():
    exist = [
        *splits_of(["vae", "cca", "zero"], A, B),
        *splits_of(["links", "zero"], UNPAIRED),
        *splits_of(["vae"], UNPAIRED),
    ]
    both = ["paired", "unpaired"]
    expected = {
        "_controls": (["zero"], both),
        "_1": (["vae"], both),
        "_2": (["cca"], both),
        "_3": (["links"], both),
    }
    assert scored(["zero"], exist) == expected
    assert scored([], splits_of(["cca", "vae"], A)) == {"_1": (["cca", "vae"], ["paired"])}
    assert scored([], []) == {}


def test_with_few_jobs_controls_are_scored_with_the_other_runs_of_their_scenario():
    exist = [
        *splits_of(["vae", "zero"], A),
        *splits_of(["vae", "cca", "zero"], B),
        *splits_of(["links", "zero"], UNPAIRED),
    ]
    expected = {
        "_1": (["vae", "zero"], ["paired"]),
        "_2": (["cca"], ["paired"]),
        "_3": (["links", "zero"], ["unpaired"]),
    }
    assert scored_by_scenario(exist) == expected
    many = [f"run-{number}" for number in range(MOST_RUNS_OF_FEW_JOBS + 1)]
    assert [
        run for part in scored_by_scenario(splits_of(many, A)).values() for run in part.runs
    ] == many
    assert (
        max(len(part.runs) for part in scored_by_scenario(splits_of(many, A)).values())
        <= MOST_RUNS_OF_FEW_JOBS
    )
    assert scored_by_scenario([]) == {}


def test_baselines_of_the_same_splits_are_fitted_together_and_one_alone_by_itself():
    exist = [
        *splits_of(["vae", "cca", "ridge", "zero"], A, B),
        *splits_of(["links", "more_links", "zero", "alone"], UNPAIRED),
    ]
    baselines = ["cca", "ridge", "links", "more_links", "alone_too"]
    expected = {
        "_controls": ["zero"],
        "_baselines_1": ["cca", "ridge"],
        "_baselines_2": ["links", "more_links"],
    }
    assert fitted(["zero"], baselines, [], exist) == expected
    assert fitted(["zero"], ["cca", "links"], [], exist) == {"_controls": ["zero"]}
    assert fitted([], [], [], exist) == {}


def test_models_of_the_same_splits_are_fitted_by_twos():
    exist = [*splits_of(["a", "b", "c", "d", "e"], A, B), *splits_of(["links"], UNPAIRED)]
    parts = fitted([], [], ["a", "b", "c", "d", "e", "links"], exist)
    assert parts == {
        "_models_1": ["a", "b"],
        "_models_2": ["c", "d"],
        "_models_3": ["e"],
        "_models_4": ["links"],
    }


@pytest.mark.parametrize("count", [1, MOST_RUNS, MOST_RUNS + 1, 3 * MOST_RUNS + 1])
def test_many_runs_are_shared_out_evenly_each_once(count):
    runs = [f"run-{number}" for number in range(count)]
    parts = [part.runs for part in scored([], splits_of(runs, A)).values()]
    assert [run for part in parts for run in part] == runs
    sizes = [len(part) for part in parts]
    assert max(sizes) <= MOST_RUNS
    assert len(parts) == -(-count // MOST_RUNS)
    assert max(sizes) - min(sizes) <= len(parts)


def test_every_figure_is_drawn_once_and_those_of_cells_apart():
    parts = drawn(catalog.names("figures"))
    assert sorted(figure for part in parts for figure in part) == sorted(catalog.names("figures"))
    assert max(map(len, parts)) <= MOST_FIGURES
    assert drawn(["umap", "resources", "marker_dots", "mean_ranks"]) == [
        ["resources", "mean_ranks"],
        ["umap", "marker_dots"],
    ]
