"""The documentation site builds without a warning, fetches nothing, and shows what cards state."""

import html
import inspect
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
import yaml
from browser import Browser, chromium
from conftest import REPOSITORY

import mosaicbench
from mosaicbench.catalog import catalog
from mosaicbench.commands import arguments
from mosaicbench.config import registry
from mosaicbench.files import reference

sys.path.insert(0, str(REPOSITORY / "docs/site"))

import drawing  # noqa: E402
import scores  # noqa: E402

ALONE = ("mkdocs.yml", "CITATION.cff", "LICENSE")
NAVIGATION = "Install, Tutorial, Your data, Config, Run, Read the report, Use the winner, Methods, Metrics, Results, FAQ, Develop"

TRAINED = {
    name: card
    for name, card in catalog.cards("methods").items()
    if card["kind"] == "model" and "wraps" not in card
}


NOWHERE = "[x](nowhere_page.md) [x](methods.md#nowhere_anchor) [x](../src/nowhere_file.py)"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return the folder and the process of a build; in one page, three links lead nowhere."""
    root, ignored = tmp_path_factory.mktemp("repository"), shutil.ignore_patterns("__pycache__")
    for name in ("docs", "src", "config"):
        shutil.copytree(REPOSITORY / name, root / name, ignore=ignored)
    for path in [*REPOSITORY.glob("*.md"), *map(REPOSITORY.joinpath, ALONE)]:
        shutil.copy(path, root)
    with (root / "docs/faq.md").open("a") as page:
        page.write(f"\n{NOWHERE}\n")
    quiet = {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": "", "no_proxy": ""}
    environment = os.environ | quiet | {"http_proxy": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    return root, subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(built):
    return built[0] / "site"


def test_only_links_that_lead_nowhere_end_the_build_and_each_is_named(built):
    _, process = built
    warnings = re.findall(r"^WARNING.*", process.stderr, re.MULTILINE)
    assert process.returncode != 0
    assert len(warnings) == 3, process.stderr
    assert all(f"nowhere_{what}" in process.stderr for what in ("page", "anchor", "file"))


class Fetched(HTMLParser):
    """What a browser fetches while it shows a page."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "link" and attributes.get("rel") not in ("canonical", "next", "prev"):
            self.found.append(attributes.get("href") or "")
        elif tag != "a":
            self.found += [attributes[name] for name in ("src", "data") if attributes.get(name)]


def test_reading_the_site_fetches_nothing_from_elsewhere(site):
    elsewhere = re.compile(r"(?!data:)\w+:|//")
    for page in site.rglob("*.html"):
        reader = Fetched()
        reader.feed(page.read_text(encoding="utf-8"))
        assert reader.found
        assert not [link for link in reader.found if elsewhere.match(link)], page
    imported = re.compile(r"(?:@import|url\()[\"']?(?:https?:|//)[^)]*")
    for style in site.rglob("*.css"):
        assert not imported.findall(style.read_text(encoding="utf-8")), style


def test_every_method_but_controls_has_a_page_with_its_defaults(site):
    for name, card in catalog.cards("methods").items():
        page = site / f"methods/{name}.html"
        text = page.read_text(encoding="utf-8")
        assert card["label"].replace("&", "&amp;") in text
        for key in catalog.hyperparameters(name):
            assert f"<code>{key}</code>" in text, (name, key)
        assert (site / f"methods/{name}.svg").exists() == (name in TRAINED)


def test_the_navigation_has_twelve_entries_that_a_reader_would_search_for(site):
    text = (site / "index.html").read_text(encoding="utf-8")
    (menu,) = re.findall(r'<nav class="md-nav md-nav--primary".*?</nav>\s*</div>', text, re.DOTALL)
    levels = re.split(r"(<(?:ul|/ul))", menu)
    depth, titles = 0, []
    for part in levels:
        depth += {"<ul": 1, "</ul": -1}.get(part, 0)
        if depth == 1:
            titles += re.findall(r'<span class="md-ellipsis">\s*(.*?)\s*<', part, re.DOTALL)
    assert list(dict.fromkeys(titles)) == NAVIGATION.split(", ")  # that of the page itself is twice


@pytest.mark.browser
@pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine")
def test_search_works_from_disk(site):
    field = "document.querySelector('.md-search__input')"
    results = "[...document.querySelectorAll('.md-search-result__link')].map(link => link.href)"
    with Browser() as window:
        window.open(site / "methods/mmvae.html", width=1400)
        window.run(f"{field}.focus()")
        window.write("embeddings scanpy")
        window.run(f"{field}.dispatchEvent(new KeyboardEvent('keyup'))")
        window.wait("document.querySelector('.md-search-result__item')")
        assert any(link.startswith((site / "faq.html").as_uri()) for link in window.run(results))
        assert window.console == []
        assert all(link.startswith(("file:", "data:", "blob:")) for link in window.requests)


def test_every_command_and_function_is_described_with_its_arguments(built, site):
    text = (site / "command_line.html").read_text(encoding="utf-8")
    shown = html.unescape(re.sub(r"<[^>]+>", "", text))
    for name, (what, example, *given) in arguments.commands().items():
        assert f'id="{name}"' in text and f"mosaicbench {example}" in shown
        assert f"{what[0].upper()}{what[1:]}".replace("`", "") in shown, name
        for argument in given:
            assert isinstance(argument, str) or f"<code>{argument[0]}" in text, (name, argument)
    assert str(built[0]) not in text
    text = (site / "python.html").read_text(encoding="utf-8")
    assert {"integrate", "apply", "score"} <= set(dir(mosaicbench))
    for name in ("integrate", "apply", "score"):
        assert f'id="{name}"' in text
        for parameter in inspect.signature(getattr(mosaicbench, name)).parameters:
            assert re.search(rf"<code>[^<]*\b{parameter}\b", text), (name, parameter)


def test_a_methods_page_has_its_scores_and_a_picture_of_its_place(site):
    page = (site / "methods/mmvae.html").read_text(encoding="utf-8")
    table = scores.known()
    row = table[(table["run"] == "mmvae") & (table["cells"] == "teaseq_small, paired")]
    values = row.set_index("metric")["value"]
    stored = reference.read().scores
    stored = stored[(stored["dataset"] == "teaseq_small") & (stored["scenario"] == "paired")]
    means = stored[stored["run"] == "mmvae"].groupby("metric")["value"].mean()
    assert values.to_dict() == pytest.approx(means[values.index].to_dict())
    assert all(f"<td>{value:.3f}</td>" in page for value in values)
    picture = ET.fromstring((site / "methods/mmvae_scores.svg").read_text(encoding="utf-8"))
    circles = [node for node in picture.iter() if node.tag.endswith("circle")]
    assert sum(node.get("r") == "7" for node in circles) == len(scores.COLUMNS)
    names = {node[0].text.split(":")[0] for node in circles}
    assert {"mmvae", "cca"} < names and not names & set(scores.CONTROLS)
    drawn = {path.name.removesuffix("_scores.svg") for path in site.glob("methods/*_scores.svg")}
    assert drawn >= set(table["run"]) & set(catalog.names("methods"))


def test_files_and_data_that_pages_speak_of_are_on_the_site(site):
    layout = "src/mosaicbench/workflow/layout.py"
    assert (site / "repository" / layout).read_bytes() == (REPOSITORY / layout).read_bytes()
    published = yaml.safe_load((REPOSITORY / "config/published.yaml").read_text())
    claims = (site / "results/claims.html").read_text(encoding="utf-8")
    assert claims.count("<tr>") > len(published["numbers"])
    data = (site / "published_data.html").read_text(encoding="utf-8")
    assert all(f"<code>{name}</code>" in data for name in registry.load())
    tutorial = (site / "own_cells.html").read_text(encoding="utf-8")
    assert 'src="data:image/png;base64,' in tutorial and "<th>foscttm</th>" in tutorial


@pytest.mark.parametrize("name", TRAINED)
def test_a_trained_method_has_paths_and_advice(name):
    card = TRAINED[name]
    assert card["advice"].endswith((".", ")"))
    assert set(card["paths"]) & set(drawing.ROUTES), "nothing is decoded"
    picture = ET.fromstring(drawing.svg(card["label"], card["paths"]))
    texts = "".join(picture.itertext())
    assert all(drawing.WORDS[word] in texts for word in card["paths"])
    assert ("types" in card["paths"]) == ("labels" in card["inputs"])


def test_a_picture_has_a_line_for_every_path():
    def lines(*paths):
        return drawing.svg("X", paths).count('class="line" d="M')

    measured = 4  # from what was measured to encoders, from decoders to what is decoded
    assert lines("all -> each") == measured + 2 + 2
    assert lines("alone -> itself") == measured + 2 + 2
    assert lines("alone -> itself", "alone -> others") == measured + 2 + 4
    assert lines("subsets -> each") == measured + (2 + 2) + (2 + 4)
    assert lines("alone -> others", "private -> itself") == measured + 4 + 6
