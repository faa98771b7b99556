"""Which references colour which scene, and how a partial picture is completed.

**Scenes.** A model's state does not cross a cut. Each scene is started afresh, with its own references only:

- a film without cuts gets all references, in the order given;
- a scene that contains coloured frames gets those, and nothing else;
- any other scene gets the one loose picture that is most similar to its first frame;
- if there are no loose pictures, it gets the most similar coloured frame of another scene as a loose picture,
  because scenes recur, as in a dialogue. To prevent that, give the scene a reference of its own;
- without references (tcavc) each scene's reference is painted.

**Parts.** Where a reference is transparent, its colour is unknown. For a frame of the film, the method itself
fills that in: the frame is coloured as if it were the first of a film, from the scene's complete references,
or, if there are none, from the given part with everything else colourless; the given part is then composited
over it by its alpha, and the result is that frame's reference. So every method can use partial pictures, and
`copy`, which cannot predict, leaves unknown areas without colour. In a loose picture unknown areas are
colourless. The lightness of a partial picture comes from the film's frame, because editors blacken
transparent areas.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from colorlab.color import frames_to_rgb, join_lab, rgb_to_lab, split_lab
from colorlab.files.errors import InputError
from colorlab.film.cuts import look_at, most_like
from colorlab.film.dissolves import scene_starts
from colorlab.modules.resizing import resized

Picture = np.ndarray                          # (H, W, 3) uint8 RGB; as a reference (H, W, 4) too, with alpha
Pictures = Picture | Sequence[Picture | tuple[int, Picture]] | None
Cuts = str | Sequence[int] | None             # "auto", first frames of scenes, or none


class Given(NamedTuple):
    """A reference as given by the user."""

    # index in the film, or in its scene; None for a picture that is not a frame of the film
    frame: int | None
    picture: Picture  # (H, W, 3) or, partly transparent, (H, W, 4)

    @property
    def partial(self) -> bool:
        return self.picture.shape[-1] == 4


@dataclass(frozen=True)
class Guidance:
    """References, cuts, and the film's own frames under partly transparent ones."""

    references: tuple[Given, ...]
    cuts: tuple[int, ...] = ()  # the first frame of every scene but the first, ascending
    beneath: Mapping[int, Picture] = field(default_factory=dict)

    def scene(self, frame: int) -> tuple[int, int | None]:
        """The first frame of the scene that a frame is in, and of the one after it (None: the film's
        last)."""
        number = bisect_right(self.cuts, frame)
        return (0, *self.cuts)[number], (*self.cuts, None)[number]

    def own(self, start: int) -> tuple[Given, ...]:
        """The own references of a scene that begins at `start`: all of them in a film without cuts, else its
        coloured frames."""
        if not self.cuts:
            return self.references
        first, stop = self.scene(start)
        return tuple(
            given for given in self.references
            if given.frame is not None and first <= given.frame and (stop is None or given.frame < stop))

    def of_scene(self, start: int, opening: Picture) -> tuple[Given, ...]:
        """The references of the scene that begins at `start` with the frame `opening`; frames count from the
        scene's first."""
        chosen = self.own(start)
        if chosen or not self.references:
            return tuple(
                given._replace(frame=None if given.frame is None else given.frame - start)
                for given in chosen)
        candidates = [given for given in self.references if given.frame is None] or list(self.references)
        found = candidates[most_like(opening, [given.picture[..., :3] for given in candidates])]
        if found.partial and found.frame is not None:  # the frame beneath is only known for its own scene
            found = found._replace(picture=over_grey(found.picture, self.beneath[found.frame]))
        return (found._replace(frame=None),)

    def start(self, start: int, opening: Picture, model: nn.Module, size: int | None, device: torch.device,
              pictures: int = 1) -> object:
        """The model's state at the first frame of a scene. pictures: pictures per frame that the model gets
        (2: its fields)."""
        return model.start(self.to_lab(start, opening, model, size, device, pictures))

    def to_lab(self, start: int, opening: Picture, model: nn.Module, size: int | None, device: torch.device,
               pictures: int = 1) -> Tensor | list[Tensor | tuple[int, Tensor]] | None:
        """A scene's references as `model.start` takes them: Lab (1, 3, H, W), no larger than the network's
        input.

        A film's own frame is resized to exactly the network's input size, so that its pixels align with the
        film's.
        """
        chosen, film_size = self.of_scene(start, opening), opening.shape[:2]
        images = {
            n: to_lab(given, film_size, size, device)
            for n, given in enumerate(chosen)
            if not given.partial or given.frame is None
        }
        complete = [images[n] for n in images if not chosen[n].partial]
        for n, given in enumerate(chosen):
            if n not in images:
                images[n] = completed(given, self.beneath[start + given.frame], complete, model, size, device)
        if not chosen:
            return None
        if len(chosen) == 1 and chosen[0].frame is None:
            return images[0]
        return [
            images[n] if given.frame is None else (given.frame * pictures, images[n])
            for n, given in enumerate(chosen)
        ]


def guide(frames: Iterable[Picture], references: Pictures, cuts: Cuts = None,
          shown: Callable[[Iterable], Iterable] = iter) -> Guidance:
    """Collect what must be known about the film beforehand: its cuts, and the frames under partly transparent
    references.

    frames: of the film. They are read once if cuts="auto" or a reference for a frame is partly transparent,
    so they must then be a list, or a film from read_video(), and not an iterator. shown: wraps the frames, to
    show progress. Raises InputError for references and cuts that cannot be used.
    """
    given = check_references(references)
    known = () if cuts is None or cuts == "auto" else check_cuts(cuts)
    wanted = {one.frame for one in given if one.partial and one.frame is not None}
    if cuts != "auto" and not wanted:
        return Guidance(given, known)
    if iter(frames) is frames:
        what = (
            "cuts='auto'" if cuts == "auto" else f"the partly transparent reference for frame {min(wanted)}"
        )
        raise InputError(f"{what} needs the film before the work begins, and an iterator can be gone "
                         "through only once; give a list, or the film that read_video() opens")
    beneath: dict[int, Picture] = {}

    def keeping() -> Iterable[Picture]:
        for number, frame in enumerate(shown(frames)):
            if number in wanted:
                beneath[number] = frame
            yield frame
            if cuts != "auto" and len(beneath) == len(wanted):
                return

    if cuts == "auto":
        known = tuple(scene_starts(map(look_at, keeping())))
    else:
        for _ in keeping():
            pass
    if missing := wanted - beneath.keys():
        raise InputError(f"a reference is for frame {min(missing)}, which the film does not have")
    return Guidance(given, known, beneath)


def check_cuts(cuts: Sequence[int]) -> tuple[int, ...]:
    """The first frames of scenes, ascending, or InputError."""
    if isinstance(cuts, str) or not all(
            isinstance(cut, (int, np.integer)) and not isinstance(cut, bool) and cut > 0 for cut in cuts):
        raise InputError("cuts are 'auto' or the numbers of frames, from 1, with which a scene begins, "
                         f"not {cuts!r}")
    return tuple(sorted({int(cut) for cut in cuts}))


def completed(given: Given, beneath: Picture, complete: list[Tensor], model: nn.Module, size: int | None,
              device: torch.device) -> Tensor:
    """A partial picture of a film's frame, (H, W, 4), completed to a whole reference: Lab (1, 3, h, w).

    beneath: that frame of the film; complete: the scene's whole references, Lab, from which the rest is
    predicted.
    """
    film_size = beneath.shape[:2]
    check_shape(given, film_size)
    l, _ = split_lab(picture_to_lab(beneath, network_size(film_size, size), device))
    _, ab, alpha = known_part(given.picture, l.shape[-2:], device)
    colorless_elsewhere = join_lab(l, ab * alpha)
    predicted, _ = model.step(l, model.start(complete or colorless_elsewhere))
    return join_lab(l, predicted.to(ab).lerp(ab, alpha))


def to_lab(given: Given, film_size: tuple[int, int], size: int | None, device: torch.device) -> Tensor:
    """A whole frame of the film, or a loose picture, as `model.start` takes it: Lab (1, 3, h, w)."""
    if given.frame is not None:
        check_shape(given, film_size)
        return picture_to_lab(given.picture, network_size(film_size, size), device)
    small = network_size(given.picture.shape[:2], min(network_size(film_size, size)))
    if not given.partial:
        return picture_to_lab(given.picture, small, device)
    l, ab, alpha = known_part(given.picture, small, device)
    return join_lab(l, ab * alpha)


def known_part(picture: Picture, size: tuple[int, int],
               device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """(H, W, 4) -> L, ab and alpha in [0, 1] at `size`: ab is the mean over the known pixels, and undefined
    where alpha is 0."""
    whole = torch.from_numpy(np.ascontiguousarray(picture)).to(device)
    l, ab = split_lab(rgb_to_lab(frames_to_rgb(whole[..., :3]))[None])                   # (1, 1 and 2, H, W)
    alpha = whole[None, None, ..., 3].float() / 255                                      # (1, 1, H, W)
    share = resized(alpha, size)
    return resized(l, size), resized(ab * alpha, size) / share.clamp(min=1e-4), share


def picture_to_lab(picture: Picture, size: tuple[int, int], device: torch.device) -> Tensor:
    """uint8 (H, W, 3) -> Lab (1, 3, *size)."""
    return resized(
        rgb_to_lab(frames_to_rgb(torch.from_numpy(np.ascontiguousarray(picture)).to(device)))[None], size)


def check_shape(given: Given, film_size: tuple[int, int]) -> None:
    """Raise InputError for a reference that cannot be a frame of the film because its aspect ratio
    differs."""
    (H, W), (height, width) = film_size, given.picture.shape[:2]
    if abs(width / height * H / W - 1) > 0.03:
        raise InputError(f"the reference for frame {given.frame} is {width}x{height}, the film {W}x{H}: "
                         "another shape, so it cannot be that frame; crop it to the film, or give it "
                         "without a frame index")


def network_size(film_size: tuple[int, int], size: int | None) -> tuple[int, int]:
    """(H, W) of the film -> (h, w) with the short side `size`, with the same aspect ratio, never larger."""
    height, width = film_size
    scale = 1 if size is None else min(1, size / min(height, width))
    return round(height * scale), round(width * scale)


def check_references(references: Pictures) -> tuple[Given, ...]:
    """Valid references for `colorize`, in the order given, or InputError."""
    if references is None:
        return ()
    if isinstance(references, np.ndarray):
        references = [references]
    if not isinstance(references, (list, tuple)):
        raise InputError("references are a picture, a list of pictures and (frame_index, picture), or "
                         f"None, not {type(references).__name__}")
    given = tuple(_given(item) for item in references)
    frames = [one.frame for one in given if one.frame is not None]
    if repeated := {frame for frame in frames if frames.count(frame) > 1}:
        raise InputError(f"two references for frame {min(repeated)}; give each frame one")
    return given


def _given(item: Picture | tuple[int, Picture]) -> Given:
    paired = isinstance(item, tuple)
    if paired and (len(item) != 2 or isinstance(item[0], bool) or not isinstance(item[0], (int, np.integer))
                   or item[0] < 0):
        raise InputError("a reference of the film's own is (frame_index, picture), the index a whole "
                         "number from 0")
    name = f"the reference for frame {item[0]}" if paired else "the reference"
    picture = check_picture(item[1] if paired else item, name, alpha=True)
    if picture.shape[-1] == 4:
        if not picture[..., 3].any():
            raise InputError(
                f"{name} is transparent all over: it gives no colour; paint where the colour is known")
        picture = picture[..., :3] if picture[..., 3].min() == 255 else picture
    return Given(int(item[0]) if paired else None, picture)


def check_picture(picture: object, name: str, alpha: bool = False, deep: bool = False) -> Picture:
    """The picture, if it is uint8 (H, W, 3), or (H, W, 4) where alpha is allowed, or uint16 where more than 8
    bits are allowed; else InputError."""
    types = (np.uint8, np.uint16) if deep else (np.uint8,)
    if not isinstance(
            picture,
            np.ndarray) or picture.dtype not in types or picture.ndim != 3 or picture.shape[-1] not in (
                3, 4 if alpha else 3):
        got = (
            f"{picture.dtype} {picture.shape}" if isinstance(picture, np.ndarray) else type(picture).__name__
        )
        raise InputError(f"{name} is {got}; a picture here is a uint8 array (H, W, 3) of RGB, as "
                         "read_video() and read_image() give it")
    return picture


def over_grey(picture: Picture, beneath: Picture) -> Picture:
    """(H, W, 4) composited over the film's own frame, as RGB (H, W, 3) of the frame's size."""
    height, width = beneath.shape[:2]
    planes = torch.from_numpy(np.ascontiguousarray(picture)).movedim(-1, 0)[None].float()  # (1, 4, H, W)
    color, alpha = resized(planes, (height, width))[0].movedim(0, -1).split((3, 1), -1)
    grey = torch.from_numpy(beneath).float().mean(-1, keepdim=True)
    return grey.lerp(color, alpha / 255).round().clamp(0, 255).byte().numpy()
