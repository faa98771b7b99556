"""Finding the clips of a data set on disk, and reporting what is present."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Literal, NamedTuple

from colorlab.clips.datasets.catalogue import DATA_SETS, DataSet, Split
from colorlab.files.errors import InputError
from colorlab.files.video.folder import PICTURE_SUFFIXES


class Check(NamedTuple):
    """What of a split is on disk."""

    # "there": no list or count is published to compare with
    status: Literal["absent", "incomplete", "whole", "there"]
    found: int                 # clips
    expected: int              # clips, 0 where that is not known
    problems: tuple[str, ...]  # one line each


def clips(name: str, split: str, root: str | Path = "data", partial: bool = False) -> dict[str, Path]:
    """The clips of a split, {name: folder of frames or film}, in the official order (by name where there is
    none).

    root: the folder that holds the data sets' folders. Raises InputError, with where the set comes from, when
    it is not there; and when clips of it are missing, unless `partial`.
    """
    data, chosen = look_up(name, split)
    home = Path(root) / data.folder
    found = find(home, chosen)
    if not found:
        raise InputError(f"{data.title} ({split}) is not in {home}: get it from {data.source}, "
                         f"and unpack it so that {home / chosen.layouts[0].format(clip='CLIP')} is there")
    missing = [clip for clip in chosen.clips if clip not in found]
    if missing and not partial:
        raise InputError(f"{data.title} ({split}) in {home} lacks {len(missing)} of its "
                         f"{len(chosen.clips)} clips: {some(missing)}")
    return {clip: found[clip] for clip in chosen.clips if clip in found} if chosen.clips else found


def check(name: str, split: str, root: str | Path = "data", decode: bool = False) -> Check:
    """Check whether a split is present and complete. decode: also read every frame, which is slow."""
    data, chosen = look_up(name, split)
    found = find(Path(root) / data.folder, chosen)
    if not found:
        return Check("absent", 0, chosen.count, ())
    ours = {clip: found[clip] for clip in chosen.clips if clip in found} if chosen.clips else found
    problems = []
    if missing := [clip for clip in chosen.clips if clip not in found]:
        problems.append(f"lacks the clips {some(missing)}")
    elif chosen.count and len(ours) != chosen.count:
        problems.append(f"has {len(ours)} clips, the official set {chosen.count}")
    if data.kind == "clips":
        total = 0
        for clip, path in ours.items():
            count, trouble = check_frames(path, chosen, chosen.lengths.get(clip), decode)
            total += count
            problems += [f"{clip}: {line}" for line in trouble]
        if not problems and chosen.frames and total != chosen.frames:
            problems.append(f"has {total} frames, the official set {chosen.frames}")
    known = bool(chosen.clips or chosen.count)
    return Check("incomplete" if problems else "whole" if known else "there", len(ours), chosen.count,
                 tuple(problems))


def check_frames(path: Path, split: Split, length: int | None, decode: bool) -> tuple[int, list[str]]:
    """(how many frames a clip has, what is wrong with it)."""
    if path.is_file():
        return _decoded(path) if decode else (0, [] if path.stat().st_size else ["the film is empty"])
    numbers = sorted(int(digits[-1]) for file in frames_in(path) if (digits := re.findall(r"\d+", file.stem)))
    problems = [] if numbers else ["no frames"]
    if twice := [str(number) for number, times in Counter(numbers).items() if times > 1]:
        problems.append(f"two frames are numbered {some(twice)}")
    if numbers and (gaps := sorted(set(range(numbers[0], numbers[-1] + 1, split.step)) - set(numbers))):
        problems.append(f"frames are missing: {some([str(gap) for gap in gaps])}")
    if length is not None and len(numbers) != length and not problems:
        problems.append(f"{len(numbers)} frames, the official clip has {length}")
    if empty := [file.name for file in frames_in(path) if file.stat().st_size == 0]:
        problems.append(f"empty files: {some(empty)}")
    if decode and not problems:
        problems += _decoded(path)[1]
    return len(numbers), problems


def find(home: Path, split: Split) -> dict[str, Path]:
    """{clip: path}, by name, of the first layout that has any."""
    for layout in split.layouts:
        before, after = layout.split("{clip}")
        places = {path: path.as_posix().removeprefix((home / before).as_posix() + "/").removesuffix(after)
                  for path in home.glob(f"{before}*{after}") if not path.name.startswith(".")}
        is_film = after.startswith(".")
        found = {
            clip: path
            for path, clip in places.items()
            if path.is_file() == is_film and not clip.startswith(".")
        }
        if split.clips:
            found = {clip: path for clip, path in found.items() if clip in split.clips}
        if found:
            return dict(sorted(found.items()))
    return {}


def frames_in(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir()
                  if file.suffix.lower() in PICTURE_SUFFIXES and not file.name.startswith("."))


def look_up(name: str, split: str) -> tuple[DataSet, Split]:
    if name not in DATA_SETS:
        raise InputError(f"no data set named {name!r}; there are {', '.join(DATA_SETS)}")
    data = DATA_SETS[name]
    if split not in data.splits:
        raise InputError(f"{name} has no split {split!r}; it has {', '.join(data.splits)}")
    return data, data.splits[split]


def some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _decoded(path: Path) -> tuple[int, list[str]]:
    from colorlab.files.video import read_video

    count = 0
    try:
        for _ in read_video(path):
            count += 1
    except InputError as error:
        return count, [str(error)]
    return count, []
