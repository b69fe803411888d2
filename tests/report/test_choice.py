"""A choice of datasets, metrics, runs and weights: the default is the overall score, and the page computes the same."""

import json

import numpy as np
import pytest
from browser import Browser, chromium
from choice_of_scores import Choice, fragility, standing
from numpy.testing import assert_allclose, assert_array_equal

from mosaicbench.report.page.choose import Board, boards
from mosaicbench.stats.common import GROUPS

EQUALLY = dict.fromkeys(GROUPS, 1.0)


@pytest.fixture(scope="module")
def scaled(results):
    """Return the metadata of the results, and their scaled scores by scenario."""
    metadata = results.theme.run_metadata
    return metadata, boards(results.tables["scores"], results.tables["runs"], metadata)


def usual(board, metadata):
    """Return the choice that the page begins with."""
    competing = [i for i, run in enumerate(board.runs) if metadata.competes(run)]
    everything = (list(range(len(names))) for names in (board.datasets, board.metrics))
    return Choice(*everything, competing, EQUALLY)


def test_the_default_is_the_overall_score(results, scaled):
    metadata, found = scaled
    assert set(found) == {"paired", "unpaired"}
    together = results.tables["overall"].query("dataset == '(all)'").groupby("scenario")
    for name, rows in together:
        board = found[name]
        choice = usual(board, metadata)
        rows = rows.set_index("run").loc[[board.runs[i] for i in choice.runs]]
        now, ranked = standing(board, choice), rows["rank"].notna()
        assert_array_equal(np.isnan(now.rank), ~ranked)
        for name in ("score", "low", "high", "rank"):
            expected = rows.loc[ranked, name].astype(float)
            assert_allclose(getattr(now, name)[ranked], expected, rtol=1e-9)


def board_of(*scores):
    """Return a board of one metric a question; `scores`: of each run, (datasets, questions, seeds)."""
    values = np.stack(scores, axis=2)
    metrics = [metrics[0] for metrics in GROUPS.values()]
    datasets = [f"d{i}" for i in range(len(values))]
    runs = [f"run{i}" for i in range(len(scores))]
    seeds = np.full((len(datasets), len(runs)), values.shape[3])
    return Board(datasets, metrics, runs, values, seeds)


def all_of(board):
    axes = (board.datasets, board.metrics, board.runs)
    return Choice(*(list(range(len(names))) for names in axes), EQUALLY)


def with_fewer_seeds():
    """Return a board: its second run has two of three seeds, and is ahead in one question alone."""
    scores = np.zeros((2, 3, 3))
    other = scores + np.array([0.3, -0.1, -0.1])[:, None]
    other[:, :, 2] = np.nan
    board = board_of(scores, other)
    board.seeds[:, 1] = 2
    return board


def random_choice(random, board):
    def some(names):
        taken = random.random(len(names)) < random.uniform(0.3, 1)
        return [int(i) for i in np.flatnonzero(taken)] or [0]

    weights = random.choice([0.0, 0.25, 1.0, 3.0], len(GROUPS)) * random.uniform(0.5, 1)
    weights = dict(zip(GROUPS, map(float, weights), strict=True))
    return Choice(some(board.datasets), some(board.metrics), some(board.runs), weights)


def as_on_page(board):
    """Return a board as the script reads it."""
    question = {}
    for name, metrics in GROUPS.items():
        question |= dict.fromkeys(metrics, name)
    return {
        "questions": list(GROUPS),
        "metrics": [{"question": question[metric]} for metric in board.metrics],
        "runs": [{"id": run} for run in board.runs],
        "seeds": board.seeds.tolist(),
        "values": np.where(np.isnan(board.values), None, board.values.astype(object)).tolist(),
    }


def plain(choice, board, of_page):
    """Return a choice as the page has it, with its own positions of runs."""
    names = [run["id"] for run in of_page["runs"]]
    return vars(choice) | {"runs": [names.index(board.runs[i]) for i in choice.runs]}


def assert_same(here, there, names, tolerance):
    """Assert that entries of a result are those of the page, where NaN and None are null."""
    for name in names:
        one, other = np.array(here[name], float), np.array(there[name], float)
        assert_allclose(one, other, rtol=0, atol=tolerance)


def assert_as_fragile(here, there):
    assert_same(vars(here), there, ("weights", "datasets", "seeds"), 1e-9)
    moved, *others = here.dethroned or [None]
    weight, *names = there["dethroned"] or [None]
    assert others == names and moved == pytest.approx(weight, abs=1e-9)


@pytest.mark.browser
@pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine (Debian's chromium)")
def test_the_page_computes_what_python_computes_from_the_scores(results, scaled):
    _, found = scaled
    random = np.random.default_rng(0)
    with Browser() as browser:
        browser.open(results.folder / "report.html", width=1400)

        def asked(function, board, choices):
            choices = json.dumps(choices)
            call = f"{choices}.map((one) => choice.{function}(JSON.parse({board}), one))"
            return json.loads(browser.run(f"JSON.stringify({call})"))

        for number, (scenario, board) in enumerate(found.items()):
            script = f"document.querySelectorAll('.board script')[{number}].textContent"
            of_page = json.loads(browser.run(script))
            assert of_page["scenario"] == scenario
            choices = [random_choice(random, board) for _ in range(150)]
            as_asked = [plain(choice, board, of_page) for choice in choices]
            standings = asked("standing", script, as_asked)
            for choice, there in zip(choices, standings, strict=True):
                here = standing(board, choice)
                values = ("score", "low", "high", "rank", "level")
                assert_same(vars(here), there, values, 1e-12)
                assert list(here.questions) == list(there["questions"])
                assert_same(here.questions, there["questions"], here.questions, 1e-12)
            fragilities = asked("fragility", script, as_asked[:25])
            for choice, there in zip(choices[:25], fragilities, strict=True):
                assert_as_fragile(fragility(board, choice), there)
        board = with_fewer_seeds()
        script, choice = json.dumps(json.dumps(as_on_page(board))), all_of(board)
        (there,) = asked("fragility", script, [plain(choice, board, as_on_page(board))])
        assert_as_fragile(fragility(board, choice), there)


@pytest.mark.browser
@pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine (Debian's chromium)")
def test_a_choice_is_in_the_address_of_the_page(results):
    board = "document.querySelector('.board')"
    first = f"{board}.querySelector('tbody tr').dataset.run"
    with Browser() as browser:
        browser.open(results.folder / "report.html", width=1400)
        leader = browser.run(first)
        chip = f"[...{board}.querySelectorAll('.chip')].find((one) => one.textContent === {leader.upper()!r})"
        browser.run(f"{chip}.click()")
        address = browser.run("location.hash")
        assert browser.run(first) != leader and leader not in address and "runs=" in address
        second, verdict = browser.run(first), f"{board}.querySelector('.verdict').textContent"
        assert browser.run(verdict).startswith(second.upper())
        browser.run("window.isOld = true; location.reload()")
        browser.wait(
            "window.isOld === undefined && document.querySelector('.board tbody tr') !== null"
        )
        assert browser.run(first) == second
        reset = f"[...{board}.querySelectorAll('.chip')].find((one) => one.textContent === 'Reset')"
        browser.run(f"{reset}.click()")
        assert browser.run(first) == leader and browser.run("location.hash") == ""
        moved = "(slider) => { slider.value = 3; slider.dispatchEvent(new Event('input')); }"
        browser.run(f"[{board}.querySelector('input[type=range]')].forEach({moved})")
        browser.wait("location.hash.endsWith('weights=3,1,1')")
