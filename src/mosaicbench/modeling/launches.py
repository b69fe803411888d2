"""Steps of a training on a GPU, launched as CUDA graphs."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Step = Sequence[
    Tensor
]  # rows among each seed's cells, (seeds, cells), and what the cost draws, (seeds, ...) each

EAGER_STEPS = 3  # before a CUDA graph is captured


class Launched:
    """A function of a step, launched on a GPU as one CUDA graph; elsewhere it is simply called.

    A graph repeats what was computed while it was captured, so every progress has its own. Where none can be captured, its
    operations are launched one by one. This was never run on a GPU.
    """

    def __init__(self, function: Callable[[Step, float], None]):
        self.function, self.eager_left = function, EAGER_STEPS
        self.graph, self.held, self.progress = None, (), None

    def __call__(self, step: Step, progress: float) -> None:
        """Call it, or replay what was captured of it."""
        if not _on_gpu(step):
            self.function(step, progress)
        elif self.eager_left:
            self.eager_left -= 1
            self._eagerly(step, progress)
        else:
            if progress != self.progress:
                self._capture(step, progress)
            self._replay(step, progress)

    def _eagerly(self, step: Step, progress: float) -> None:
        """Call it as a capture wants it called before: on another stream than the usual one."""
        usual, other = torch.cuda.current_stream(), torch.cuda.Stream()
        other.wait_stream(usual)
        with torch.cuda.stream(other):
            self.function(step, progress)
        usual.wait_stream(other)

    def _capture(self, step: Step, progress: float) -> None:
        self.graph = None  # before another is made, so that its memory is free
        self.held, self.progress = [each.clone() for each in step], progress
        try:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self.function(self.held, progress)
        except RuntimeError as error:
            print(f"no CUDA graph of a training step: {error}", file=sys.stderr)
            self.eager_left = math.inf
            return
        self.graph = graph

    def _replay(self, step: Step, progress: float) -> None:
        if self.graph is None:
            self.function(step, progress)
            return
        for held, given in zip(self.held, step, strict=True):
            held.copy_(given)
        self.graph.replay()


def _on_gpu(step: Step) -> bool:
    return step[0].device.type == "cuda"
