"""Work in several processes."""

import os

import pytest

from mosaicbench.commands._processes import each
from mosaicbench.errors import UserError


@pytest.mark.parametrize("processes", [1, 2])
def test_the_work_of_every_item_is_done_and_a_mistake_arrives(tmp_path, processes):
    def work(name):
        if name == "odd":
            raise UserError("odd: rename it")
        (tmp_path / name).write_text(str(os.getpid()))

    each(work, iter(["a", "b", "c"]), processes)
    found = {file.name: int(file.read_text()) for file in tmp_path.iterdir()}
    assert set(found) == {"a", "b", "c"}
    assert (os.getpid() in found.values()) == (processes == 1)
    each(work, [], processes)
    with pytest.raises(UserError, match="odd: rename it"):
        each(work, ["odd"], processes)
