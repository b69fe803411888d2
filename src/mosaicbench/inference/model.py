"""A saved model: from its folder, or from the cells that it is fitted to."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from anndata import AnnData
from mudata import MuData

from mosaicbench.files.atomic import make_folder
from mosaicbench.files.models import KeptModel, read_model
from mosaicbench.fitting.keeping import revived
from mosaicbench.fitting.method import implementation
from mosaicbench.inference.embedding import Allocate, Applied, embedded
from mosaicbench.inference.matching import LEAST_FRACTION, matched
from mosaicbench.inference.measured import OwnCells, in_memory, opened
from mosaicbench.inference.output import EMBEDDING, table, write


@dataclass(frozen=True)
class Model:
    """A saved model, ready for cells: the content of its files, and the method object."""

    kept: KeptModel
    method: object

    @classmethod
    def read(cls, folder: str | Path) -> Model:
        """Read a model from its folder or from its run's; refuse one that this version cannot use."""
        kept = read_model(Path(folder))
        return cls(kept, revived(kept, implementation(kept.facts["module"], kept.facts["method"])))

    def apply(
        self,
        cells: MuData | AnnData | dict[str, AnnData],
        *,
        impute: bool = True,
        min_fraction: float = LEAST_FRACTION,
        key_added: str = EMBEDDING,
    ) -> MuData:
        """Return a copy of cells in memory with ``obsm[key_added]``, types and imputed values.

        Too few features, values of the wrong kind, and cells of which the model gives nothing are refused.
        """
        own = in_memory(cells)
        allocate = (lambda _, shape: np.empty(shape, dtype=np.float32)) if impute else None
        return table(self.kept, own, self._applied(own, min_fraction, allocate), key_added)

    def apply_to_file(
        self,
        cells: Path,
        output: Path,
        *,
        impute: bool = True,
        min_fraction: float = LEAST_FRACTION,
        key_added: str = EMBEDDING,
    ) -> Applied:
        """Write the same for the cells of a file, without ever holding all of their values."""
        own = opened(cells)
        make_folder(output.parent)
        with (
            tempfile.TemporaryDirectory(dir=output.parent, prefix=".partial-") as place,
            h5py.File(Path(place) / "imputed.h5", "w") as scratch,
        ):
            allocate = partial(scratch.create_dataset, dtype="float32") if impute else None
            applied = self._applied(own, min_fraction, allocate)
            write(output, self.kept, own, applied, key_added)
        if own.file is not None:
            own.file.close()
        return applied

    def _applied(self, own: OwnCells, min_fraction: float, allocate: Allocate | None) -> Applied:
        found = matched(self.kept, own.modalities, min_fraction=min_fraction)
        applied = embedded(self.kept, self.method, own, found, impute=allocate)
        known, matches = ", ".join(self.kept.facts["modalities"]), found.values()
        remarks = [
            f"modality {name}: the model does not know it, only {known}; it is copied as it is"
            for name in own.modalities
            if name not in [match.theirs for match in matches]
        ]
        remarks += [
            f"modality {match.theirs}: some features have the same name; they get an ending, '-1' "
            "and so on, as those of train cells do"
            for match in matches
            if match.matrix.features.has_duplicates
        ]
        applied.remarks[:0] = remarks
        return applied
