"""Few labels: every step holds a fixed share of labelled cells, which come again and again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from mosaicbench.errors import NotApplicable
from mosaicbench.modeling.minibatch import Minibatch, Part
from mosaicbench.modeling.training import Steps, device, some_of_each
from mosaicbench.view import View


def labelled_cells(train: View) -> list[np.ndarray]:
    """Return which cells of each block show their type, (cells,) bool each.

    Raises
    ------
    NotApplicable
        When none does.
    """
    if not train.cell_types:
        raise NotApplicable(
            "a semi-supervised method needs train cells with a known cell type, and none has one"
        )
    return [np.asarray(block.labels, dtype=object) != "" for block in train.blocks]


def with_labelled(labelled: Sequence[np.ndarray], share: float) -> Steps:
    """Return steps in which `share` of the cells are labelled, or more where more of all cells are.

    An epoch sees every unlabelled cell once, and the labelled ones as often as it takes; a step holds cells of every block.

    Parameters
    ----------
    labelled
        Which cells of each block are, (cells,) bool each, in the order of the blocks.
    """

    def steps(blocks: list[Part], size: int) -> Iterator[Sequence[Minibatch]]:
        shows = [
            torch.from_numpy(own)[block.rows.cpu()].to(device())
            for own, block in zip(labelled, blocks, strict=True)
        ]
        block_of = torch.repeat_interleave(torch.tensor([len(own) for own in shows])).to(device())
        row_of = torch.cat([torch.arange(len(own), device=device()) for own in shows])
        known = torch.cat(shows).nonzero().squeeze(1)
        unknown = (~torch.cat(shows)).nonzero().squeeze(1)
        if not len(unknown) or not len(known):
            yield from some_of_each(blocks, size)
            return
        each = max(1, round(size * max(share, len(known) / len(row_of))))  # labelled cells a step
        count = -(-len(unknown) // max(1, size - each))
        rounds = [
            known[torch.randperm(len(known), device=device())]
            for _ in range(-(-count * each // len(known)))
        ]
        again = torch.cat(rounds)[: count * each].split(each)
        once = unknown[torch.randperm(len(unknown), device=device())].tensor_split(count)
        for cells in (torch.cat(parts) for parts in zip(again, once, strict=True)):
            of_block = [row_of[cells[block_of[cells] == number]] for number in range(len(blocks))]
            yield [
                block.take(rows) for block, rows in zip(blocks, of_block, strict=True) if len(rows)
            ]

    return steps
