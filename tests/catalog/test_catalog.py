"""Every card is complete, every hyperparameter is known without importing, every public thing says what it is."""

import ast
import dataclasses
import importlib

import pytest
from conftest import REPOSITORY

from mosaicbench.catalog import catalog
from mosaicbench.contract import offers
from mosaicbench.errors import UserError

ENTRIES = [(room, name) for room in catalog.ROOMS for name in catalog.names(room)]


def test_every_file_of_the_shelves_is_as_the_workflow_expects():
    catalog.check()


@pytest.mark.parametrize(("room", "name"), ENTRIES)
def test_cards_are_short_texts(room, name):
    card = catalog.card(room, name)
    assert card["label"]
    assert len(card["label"]) < 60


@pytest.mark.parametrize("name", catalog.names("methods"))
def test_hyperparameters_read_from_source_are_those_of_the_class(name):
    method = catalog.method_class(name)
    read = {key: parameter.default for key, parameter in catalog.hyperparameters(name).items()}
    assert read == {field.name: field.default for field in dataclasses.fields(method)}


@pytest.mark.parametrize("name", catalog.names("methods"))
def test_method_offers_what_its_card_gives(name):
    method, card = (
        catalog.method_class(name),
        catalog.card("methods", name),
    )
    assert offers(method, "fit")
    assert offers(method, "embed") == bool({"joint", "single"} & set(card["outputs"]))
    assert offers(method, "embed_private") == ("private" in card["outputs"])
    assert offers(method, "impute") == ("impute" in card["outputs"])
    assert offers(method, "predict") == ("labels" in card["outputs"])
    assert offers(method, "reveal") == ("solution" in card["inputs"])


def test_an_unknown_name_is_told_the_nearest():
    with pytest.raises(UserError, match="methods has no 'mvea'; did you mean 'mvae'"):
        catalog.card("methods", "mvea")


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "src").rglob("*.py")), ids=lambda path: path.stem
)
def test_every_public_thing_is_documented(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "no docstring"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name


def test_every_metric_and_figure_has_a_function():
    for room in ("metrics", "figures"):
        for name in catalog.names(room):
            assert callable(catalog.function(room, name)), (room, name)


def test_cards_of_metrics_are_in_the_order_of_their_functions():
    files = {catalog.module("metrics", name) for name in catalog.names("metrics")}
    for module in map(importlib.import_module, files):
        if not hasattr(module, "CARDS"):
            continue
        names = [name for name in vars(module) if name in module.CARDS]
        assert names == list(module.CARDS), module.__name__
