"""A GPU that is only pretended: tensors that claim to lie on one, on any machine, and a count of what makes a
real one wait.

torch's fake tensors have shape, dtype and device but no numbers, and an operation on two devices raises. So a
forgotten `device=` shows without a GPU. Every operation passes through `Traffic`, which counts copies between
host and device, and what the host would wait for.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

GPU = torch.device("cuda:0")
aten = torch.ops.aten
WAITS = {
    aten._local_scalar_dense.default, aten.nonzero.default, aten.bincount.default, aten.equal.default,
    aten.masked_select.default
}


class Traffic(TorchDispatchMode):
    """Counts of copies between host and device and of waits for the device, by where in colorlab they come
    from; of what is made, by dtype."""

    def __init__(self) -> None:
        super().__init__()
        self.copies, self.waits, self.made = Counter(), Counter(), Counter()

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        masks = [(n, mask)
                 for n, mask in enumerate(args[1])
                 if mask is not None and mask.dtype == torch.bool] if op is aten.index.Tensor else []
        if (op in WAITS or masks) and any(
                isinstance(leaf, Tensor) and leaf.device == GPU for leaf in tree_leaves((args, kwargs))):
            self.waits[_where(op)] += 1
        answer = _answer(op, args, kwargs) if not masks else _one_of(args[0], *masks[0])
        if answer is not None:
            return answer
        found = op(*args, **kwargs)
        self.made[getattr(found, "dtype", None)] += 1
        source = args[1] if op is aten.copy_.default else args[0] if op is aten._to_copy.default else found
        if isinstance(source, Tensor) and isinstance(found, Tensor) and source.device != found.device:
            self.copies[_where(op)] += 1
        return found


def _answer(op, args: tuple, kwargs: dict) -> object:
    """What hangs on numbers that there are not; None for everything else."""
    if op is aten._local_scalar_dense.default:
        return True if args[0].dtype == torch.bool else 1.0 if args[0].is_floating_point() else 1
    if op is aten.nonzero.default:
        return args[0].new_zeros(1, args[0].ndim, dtype=torch.long)
    if op is aten.bincount.default:
        return args[0].new_zeros(kwargs.get("minlength", 1))
    if op is aten.cudnn_grid_sampler.default:  # not known to fake tensors
        image, grid = args
        assert image.device == grid.device, (
            f"grid_sample of an image on {image.device} and a grid on {grid.device}"
        )
        return image.new_zeros(*image.shape[:2], *grid.shape[1:3])
    return None


def _one_of(x: Tensor, dim: int, mask: Tensor) -> Tensor:
    """What is chosen by a mask from dimension `dim` on, were it true once."""
    return x.new_zeros(*x.shape[:dim], 1, *x.shape[dim + mask.ndim:])


def _where(op) -> str:
    frame = sys._getframe(2)
    while frame and "/colorlab/" not in frame.f_code.co_filename:
        frame = frame.f_back
    return f"{op}, {frame.f_code.co_filename.rsplit('/colorlab/')[-1]}:{frame.f_lineno}" if frame else str(op)


@contextmanager
def pretended(*modules: nn.Module) -> Iterator[None]:
    """Inside, these modules lie on the pretended GPU, and so does what is made there with `device=GPU`. They
    are lost afterwards."""
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    # it would be off without a real one
    autocasts = (mock.patch("torch.cuda.amp.common.amp_definitely_not_available", lambda: False),
                 mock.patch("torch.cuda.is_bf16_supported", lambda *_: True))
    with autocasts[0], autocasts[1], FakeTensorMode(allow_non_fake_inputs=True):
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        try:
            for module in modules:
                module._apply(lambda t: torch.empty(t.shape, dtype=t.dtype, device=GPU))
        finally:
            torch.__future__.set_overwrite_module_params_on_conversion(before)
        yield
