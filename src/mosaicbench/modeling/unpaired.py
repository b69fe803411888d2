"""Cells that are never paired: every train cell in one modality, whatever the view."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mosaicbench.view import View, concatenate


def one_modality_each(train: View, seed: int) -> View:
    """Return the view with one block per modality, in which no cell is in two; drawn by the seed where there is a choice."""
    random, shown = np.random.default_rng(seed), {modality: [] for modality in train.modalities}
    for block in train.blocks:
        turn = random.permutation(len(block)) % len(block.modalities)
        for place, modality in enumerate(block.modalities):
            shown[modality].append(block.only(modality).take(turn == place))
    return replace(train, blocks=tuple(concatenate(parts) for parts in shown.values() if parts))
