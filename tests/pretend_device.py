"""A second device for machines that have none: its tensors compute on the CPU, but meet no tensor of the CPU.

PyTorch's device "meta" lends its name, since any build knows it. An operation that is given tensors of both places fails as on
a GPU; one that is given none of the CPU's gives to the last bit what it gives there. What a GPU would silently wait for fails,
too: an index that is a list of Python.
"""

import sys
import warnings
from contextlib import contextmanager

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _foreach_utils
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only

from mosaicbench.models import training

DEVICE = torch.device("meta")
# What takes tensors of both on a GPU, too: copies from one to the other, and rows of a GPU's tensor by indices of the CPU.
MAY_MIX = {torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default}
MAY_INDEX = {
    torch.ops.aten.index.Tensor,
    torch.ops.aten.index_put_.default,
    torch.ops.aten._index_put_impl_.default,
}


class There(torch.Tensor):
    """A tensor on the second device; `here` holds its values."""

    @staticmethod
    def __new__(cls, here):
        """Take the values of a tensor of the CPU."""
        layout = {"layout": here.layout}
        if not here.is_sparse:
            layout = {"strides": here.stride(), "storage_offset": here.storage_offset()}
        made = torch.Tensor._make_wrapper_subclass(
            cls, here.shape, dtype=here.dtype, device=DEVICE, **layout
        )
        made.here = here
        return made

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        """Compute with the values, and put there what comes of it."""
        return _computed(function, args, kwargs or {})


class _Computing(TorchDispatchMode):
    """Computes as `There` does also what is given no tensor: new ones on the second device."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return _computed(function, args, kwargs or {})


class _Making(TorchFunctionMode):
    """Makes tensors of Python's numbers on the second device, and the reverse: no operation seen from below does."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function is torch.Tensor.tolist and isinstance(args[0], There):
            return args[0].cpu().tolist()
        if function in (torch.tensor, torch.as_tensor) and kwargs.get("device") == DEVICE:
            return function(*args, **kwargs | {"device": "cpu"}).to(DEVICE)
        return function(*args, **kwargs)


def _computed(function, args, kwargs):
    given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
    there, asked = any(isinstance(x, There) for x in given), kwargs.get("device")
    if there:
        _check_one_device(function, args, given)
    args_here, kwargs_here = tree_map_only(There, lambda x: x.here, (args, kwargs))
    made = function(
        *args_here, **(kwargs_here if asked is None else kwargs_here | {"device": "cpu"})
    )
    if asked != DEVICE if asked is not None else not there:
        return made
    made = tree_map_only(torch.Tensor, There, made)
    return return_and_correct_aliasing(function, args, kwargs, made) if there else made


def _check_one_device(function, args, given):
    """Refuse tensors of both devices, but for numbers, copies and indices, as PyTorch does of the CPU and a GPU."""
    if any(x.device == DEVICE and not isinstance(x, There) for x in given):
        raise RuntimeError(
            f"{function} is given what was made of Python's numbers on the way, which waits for the device"
        )
    if function in MAY_MIX:
        return
    if function in MAY_INDEX:
        given = [
            x for x in given if isinstance(x, There) or not any(x is index for index in args[1])
        ]
    if len({isinstance(x, There) for x in given if x.dim() or isinstance(x, There)}) > 1:
        places = ", ".join(
            f"{tuple(x.shape)} {'there' if isinstance(x, There) else 'here'}" for x in given
        )
        raise RuntimeError(f"{function} is given tensors of two devices: {places}")


@contextmanager
def training_on(monkeypatch, device):
    """Let training, and all that a fitted model gives, take place on a device."""
    usual = training.device
    with monkeypatch.context() as patched:
        for module in list(sys.modules.values()):
            if getattr(module, "device", None) is usual:
                patched.setattr(module, "device", lambda: device)
        yield


@contextmanager
def pretended(monkeypatch):
    """Let training, and all that a fitted model gives, take place on the second device."""
    supported, save = _foreach_utils._get_fused_kernels_supported_devices, torch.save
    with monkeypatch.context() as patched, training_on(patched, DEVICE):
        patched.setattr(
            torch,
            "save",
            lambda held, stream: save(tree_map_only(There, lambda x: x.here, held), stream),
        )
        for module in list(sys.modules.values()):
            if getattr(module, "_get_fused_kernels_supported_devices", None) is supported:
                patched.setattr(
                    module,
                    "_get_fused_kernels_supported_devices",
                    lambda: [*supported(), DEVICE.type],
                )
        with _Making(), _Computing(), warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message="for .*: copying from a non-meta parameter"
            )  # it copies all the same
            yield
