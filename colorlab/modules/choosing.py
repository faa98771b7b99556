"""Choose a module by name: the value of a config field, looked up in a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from colorlab.files.errors import InputError

Builder = TypeVar("Builder", bound=Callable)


def choose(table: Mapping[str, Builder], field: str, name: str) -> Builder:
    """The entry of a table; raises InputError that lists the available names."""
    if name not in table:
        raise InputError(f"{field}={name!r} is not known; choose one of {', '.join(map(repr, table))}")
    return table[name]
