"""Stages that work at the same time: decoding, the network, encoding.

    write_video(path, ahead(colorize(ahead(film, 8), references, model), 2))

PyAV, torch and numpy release Python's lock while they compute, so a thread for each stage is enough.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from queue import Empty, Full, Queue
from typing import TypeVar

Item = TypeVar("Item")
_POLL = 0.2  # seconds after which a waiting thread looks whether it is still wanted


def ahead(items: Iterable[Item], depth: int = 2) -> Iterator[Item]:
    """The same items in the same order, made in a thread of their own, at most `depth` of them waiting (and one in the making).

    An error among the items is raised here, after the items before it. When the caller stops early, fails, or is interrupted,
    the thread is told, finishes the item that it is at, closes `items` if that is a generator, and ends before this generator does.
    """
    queue: Queue[tuple[str, object]] = Queue(depth)
    unwanted = threading.Event()
    thread = threading.Thread(target=_work, args=(items, queue, unwanted), name="colorlab-ahead", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = _get(queue)
            if kind == "item":
                yield value
            elif kind == "error":
                raise value
            else:
                return
    finally:
        unwanted.set()
        thread.join()


def _work(items: Iterable[object], queue: Queue, unwanted: threading.Event) -> None:
    iterator = iter(())
    try:
        iterator = iter(items)
        for item in iterator:
            if not _put(queue, ("item", item), unwanted):
                return
            del item  # a frame that was handed over is not kept alive while the next is made
        _put(queue, ("end", None), unwanted)
    except BaseException as error:  # it belongs to whoever pulls
        _put(queue, ("error", error), unwanted)
    finally:
        if hasattr(iterator, "close"):
            iterator.close()


def _get(queue: Queue) -> tuple[str, object]:
    """Waiting in slices, as Ctrl-C would not end an endless wait on every system."""
    while True:
        try:
            return queue.get(timeout=_POLL)
        except Empty:
            continue


def _put(queue: Queue, message: tuple[str, object], unwanted: threading.Event) -> bool:
    """Whether it was put; not when nobody wants it any more."""
    while not unwanted.is_set():
        try:
            queue.put(message, timeout=_POLL)
            return True
        except Full:
            continue
    return False
