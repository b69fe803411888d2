"""Spaces: what is searched when a method is tuned lies within what the method takes, its defaults among it."""

import pytest

from mosaicbench.catalog import catalog
from mosaicbench.catalog import search_spaces as spaces

TUNED = [name for name, card in catalog.cards("methods").items() if card["kind"] != "control"]
DEFAULTS = {"latent": 20, "rate": 0.1, "width": None, "solver": "fast"}


@pytest.mark.parametrize("method", TUNED)
def test_every_method_that_competes_has_a_space_of_its_own_hyperparameters(method):
    known = catalog.hyperparameters(method)
    space = catalog.card("methods", method)["space"]
    assert space
    assert spaces.fault(space, {name: one.default for name, one in known.items()}) == ""
    # The budget of the training is the same for all methods: it is no matter of tuning.
    assert not set(space) & {
        "max_epochs",
        "patience",
        "batch_size",
        "validation",
        "epochs",
        "iterations",
    }


def test_controls_are_not_tuned():
    assert not [
        name
        for name, card in catalog.cards("methods").items()
        if card["kind"] == "control" and "space" in card
    ]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"latnet": {"int": [8, 64]}}, "no hyperparameter 'latnet'; did you mean 'latent'"),
        ({"latent": {"int": [8, 64], "float": [1, 2]}}, "latent: expected"),
        ({"latent": {"ints": [8, 64]}}, "latent: expected"),
        ({"latent": [8, 64]}, "latent: expected"),
        ({"latent": {"int": [8, 64, 100]}}, "two ends"),
        ({"latent": {"int": [8.5, 64]}}, "two whole numbers"),
        ({"latent": {"int": [64, 8]}}, "the smaller first"),
        (
            {"latent": {"int": [30, 64]}},
            "the default, 20, is none of the values to search, 30 to 64",
        ),
        ({"latent": {"int": [0, 64], "log": True}}, "above 0"),
        ({"latent": {"int": [8, 64], "log": False}}, "log: expected True"),
        ({"rate": {"float": [0.2, 1.0]}}, "the default, 0.1"),
        ({"solver": {"choice": ["fast"]}}, "at least two values"),
        ({"solver": {"choice": ["slow", "slower"]}}, "the default, 'fast'"),
        ({"solver": {"choice": ["fast", "slow"], "log": True}}, "only a range"),
    ],
)
def test_a_mistake_in_a_space_is_named(space, message):
    assert message in spaces.fault(space, DEFAULTS)


def test_a_default_that_is_left_to_the_method_needs_not_lie_within():
    assert spaces.fault({"width": {"int": [10, 20]}}, DEFAULTS) == ""


def test_what_a_stanza_states_is_not_searched():
    space = {"latent": {"int": [8, 64]}, "beta": {"float": [0.1, 10.0], "log": True}}
    assert spaces.free(space, {"beta": 4, "hidden": 3}) == {"latent": {"int": [8, 64]}}


def test_a_space_in_words():
    assert spaces.in_words({"float": [0.0003, 0.003], "log": True}) == "0.0003 to 0.003, log"
    assert spaces.in_words({"int": [0, 16]}) == "0 to 16"
    assert spaces.in_words({"choice": ["fast", "slow"]}) == "fast, slow"
