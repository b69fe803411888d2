"""The documentation site builds without a warning, fetches nothing, and shows what cards state."""

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
import yaml
from conftest import REPOSITORY

from mosaicbench.catalog import catalog

sys.path.insert(0, str(REPOSITORY / "docs/site"))

import drawing  # noqa: E402

TRAINED = {
    name: card
    for name, card in catalog.cards("methods").items()
    if card["kind"] == "model" and "wraps" not in card
}


def build(root, site):
    """Return the finished process of a build."""
    quiet = {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": "", "no_proxy": ""}
    environment = os.environ | quiet | {"http_proxy": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    built = build(REPOSITORY, folder)
    assert built.returncode == 0, built.stderr
    return folder


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


def test_files_that_pages_speak_of_are_on_the_site(site):
    layout = "src/mosaicbench/workflow/layout.py"
    assert (site / "repository" / layout).read_bytes() == (REPOSITORY / layout).read_bytes()
    assert "make benchmark" in (site / "index.html").read_text(encoding="utf-8")
    published = yaml.safe_load((REPOSITORY / "config/published.yaml").read_text())
    claims = (site / "results/claims.html").read_text(encoding="utf-8")
    assert claims.count("<tr>") > len(published["numbers"])
    known = yaml.safe_load((REPOSITORY / "config/datasets.yaml").read_text())
    data = (site / "published_data.html").read_text(encoding="utf-8")
    assert all(f"<code>{name}</code>" in data for name in known)


def test_links_that_lead_nowhere_end_the_build_and_each_is_named(tmp_path):
    ignored = shutil.ignore_patterns("__pycache__", "*.npz")
    for name in ("docs", "src", "config"):
        shutil.copytree(REPOSITORY / name, tmp_path / name, ignore=ignored)
    for path in [*REPOSITORY.glob("*.md"), REPOSITORY / "mkdocs.yml"]:
        shutil.copy(path, tmp_path)
    for name in ("CITATION.cff", "LICENSE"):
        shutil.copy(REPOSITORY / name, tmp_path)
    links = "[x](nowhere_page.md) [x](methods.md#nowhere_anchor) [x](../src/nowhere_file.py)"
    with (tmp_path / "docs/faq.md").open("a") as page:
        page.write(f"\n{links}\n")
    built = build(tmp_path, tmp_path / "site")
    assert built.returncode != 0
    assert all(f"nowhere_{what}" in built.stderr for what in ("page", "anchor", "file"))


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
