"""The reference results inside the package: written and read again, and refused when a file changed."""

from operator import itemgetter

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mosaicbench.catalog import catalog
from mosaicbench.errors import UserError
from mosaicbench.files import reference
from mosaicbench.files.scores import SCORE_COLUMNS


@pytest.fixture(scope="module")
def whole():
    return reference.read()


@pytest.fixture
def stored(whole, tmp_path):
    """Return the first run of the store with scores of four cells, and the folder where it is written."""
    place = {name: whole.records[0][name] for name in ("dataset", "scenario", "run", "seed")}
    scores = whole.scores[(whole.scores[list(place)] == place).all(axis=1)]
    key = (*place.values(), "foscttm", "rna->adt", "-")
    cells = {key: np.array([0, 0.5, np.nan, 1], dtype=np.float32)}
    part = reference.Reference(scores, whole.records[:1], cells, whole.splits, whole.pieces, [])
    reference.write(part, tmp_path)
    return part, tmp_path


def test_what_is_written_is_read_again(stored):
    part, folder = stored
    again = reference.read(folder)
    assert again.records == part.records and again.splits == part.splits
    assert list(again.scores) == SCORE_COLUMNS
    assert_allclose(again.scores["value"], part.scores["value"], rtol=1e-7)
    (values,) = again.cells.values()
    assert_allclose(values, [0, 0.5, np.nan, 1], atol=1 / 508)


def test_the_same_content_has_the_same_bytes(stored, tmp_path):
    part, folder = stored
    reference.write(part, tmp_path / "again")
    for file in reference.FILES:
        assert (folder / file).read_bytes() == (tmp_path / "again" / file).read_bytes()


@pytest.mark.parametrize("file", reference.FILES)
def test_a_changed_file_is_refused(stored, file):
    _, folder = stored
    content = bytearray((folder / file).read_bytes())
    content[-3] ^= 1
    (folder / file).write_bytes(content)
    with pytest.raises(UserError, match=f"{file}: differs .*restore it"):
        reference.read(folder)


def test_a_missing_store_is_refused(tmp_path):
    with pytest.raises(UserError, match="no reference results; install mosaicbench again"):
        reference.read(tmp_path)


def test_a_byte_is_within_half_a_step_of_the_score_and_zero_or_one_stays():
    x = np.append(np.random.default_rng(0).beta(2, 5, 1000), [0, 1]).astype(np.float32)
    again = reference.from_bytes(reference.to_bytes(x, 0, 1), 0, 1)
    assert np.abs(again - x).max() <= 0.5 / 254 + 1e-6
    hits = np.array([0, 1, 1, 0], dtype=np.float32)
    assert_array_equal(reference.from_bytes(reference.to_bytes(hits, 0, 1), 0, 1), hits)


def test_the_store_of_the_package_is_small_and_each_fit_has_a_split(whole):
    size = sum((reference.FOLDER / file).stat().st_size for file in reference.FILES)
    assert size < 12e6
    place = itemgetter("dataset", "scenario", "seed")
    assert set(map(place, whole.records)) <= set(map(place, whole.splits))


@pytest.mark.parametrize("metric", ["imputation_skill", "imputation_pearson_per_feature"])
def test_no_stored_run_exceeds_its_noise_ceiling(whole, metric):
    scores = whole.scores
    competes = scores["run"].map(lambda run: catalog.card("methods", run)["kind"] != "control")
    keys = ["dataset", "scenario", "run", "seed", "direction", "normalization"]
    ceilings = scores[scores["metric"] == f"{metric}_ceiling"].dropna(subset="value")
    both = scores[(scores["metric"] == metric) & competes].merge(
        ceilings, on=keys, suffixes=("", "_ceiling")
    )
    assert len(both) > 1000 and both["run"].nunique() > 15
    assert both["value"].max() > 0.2
    assert (both["value"] <= both["value_ceiling"]).all()
