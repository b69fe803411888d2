"""Provenance: each page states which code made its numbers; only equal scores keep a page current when code changes."""

import hashlib
import json
import re
import sys

import pytest
from conftest import REPOSITORY

from mosaicbench.errors import UserError
from mosaicbench.workflow import code_hash

sys.path.insert(0, str(REPOSITORY / "docs/site"))

import provenance  # noqa: E402

OUTSIDE = {"../originals.md"}  # pages with measured numbers outside of docs/results
SCORES = "dataset\tscenario\trun\tseed\tmetric\tdirection\tnormalization\tvalue\tstatus\n{}".format
LINES = [
    "a\tpaired\tcca\t0\tfoscttm\t\t\t0.1\tok\n",
    "a\tpaired\tcca\t1\tfoscttm\t\t\t0.30000000000000004\tok\n",
]


def test_every_page_of_results_has_a_fresh_mark():
    present = provenance.keys()
    rows = {row["page"]: row for row in provenance.read(provenance.MARKS)}
    pages = {page.name for page in (REPOSITORY / "docs/results").glob("*.md")} | OUTSIDE
    assert set(rows) == pages, "python docs/site/provenance.py mark PAGE --commit COMMIT"
    for page, row in rows.items():
        text = (provenance.MARKS.parent / page).read_text()
        assert row["date"] or "<!-- measured -->" not in text, page
        assert not row["config"] or (REPOSITORY / row["config"]).is_file(), page
        found = re.findall(f"{provenance.BEGIN}\n(.*)\n{provenance.END}", text)
        assert found == [provenance.sentence(row, present)], f"{page}: run: make provenance"


@pytest.mark.parametrize(
    "page", sorted((REPOSITORY / "docs/results").glob("*.md")), ids=lambda p: p.stem
)
def test_a_study_has_question_command_figure_finding_and_limits(page):
    if page.stem == "claims":  # sums up the others
        return
    text = page.read_text(encoding="utf-8")
    places = [text.find(part) for part in ("# ", "```sh\n", "\n## Finding\n", "\n## Limits\n")]
    assert places == sorted(places) and places[0] == 0
    assert text.partition("\n")[0].endswith("?") and "![" in text
    made_by = (f"config/studies/{page.stem}.yaml", "make reference", "benchmarks/")
    assert any(one in text[places[1] : places[2]] for one in made_by)


def test_a_mark_follows_the_keys():
    row = dict.fromkeys(provenance.COLUMNS, "")
    row |= {"page": "x.md", "config": "c", "date": "2026-01-02", "commit": "012", "code_key": "aaa"}
    restamped, unknown = row | {"restamped_keys": "bbb"}, row | {"code_key": ""}
    for one, current in ((row, "aaa"), (restamped, "bbb"), (unknown, None)):
        for present in ("aaa", "bbb"):
            sentence = provenance.sentence(one, {"c": present})
            assert (provenance.OLDER in sentence) == (present != current)
    once = provenance.marked("# X\n\nText.\n", "mark")
    assert once == f"# X\n\n{provenance.BEGIN}\nmark\n{provenance.END}\n\nText.\n"
    assert provenance.marked(once, "mark") == once


def test_comments_formatting_and_prose_are_not_code(tmp_path):
    def key(code):
        path = tmp_path / hashlib.sha256(code.encode()).hexdigest()
        path.write_text(code)
        return provenance.plain(path)

    code = 'CARDS = {"x": {"label": "A", "outputs": ("joint",), "definition": "of a"}}\n'
    code += "\n\ndef f(x):\n    return x + 1\n"
    same = '"""New."""\nCARDS = {\n    "x": {"label": "B", "outputs": ("joint",), "definition": "b"}}\n'
    same += 'def f(x):\n    "What."\n    return (x  # why\n            + 1)\n'
    assert key(code) == key(same)
    changes = {"+ 1": "+ 1.0", '"joint",': '"single",', "(x)": "(x, y=None)", '"x": {': '"y": {'}
    for old, new in changes.items():
        assert key(code) != key(code.replace(old, new)), old
    assert key('d = {"label": 1}') != key('d = {"label": 2}')
    values = ("None", "0", "[]", "''", "False", "b''")
    assert len({key(f"x = {value}") for value in values}) == len(values)


def test_a_key_depends_on_settings_and_on_all_code_that_makes_scores(tmp_path, monkeypatch):
    config = tmp_path / "config.yaml"
    text = "datasets: {simulated: }\nscenarios: {paired: {kind: paired}}\n"
    text += "runs: {cca: , mvae: }\nseeds: [0]\nmetrics: {groups: [alignment]}\n"

    def key(text):
        config.write_text(text)
        return provenance.code_key(config)

    before = key(text)
    assert key("# a comment\n" + text) == before == key(text + "report: {umap_runs: [cca]}\n")
    changes = {"[0]": "[1]", "cca: ": "cca: {latent: 3}", "simulated: ": "simulated: {cells: 99}"}
    for old, new in changes.items():
        assert key(text.replace(old, new)) != before, new
    plain = provenance.plain
    counted = {"methods/linear.py", "metrics/alignment.py", "metrics/_nearest.py"}
    counted |= {"models/training.py", "data/normalize.py", "datasets/simulated.py"}
    for edited in [*counted, "methods/mopoe.py", "metrics/biology.py", "report/theme.py"]:
        path = code_hash.ROOT / "mosaicbench" / edited
        assert path.is_file()
        monkeypatch.setattr(
            provenance, "plain", lambda file, path=path: plain(file) + "x" * (file == path)
        )
        assert (key(text) != before) == (edited in counted), edited


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Return a folder with results before and after a change, with equal scores, and four pages."""
    config = {"datasets": {"simulated": None}, "scenarios": {"paired": {"kind": "paired"}}}
    for name, lines in {"old": LINES, "new": LINES[::-1]}.items():
        (tmp_path / name / "tables").mkdir(parents=True)
        seconds = f"a\tpaired\tcca\t0\tfit_seconds\t\t\t{len(lines)}.5{name}\tok\n"
        (tmp_path / name / "tables/scores.tsv").write_text(SCORES("".join(lines) + seconds))
        (tmp_path / name / "config.json").write_text(json.dumps(config | {"runs": {"cca": None}}))
    present = {"config/config.yaml": "c2", "config/studies/multivae.yaml": "m2", "all": "all2"}
    monkeypatch.setattr(provenance, "keys", lambda: present)
    monkeypatch.setattr(provenance, "MARKS", tmp_path / "provenance.tsv")
    monkeypatch.setattr(
        provenance, "methods_of", lambda config: ["mvae" if "multivae" in str(config) else "cca"]
    )
    rows = []
    for page, config, key, is_current in (
        ("current.md", "config/config.yaml", "c1", True),
        ("older.md", "config/config.yaml", "c0", False),
        ("not_compared.md", "config/studies/multivae.yaml", "m1", True),
        ("unchanged.md", "config/config.yaml", "c2", True),
    ):
        row = {"page": page, "config": config, "date": "2026-01-02", "code_key": key}
        rows.append(dict.fromkeys(provenance.COLUMNS, "") | row)
        before = {config: key if is_current else "other"}
        text = provenance.marked("# A\n\nText.\n", provenance.sentence(rows[-1], before))
        (tmp_path / page).write_text(text)
    provenance.write(provenance.MARKS, rows)
    return tmp_path


def test_equal_scores_keep_current_pages_current_if_their_methods_took_part(study, capsys):
    provenance.restamp(study / "old", study / "new")
    restamped = {row["page"]: row["restamped_keys"] for row in provenance.read(provenance.MARKS)}
    assert restamped == {
        "current.md": "c2",
        "older.md": "",
        "not_compared.md": "",
        "unchanged.md": "",
    }
    assert "not_compared.md: not compared: mvae" in capsys.readouterr().out
    older = {page.name for page in study.glob("*.md") if provenance.OLDER in page.read_text()}
    assert older == {"older.md", "not_compared.md"}


@pytest.mark.parametrize("value", ["0.30000000000000001", "NA"])
def test_scores_that_differ_in_the_last_digit_are_not_equal(study, value):
    scores = study / "new/tables/scores.tsv"
    scores.write_text(scores.read_text().replace("0.30000000000000004", value))
    before = provenance.MARKS.read_text()
    with pytest.raises(UserError, match="first a paired cca 1 foscttm"):
        provenance.restamp(study / "old", study / "new")
    assert provenance.MARKS.read_text() == before


def test_results_have_the_present_key_unless_their_code_has_changed(study):
    (study / "new/code").mkdir()
    stamp, file = study / "new/code/fit-123.txt", "mosaicbench/methods/linear.py"
    stamp.write_text(f"{code_hash.digest(code_hash.ROOT / file)}  {file}\n")
    assert provenance.key_of_results(study / "new") != ""
    stamp.write_text(f"{'0' * 64}  {file}\n")
    assert provenance.key_of_results(study / "new") == ""
