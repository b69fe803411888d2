"""The optimiser of all trainings."""

from __future__ import annotations

import inspect

import torch


class Adam(torch.optim.Adam):
    """PyTorch's Adam without what keeps its methods out of ``torch.compile``.

    At their first call, PyTorch imports its compiler to ask it for that: 880 modules, up to 2 CPU seconds of every fit, where
    nothing is compiled. The methods themselves are PyTorch's; that `step` records no gradients was its wrapper's work, too.
    """

    add_param_group = inspect.unwrap(torch.optim.Adam.add_param_group)
    state_dict = inspect.unwrap(torch.optim.Adam.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Adam.load_state_dict)
    zero_grad = inspect.unwrap(torch.optim.Adam.zero_grad)
    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))
