"""Every card and file of a method, metric, dataset or figure is right."""

import dataclasses

import pytest

from mosaicbench.catalog import catalog
from mosaicbench.catalog.card_defaults import PARTS_OF
from mosaicbench.contract import offers
from mosaicbench.errors import UserError

ENTRIES = [(room, name) for room in catalog.ROOMS for name in catalog.names(room)]


@pytest.mark.parametrize(("room", "name"), ENTRIES)
def test_every_card_is_right(room, name):
    card = catalog.card(room, name)  # checks the whole file
    assert 0 < len(card["label"]) < 60


@pytest.mark.parametrize("name", catalog.names("methods"))
def test_hyperparameters_read_from_source_are_those_of_the_class(name):
    method = catalog.method_class(name)
    read = {key: parameter.default for key, parameter in catalog.hyperparameters(name).items()}
    assert read == {field.name: field.default for field in dataclasses.fields(method)}


@pytest.mark.parametrize("name", catalog.names("methods"))
def test_method_offers_the_outputs_of_its_card(name):
    method, card = catalog.method_class(name), catalog.card("methods", name)
    parts = {PARTS_OF[word] for word in card["outputs"]} - {"draw"} | {"fit"}
    parts |= {"reveal"} if "solution" in card["inputs"] else set()
    possible = {*PARTS_OF.values(), "fit", "reveal"} - {"draw"}
    assert {part for part in possible if offers(method, part)} == parts


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(UserError, match="methods has no 'mvea'; did you mean 'mvae'"):
        catalog.card("methods", "mvea")
