"""Settings from a command line: NAME=VALUE."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from colorlab.files.errors import InputError


def pairs(settings: Sequence[str]) -> dict[str, str]:
    """["a=1", "b=2"] -> {"a": "1", "b": "2"}."""
    if wrong := [text for text in settings if "=" not in text]:
        raise InputError(f"{wrong[0]!r} is not NAME=VALUE")
    return {name.strip(): value.strip() for name, _, value in (text.partition("=") for text in settings)}


def literal(text: str) -> object:
    """A Python literal, or else the text itself: "3" -> 3, "None" -> None, "imagenet" -> "imagenet"."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
