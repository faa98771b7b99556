"""Shared by long-running commands: a device, a progress bar, and clean-up at the end."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from colorlab.files.errors import InputError

if TYPE_CHECKING:
    from colorlab.files.video import Film, Folder


def pick_device(name: str) -> str:
    """A device that works here: the one named, or for "auto" CUDA, Apple's MPS or the CPU, whichever comes
    first."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.zeros(1, device=name).item()  # "meta" and similar devices hold no data
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(f"--device {name} cannot be used here ({str(error).splitlines()[0][:100]}); leave "
                         "it out, or say cpu") from error
    return name


def leave_bar() -> bool:
    """Whether a finished bar stays: in a log, where the next message would otherwise follow on the same line;
    not on a terminal."""
    return not sys.stderr.isatty()


def open_standard_streams() -> None:
    """Open standard streams that were closed at start (`>&-`) on the null device, before other files take
    their descriptors."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))


@contextmanager
def progress(count: int, what: str, before: int = 0) -> Iterator:
    """A progress bar with the time left, on stderr, advanced by `update(count)`."""
    from tqdm import tqdm

    with tqdm(total=count, initial=before, desc=what, unit="frame", file=sys.stderr,
              dynamic_ncols=True) as bar:
        yield bar


@contextmanager
def stopped_like_ctrl_c() -> Iterator[None]:
    """Context in which SIGTERM cleans up as Ctrl-C does. Only effective in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def tell_of_damage(film: Film | Folder, strict: bool) -> None:
    """Report in one line how much of a film file is damaged, before hours of work on it; as InputError if
    `strict`."""
    from tqdm import tqdm

    if not film.path.is_file():
        return
    from colorlab.files.video.damage import damage_of

    with tqdm(total=film.frames, desc="looking for damage", unit="frame", leave=leave_bar(), delay=2,
              file=sys.stderr, dynamic_ncols=True) as bar:
        damage = damage_of(film, bar.update)
    if damage and strict:
        raise InputError(f"{damage.said(film)}; copy it again, or leave --strict out to take it as it is")
    if damage:
        sys.stderr.write(f"warning: {damage.said(film)}; FFmpeg's guesses replace them (--strict "
                         "refuses such a film)\n")
