"""Every card is complete, every hyperparameter is known without importing, every public thing says what it is."""

import ast
import dataclasses
import importlib
import inspect

import pytest
from conftest import REPOSITORY

from mosaicbench import catalog
from mosaicbench.commands.fit import method_class
from mosaicbench.view import offers

KEYS = {
    "methods": {"label", "kind", "paper", "doi", "handles", "uses", "gives", "summary", "deviates"},
    "metrics": {"label", "group", "best", "better", "chance", "bounds", "definition", "doi"},
    "datasets": {"label", "summary", "labels", "licence", "citation"},
    "figures": {"label", "caption", "needs", "per"},
}
ENTRIES = [(room, name) for room in catalog.ROOMS for name in catalog.names(room)]
WORDS = {
    "kind": {"model", "baseline", "control"},
    "handles": {"paired", "unpaired", "mosaic"},
    "uses": {"pairs", "links", "counts", "labels", "solution"},
    "gives": {"joint", "single", "private", "impute", "labels"},
}


@pytest.mark.parametrize(("room", "name"), ENTRIES)
def test_card_is_complete(room, name):
    card = catalog.card(room, name)
    assert set(card) >= KEYS[room]
    assert card["label"]


@pytest.mark.parametrize("name", catalog.names("methods"))
def test_method_cards_use_the_vocabulary(name):
    card = catalog.card("methods", name)
    for key, words in WORDS.items():
        given = {card[key]} if isinstance(card[key], str) else set(card[key])
        assert given <= words, (key, given - words)


@pytest.mark.parametrize("name", catalog.names("methods"))
def test_hyperparameters_read_from_source_are_those_of_the_class(name):
    method = method_class(importlib.import_module(catalog.module("methods", name)))
    read = {key: parameter.default for key, parameter in catalog.hyperparameters(name).items()}
    assert read == {field.name: field.default for field in dataclasses.fields(method)}


@pytest.mark.parametrize("name", catalog.names("methods"))
def test_method_offers_what_its_card_gives(name):
    method, card = method_class(importlib.import_module(catalog.module("methods", name))), catalog.card("methods", name)
    assert offers(method, "fit")
    assert offers(method, "embed") == bool({"joint", "single"} & set(card["gives"]))
    assert offers(method, "embed_private") == ("private" in card["gives"])
    assert offers(method, "impute") == ("impute" in card["gives"])
    assert offers(method, "predict") == ("labels" in card["gives"])
    assert offers(method, "reveal") == ("solution" in card["uses"])


def test_the_contract_knows_its_parts():
    """A part that the contract does not have is a mistake of who asks, never a method that lacks it."""
    with pytest.raises(ValueError, match=r"has no part 'generates'; it has .*generate"):
        offers(object(), "generates")


def test_only_controls_see_the_solution():
    for name, card in catalog.cards("methods").items():
        assert "solution" not in card["uses"] or card["kind"] == "control", name


def test_unknown_name_lists_what_there_is():
    with pytest.raises(KeyError, match="methods has no 'mvea'; there are .*mvae"):
        catalog.card("methods", "mvea")


@pytest.mark.parametrize("path", sorted((REPOSITORY / "src").rglob("*.py")), ids=lambda path: path.stem)
def test_every_public_thing_is_documented(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "no docstring"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name


def test_an_ids_file_defines_what_the_id_names():
    for room in ("metrics", "figures"):
        for name in catalog.names(room):
            module = importlib.import_module(catalog.module(room, name))
            assert inspect.isfunction(getattr(module, name)), (room, name)
