"""Colour a long film: resumable, in constant memory, with decoding, network and encoding in parallel.

Work in progress is kept beside the output, in a hidden folder `.NAME.unfinished`:

    job.json            the job description; a different job starts over
    cuts.json           the scene cuts in use
    picture/000000.nut  whole segments, or frames/ if the output is a folder of frames
    confidence/...      the same for the confidence map
    000003.state        the model's state after three segments
    000003.json         the files of the third segment, with checksums (resume.py)

A segment counts once its record and the state after it exist, and as long as its files match the record. If
it is killed at any moment, the same job resumes from the last such state, bit for bit: the resulting film is
the one that an uninterrupted run makes. An .mp4 or .mov has the same bytes, and so has every PNG of a folder;
a Matroska file has the same packets and its own random identifier. (This needs the same machine, versions and
number of threads, because arithmetic differs between them.) Once the output has its final name, the folder is
removed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import torch
from torch import nn

import colorlab
from colorlab.files.errors import InputError
from colorlab.files.locks import alone
from colorlab.files.video import Film, Folder, is_folder_name
from colorlab.files.video.shots import Shot
from colorlab.files.atomic import NO_ROOM, read_json, remove_leftovers, room_for, write_json
from colorlab.film.colorize import Block, Place, colored_blocks
from colorlab.film.confidence import offers_confidence
from colorlab.film.output import made_by, open_track
from colorlab.film.pipeline import ahead, behind
from colorlab.film.references import Guidance
from colorlab.film.resume import keep_segment, whole_file, whole_segments
from colorlab.film.saved_state import load_state, save_state

SEGMENT = 96        # shortest segment, in frames; about the acceptable seek distance of a player
DECODED_AHEAD = 8   # frames
COLORED_BEHIND = 2  # blocks
# seconds after which an unlocked folder without a first segment counts as abandoned
ABANDONED = 60


class Unfinished(NamedTuple):
    """The remains of an interrupted job: whole segments and the frames in them."""

    segments: int
    frames: int


@dataclass(frozen=True)
class FilmJob:
    """One film to be coloured."""

    film: Film | Folder
    output: Path
    model: nn.Module
    size: int | None
    device: torch.device
    # everything else that affects the result, as text: the references' contents, the requested cuts ...
    settings: Mapping[str, str]
    rate: Fraction | float = 24.0  # where the film is a folder and the output is not
    # output of the confidence map: a film or a folder, like the output
    confidence: Path | None = None
    segment: int = SEGMENT
    saturation: float = 1.0
    lossless: bool = False         # FFV1 in Matroska
    precision: str = "float32"     # the network's precision

    @property
    def folder(self) -> Path:
        return work_folder(self.output)

    @cached_property
    def description(self) -> dict[str, str]:
        """Everything that the result depends on."""
        own = {
            "input": file_identity(self.film),
            "model": model_identity(self.model),
            "size": str(self.size),
            "device": self.device.type,
            "rate": str(self.rate),
            "confidence": str(self.confidence),
            "segment": str(self.segment),
            "saturation": str(self.saturation),
            "lossless": str(self.lossless),
            "fields": self.film.fields,
            "deinterlace": str(getattr(self.film, "deinterlace", False)),
            "precision": self.precision,
            "versions": f"colorlab {colorlab.__version__}, torch {torch.__version__}",
        }
        return own | dict(self.settings)

    @cached_property
    def identity(self) -> str:
        """A hash that is equal for jobs with the same result."""
        return hashlib.sha256(json.dumps(self.description, sort_keys=True).encode()).hexdigest()

    def unfinished(self) -> Unfinished:
        """The intact work of this very job; nothing if the folder holds another job's work, damaged work or
        none."""
        if read_json(self.folder / "job.json") != self.description:
            return Unfinished(0, 0)
        outputs = {"picture": self.output, "confidence": self.confidence}
        delivered = {
            track: path
            for track, path in outputs.items()
            if path is not None and path.is_dir() and made_by(path) == self.identity
        }

        # a folder of frames may have been delivered before the work was interrupted
        def find(name: str) -> Path:
            track = name.partition("/")[0]
            return delivered[track] / Path(name).name if track in delivered else self.folder / name

        frames = whole_segments(self.folder, find)
        while frames and not self._whole_state(len(frames)):
            frames.pop()
        return Unfinished(len(frames), frames[-1] if frames else 0)

    def known_cuts(self) -> list[int] | None:
        """The cuts that an earlier run of this job was given or found; None without an earlier run."""
        found = read_json(self.folder / "cuts.json")
        if not isinstance(found, dict) or found.get("job") != self.identity or not self.unfinished().segments:
            return None
        return found["cuts"]

    def delivered(self) -> bool:
        """Whether the output is a folder of frames made by this very job, and likewise the confidence map, if
        requested."""
        outputs = [path for path in (self.output, self.confidence) if path is not None]
        return all(is_folder_name(path) and self.made(path) for path in outputs)

    def made(self, folder: Path) -> bool:
        """Whether a folder holds the frames of this job, all of them."""
        return made_by(folder) == self.identity and len(list(folder.glob("*.png"))) == self.film.count()

    def discard(self) -> None:
        """Remove leftover work on an output that is complete."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def state_file(self, number: int) -> Path:
        return self.folder / f"{number:06d}.state"

    def _whole_state(self, number: int) -> bool:
        return whole_file(
            self.state_file(number),
            read_json(self.folder / f"{number:06d}.json")["files"].get(self.state_file(number).name))


def restore(job: FilmJob, guidance: Guidance, on_frames: Callable[[int], None] = lambda count: None) -> int:
    """Run a job, or the rest of it; returns the film's number of frames.

    on_frames: called from the writing thread with the number of frames just written. Whatever interrupts the
    work, whole segments are kept for the same job to resume from; if there are none yet, nothing is kept.
    Raises InputError for invalid jobs.
    """
    if job.confidence is not None and not offers_confidence(job.model):
        raise InputError(f"{type(job.model).__name__} does not say how sure it is: this network matches no "
                         "pixels; leave the confidence out")
    remove_leftovers(job.folder.parent)
    _remove_abandoned(job.folder)
    job.folder.mkdir(exist_ok=True)
    with alone(job.folder / "lock", job.folder, "wait for it, or give another output"), room_for(job.output):
        try:
            done = job.unfinished()
            if not done.segments:
                _empty(job.folder)
            write_json(job.folder / "cuts.json", {"job": job.identity, "cuts": list(guidance.cuts)})
            write_json(job.folder / "job.json", job.description)
            frames = _segments(job, guidance, done, on_frames)
            shutil.rmtree(job.folder)
        except av.FFmpegError as error:
            mend = (
                "make room on its disk"
                if error.errno in NO_ROOM
                else "where its sound or subtitles are damaged, give the film without them"
            )
            raise InputError(f"cannot write {job.output}: {error.strerror}; {mend}") from error
        finally:
            if job.folder.exists() and not job.unfinished().segments:
                shutil.rmtree(job.folder)
    return frames


def _segments(job: FilmJob, guidance: Guidance, done: Unfinished, on_frames: Callable[[int], None]) -> int:
    """Write the segments that are missing, then the output."""
    tracks = [
        open_track(job.folder / "picture", job.output, job.film, job.rate, copied=True, lossless=job.lossless,
                   mark=job.identity)
    ]
    if job.confidence is not None:
        tracks.append(
            open_track(job.folder / "confidence", job.confidence, job.film, job.rate, copied=False,
                       mark=job.identity))
    for track in tracks:
        track.go_on(done.segments, done.frames)
    place = load_state(job.state_file(done.segments), job.device) if done.segments else Place()
    begun, number = place.frame, done.segments
    sources: deque[Shot] = deque()  # of frames being coloured or waiting to be written

    def pictures(shots: Iterator[Shot]) -> Iterator[np.ndarray]:
        for shot in shots:
            sources.append(shot)
            yield shot.rgb

    def keep(block: Block) -> None:
        nonlocal place, begun, number
        tracks[0].write(block.frames, [sources.popleft() for _ in block.frames])
        for track in tracks[1:]:
            track.write(block.confidence)
        place = block.after
        on_frames(len(block.frames))
        if place.frame - begun >= job.segment:
            begun, number = place.frame, number + 1
            _end_segments(job, tracks, number, place)

    try:
        with closing(ahead(job.film.shots_from(place.frame),
                           DECODED_AHEAD)) as shots, behind(keep, COLORED_BEHIND) as hand_on:
            for block in colored_blocks(
                pictures(shots),
                guidance,
                job.model.to(job.device),
                job.size,
                job.device,
                place,
                job.confidence is not None,
                job.saturation,
                job.film.fields,
                job.precision,
            ):
                hand_on(block)
        if place.frame > begun:
            _end_segments(job, tracks, number + 1, place)
        _check_input(job)
        for track in reversed(tracks):
            track.finish(place.frame)
    finally:
        for track in tracks:
            track.abandon()
    return place.frame


def _end_segments(job: FilmJob, tracks: list, number: int, place: Place) -> None:
    files = [file for track in tracks for file in track.end_segment()]
    state, ready = job.state_file(number), job.folder / "next"
    save_state(ready, place)
    keep_segment(job.folder, number, place.frame,
                 {file.relative_to(job.folder).as_posix(): file for file in files} | {state.name: ready})
    ready.replace(state)
    for earlier in job.folder.glob("[0-9]*.state"):
        if earlier != state:
            earlier.unlink()


def _check_input(job: FilmJob) -> None:
    """Raise InputError if the film has changed since it was coloured: sound and time stamps would belong to
    other pictures."""
    try:
        same = file_identity(job.film) == job.description["input"]
    except OSError:
        same = False
    if not same:
        raise InputError(f"{job.film.path} was changed or replaced while it was coloured; give the command "
                         "again, and leave the film alone until it is done")


def _remove_abandoned(own: Path) -> None:
    """Remove neighbouring work folders whose process was killed before its first segment."""
    for folder in own.parent.glob(".*.unfinished"):
        with suppress(OSError, InputError):
            old = time.time() - folder.stat().st_mtime > ABANDONED  # a newer one may be about to be locked
            if folder != own and old and not list(folder.glob("[0-9]*.json")):
                with alone(folder / "lock", folder, ""):
                    shutil.rmtree(folder)


def _empty(folder: Path) -> None:
    """Remove another job's leftovers, but not the lock that we hold."""
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != "lock":
            entry.unlink()


def work_folder(output: Path) -> Path:
    """The folder for work on an output; its lock keeps others out."""
    return output.with_name(f".{output.name}.unfinished")


def file_identity(film: Film | Folder) -> str:
    """The film's path, with a hash of its files' names, sizes and modification times."""
    files = film.files if isinstance(film, Folder) else (film.path,)
    facts = [(file.name, (stat := os.stat(file)).st_size, stat.st_mtime_ns) for file in files]
    return f"{film.path.resolve()} {hashlib.sha256(json.dumps(facts).encode()).hexdigest()}"


def model_identity(model: nn.Module) -> str:
    """A hash of a model's class, settings and weights."""
    digest = hashlib.sha256(f"{type(model).__qualname__} {getattr(model, 'config', None)}".encode())
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
