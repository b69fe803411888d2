"""A kept model as it is used: from its folder, or from cells that it is fitted to now."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from mosaicbench.files.atomic import make_folder
from mosaicbench.files.models import KeptModel, read_model
from mosaicbench.fitting.keeping import revived
from mosaicbench.fitting.method import implementation
from mosaicbench.inference.embedding import Applied, embedded
from mosaicbench.inference.matching import LEAST_SHARE, matched
from mosaicbench.inference.measured import OwnCells, opened
from mosaicbench.inference.output import table, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData
    from mudata import MuData


@dataclass(frozen=True)
class Model:
    """A model that cells can be shown to.

    Attributes
    ----------
    kept
        What its files hold.
    method
        The method object.
    """

    kept: KeptModel
    method: object

    @classmethod
    def read(cls, folder: str | Path) -> Model:
        """Read a model from its folder or from its run's.

        Raises
        ------
        UserError
            When there is none, or this version cannot use it.
        """
        kept = read_model(Path(folder))
        return cls(kept, revived(kept, implementation(kept.facts["module"], kept.facts["method"])))

    def apply(
        self, cells: MuData | AnnData, *, impute: bool = True, min_fraction: float = LEAST_SHARE
    ) -> MuData:
        """Return a copy of cells in memory with ``obsm["X_mosaicbench"]``, types, and imputed modalities.

        Raises
        ------
        UserError
            When too few features are found, values are of the wrong kind, or the model gives nothing of such cells.
        """
        own = opened(cells)
        allocate = (lambda _, shape: np.empty(shape, dtype=np.float32)) if impute else None
        return table(self.kept, own, self._applied(own, min_fraction, allocate), values=True)

    def apply_to_file(
        self, cells: Path, output: Path, *, impute: bool = True, min_fraction: float = LEAST_SHARE
    ) -> Applied:
        """Write the same for the cells of a file, without ever holding all of their values."""
        own = opened(cells)
        make_folder(output.parent)
        with _scratch(output.parent) as scratch:
            allocate = (
                (lambda direction, shape: scratch.create_dataset(direction, shape, dtype="float32"))
                if impute
                else None
            )
            applied = self._applied(own, min_fraction, allocate)
            write(output, self.kept, own, applied)
        if own.file is not None:
            own.file.close()
        return applied

    def _applied(self, own: OwnCells, min_fraction: float, allocate: object) -> Applied:
        found = matched(self.kept, own.modalities, min_fraction=min_fraction)
        applied = embedded(self.kept, self.method, own, found, impute=allocate)
        unknown = [
            name
            for name in own.modalities
            if name not in [matched.theirs for matched in found.values()]
        ]
        why = f"the model does not know it, only {', '.join(self.kept.facts['modalities'])}; it is copied as it is"
        again = [
            matched.theirs for matched in found.values() if matched.matrix.features.has_duplicates
        ]
        endings = "feature names occur again; to be found, they get an ending, '-1' and so on, as those of train cells do"
        applied.remarks[:0] = [f"modality {name}: {why}" for name in unknown] + [
            f"modality {m}: {endings}" for m in again
        ]
        return applied


@contextmanager
def _scratch(folder: Path) -> Iterator[h5py.File]:
    """Give a file for values that wait, and remove it."""
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=".partial-") as place,
        h5py.File(Path(place) / "imputed.h5", "w") as file,
    ):
        yield file
