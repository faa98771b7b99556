"""One figure per method: the stages of its `model.py` as boxes, each with the tensors of a real forward pass.

`OVERVIEWS` maps modules to boxes. The picture is drawn from tensors captured by hooks, so that it shows this
network, these weights and this film. The methods do not depend on it.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from IPython.display import display
from matplotlib import colormaps
from PIL import Image, ImageDraw
from torch import Tensor, nn

from colorlab.color import fit_gamut, join_lab, lab_to_rgb
from colorlab.files.project_folders import PACKAGE
from colorlab.modules.references import References, parse_references
from colorlab.modules.resizing import resized
from colorlab.teaching import plots


class Cells(NamedTuple):
    """Rows of numbers for the cells of a frame, in reading order; of several frames the last is used."""

    rows: Tensor      # (N,) or (N, C)
    stride: int = 0   # pixels along a cell's side; 0: the rows are one frame's, whose shape tells


Pictures = Mapping[str, Tensor | Cells]


class Box(NamedTuple):
    """A stage of a method.

    pictures: what the module returned -> {caption: tensor} of one frame: (h, w) a plane of numbers, (2, h, w)
    ab, (3, h, w) RGB in [0, 1], more channels features, of which the three directions with most variance
    become red, green and blue.
    """

    name: str
    module: str                 # dotted, below the network; a method of one may be named, too
    equation: str
    # of the paper's network, below colorlab/papers; `present` puts in its place where this model's is
    file: str
    at: tuple[int, int]         # row and column in the figure
    pictures: Callable[[Any], Pictures]
    into: tuple[str, ...] = ()  # modules of neighbouring boxes to which an arrow leads
    wide: int = 1               # columns
    optional: bool = False      # not in every config


def frame(into: str, at: tuple[int, int] = (1, 0)) -> Box:
    return Box("Frame: lightness", "frame", "L", "", at, lambda l: {"": l}, (into,))


def result(at: tuple[int, int]) -> Box:
    return Box("Result", "result", "ab with the frame's own L", "", at, lambda rgb: {"": rgb})


def reference(*into: str, at: tuple[int, int] = (0, 0)) -> Box:
    return Box("Reference", "reference", "L, a, b", "", at, lambda rgb: {"": rgb}, into)


def _propagation(prefix: str, paper: str) -> tuple[Box, ...]:
    """LSTVC's network, which is TCAVC's second stage too; prefix: where it is in the network."""
    name = lambda module: prefix + module
    return (
        Box("Features of the frame", name("backbone"), f"{paper}: R_low, R_high", "lstvc/backbone.py", (1, 1),
            lambda taps: {"stride 8": taps.high[-1]}, (name("linkage.query_layer"), name("encoder"))),
        Box("Linkage: query", name("linkage.query_layer"), "Eq. 6: hi_t", "lstvc/linkage.py", (0, 2),
            lambda tokens: {"tokens of the frame": Cells(tokens[0], 8)}, (name("encoder"),)),
        Box("CNN-Transformer", name("encoder"), "Fig. 3b: R'_high, ho_t", "lstvc/cnn_transformer.py", (1, 2),
            lambda encoded: {"stride 8": encoded.cnn[-1]}, (name("linkage.store_layer"), name("fusion"))),
        Box("Linkage: store", name("linkage.store_layer"), "Eq. 7: i_t, for the next block",
            "lstvc/linkage.py", (0, 3), lambda tokens: {"tokens of the state": Cells(tokens[0], 8)},
            (name("linkage.query_layer"),)),
        Box("Fusion", name("fusion"), "§3.2: R'", "lstvc/correspondence.py", (1, 3),
            lambda joined: {"stride 4": joined[-1]}, (name("heads.warp"),)),
        Box(
            "Correspondence: two heads", name("heads.warp"), "Eq. 1, 2, 3: W and S of each head",
            "lstvc/correspondence.py", (2, 2), lambda warp: {
                "vanilla: colour": 128 * warp.ab[0, -1, 0], "augmented: colour": 128 * warp.ab[0, -1, -1],
                "vanilla: similarity": warp.similarity[0, -1, 0], "augmented: similarity": warp.similarity[
                    0, -1, -1]
            }, (name("colorization"),), wide=2),
        Box(
            "Colorization subnet", name("colorization"), "Eq. 5", "lstvc/colorization.py", (2, 1),
            lambda painted: {"length of its ab": 128 * painted[0, -1, :2].tanh().norm(dim=0)}
            | ({"trust (ours)": (painted[0, -1, 2] + 5).sigmoid()}
               if painted.shape[2] > 2 else {}), ("result",)),
        result((2, 0)),
    )


# The four methods, top to bottom and left to right as their model.py runs.
OVERVIEWS: dict[str, tuple[Box, ...]] = {
    "cavc": (
        reference("extractor", "laying"),
        Box(
            "Colours by likeness (ours)",
            "laying",
            "course size only",
            "../methods/course/reference_warp.py",
            (0, 1),
            lambda laid: {
                "laid over the frame": 50 * laid.picture[-1, 1:],
                "likeness": laid.similarity[-1, 0],
            },
            ("encoder.1",),
            optional=True,
        ),
        Box(
            "Colour features",
            "extractor",
            "§3.1.2: tokens",
            "cavc/color_extraction.py",
            (0, 3),
            lambda tokens: {"patches of the reference": _square(tokens[0, 1:])},
            ("fusion",),
        ),
        frame("sca"),
        Box(
            "Single Channel Attention",
            "sca",
            "§3.1.1, Fig. 1",
            "cavc/channel_attention.py",
            (1, 1),
            lambda sca: (
                ({"channel_similarity": sca.similarity[-1, 0]} if sca.similarity.shape[1] else {})
                | {"SCA_features": sca.features[-1]}
            ),
            ("encoder.1",),
        ),
        Box(
            "Encoder, second level",
            "encoder.1",
            "§3.1.3",
            "cavc/u_colorization.py",
            (1, 2),
            lambda x: {"stride 4": x[-1]},
            ("fusion",),
        ),
        Box(
            "Fusion",
            "fusion",
            "§3.1.3",
            "cavc/u_colorization.py",
            (1, 3),
            lambda x: {"stride 16": x[-1]},
            ("decoder.3",),
        ),
        Box(
            "Histogram",
            "hist",
            "§3.1.3: code of the reference",
            "cavc/model.py",
            (2, 3),
            lambda code: {"the code's numbers": code[-1:]},
            ("decoder.3",),
            optional=True,
        ),
        Box(
            "Decoder, last level",
            "decoder.3",
            "§3.1.3",
            "cavc/u_colorization.py",
            (2, 2),
            lambda x: {"full size": x[-1]},
            ("paint",),
        ),
        Box(
            "Painted",
            "paint",
            "Fig. 2: output",
            "cavc/model.py",
            (2, 1),
            lambda rgb: {"RGB": (rgb[0, -1] + 1) / 2},
            ("result",),
        ),
        result((2, 0)),
    ),
    "lstvc": (reference("backbone"), frame("backbone"), *_propagation("", "§3.2, Fig. 3a")),
    "colormnet": (
        reference("value_encoder"),
        Box(
            "Value encoder",
            "value_encoder",
            "Eq. 3: V",
            "colormnet/value_encoder.py",
            (0, 1),
            lambda value: {"values of a and b": value[0].flatten(0, 1)},
            ("propagation.write",),
        ),
        Box(
            "Memory: write",
            "propagation.write",
            "Eq. 4 to 8",
            "colormnet/propagation.py",
            (0, 2),
            lambda held: {"entries held, by place": _held(held[0])},
            ("propagation.read",),
        ),
        Box(
            "Memory: read",
            "propagation.read",
            "Eq. 9, 10",
            "colormnet/propagation.py",
            (0, 3),
            lambda found: {"values read": found.rows[0]},
            ("local_attention.projected",),
        ),
        frame("features"),
        Box(
            "Guided features",
            "features",
            "Eq. 1, 2: F",
            "colormnet/features.py",
            (1, 1),
            lambda features: {"coarse": features.coarse[0], "fine": features.fine[0]},
            ("key_heads",),
        ),
        Box(
            "Query",
            "key_heads",
            "Eq. 3: Q",
            "colormnet/features.py",
            (1, 2),
            lambda query: {"key": query.key[0], "shrinkage": query.shrinkage[0, 0]},
            ("propagation.read", "local_attention.projected"),
        ),
        Box(
            "Local attention",
            "local_attention.projected",
            "Eq. 11, 12: added to what was read",
            "colormnet/local_attention.py",
            (1, 3),
            lambda values: {"values nearby": values[0].flatten(0, 1)},
            ("decoder",),
            optional=True,
        ),
        Box(
            "Decoder",
            "decoder",
            "Eq. 13",
            "colormnet/decoder.py",
            (2, 3),
            lambda decoded: {"its own colours": 110 * decoded.logits[0].tanh()},
            ("carry",),
        ),
        Box(
            "Carried colour (ours)",
            "carry",
            "course size only",
            "../methods/course/carried_chroma.py",
            (2, 2),
            lambda carried: {"with what was read": 110 * carried[0][0]},
            ("result",),
            optional=True,
        ),
        result((2, 1)),
    ),
    "tcavc": (
        Box(
            "Stage 1",
            "reference",
            "Eq. 3: C_1, the first frame alone",
            "tcavc/reference.py",
            (0, 0),
            lambda ab: {"its ab, at L = 60": lab_to_rgb(fit_gamut(join_lab(60 + 0 * ab[0, :1], ab[0])))},
            ("paint",),
        ),
        Box(
            "Painted reference",
            "paint",
            "Eq. 3: I_ref, through 8 bits",
            "tcavc/model.py",
            (0, 1),
            lambda lab: {"": lab_to_rgb(fit_gamut(lab))[0]},
            ("propagation.backbone",),
        ),
        frame("propagation.backbone"),
        *_propagation("propagation.", "Eq. 4, LSTVC's network"),
    ),
}

PAGE, MARGIN, SPACE, INNER = 900, 14, 26, 6    # pixels: the figure, its border, between boxes, inside them
PAPER, FRAME, LINE = (248, 249, 251), (255, 255, 255), (120, 130, 145)


def overview(method: str, model: nn.Module, film: Tensor, references: References = None) -> None:
    """Draw a method's stages with the tensors of the film's last frame, as large as a page.

    method: a name in OVERVIEWS. film: Lab (T, 3, H, W), whose L is coloured; a few frames, more than one step
    of the model's, so that what it carries from step to step is there too. references: as `model.start` takes
    them. Raises ValueError where a box's module is not in the model, or did not run.
    """
    boxes = present(OVERVIEWS[method], model)
    caught = catch(model, boxes, film, references)
    display({"image/jpeg": plots.for_page(drawn(method, boxes, caught, film)),
             "text/plain": f"<overview of {method}: {', '.join(box.name for box in boxes)}>"}, raw=True)


def present(boxes: Sequence[Box], model: nn.Module) -> tuple[Box, ...]:
    """The boxes whose modules this model has, each with the file where that is written; ValueError where one
    that it must have is missing."""
    kept = []
    for box in boxes:
        if not box.file:  # the frame, the reference, the result
            kept.append(box)
        elif (part := _found(model, box.module)) is not None:
            kept.append(box._replace(file=_home(part) or f"papers/{box.file}"))
        elif not box.optional:
            raise ValueError(f"the box {box.name!r} shows {box.module!r}, and {type(model).__name__} "
                             "has no such module")
    return tuple(kept)


def _home(part: nn.Module | Callable) -> str:
    """The file in which a module's class, or a method, is written, below colorlab; "" where it is torch's
    own."""
    source = Path(inspect.getsourcefile(type(part) if isinstance(part, nn.Module) else part))
    return source.relative_to(PACKAGE).as_posix() if source.is_relative_to(PACKAGE) else ""


@torch.no_grad()
def catch(model: nn.Module, boxes: Sequence[Box], film: Tensor,
          references: References = None) -> dict[str, Any]:
    """{module: what it returned last} of a pass over the film, with "frame", "reference" and "result"."""
    caught: dict[str, Any] = {}
    with ExitStack() as hooks:
        for box in boxes:
            if box.file:
                hooks.enter_context(_listening(model, box.module, caught))
        state, blocks = model.start(references), []
        for block in film[None, :, :1].split(model.frames_per_step, dim=1):
            ab, state = model.step(block, state)
            blocks.append(ab[0])
    silent = [box.name for box in boxes if box.file and box.module not in caught]
    if silent:
        raise ValueError(f"no result of {', '.join(silent)}: give a film of more than "
                         f"{model.frames_per_step} frames, so that the model takes a second step")
    ab = torch.cat(blocks)[-1]
    given = parse_references(references)
    if given:
        caught.setdefault("reference", resized(lab_to_rgb(fit_gamut(given[0].image[:1])), film.shape[-2:])[0])
    grey = lab_to_rgb(join_lab(film[-1, :1], 0 * ab))
    return caught | {"frame": grey, "result": lab_to_rgb(fit_gamut(join_lab(film[-1, :1], ab)))}


@contextmanager
def inputs_of(module: nn.Module) -> Iterator[list[Any]]:
    """Context that lists the positional arguments of a module's last call, to compare it with one by hand."""
    given: list[Any] = []
    handle = module.register_forward_pre_hook(lambda _, inputs: given.__setitem__(slice(None), inputs))
    try:
        yield given
    finally:
        handle.remove()


@contextmanager
def _listening(model: nn.Module, module: str, caught: dict[str, Any]) -> Iterator[None]:
    """Context that records what a module (or a method of one) returns; the latest value is kept."""
    part = _found(model, module)
    if isinstance(part, nn.Module):
        handle = part.register_forward_hook(lambda _, inputs, output: caught.__setitem__(module, output))
        try:
            yield
        finally:
            handle.remove()
        return
    owner, name = _found(model, module.rpartition(".")[0]) or model, module.rpartition(".")[2]

    def listened(*args: Any, **kwargs: Any) -> Any:
        caught[module] = part(*args, **kwargs)
        return caught[module]

    setattr(owner, name, listened)
    try:
        yield
    finally:
        delattr(owner, name)  # the class's method is seen again


def _found(model: nn.Module, module: str) -> Any:
    part: Any = model
    for name in filter(None, module.split(".")):
        part = part[int(name)] if name.isdigit() and int(name) < len(part) else getattr(part, name, None)
    return None if isinstance(part, nn.Identity) else part


def drawn(method: str, boxes: Sequence[Box], caught: Mapping[str, Any], film: Tensor) -> np.ndarray:
    """The figure, uint8 (H, PAGE, 3)."""
    columns = max(box.at[1] + box.wide for box in boxes)
    breadth = (PAGE - 2 * MARGIN - (columns - 1) * SPACE) // columns
    shape = breadth - 2 * INNER, round((breadth - 2 * INNER) * film.shape[-2] / film.shape[-1])
    tiles = {box.module: _box(box, caught[box.module], film[-1, :1], breadth, shape) for box in boxes}
    rows = sorted({box.at[0] for box in boxes})
    heights = [max(tiles[box.module].height for box in boxes if box.at[0] == row) for row in rows]
    tops = [MARGIN + sum(heights[:row]) + SPACE * row for row in range(len(rows))]
    page = Image.new("RGB", (PAGE, tops[-1] + heights[-1] + MARGIN), PAPER)
    places = {}
    for box in boxes:
        left, top = MARGIN + box.at[1] * (breadth + SPACE), tops[rows.index(box.at[0])]
        tile = tiles[box.module]
        page.paste(tile, (left, top))
        places[box.module] = (left, top, left + tile.width, top + tile.height)
    pen = ImageDraw.Draw(page)
    for box in boxes:
        for target in _reached(box, boxes):
            _arrow(pen, places[box.module], places[target])
    return np.array(page)


def _box(box: Box, output: Any, l: Tensor, breadth: int, shape: tuple[int, int]) -> Image.Image:
    """A stage: its name, its equation, its file, and its pictures under their captions."""
    pictures = dict(_drawn(caption, tensor, l, shape) for caption, tensor in box.pictures(output).items())
    width = box.wide * breadth + (box.wide - 1) * SPACE
    lines = [(line, 12, plots.INK) for line in plots.wrapped(box.name, 12, width - 2 * INNER)]
    lines += [(line, 10, (70, 80, 95)) for text in (box.equation, box.file) if text
              for line in plots.wrapped(text, 10, width - 2 * INNER)]
    head = INNER + sum(size + 4 for _, size, _ in lines)
    gap = (width - 2 * INNER - box.wide * shape[0]) // max(1, box.wide - 1)
    rows = -(-len(pictures) // box.wide)
    below = 15 if any(pictures) else 0  # room for a caption
    tile = Image.new("RGB", (width, head + rows * (shape[1] + below + 3) + INNER), FRAME)
    pen = ImageDraw.Draw(tile)
    pen.rounded_rectangle((0, 0, width - 1, tile.height - 1), 6, outline=LINE)
    y = INNER - 1
    for text, size, color in lines:
        pen.text((INNER, y), text, fill=color, font=plots.font(size))
        y += size + 4
    for number, (caption, picture) in enumerate(pictures.items()):
        left = INNER + number % box.wide * (shape[0] + gap)
        top = head + 2 + number // box.wide * (shape[1] + below + 3)
        tile.paste(picture, (left, top))
        pen.text((left, top + shape[1] + 1), caption, fill=(70, 80, 95), font=plots.font(10))
    return tile


def _reached(box: Box, boxes: Sequence[Box]) -> Iterator[str]:
    """The targets of a box's arrows; a box that this model lacks is replaced by its own targets."""
    there = {other.module for other in boxes}
    every = {
        other.module: other for table in OVERVIEWS.values()
        if box.module in {one.module for one in table} for other in table
    }
    for target in box.into:
        if target in there:
            yield target
        else:
            yield from _reached(every[target], boxes)


def _arrow(pen: ImageDraw.ImageDraw, source: tuple[int, ...], target: tuple[int, ...]) -> None:
    """An arrow between boxes: straight to a neighbour, with a corner to a diagonal one, around the row to a
    farther one."""
    left, right = source[2] <= target[0], target[2] <= source[0]
    up, down = target[1] < source[1], target[1] > source[1]
    if not up and not down and abs((target[0] - source[2]) if left else (source[0] - target[2])) > SPACE:
        y = source[1] - 9
        out, back = source[2] - 20, (target[0] + target[2]) // 2
        points = [(out, source[1]), (out, y), (back, y), (back, target[1])]
    elif not up and not down:
        y = source[1] + 60
        points = [(source[2] if left else source[0], y), (target[0] if left else target[2], y)]
    elif left or right:
        points = [(source[2] if left else source[0], source[1] + 4 if up else source[3] - 4),
                  (target[0] if left else target[2], target[3] - 4 if up else target[1] + 4)]
    else:
        x = (max(source[0], target[0]) + min(source[2], target[2])) // 2
        points = [(x, source[1] if up else source[3]), (x, target[3] if up else target[1])]
    pen.line(points, fill=LINE, width=2)
    (x0, y0), (x1, y1) = points[-2:]
    angle = math.atan2(y1 - y0, x1 - x0)
    wings = [(x1 - 9 * math.cos(angle + turn), y1 - 9 * math.sin(angle + turn)) for turn in (0.45, -0.45)]
    pen.polygon([(x1, y1), *wings], fill=LINE)


def _drawn(caption: str, found: Tensor | Cells, l: Tensor, shape: tuple[int, int]) -> tuple[str, Image.Image]:
    """A tensor of one frame as a picture of `shape` = (width, height), and its caption with a plane's
    range."""
    tensor = (_on_grid(found, l.shape[-2:]) if isinstance(found, Cells) else found).detach().float().cpu()
    if tensor.ndim == 2:
        low, high = float(tensor.min()), float(tensor.max())
        values = Image.fromarray(((tensor - low) / max(high - low, 1e-9)).numpy())
        values = values.resize(shape, Image.BICUBIC)
        colors = (255 * colormaps["viridis"](np.asarray(values).clip(0, 1))[..., :3]).round().astype(np.uint8)
        return f"{caption}: {low:.3g} to {high:.3g}", Image.fromarray(colors)
    if tensor.shape[0] == 2:
        small = F.interpolate(l[None].cpu(), tensor.shape[-2:], mode="area")[0]
        tensor = lab_to_rgb(fit_gamut(join_lab(small, tensor)))
    elif tensor.shape[0] > 3:
        tensor = _strongest(tensor)
    return caption, Image.fromarray(plots.as_array(tensor)).resize(shape, Image.BICUBIC)


def _strongest(features: Tensor) -> Tensor:
    """(C, h, w) -> (3, h, w) in [0, 1]: the three directions in which this frame's features differ most."""
    flat = features.flatten(1).double()
    flat = flat - flat.mean(1, keepdim=True)
    directions = torch.linalg.eigh(flat @ flat.T).eigenvectors[:, -3:].flip(1)  # (C, 3), strongest first
    directions = directions * directions.sum(0).sign()                          # the same on every machine
    values = directions.T @ flat                                                        # (3, h * w)
    low, high = values.quantile(0.02, dim=1, keepdim=True), values.quantile(0.98, dim=1, keepdim=True)
    return ((values - low) / (high - low).clamp(min=1e-9)).clamp(0, 1).view(-1, *features.shape[1:]).float()


def _on_grid(cells: Cells, size: Sequence[int]) -> Tensor:
    """The last frame's (C, h, w), or (h, w) where each cell has one number; size: the film's (H, W)."""
    rows, stride = cells
    if stride:
        h, w = (max(2, -(-side // stride)) for side in size)
        rows = rows[-h * w:]
    else:
        count = len(rows)
        fits = [h for h in range(1, count + 1) if count % h == 0]
        h = min(fits, key=lambda h: abs(h * h * size[1] / size[0] - count))
    return rows.movedim(0, -1).unflatten(-1, (h, -1))


def _square(tokens: Tensor) -> Tensor:
    """(n * n, C) -> (C, n, n)."""
    side = math.isqrt(len(tokens))
    return tokens.T.unflatten(1, (side, side))


def _held(memory: Any) -> Cells:
    """The number of a memory's entries that came from each cell."""
    cells = memory.entries.cell
    return Cells(cells.new_zeros(int(cells.max()) + 1).index_add(0, cells, torch.ones_like(cells)))
