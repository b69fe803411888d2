"""Commands with odd arguments: folders that are none, tables without rows or of another version, numbers that mean nothing."""

import pandas as pd
import pytest

from mosaicbench.commands import apply
from mosaicbench.errors import NotWritten, UserError
from mosaicbench.files.atomic import make_folder
from mosaicbench.inference.matching import matched
from mosaicbench.inference.measured import Measured


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(UserError, match="min_fraction: expected a share, from 0 to 1"):
        matched(None, {}, min_fraction=share)


def test_cells_to_apply_to_that_are_none_and_an_output_of_another_kind_are_refused(tmp_path):
    none = Measured(obs=pd.DataFrame(), var=pd.DataFrame(), matrices=())
    with pytest.raises(UserError, match="modality 'rna' has no cell"):
        matched(None, {"rna": none})
    with pytest.raises(UserError, match=r"--output .*x.txt: name an .h5mu file"):
        apply.main(run=tmp_path, cells=tmp_path, output=tmp_path / "x.txt")


def test_a_folder_where_a_file_lies_is_one_message(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(
            NotWritten,
            match=r"file.*: no folder can be made here \((File exists|Not a directory)\)",
        ):
            make_folder(place)
    make_folder(tmp_path / "a/b")
    make_folder(tmp_path / "a/b")
    assert (tmp_path / "a/b").is_dir()
