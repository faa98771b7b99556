"""Concurrent stages: decoding, the network, encoding.

    with behind(write, 2) as hand_on:
        for frame in colorize(ahead(film, 8), references, model):
            hand_on(frame)

PyAV, torch and numpy release the GIL while they compute, so a thread for each stage is enough. The network
stays in the caller's thread, where torch already has its thread pool: in another thread it would create a
second pool, and two pools on the same cores wait for each other (`tests/bench/bench_long_films.py --only
overlap` measures the cost).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import Empty, Full, Queue
from typing import TypeVar

Item = TypeVar("Item")
_POLL = 0.2  # seconds after which a waiting thread checks whether it is still needed


def ahead(items: Iterable[Item], depth: int = 2) -> Iterator[Item]:
    """The same items in the same order, produced in a separate thread, at most `depth` of them waiting (and
    one in the making).

    An error among the items is raised here, after the items before it. When the caller stops early, fails, or
    is interrupted, the thread is told to stop, finishes its current item, closes `items` if that is a
    generator, and ends before this generator does.
    """
    queue: Queue[tuple[str, object]] = Queue(depth)
    unwanted = threading.Event()
    thread = threading.Thread(target=_make, args=(items, queue, unwanted), name="colorlab-ahead", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = _get(queue, unwanted)
            if kind == "item":
                yield value
            elif kind == "error":
                raise value
            else:
                return
    finally:
        unwanted.set()
        thread.join()


@contextmanager
def behind(work: Callable[[Item], None], depth: int = 2) -> Iterator[Callable[[Item], None]]:
    """Yields a function that hands an item on to `work`, which processes them in order in a separate thread,
    at most `depth` waiting.

    All items are done when the block ends. An error in `work` stops it and is raised when the next item is
    handed on, or at the end. If the block itself fails or is interrupted, the thread finishes its current
    item, drops those waiting, and ends before the block does.
    """
    queue: Queue[tuple[str, object]] = Queue(depth)
    unwanted, errors = threading.Event(), []

    def do() -> None:
        try:
            while (message := _get(queue, unwanted))[0] == "item":
                work(message[1])
                del message  # released before waiting for the next
        except BaseException as error:  # it belongs to whoever hands on
            errors.append(error)
        finally:
            unwanted.set()

    def hand_on(item: Item) -> None:
        if not _put(queue, ("item", item), unwanted):
            raise errors[0]

    thread = threading.Thread(target=do, name="colorlab-behind", daemon=True)
    thread.start()
    try:
        yield hand_on
        _put(queue, ("end", None), unwanted)
        while thread.is_alive():
            thread.join(_POLL)
    finally:
        unwanted.set()
        thread.join()
    if errors:
        raise errors[0]


def _make(items: Iterable[object], queue: Queue, unwanted: threading.Event) -> None:
    iterator = iter(())
    try:
        iterator = iter(items)
        for item in iterator:
            if not _put(queue, ("item", item), unwanted):
                return
            del item  # release a frame that was handed over while the next is made
        _put(queue, ("end", None), unwanted)
    except BaseException as error:  # it belongs to whoever pulls
        _put(queue, ("error", error), unwanted)
    finally:
        if hasattr(iterator, "close"):
            iterator.close()


# Wait in slices: on some systems Ctrl-C does not interrupt an unlimited wait.


def _get(queue: Queue, unwanted: threading.Event) -> tuple[str, object]:
    """The next message; the end marker once the consumer has stopped."""
    while not unwanted.is_set():
        try:
            return queue.get(timeout=_POLL)
        except Empty:
            continue
    return "end", None


def _put(queue: Queue, message: tuple[str, object], unwanted: threading.Event) -> bool:
    """Whether it was put; False once the consumer has stopped."""
    while not unwanted.is_set():
        try:
            queue.put(message, timeout=_POLL)
            return True
        except Full:
            continue
    return False
