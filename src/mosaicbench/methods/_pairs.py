"""Paired train cells, for methods that need several modalities in a cell."""

from __future__ import annotations

from mosaicbench.contract import Cells, Split
from mosaicbench.errors import NotApplicable


def paired_cells(train: Split, *modalities: str) -> Cells:
    """Return the train cells in which all of `modalities` were measured, showing only those.

    Raises
    ------
    NotApplicable
        When there is no such cell, as in a mosaic of blocks with two of three modalities each.
    """
    try:
        return train.observing(*modalities)
    except ValueError as error:
        raise NotApplicable(str(error)) from error
