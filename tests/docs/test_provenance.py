"""Provenance: each page says which code made its numbers, and only equal scores let code change without making a page old."""

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

NUMBERS = {
    "../originals.md",
    "../performance.md",
}  # pages outside of docs/results with numbers that were measured
SCORES = "dataset\tscenario\trun\tseed\tmetric\tdirection\tspace\tvalue\tstatus\n{}".format
LINES = [
    "a\tpaired\tcca\t0\tfoscttm\t\t\t0.1\tok\n",
    "a\tpaired\tcca\t1\tfoscttm\t\t\t0.30000000000000004\tok\n",
]


@pytest.fixture(scope="module")
def present():
    return provenance.keys()


def test_every_page_of_results_has_a_mark():
    pages = {page.name for page in (REPOSITORY / "docs/results").glob("*.md")} | NUMBERS
    rows = {row["page"]: row for row in provenance.read(provenance.MARKS)}
    add = "python docs/site/provenance.py mark PAGE --commit COMMIT"
    assert set(rows) == pages, (
        f"docs/results/provenance.tsv needs a row for each page; add one: {add}"
    )
    for page, row in rows.items():
        text = (provenance.MARKS.parent / page).read_text()
        assert row["date"] or "<!-- measured -->" not in text, (
            f"{page} has numbers of no day; {add}"
        )
        assert not row["config"] or (REPOSITORY / row["config"]).is_file(), page


def test_a_page_says_that_it_is_older_than_the_current_code_exactly_where_it_is(present):
    for row in provenance.read(provenance.MARKS):
        text = (provenance.MARKS.parent / row["page"]).read_text()
        said = re.findall(f"{provenance.BEGIN}\n(.*)\n{provenance.END}", text)
        older = (
            bool(row["date"])
            and provenance.last_key(row) != present[row["config"] or provenance.ALL]
        )
        told = f"docs/results/{row['page']}: its mark is not that of provenance.tsv and the current code; run: make provenance"
        assert said == [provenance.sentence(row, present)], told
        assert (provenance.OLDER in said[0]) == older, told


def test_a_mark_follows_the_keys():
    row = dict.fromkeys(provenance.COLUMNS, "") | {
        "page": "x.md",
        "config": "c",
        "date": "2026-01-02",
        "commit": "012",
    }
    row |= {"code_key": "aaa", "note": "Typed."}
    said = "Numbers of 2026-01-02; commit `012`; key of the code `aaa`: "
    said += "[of the current code](../studies.md#how-old-the-numbers-are). Typed."
    assert provenance.sentence(row, {"c": "aaa"}) == said
    assert f"[**{provenance.OLDER}**](" in provenance.sentence(row, {"c": "bbb"})
    restamped = provenance.sentence(row | {"restamped_keys": "bbb"}, {"c": "bbb"})
    assert "`aaa`; equal scores under `bbb`: [of the current code](" in restamped
    assert provenance.OLDER in provenance.sentence(row | {"restamped_keys": "bbb"}, {"c": "aaa"})
    unknown = provenance.sentence(row | {"commit": "", "code_key": ""}, {"c": "aaa"})
    assert (
        "commit not recorded; key of the code not recorded" in unknown
        and provenance.OLDER in unknown
    )
    once = provenance.marked("# X\n\nText.\n", said)
    assert once.startswith(f"# X\n\n{provenance.BEGIN}\n{said}\n") and once.endswith("\n\nText.\n")
    assert provenance.marked(once, said) == once


def test_comments_formatting_and_prose_are_no_code(tmp_path):
    def key(code):
        path = tmp_path / hashlib.sha256(code.encode()).hexdigest()
        path.write_text(code)
        return provenance.plain(path)

    code = 'CARDS = {"x": {"label": "A", "outputs": ("joint",), "definition": "of a"}}\n'
    code += "\n\ndef f(x):\n    return x + 1\n"
    same = '"""New."""\nCARDS = {\n    "x": {"label": "B", "outputs": ("joint",), "definition": "b"}}\n'
    same += "def f(x):\n"
    same += '    "What."\n    return (x  # why\n            + 1)\n'
    assert key(code) == key(same)
    for old, new in {
        "+ 1": "+ 1.0",
        '"joint",': '"single",',
        "(x)": "(x, y=None)",
        "return x": "return -x",
        '"x": {': '"y": {',
    }.items():
        assert old in code and key(code) != key(code.replace(old, new)), old
    assert key('d = {"label": 1}') != key('d = {"label": 2}')
    assert (
        len(
            {
                key("x = None"),
                key("x = 0"),
                key("x = []"),
                key("x = ''"),
                key("x = False"),
                key("x = b''"),
            }
        )
        == 6
    )


def test_a_key_is_of_the_settings_and_of_all_code_that_makes_scores(tmp_path, monkeypatch):
    config = tmp_path / "config.yaml"
    text = "datasets: {simulated: }\nscenarios: {paired: {kind: paired}}\nruns: {cca: , mvae: }\nseeds: [0]\n"
    text += "metrics: {groups: [alignment]}\n"

    def key(text):
        config.write_text(text)
        return provenance.code_key(config)

    before = key(text)
    assert key("# a comment\n" + text) == before == key(text + "report: {umap_runs: [cca]}\n")
    for old, new in {
        "[0]": "[1]",
        "cca: ": "cca: {latent: 3}",
        "mvae": "mopoe",
        "simulated: ": "simulated: {cells: 99}",
    }.items():
        assert key(text.replace(old, new)) != before, new
    plain = provenance.plain
    counted = {
        "methods/linear.py",
        "metrics/alignment.py",
        "models/training.py",
        "data/normalize.py",
        "datasets/simulated.py",
    }
    counted |= {"metrics/_nearest.py"}
    for edited in [
        *counted,
        "methods/mopoe.py",
        "metrics/biology.py",
        "report/theme.py",
    ]:
        path = code_hash.ROOT / "mosaicbench" / edited
        monkeypatch.setattr(
            provenance, "plain", lambda file, path=path: plain(file) + "x" * (file == path)
        )
        assert path.is_file() and (key(text) != before) == (edited in counted), edited


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Two results of a made-up benchmark with equal scores, pages of the old code, and the tables."""
    for name, lines in {"old": LINES, "new": LINES[::-1]}.items():
        folder = tmp_path / name
        for part in ("tables", "runs", "code"):
            (folder / part).mkdir(parents=True)
        (folder / "tables/scores.tsv").write_text(
            SCORES(
                "".join(lines) + f"a\tpaired\tcca\t0\tfit_seconds\t\t\t{len(name)}.5{name}\tok\n"
            )
        )
        (folder / "runs/run.json").write_text(json.dumps({"git_commit": name}))
        (folder / "config.json").write_text(
            json.dumps(
                {
                    "datasets": {"simulated": None},
                    "scenarios": {"paired": {"kind": "paired"}},
                    "runs": {"cca": None},
                }
            )
        )
        stamped = code_hash.ROOT / "mosaicbench/methods/linear.py"
        digest = hashlib.sha256(stamped.read_bytes()).hexdigest()
        (folder / "code/fit-123.txt").write_text(f"{digest}  mosaicbench/methods/linear.py\n")
    keys = {
        "config/studies/multivae.yaml": "m{}",
        "config/config.yaml": "c{}",
        "config/studies/none.yaml": "same",
        "all": "all{}",
    }
    monkeypatch.setattr(
        provenance, "keys", lambda: {name: key.format(2) for name, key in keys.items()}
    )
    monkeypatch.setattr(
        provenance,
        "keys_at",
        lambda commit: (
            {name: key.format(1) for name, key in keys.items()} if commit == "old" else {}
        ),
    )
    monkeypatch.setattr(provenance, "MARKS", tmp_path / "provenance.tsv")
    monkeypatch.setattr(provenance, "EQUAL", tmp_path / "equal_scores.tsv")
    monkeypatch.setattr(
        provenance, "methods_of", lambda config: ["mvae"] if "multivae" in str(config) else ["cca"]
    )
    rows = {
        "a.md": ("config/config.yaml", "c1"),
        "b.md": ("config/config.yaml", "c0"),
        "c.md": ("config/studies/multivae.yaml", "m1"),
    }
    rows["d.md"] = ("config/studies/none.yaml", "same")
    for page, (config, key) in rows.items():
        (tmp_path / page).write_text("# A\n\nText.\n")
        provenance.mark(page, "old", key, "2026-01-02", tmp_path / "provenance.tsv")
        table = provenance.read(provenance.MARKS)
        table[-1]["config"] = config
        provenance.write(provenance.MARKS, table, provenance.COLUMNS)
    return tmp_path


def test_restamp_asks_for_equal_scores_and_then_makes_pages_of_the_old_code_current(study, capsys):
    with pytest.raises(
        UserError, match="no comparison of scores ends at the present code, all2; make one: python"
    ):
        provenance.restamp()
    provenance.compare(study / "old", study / "new")
    (row,) = provenance.read(provenance.EQUAL)
    assert (row["old_key"], row["new_key"], row["rows"], row["methods"]) == (
        "all1",
        "all2",
        "2",
        "cca",
    )
    provenance.restamp()
    restamped = {row["page"]: row["restamped_keys"] for row in provenance.read(provenance.MARKS)}
    assert restamped == {"a.md": "c2", "b.md": "", "c.md": "", "d.md": ""}
    assert "c.md: not compared: mvae" in capsys.readouterr().out
    older = {page.name: provenance.OLDER in page.read_text() for page in study.glob("*.md")}
    assert older == {"a.md": False, "b.md": True, "c.md": True, "d.md": False}
    provenance.write(provenance.EQUAL, [row | {"old_key": "all0"}], provenance.EQUAL_COLUMNS)
    with pytest.raises(UserError, match="no comparison"):
        provenance.restamp()


@pytest.mark.parametrize("value", ["0.30000000000000001", "NA"])
def test_scores_that_differ_in_the_last_digit_are_not_equal(study, value):
    scores = study / "new/tables/scores.tsv"
    scores.write_text(scores.read_text().replace("0.30000000000000004", value))
    with pytest.raises(UserError, match="not the same scores, first a paired cca 1 foscttm"):
        provenance.compare(study / "old", study / "new")
    assert not provenance.EQUAL.exists()


def test_results_of_other_code_are_not_compared(study):
    stamp = study / "new/code/fit-123.txt"
    stamp.write_text("0" * 64 + "  mosaicbench/methods/linear.py\n")
    with pytest.raises(UserError, match="other code than the present"):
        provenance.compare(study / "old", study / "new")
    stamp.write_text((study / "old/code/fit-123.txt").read_text())
    with pytest.raises(UserError, match="'new', which is not one commit"):
        provenance.compare(study / "new", study / "old")
    assert not provenance.EQUAL.exists()
