"""The released LSTVC and TCAVC networks, filled by rule: built once for all tests that need them."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import torch
from golden.fill import fill

from colorlab.files.checkpoints import rename
from colorlab.papers.tcavc import TCAVC
from colorlab.papers.tcavc.released import NAMES, UNUSED

GOLDEN = Path(__file__).parent


def released_shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes as in the authors' files: "lstvc" or "tcavc_stage1"."""
    return {
        key: tuple(shape)
        for key, shape in json.loads((GOLDEN / f"{name}.state_dict.json").read_text()).items()
    }


@functools.cache
def released_tcavc() -> TCAVC:
    """Both stages; `.propagation` is LSTVC's network. Shared: change it only through monkeypatch."""
    with torch.device("meta"):
        model = TCAVC()
    filled = fill(released_shapes("tcavc_stage1") | released_shapes("lstvc"), conv_bias=1.0)
    model.load_state_dict(rename(filled, NAMES, UNUSED), assign=True)
    return model.eval().requires_grad_(False)
