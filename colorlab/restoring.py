"""Colour a long film: resumable, in flat memory, decoding, network and encoding at the same time.

Work in progress lies beside the output, in a hidden folder `.NAME.unfinished`:

    job.json            what is being done; another job begins anew
    cuts.json           the scene cuts that it goes by
    picture/000000.nut  whole segments, or frames/ where the output is a folder of frames
    confidence/...      the same for the map of how sure each pixel is
    000003.state        the model's state after three segments

A segment counts once the state after it is written. Killed at any moment, the same job goes on from the last such state, to the bit:
the film that comes out is the one that an undisturbed run makes. An .mp4 or .mov has the same bytes, and so has every PNG of a folder; a
Matroska file has the same packets and a random identifier of its own. (The same machine, the same versions and the
same number of threads: arithmetic differs between those.) When the output stands under its name, the folder is removed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
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
from colorlab.coloring import Block, Place, colored_blocks
from colorlab.confidence import offers_confidence
from colorlab.errors import InputError
from colorlab.guidance import Guidance
from colorlab.pipeline import ahead, behind
from colorlab.states import load_state, save_state
from colorlab.tracks import open_track
from colorlab.video import Film, Folder
from colorlab.video.shots import Shot

SEGMENT = 96        # frames, the shortest segment; about as far apart as a player's jumps may be
DECODED_AHEAD = 8   # frames
COLORED_BEHIND = 2  # blocks


class Unfinished(NamedTuple):
    """What an interrupted job left: whole segments and the frames in them."""

    segments: int
    frames: int


@dataclass(frozen=True)
class Job:
    """One film to be coloured."""

    film: Film | Folder
    output: Path
    model: nn.Module
    size: int | None
    device: torch.device
    settings: Mapping[str, str]       # all else that shapes the result, in words: the references' contents, the cuts asked for ...
    rate: Fraction | float = 24.0     # where the film is a folder and the output is not
    confidence: Path | None = None    # where the map of how sure each pixel is goes: a film or a folder, as the output
    segment: int = SEGMENT
    saturation: float = 1.0
    lossless: bool = False            # FFV1 in Matroska

    @property
    def folder(self) -> Path:
        return self.output.with_name(f".{self.output.name}.unfinished")

    @cached_property
    def description(self) -> dict[str, str]:
        """All that the result depends on."""
        own = {"input": file_identity(self.film), "model": model_identity(self.model), "size": str(self.size), "device": self.device.type,
               "rate": str(self.rate), "confidence": str(self.confidence), "segment": str(self.segment),
               "saturation": str(self.saturation), "lossless": str(self.lossless), "fields": self.film.fields,
               "versions": f"colorlab {colorlab.__version__}, torch {torch.__version__}"}
        return own | dict(self.settings)

    @cached_property
    def identity(self) -> str:
        """The same for two jobs with the same result."""
        return hashlib.sha256(json.dumps(self.description, sort_keys=True).encode()).hexdigest()

    def unfinished(self) -> Unfinished:
        """What there is of this very job; nothing where the folder holds another's work or none."""
        if _read_json(self.folder / "job.json") != self.description or not (states := self._states()):
            return Unfinished(0, 0)
        return Unfinished(int(states[-1].stem), torch.load(states[-1], map_location="cpu", weights_only=True, mmap=True)["fields"]["frame"])

    def known_cuts(self) -> list[int] | None:
        """The cuts that an earlier run of this job was given or found; None where there was none."""
        return _read_json(self.folder / "cuts.json") if self.unfinished().segments else None

    def _states(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.state"))


def restore(job: Job, guidance: Guidance, on_frames: Callable[[int], None] = lambda count: None) -> int:
    """Do a job, or what is left of it; returns the film's number of frames.

    on_frames: told, in the thread that writes, how many frames were written, as they are. Whatever interrupts the work, whole segments
    stay for the same job to go on from; where there is none yet, nothing stays. Raises InputError for what cannot be done.
    """
    if job.confidence is not None and not offers_confidence(job.model):
        raise InputError(f"{type(job.model).__name__} does not say how sure it is: this network matches no pixels; leave the confidence out")
    with _alone(job.folder):
        try:
            done = job.unfinished()
            if not done.segments:
                _empty(job.folder)
            (job.folder / "cuts.json").write_text(json.dumps(guidance.cuts))
            (job.folder / "job.json").write_text(json.dumps(job.description))
            frames = _segments(job, guidance, done, on_frames)
            shutil.rmtree(job.folder)
        except av.FFmpegError as error:
            raise InputError(f"cannot write {job.output}: {error.strerror}; see that the disk has room") from error
        finally:
            if job.folder.exists() and not job.unfinished().segments:
                shutil.rmtree(job.folder)
    return frames


def _segments(job: Job, guidance: Guidance, done: Unfinished, on_frames: Callable[[int], None]) -> int:
    """Write the segments that are missing, then the output."""
    tracks = [open_track(job.folder / "picture", job.output, job.film, job.rate, copied=True, lossless=job.lossless)]
    if job.confidence is not None:
        tracks.append(open_track(job.folder / "confidence", job.confidence, job.film, job.rate, copied=False))
    for track in tracks:
        track.go_on(done.segments, done.frames)
    place = load_state(job._states()[-1], job.device) if done.segments else Place()
    begun, number = place.frame, done.segments
    sources: deque[Shot] = deque()  # of the frames that are being coloured or wait to be written

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
        with closing(ahead(job.film.shots_from(place.frame), DECODED_AHEAD)) as shots, behind(keep, COLORED_BEHIND) as hand_on:
            for block in colored_blocks(pictures(shots), guidance, job.model.to(job.device), job.size, job.device, place,
                                        job.confidence is not None, job.saturation, job.film.fields):
                hand_on(block)
        if place.frame > begun:
            _end_segments(job, tracks, number + 1, place)
        for track in reversed(tracks):
            track.finish()
    finally:
        for track in tracks:
            track.abandon()
    return place.frame


def _end_segments(job: Job, tracks: list, number: int, place: Place) -> None:
    for track in tracks:
        track.end_segment()
    earlier = job._states()
    save_state(job.folder / f"{number:06d}.state", place)
    for state in earlier:
        state.unlink()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Make the folder and hold it against another run. A killed run lets go of it."""
    folder.mkdir(exist_ok=True)
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(f"another run is at work in {folder}; wait for it, or give another output") from error
        yield


def _empty(folder: Path) -> None:
    """Remove what another job left, but not the lock that is held."""
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != "lock":
            entry.unlink()


def file_identity(film: Film | Folder) -> str:
    """Names, sizes and times of change of a film's files, in short."""
    files = film.files if isinstance(film, Folder) else (film.path,)
    facts = [(file.name, (stat := os.stat(file)).st_size, stat.st_mtime_ns) for file in files]
    return f"{film.path.resolve()} {hashlib.sha256(json.dumps(facts).encode()).hexdigest()}"


def model_identity(model: nn.Module) -> str:
    """A model's class, settings and numbers, in short."""
    digest = hashlib.sha256(f"{type(model).__qualname__} {getattr(model, 'config', None)}".encode())
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
