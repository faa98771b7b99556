"""Fetching one large file: resumable, checked, and written atomically."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from colorlab.files.errors import InputError

PIECE = 1 << 20
TIMEOUT = 30  # seconds without a byte


class Fetched(NamedTuple):
    path: Path
    size: int
    sha256: str
    verified: tuple[str, ...]    # what was verified
    unverified: tuple[str, ...]  # what could not be checked, and why


def fetch(url: str, path: Path, sha256: str | None = None,
          progress: Callable[[int, int | None], None] = lambda done, total: None) -> Fetched:
    """Fetch `url` to `path`. A partial download in path.part is resumed, if the server still has the same
    file.

    sha256: the expected digest, or its first digits; where None, the digits that a name like
        "vgg19-dcbb9e9d.pth" carries are taken.
    progress: called with the bytes so far and the total (None if the server does not say).
    Raises InputError, in one line, for an address or a connection that fails and for a file with the wrong
    length or checksum.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise InputError(f"{url} is not an address that can be fetched; give one that begins with https://")
    sha256 = (sha256 or digits_in_name(url)).lower()
    part, mark = path.with_name(path.name + ".part"), path.with_name(path.name + ".part.version")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        total = _download(url, part, mark, progress)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError,
            OSError) as error:
        had = (
            f"; {part.stat().st_size:,} bytes are kept and the same command goes on from there"
            if part.is_file()
            else ""
        )
        raise InputError(f"{url} could not be fetched ({error}){had}") from error
    found, size = _digest(part), part.stat().st_size
    if total is not None and size < total:
        raise InputError(
            f"{url} broke off after {size:,} of {total:,} bytes; the same command goes on from there")
    if not found.startswith(sha256) or (total is not None and size != total):
        part.unlink()
        mark.unlink(missing_ok=True)
        raise InputError(f"{url} is not the file that was expected: SHA-256 {found[:16]}..., not "
                         f"{sha256[:16] or 'its length'}; nothing was kept. Fetch again; if it comes the "
                         "same, the file behind the address was exchanged")
    os.replace(part, path)
    mark.unlink(missing_ok=True)
    return Fetched(path, size, found, *_checked(sha256, total))


def digits_in_name(url: str) -> str:
    """The first digits of the SHA-256 that PyTorch's files carry in their names; "" for others."""
    match = re.search(r"-([0-9a-f]{8,})\.\w+$", unquote(urlsplit(url).path))
    return match[1] if match else ""


def _checked(sha256: str, total: int | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    verified = [f"its length is what the server announced ({total:,} bytes)"] if total is not None else []
    unverified = [] if total is not None else ["its length: the server announced none"]
    if sha256:
        verified.append("its SHA-256" + ("" if len(sha256) == 64 else f" begins with {sha256}, as expected"))
    else:
        unverified.append("its content: nobody has published a checksum for it here")
    return tuple(verified), tuple(unverified)


def _download(url: str, part: Path, mark: Path, progress: Callable[[int, int | None], None]) -> int | None:
    """Append to `part` what is missing. Returns the whole file's size, None where the server does not say."""
    have = part.stat().st_size if part.is_file() else 0
    version = mark.read_text() if mark.is_file() and have else ""
    headers = {"User-Agent": "colorlab", "Accept-Encoding": "identity"}
    if version:  # without it one cannot tell whether the rest belongs to the same file
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and (whole := _size_after_slash(error.headers)) == have:
            return whole  # the whole file was already here
        if error.code == 416:
            part.unlink()
            return _download(url, part, mark, progress)
        raise
    with answer:
        going_on = answer.status == 206
        total = _size_after_slash(answer.headers) if going_on else _number(
            answer.headers.get("Content-Length"))
        have = have if going_on else 0
        mark.write_text(_version(answer.headers))
        with open(part, "ab" if going_on else "wb") as file:
            while piece := answer.read(PIECE):
                file.write(piece)
                have += len(piece)
                progress(have, total)
    return total


def _version(headers: http.client.HTTPMessage) -> str:
    """The server's identifier of this version of a file: a strong ETag, or its modification time."""
    tag = headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")


def _size_after_slash(headers: http.client.HTTPMessage) -> int | None:
    """Content-Range: "bytes 5-9/10" or "bytes */10" -> 10."""
    return _number(headers.get("Content-Range", "").rpartition("/")[2])


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
