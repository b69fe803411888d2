"""The tables of cards and of imports in docs."""

import sys

from conftest import REPOSITORY

from mosaicbench.catalog import catalog

sys.path.insert(0, str(REPOSITORY / "docs/site"))
import tables


def test_the_tables_of_docs_are_fresh():
    texts = [page.read_text() for page in tables.pages()]
    for table in [*tables.COLUMNS, "names", "studies"]:
        assert any(f"<!-- {table} -->" in text for text in texts), table
    stale = [text[:60] for text in texts if text != tables.with_fresh_tables(text)]
    assert not stale, "run: python docs/site/tables.py"


def test_the_readme_names_every_method_once():
    names = tables.names()
    assert {"MVAE", "MMVAE++", "D-MMVAE", "mmAAVI"} < set(names["Models of this package"])
    assert {"totalVI", "MultiVI", "GLUE", "MOFA+", "Seurat sPCA"} < set(names["Packages of others"])
    assert {"CCA", "Joint PCA", "Ridge"} < set(names["Baselines"])
    listed = [name for of_kind in names.values() for name in of_kind]
    assert len(listed) == len(set(listed))
    for card in catalog.cards("methods").values():
        assert any(card["label"].startswith(name) for name in listed), card["label"]
