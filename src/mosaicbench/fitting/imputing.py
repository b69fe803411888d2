"""Imputed values: of a fitted method, and again of the small model that a run keeps in their place."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mosaicbench.errors import ContractError, NotWritten, UserError
from mosaicbench.files.place import check_place
from mosaicbench.fitting.method import import_for
from mosaicbench.fitting.record import threads

if TYPE_CHECKING:
    import numpy as np
    from mudata import MuData

    from mosaicbench.files._h5 import Modalities
    from mosaicbench.fitting.job import Fit


def imputed_by(
    method: object, query: MuData, source: str, target: str, shown: Mapping[str, bool]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the names of a source's query cells, and their (cells, features) standardised values of the target.

    `shown` says whether the method's card uses labels, links and counts; labels of query cells are never shown.
    """
    from mosaicbench.files.views import as_cells

    cells = as_cells(query, [source], **{**shown, "labels": False})
    return cells.names, method.impute(cells, target)


def keep_imputer(fitted: object, fit: Fit, values: Modalities, *, on_gpu: bool) -> bool:
    """Keep the fitted model in the place of the values that it imputed, and return whether it can stand there.

    It can where its files are smaller than that of the values, which is written, and where, read again, it gives every bit of
    them. The log says why not.

    Parameters
    ----------
    fitted
        The method object and its cells (``outputs.MethodOnView``).
    values
        A modality per direction, in the target's value space.
    on_gpu
        Whether they were worked out on a GPU.

    Raises
    ------
    NotWritten
        When the disk does not take the model.
    """
    from mosaicbench.fitting.keeping import keep

    if not len(values.mod):
        return False
    implementation = import_for(fit.module, fit.identity["method"])
    try:
        if on_gpu:
            raise UserError("they were worked out on a GPU, and scores are worked out without one")
        if threads() != 1:
            raise UserError(
                f"they were worked out with {threads()} threads, and scores are worked out with one"
            )
        if "wraps" in implementation.card:
            raise UserError("the models of other packages are not kept")
        keep(
            fit.imputer,
            fitted.method,
            implementation,
            fitted.train,
            {},
            identity=fit.identity,
            licence=fit.licence,
        )
        _check_smaller(fit.imputer, fit.output / "imputed.h5mu", values)
        _check_same(fit.imputer, fit, fitted.query, values)
    except NotWritten:
        raise
    except Exception as reason:  # whatever a model does not give again, the values are there
        shutil.rmtree(fit.imputer, ignore_errors=True)
        print(f"imputed values are kept: {reason}", file=sys.stderr)
        return False
    return True


def imputed_of(folder: Path, record: Mapping, query: Callable[[], MuData]) -> Modalities:
    """Return what a run imputed: its values where they are kept, else those that its model gives again.

    These are the same to the last bit on a processor of the same kind. On another, which rounds otherwise, they are taken where
    every feature's mean and standard deviation are what they were, and the log says so.

    Parameters
    ----------
    folder
        The run's.
    record
        Its ``run.json``.
    query
        Reads the view's query, which is asked for only where values are imputed again.

    Raises
    ------
    ContractError
        When a file is not the run's, or the model gives other values than it did.
    """
    from mosaicbench.files.digests import read_digests
    from mosaicbench.files.models import IMPUTER, is_kept
    from mosaicbench.files.runs import DRAWS, imputed_values, read_imputed

    path = folder / "imputed.h5mu"
    if not is_kept(folder / IMPUTER):
        return read_imputed(path, record)
    held = read_digests(path, record)
    imputer, cells = Imputer.read(folder / IMPUTER, record), query()
    if any(
        list(map(str, part.var_names)) != imputer.features.get(modality)
        for modality, part in cells.mod.items()
    ):
        raise ContractError(
            f"{folder}: its model was fitted to other features than the query has: the view was cut again; delete the folder "
            "and run again"
        )
    values = {}
    for direction in held.digests:
        source, target = direction.split("->")
        values[source, target] = imputer.values(cells, source, target)
        x = values[source, target][1]
        if held.are_of(direction, x):
            continue
        if not held.are_nearly_of(direction, x):
            raise ContractError(
                f"{folder}: its model gives other values of {direction} than when it was fitted, on {_processor(record)}: the "
                "view was cut again, or a library is another; delete the folder and run again"
            )
        print(
            f"{folder}: {direction} is rounded otherwise than where it was fitted, on {_processor(record)}",
            file=sys.stderr,
        )
    table = imputed_values(values, cells, identity=record)
    for direction, drawn in held.draws.items():
        table[direction].uns[DRAWS] = drawn
    return table


@dataclass(frozen=True)
class Imputer:
    """A model that was kept in the place of imputed values, read from the disk.

    Attributes
    ----------
    method
        The method object.
    shown
        Whether its card uses labels, links and counts.
    features
        modality -> names of features of the cells that it was fitted to.
    """

    method: object
    shown: dict[str, bool]
    features: dict[str, list[str]]

    @classmethod
    def read(cls, folder: Path, record: Mapping) -> Imputer:
        """Read it from its folder; `record` says of which dataset, scenario, run and seed it must be.

        Raises
        ------
        ContractError
            When it cannot be read or is of another run.
        """
        from mosaicbench.files.models import read_model
        from mosaicbench.files.runs import WHOSE
        from mosaicbench.fitting.keeping import revived

        try:
            kept = read_model(folder)
            check_place(
                folder / "model.json", kept.facts["identity"], {key: record[key] for key in WHOSE}
            )
            method = revived(kept, import_for(kept.facts["module"], kept.facts["method"]))
        except UserError as error:
            raise ContractError(
                f"{folder.parent}: the model of its imputed values cannot be used ({error}); delete this folder and run again"
            ) from error
        shown = {word: word in kept.facts["card"]["uses"] for word in ("labels", "links", "counts")}
        return cls(
            method,
            shown,
            {name: told["features"] for name, told in kept.facts["modalities"].items()},
        )

    def values(self, query: MuData, source: str, target: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the names of a source's query cells, and their (cells, features) values in the target's value space."""
        from mosaicbench.files.views import unstandardised_values

        names, x = imputed_by(self.method, query, source, target, self.shown)
        return names, unstandardised_values(query[target], x)


def _processor(record: Mapping) -> str:
    return record.get("hardware", {}).get("cpu", "a machine of which nothing is said")


def _check_smaller(folder: Path, written: Path, values: Modalities) -> None:
    from mosaicbench.files.runs import DRAWS

    draws = sum(
        cells.uns[DRAWS]["values"].nbytes for cells in values.mod.values() if DRAWS in cells.uns
    )  # they stay
    size, of_values = (
        sum(file.stat().st_size for file in folder.iterdir()),
        written.stat().st_size - draws,
    )
    if size >= of_values:
        raise UserError(
            f"the model takes {size / 1e6:.3g} MB, and they take {max(of_values, 0) / 1e6:.3g} MB"
        )


def _check_same(folder: Path, fit: Fit, query: MuData, values: Modalities) -> None:
    from mosaicbench.files.digests import digest_of_values

    imputer = Imputer.read(folder, fit.identity)
    for direction, cells in values.mod.items():
        _, again = imputer.values(query, *direction.split("->"))
        if digest_of_values(again) != digest_of_values(cells.X):
            raise UserError(f"the model, read again, gives other values of {direction}")
