"""Search spaces: a method has the hyperparameters, and the defaults are in the space."""

import re

import pytest

from mosaicbench.catalog import catalog
from mosaicbench.catalog import search_spaces as spaces

TUNED = [name for name, card in catalog.cards("methods").items() if "space" in card]
BUDGET = {"max_epochs", "patience", "batch_size", "validation", "epochs", "iterations"}
DEFAULTS = {"latent": 20, "rate": 0.1, "width": None, "solver": "fast"}


@pytest.mark.parametrize("method", TUNED)
def test_the_budget_of_the_training_is_not_tuned(method):
    card = catalog.card("methods", method)
    assert card["kind"] != "control" and card["space"]
    assert not set(card["space"]) & BUDGET


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"latnet": {"int": [8, 64]}}, "'latnet'; did you mean 'latent'"),
        ({"latent": {"int": [8, 64], "float": [1, 2]}}, "latent: expected"),
        ({"latent": {"int": [64, 8]}}, "latent: the default, 20"),
        ({"latent": {"int": [30, 64], "log": True}}, "latent: .*30 to 64, log"),
        (
            {"solver": {"choice": ["slow", "slower"]}},
            "solver: the default, 'fast', .*: slow, slower",
        ),
    ],
)
def test_a_mistake_in_a_space_is_named(space, message):
    assert re.search(message, spaces.fault(space, DEFAULTS))


def test_a_default_of_none_may_be_outside_the_space():
    assert spaces.fault({"width": {"int": [10, 20]}}, DEFAULTS) == ""


def test_hyperparameters_that_a_config_states_are_not_searched():
    space = {"latent": {"int": [8, 64]}, "beta": {"float": [0.1, 10.0], "log": True}}
    assert spaces.free(space, {"beta": 4, "hidden": 3}) == {"latent": {"int": [8, 64]}}
