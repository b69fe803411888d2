"""Seeds at once: one method on the views of several seeds, trained as one stacked model.

Every parameter gets a leading axis of seeds, and the method's own cost runs once under `torch.vmap`, so the operations of a
step are as many for twenty seeds as for one: small networks on a GPU are bound by that number. Each seed ends as if it had been
trained alone, up to rounding:

weights     are made by the method itself from the seed. Where seeds chose other numbers of features, they are padded to the
            widest with zeros, which stay zero; a padded feature costs 0 nats.
draws       are those that the seed would draw alone. Which random functions a cost calls is recorded once; every seed calls
            them on its own generator, on the CPU, and the cost is given what they returned.
training    clips gradients by the seed's own norm, stops when the seed's own validation cost says so, and keeps its own best
            weights. A seed that diverges fails alone.

A long training amplifies rounding, stacked or not: at the kinks of rectifiers, and in Adam where a gradient is hardly anything.
In float64 a stack stays what its seeds are alone; in float32 as near as two trainings whose data differ in the last digit.

What cannot be stacked says so before anything is trained. Nothing of this was run on a GPU yet, CUDA graphs above all.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

from mosaicbench.errors import Diverged
from mosaicbench.modeling import training
from mosaicbench.modeling.members import Member, Stackable
from mosaicbench.modeling.schedule import NEVER_FINITE, Schedule
from mosaicbench.modeling.stack import Stack
from mosaicbench.view import History, View


def fit_at_once(
    methods: Sequence[Stackable], views: Sequence[View], seeds: Sequence[int]
) -> list[History | Diverged]:
    """Train each of `methods`, which differ in nothing, on its view and from its seed, all in the same steps.

    The checkpoint of the first method, if it has one, is that of the stack.

    Returns
    -------
    histories
        Of each seed as `training.minimise` returns it, or why that seed failed.

    Raises
    ------
    NotStackable
        When the seeds have to be trained one by one: the view is not one block of cells, the method has rules of its own or
        reads counts, the numbers of steps differ, or a seed's first gradient is another in the stack than alone.
    """
    with training.seeded(seeds[0]):  # the arithmetic; every seed has its own generator
        stack = Stack([Member(*each) for each in zip(methods, views, seeds, strict=True)])
        stack.check()
        return _trained(stack)


def _trained(stack: Stack) -> list[History | Diverged]:
    """Train as `training.minimise` does, until no seed goes on."""
    budget = stack.method
    schedule = Schedule.of(budget.max_epochs, budget.patience, budget.warmup)
    stateful = {"stack": stack, "optimiser": stack.optimiser}
    saved = None if budget.checkpoint is None else budget.checkpoint.resume(stateful)
    fresh = {"best": math.inf, "best_epoch": 0, "goes_on": True, "failed": ""}
    began = {
        "seeds": [fresh | {"history": []} for _ in stack.members],
        "best_weights": stack.parameters,
        "epoch": 0,
    }
    seeds, best_weights, epochs_before = (saved or began).values()

    for epoch in range(epochs_before + 1, budget.max_epochs + 1):
        progress = schedule.progress(epoch)
        better = []
        for seed, row, finite in zip(seeds, *stack.run_epoch(progress), strict=True):
            if seed["goes_on"] and finite:
                seed["history"].append({"epoch": epoch, "progress": progress} | row)
            elif seed["goes_on"]:
                seed |= {
                    "goes_on": False,
                    "failed": f"the cost or its gradient was not finite in epoch {epoch}",
                }
            smoothed = schedule.smoothed([each["validation_cost"] for each in seed["history"]])
            better.append(seed["goes_on"] and smoothed < seed["best"])
            if better[-1]:
                seed |= {"best": smoothed, "best_epoch": epoch}
            seed["goes_on"] &= schedule.goes_on(epoch, seed["best_epoch"])
        best_weights = stack.kept(better, best_weights)
        going_on = [seed["history"][-1] for seed in seeds if seed["goes_on"]]
        if epoch % 10 == 0 or epoch == 1:
            costs = "  ".join(f"{row['validation_cost']:.3f}" for row in going_on)
            print(
                f"epoch {epoch:4d}  {len(going_on)} of {len(seeds)} seeds  validation {costs}",
                file=sys.stderr,
            )
        if not going_on:
            break
        if budget.checkpoint is not None:
            progress_so_far = {"seeds": seeds, "best_weights": best_weights, "epoch": epoch}
            budget.checkpoint.save_if_due(stateful, epoch, progress_so_far)
    stack.give_back(best_weights)
    return [_outcome(seed) for seed in seeds]


def _outcome(seed: dict) -> History | Diverged:
    if seed["failed"] or not seed["best_epoch"]:
        return Diverged(seed["failed"] or NEVER_FINITE)
    return training.with_kept(seed["history"], seed["best_epoch"])
