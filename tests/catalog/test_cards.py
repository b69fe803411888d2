"""An author's mistakes in a card or a file: one message with file, key and nearest valid word, before anything runs."""

import ast
import os
from functools import cache

import forked
import pytest
from overlay import Overlay

from mosaicbench.catalog import card_defaults, cards, catalog
from mosaicbench.config import settings
from mosaicbench.errors import UserError

METHOD = '''"""A toy."""

from dataclasses import dataclass

CARD = {
    "label": "Toy",
    "kind": "baseline",
    "scenarios": ("paired",),
    "inputs": (),
    "outputs": ("single", "impute"),
    "tested_for": ("imputes",),
    "summary": "A toy.",
}


@dataclass(kw_only=True)
class Toy:
    """A toy."""

    size: int = 3

    def fit(self, train, seed):
        """Do nothing."""
        return []

    def embed(self, cells):
        """Do nothing."""

    def impute(self, cells, target):
        """Do nothing."""
'''
METRIC = '''"""A toy."""

CARD = {
    "label": "Toy",
    "group": "alignment",
    "best": 0.0,
    "better": "lower",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "A toy.",
    "doi": "",
}


def toy(latent_a, latent_b):
    """Return nothing."""
    return 0.0
'''
DATASET = '''"""A toy."""

CARD = {"label": "Toy", "summary": "A toy.", "labels": "none", "licence": "none", "citation": "none"}


def load(raw):
    """Return nothing."""
'''
FIGURE = '''"""A toy."""

CARD = {"label": "Toy", "caption": "A toy.", "needs": ["scores"], "per": "split"}


def toy(scores, theme):
    """Return nothing."""
'''
TEXTS = {"methods": METHOD, "metrics": METRIC, "datasets": DATASET, "figures": FIGURE}
# room, what an author wrote, what should stand there, the message after the file's name
MISTAKES = [
    ("methods", '    "inputs": (),\n', "", ": CARD lacks the key 'inputs': a tuple of words"),
    (
        "methods",
        '"scenarios": ',
        '"handels": ',
        ": CARD has an unknown key 'handels'; did you mean 'label'?",
    ),
    (
        "methods",
        '("paired",)',
        '("pairde",)',
        ": CARD, key 'scenarios': there is no word 'pairde'; did you mean 'paired'?",
    ),
    (
        "methods",
        '("paired",)',
        '("paired")',
        ": CARD, key 'scenarios': expected a tuple of words.*found 'paired'; one word.*comma",
    ),
    (
        "methods",
        '("paired",)',
        "()",
        ": CARD, key 'scenarios': at least one of paired, mosaic, unpaired",
    ),
    (
        "methods",
        '"inputs": ()',
        '"inputs": ("link",)',
        ": CARD, key 'inputs': there is no word 'link'; did you mean 'links'?",
    ),
    (
        "methods",
        '"inputs": ()',
        '"inputs": ("solution",)',
        ": CARD, key 'inputs': only a method of kind 'control' may see the solution",
    ),
    (
        "methods",
        '"impute")',
        '"imputes")',
        ": CARD, key 'outputs': there is no word 'imputes'; did you mean 'impute'?",
    ),
    (
        "methods",
        '"baseline"',
        '"base line"',
        ": CARD, key 'kind': there is no word 'base line'; did you mean 'baseline'?",
    ),
    (
        "methods",
        '("imputes",)',
        '("alings",)',
        ": CARD, key 'tested_for': there is no word 'alings'; did you mean 'aligns'?",
    ),
    (
        "methods",
        '("single", "impute")',
        '("single",)',
        ": CARD, key 'tested_for': 'imputes' needs 'impute' in 'outputs'",
    ),
    (
        "methods",
        '"summary": "A toy."',
        '"summary": 3',
        ": CARD, key 'summary': expected a text.*found 3",
    ),
    (
        "methods",
        '"label": "Toy"',
        '"label": str("Toy")',
        r": CARD is read without running.*line 6 has `str\('Toy'\)`",
    ),
    (
        "methods",
        '"summary": "A toy."',
        '"summary": "A toy.", "space": {"sizes": {"int": [1, 9]}}',
        ": CARD, key 'space': the method has no hyperparameter 'sizes'; did you mean 'size'?",
    ),
    (
        "methods",
        '"summary": "A toy."',
        '"summary": "A toy.", "space": {"size": {"int": [4, 9]}}',
        ": CARD, key 'space': size: the default, 3, is none of the values to search, 4 to 9",
    ),
    ("methods", "CARD = {", "card = {", ": no CARD and no CARDS; "),
    ("methods", "CARD = {", "CARD = [{", ", line 5: not readable as Python"),
    ("methods", "size: int = 3", "size: int", ": the default of Toy.size is missing"),
    (
        "methods",
        "size: int = 3",
        "size: int = len('ab')",
        ": the default of Toy.size is read without running",
    ),
    ("methods", "@dataclass(kw_only=True)\n", "", ": class Toy needs `@dataclass"),
    ("methods", "class Toy:", "class _Toy:", ": no public class"),
    (
        "methods",
        "def impute(",
        "def imput(",
        ": class Toy has no method `impute`: its card gives 'impute'",
    ),
    (
        "methods",
        '"imputes",',
        '"imputes", "generates"',
        ": class Toy has no method `generate`: its card claims 'generates'",
    ),
    (
        "metrics",
        '"alignment"',
        '"alinment"',
        ": CARD, key 'group': there is no word 'alinment'; did you mean 'alignment'?",
    ),
    ("metrics", '"lower"', '"less"', ": CARD, key 'better': there is no word 'less'; .*lower"),
    ("metrics", '"best": 0.0', '"best": "0"', ": CARD, key 'best': expected a number or None"),
    (
        "metrics",
        "[0.0, 1.0]",
        "[0.0]",
        ": CARD, key 'bounds': expected the lowest and the highest value",
    ),
    (
        "metrics",
        "latent_a,",
        "laten_a,",
        ": the parameter 'laten_a' of `toy` is nothing that the scorer knows; did you mean 'latent_a'",
    ),
    (
        "metrics",
        "latent_b)",
        "latent_b, k=5)",
        ": the parameter 'k' of `toy` is nothing that the scorer knows",
    ),
    ("metrics", "def toy(", "def toys(", ": no function `toy`; did you mean 'toys'?"),
    (
        "metrics",
        '"doi": "",',
        '"doi": "", "exempt_from": {"order": "why"},',
        ": CARD, key 'exempt_from': there is no word 'order'; did you mean",
    ),
    (
        "metrics",
        '"doi": "",',
        '"doi": "", "exempt_from": {"cell_order": ""},',
        ": CARD, key 'exempt_from': expected a dict of properties",
    ),
    (
        "datasets",
        '"licence": "none", ',
        '"licence": "none", "variants": {}, ',
        ": CARD has an unknown key 'variants'",
    ),
    ("datasets", '"licence": "none", ', "", ": CARD lacks the key 'licence'"),
    ("datasets", "def load(", "def lode(", ": no function `load`; did you mean 'lode'?"),
    (
        "figures",
        '"per": "split"',
        '"per": "splits"',
        ": CARD, key 'per': there is no word 'splits'; did you mean 'split'?",
    ),
    ("figures", "def toy(", "def toy_(", ": no function `toy`"),
]


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    return Overlay(tmp_path_factory.mktemp("copied"), ("src",))


parsed = cache(ast.parse)  # of the same text, once for all tests


@pytest.fixture
def shelves(copied, monkeypatch):
    """Return a function that writes a file into a copy of the package's shelves, which `catalog` reads from then on."""

    def forget():
        for thing in vars(catalog).values():
            if hasattr(thing, "cache_clear"):
                thing.cache_clear()

    monkeypatch.setattr(ast, "parse", parsed)
    monkeypatch.setattr(catalog, "PACKAGE", copied.root / "src/mosaicbench")
    forget()
    yield lambda room, text: copied.write(f"src/mosaicbench/{room}/toy.py", text)
    for toy in copied.root.glob("src/mosaicbench/*/toy.py"):
        toy.unlink()
    forget()


@pytest.mark.parametrize("room", TEXTS)
def test_what_is_right_is_accepted(room, shelves):
    shelves(room, TEXTS[room])
    settings.load({"datasets": {"simulated": {}}})
    assert catalog.card(room, "toy")["label"] == "Toy"


@pytest.mark.parametrize(("room", "right", "wrong", "message"), MISTAKES)
def test_a_mistake_is_one_message(room, right, wrong, message, shelves):
    text = TEXTS[room].replace(right, wrong, 1)
    assert text != TEXTS[room]
    shelves(room, text)
    with pytest.raises(UserError, match=f"^mosaicbench/{room}/toy.py{message}"):
        settings.load({"datasets": {"simulated": {}}})


TABLE = '''"""A toy."""

CARDS = {
    "top_1": {
        "label": "Top 1",
        "group": "alignment",
        "better": "lower",
        "bounds": [0.0, 1.0],
        "definition": "A toy.",
    },
    "top_own": {
        "label": "Top own",
        "group": "alignment",
        "better": "higher",
        "best": 1.0,
        "bounds": [0.0, 1.0],
        "definition": "A toy.",
    },
}


def top_1(latent_a, latent_b):
    """Return nothing."""
    return 0.0


def top_1_by_cell(latent_a):
    """Return nothing."""
    return latent_a[:, 0]


def top_own(latent_a, private_latent):
    """Return nothing."""
    return 0.0
'''


def test_a_file_may_hold_several_metrics(shelves):
    shelves("metrics", TABLE)
    settings.load({"datasets": {"simulated": {}}})
    listed = catalog.names("metrics")
    assert list(listed) == sorted(listed)
    assert {"top_1", "top_own"} < set(listed)
    assert "toy" not in listed
    absent = {name: catalog.card("metrics", "top_1")[name] for name in ("best", "chance", "doi")}
    assert absent == {"best": None, "chance": None, "doi": ""}
    assert catalog.card("metrics", "top_own")["best"] == 1.0
    assert catalog.module("metrics", "top_1") == "mosaicbench.metrics.toy"
    assert list(catalog.parameters("metrics", "top_own")) == ["latent_a", "private_latent"]
    assert list(catalog.parameters("metrics", "top_1", "by_cell")) == ["latent_a"]
    having = [catalog.stands_beside(name, "by_cell") for name in ("top_1", "top_own", "foscttm")]
    assert having == [True, False, True]


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ('"best": 1.0,', '"bets": 1.0,', ", top_own: CARD has an unknown key 'bets'; .*'best'"),
        ("def top_1(", "def top_2(", ": no function `top_1`; did you mean 'top_2'"),
        ('"top_1": {', '"foscttm": {', ": metrics has foscttm already, in another file"),
        ("CARDS = {", "CARDS = 3, {", ": CARDS has to be a dict"),
    ],
)
def test_a_mistake_in_a_table_of_cards_is_one_message(right, wrong, message, shelves):
    assert right in TABLE
    shelves("metrics", TABLE.replace(right, wrong, 1))
    with pytest.raises(UserError, match=f"^mosaicbench/metrics/toy.py{message}"):
        settings.load({"datasets": {"simulated": {}}})


FAMILY = (
    METHOD.replace("CARD = {", 'CARDS = {"toy_one": {').replace(
        """}


@data""",
        """}, "toy_two": {"like": "toy_one", "label": "Toy two", "inputs": ("labels",)}}


@data""",
    )
    + """

@dataclass(kw_only=True)
class Two(Toy):
    width: int = 4
"""
)


def test_a_file_of_several_methods_has_their_cards_in_the_order_of_its_classes(shelves):
    shelves("methods", FAMILY)
    settings.load({"datasets": {"simulated": {}}})
    one, two = (catalog.card("methods", name) for name in ("toy_one", "toy_two"))
    assert two == one | {"like": "toy_one", "label": "Toy two", "inputs": ("labels",)}
    assert "toy" not in catalog.names("methods")
    assert list(catalog.hyperparameters("toy_one")) == ["size"]
    assert list(catalog.hyperparameters("toy_two")) == ["size", "width"]


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ('"like": "toy_one"', '"like": "toy_on"', ": CARDS, toy_two, key 'like': .*'toy_one'"),
        ("class Two(Toy)", "class _Two(Toy)", ": 1 public classes for 2 CARDS"),
        ('("labels",)', '("label",)', ", toy_two: CARD, key 'inputs': .*'labels'"),
        ('"toy_two"', '"mvae"', ": methods has mvae already, in another file"),
    ],
)
def test_a_mistake_in_a_file_of_several_is_one_message(right, wrong, message, shelves):
    assert right in FAMILY
    shelves("methods", FAMILY.replace(right, wrong, 1))
    with pytest.raises(UserError, match=f"^mosaicbench/methods/(toy|mvae).py{message}"):
        settings.load({"datasets": {"simulated": {}}})


def test_a_card_that_says_little_has_what_follows_from_class_and_kind():
    bare = {"label": "x", "kind": "model", "scenarios": ("paired",), "inputs": ()}
    whole = card_defaults.whole(bare, {"fit", "embed", "impute", "draw", "generate"})
    assert whole["outputs"] == ("joint", "single", "impute", "draws")
    assert whole["tested_for"] == ("aligns", "imputes", "generates", "random")
    assert whole["summary"] == whole["doi"] == ""
    assert card_defaults.whole(bare | {"kind": "control"}, {"embed"})["tested_for"] == ()
    assert card_defaults.whole(bare | {"scenarios": ("unpaired",)}, {"embed"})["outputs"] == (
        "single",
    )
    assert card_defaults.whole(bare | {"tested_for": (), "outputs": ("joint",)}, {"embed"}) == {
        **whole,
        "tested_for": (),
        "outputs": ("joint",),
    }


def test_a_base_that_is_not_there_is_named(shelves):
    moved = METHOD.replace("class Toy:", "class Toy(Base):")
    shelves(
        "methods",
        moved.replace(
            "from dataclasses", "from mosaicbench.models.va import Base\nfrom dataclasses"
        ),
    )
    with pytest.raises(
        UserError, match=r"toy.py, line 3: there is no module mosaicbench.models.va"
    ):
        settings.load({"datasets": {"simulated": {}}})
    shelves(
        "methods",
        moved.replace(
            "from dataclasses", "from mosaicbench.models.vae import Base\nfrom dataclasses"
        ),
    )
    catalog._tree.cache_clear()
    with pytest.raises(UserError, match=r"models/vae.py: defines no class 'Base'"):
        settings.load({"datasets": {"simulated": {}}})


def test_every_word_says_what_it_means():
    for words in (
        cards.KIND,
        cards.SCENARIOS,
        cards.INPUTS,
        cards.OUTPUTS,
        cards.TESTED_FOR,
        cards.GROUPS,
        cards.BETTER,
        cards.PER,
        cards.PROPERTIES,
        cards.NEEDS,
    ):
        assert all(len(meaning.split()) > 2 for meaning in words.values())
    assert set(card_defaults.PARTS_OF) == set(cards.OUTPUTS)


def test_snakemake_ends_with_the_message_alone(tmp_path):
    copy = Overlay(tmp_path)
    copy.write("src/mosaicbench/methods/toy.py", METHOD.replace("paired", "pairde", 1))
    done = forked.snakemake(
        "--dry-run",
        "--cores",
        "1",
        folder=copy.root,
        environment=os.environ | {"PYTHONPATH": str(copy.root / "src")},
    )
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert (
        "methods/toy.py: CARD, key 'scenarios': there is no word 'pairde'; did you mean 'paired'?"
        in said
    )
    assert "Traceback" not in said
    assert "KeyError" not in said
