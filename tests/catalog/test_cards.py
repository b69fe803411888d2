"""An author's mistakes in a card or a file: one message with file, key and nearest valid word."""

import os

import forked
import pytest
from overlay import Overlay

from mosaicbench.catalog import card_defaults, catalog
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

    def embed(self, cells):
        """Do nothing."""

    def impute(self, cells, target):
        """Do nothing."""
'''
METRIC = '''
CARD = {
    "label": "Toy",
    "group": "alignment",
    "best": 0.0,
    "better": "lower",
    "bounds": [0.0, 1.0],
    "definition": "A toy.",
}


def toy(latent_a, latent_b):
    """Return nothing."""
'''
DATASET = '''
CARD = {"label": "Toy", "summary": "A toy.", "labels": "none", "licence": "none", "citation": "none"}


def load(raw):
    """Return nothing."""
'''
FIGURE = '''
CARD = {"label": "Toy", "caption": "A toy.", "needs": ["scores"], "per": "split"}


def toy(scores, theme):
    """Return nothing."""
'''
TEXTS = {"methods": METHOD, "metrics": METRIC, "datasets": DATASET, "figures": FIGURE}
# room, right text, an author's wrong one, the message after the file's name
MISTAKES = [
    ("methods", '    "inputs": (),\n', "", "lacks the key 'inputs': a tuple of words: pairs"),
    ("methods", '"summary"', '"sumary"', "unknown key 'sumary'; did you mean 'summary'"),
    ("methods", '("paired",)', '("pairde",)', "'scenarios': .*'pairde'; did you mean 'paired'"),
    ("methods", '("paired",)', '("paired")', "'scenarios': expected a tuple .*needs a comma"),
    ("methods", '("paired",)', "()", "'scenarios': the tuple is empty"),
    ("methods", '"inputs": ()', '"inputs": ("solution",)', "'inputs': only a .*'control'"),
    ("methods", '"impute")', ")", "'tested_for': 'imputes' needs 'impute' in 'outputs'"),
    ("methods", '"label": "Toy"', '"label": str(1)', ".*line 6"),
    ("methods", '"summary"', '"space": ("sizes",), "summary"', "'space': .*did you mean 'size'"),
    ("methods", '"summary"', '"space": ("size",), "summary"', "'space': size: .*annotation"),
    ("methods", "CARD = {", "card = {", "no CARD and no CARDS"),
    ("methods", "size: int = 3", "size: int", "the default of Toy.size is missing"),
    ("methods", "class Toy:", "class _Toy:", "0 public classes for 1 cards"),
    ("methods", "def impute(", "def imput(", "the class lacks `impute`: output 'impute'"),
    ("methods", '"imputes",', '"imputes", "generates"', "the class lacks `generate`"),
    ("metrics", '"best": 0.0', '"best": "0"', "'best': expected a number or None"),
    ("metrics", "latent_a,", "laten_a,", "unknown parameter 'laten_a'; did you mean 'latent_a'"),
    ("metrics", '"best"', '"exempt_from": {"order": "why"}, "best"', "'exempt_from': .*'order'"),
    ("datasets", "def load(", "def lode(", "no function `load`; did you mean 'lode'"),
    ("figures", '"per": "split"', '"per": "splits"', "'per': .*did you mean 'split'"),
]


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return a function that writes a file of an otherwise empty package, which `catalog` reads."""
    package = tmp_path / "mosaicbench"
    monkeypatch.setattr(catalog, "PACKAGE", package)
    caches = [thing for thing in vars(catalog).values() if hasattr(thing, "cache_clear")]
    for cached in caches:
        cached.cache_clear()

    def write(file, text):
        (package / file).parent.mkdir(parents=True, exist_ok=True)
        (package / file).write_text(text)

    yield write
    for cached in caches:
        cached.cache_clear()


@pytest.mark.parametrize("room", TEXTS)
def test_a_right_card_is_accepted(room, write):
    write(f"{room}/toy.py", TEXTS[room])
    assert catalog.cards(room)["toy"]["label"] == "Toy"
    assert catalog.module(room, "toy") == f"mosaicbench.{room}.toy"


@pytest.mark.parametrize(("room", "right", "wrong", "message"), MISTAKES)
def test_a_mistake_is_one_message(room, right, wrong, message, write):
    text = TEXTS[room].replace(right, wrong, 1)
    assert text != TEXTS[room]
    write(f"{room}/toy.py", text)
    with pytest.raises(UserError, match=f"^mosaicbench/{room}/toy.py.*{message}"):
        catalog.cards(room)


TABLE = '''
CARDS = {
    "top_2": {
        "label": "Top 2",
        "group": "alignment",
        "better": "lower",
        "bounds": [0.0, 1.0],
        "definition": "A toy.",
    },
    "top_1": {"like": "top_2", "label": "Top 1", "best": 1.0},
}


def top_2(latent_a, latent_b):
    """Return nothing."""


def top_2_by_cell(latent_a):
    """Return nothing."""


def top_1(latent_a, private_latent):
    """Return nothing."""
'''


def test_a_file_may_hold_several_metrics(write):
    write("metrics/toy.py", TABLE)
    assert catalog.names("metrics") == ("top_1", "top_2")
    assert {"best": None, "doi": ""}.items() <= catalog.card("metrics", "top_2").items()
    assert catalog.card("metrics", "top_1")["best"] == 1.0
    assert list(catalog.parameters("metrics", "top_1")) == ["latent_a", "private_latent"]
    assert list(catalog.parameters("metrics", "top_2", "by_cell")) == ["latent_a"]
    assert [catalog.stands_beside(name, "by_cell") for name in ("top_1", "top_2")] == [False, True]


FAMILY = (
    METHOD.replace("CARD = {", 'CARDS = {"toy_one": {').replace(
        "}\n\n\n@data", '}, "toy_two": {"like": "toy_one", "inputs": ("labels",)}}\n\n\n@data'
    )
    + "\n\n@dataclass(kw_only=True)\nclass Two(Toy):\n    width: int = 4\n"
)


def test_a_file_of_several_methods_has_their_cards_in_the_order_of_its_classes(write):
    write("methods/toy.py", FAMILY)
    one, two = (catalog.card("methods", name) for name in ("toy_one", "toy_two"))
    assert two == one | {"like": "toy_one", "inputs": ("labels",)}
    assert catalog.names("methods") == ("toy_one", "toy_two")
    assert list(catalog.hyperparameters("toy_one")) == ["size"]
    assert list(catalog.hyperparameters("toy_two")) == ["size", "width"]


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ('"like": "toy_one"', '"like": "toy_on"', "CARDS, toy_two, key 'like': .*'toy_one'"),
        ("class Two(Toy)", "class _Two(Toy)", "1 public classes for 2 cards"),
        ('("labels",)', '("label",)', ", toy_two: CARD, key 'inputs': .*'labels'"),
        ('"toy_two"', '"other"', "another file has the id other"),
    ],
)
def test_a_mistake_in_a_file_of_several_is_one_message(right, wrong, message, write):
    write("methods/other.py", METHOD)
    write("methods/toy.py", FAMILY.replace(right, wrong, 1))
    with pytest.raises(UserError, match=f"^mosaicbench/methods/toy.py.*{message}"):
        catalog.cards("methods")


def test_a_card_gets_default_outputs_and_tests_by_class_and_kind():
    bare = {"label": "x", "kind": "model", "scenarios": ("paired",), "inputs": ()}
    whole = card_defaults.whole(bare, {"fit", "embed", "impute", "draw", "generate"})
    assert whole["outputs"] == ("joint", "single", "impute", "draws")
    assert whole["tested_for"] == ("aligns", "imputes", "generates", "random")
    assert whole["summary"] == whole["doi"] == ""
    assert card_defaults.whole(bare | {"kind": "control"}, {"embed"})["tested_for"] == ()
    unpaired = card_defaults.whole(bare | {"scenarios": ("unpaired",)}, {"embed"})
    assert unpaired["outputs"] == ("single",)
    stated = {"tested_for": (), "outputs": ("joint",)}
    assert card_defaults.whole(bare | stated, {"embed"}) == whole | stated


def test_snakemake_ends_with_the_message_alone(tmp_path):
    copy = Overlay(tmp_path)
    copy.write("src/mosaicbench/methods/toy.py", METHOD.replace("paired", "pairde", 1))
    done = forked.snakemake(
        *("--dry-run", "--cores", "1"),
        folder=copy.root,
        environment=os.environ | {"PYTHONPATH": str(copy.root / "src")},
    )
    printed = done.stdout + done.stderr
    assert done.returncode != 0
    assert "methods/toy.py: CARD, key 'scenarios': " in printed
    assert "Traceback" not in printed
