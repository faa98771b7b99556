"""Running untrusted code in a separate process: limits on what it may read and write, on time and on memory.

`confine` is called by the process itself before it runs the foreign code, `supervise` by the process that
started it. What this protects against depends on the system, and `confine` says which of the three it found:

- **Landlock** (Linux 5.13 and newer, no root needed): the kernel refuses to read and write elsewhere, to this
  process and to all that it starts, whatever they are written in. From Linux 6.7 on it also refuses TCP, from
  6.12 on signals to other processes.
- **An audit hook of Python** (everywhere): a forbidden `open`, listing, removal, process or connection ends
  the process at once, with a note. It sees what Python does but not what native code does, so by itself it
  stops careless and curious code, not a determined attacker.
- **Limits** (`resource.setrlimit`, POSIX): memory for data, processor time, the size of files; beside them
  `supervise` watches the clock and the memory of the process and its children together, and kills all of
  them.

This is not a virtual machine: kernel vulnerabilities and the contents of the allowed folders remain
accessible. On Windows there are only the hook and the time limit.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import site
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from colorlab.files.project_folders import PACKAGE

FORBIDDEN = 77  # exit code of a process ended by the hook
WRITES = frozenset(("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.chmod", "os.chown", "os.link",
                    "os.symlink", "os.truncate", "os.utime", "os.setxattr", "os.removexattr", "shutil.rmtree",
                    "shutil.move", "shutil.copyfile", "shutil.copytree"))
LISTS = frozenset(("os.listdir", "os.scandir", "os.chdir", "glob.glob"))
STARTS = frozenset(
    ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty",
     "os.kill", "os.killpg", "socket.connect", "socket.bind", "socket.sendto", "pty.spawn"))
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc", "/opt", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat",
          "/proc/self", "/sys/devices/system", "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
DEVICES = ("/dev/null", "/dev/zero")  # may be written too
POLL = 0.05  # polling interval in seconds


class Ended(NamedTuple):
    """How a supervised process ended."""

    code: int | None   # its exit code, negative for a signal; None where it was killed here
    reason: str        # "", "time" or "memory"
    seconds: float     # from its own `ready`, or from its start where there was none
    peak_memory: int   # bytes, of it and its children together, as far as was seen


def python_folders() -> list[Path]:
    """What a Python with this package needs to read: the interpreter, installed packages, this package and
    its course weights."""
    package = PACKAGE
    found = {Path(sys.prefix), Path(sys.base_prefix), package, package.parent / "data" / "checkpoints",
             *map(Path, site.getsitepackages()),
             *(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib"))}
    return sorted(path.resolve() for path in found if path.exists())


def confine(read: Sequence[str | Path], write: Sequence[str | Path]) -> list[str]:
    """Restrict this process irreversibly to reading below `read` and `write`, and writing below `write`.

    Returns the mechanisms in force: "landlock" if the kernel has it, and always "hook". Import what is needed
    beforehand.
    """
    read = [os.path.realpath(path) for path in (*read, *SYSTEM) if os.path.exists(path)]
    write = [os.path.realpath(path) for path in (*write, *DEVICES) if os.path.exists(path)]
    guards = ["landlock"] if _landlock(read, write) else []
    _hook(read, write)
    return [*guards, "hook"]


def limit(memory: int, seconds: float, file_size: int = 1 << 30) -> None:
    """Limits of this process that the kernel enforces: bytes of data memory, seconds of CPU time, bytes per
    file."""
    try:
        import resource
    except ImportError:  # Windows
        return
    processors = os.cpu_count() or 1
    limits = {"RLIMIT_DATA": memory, "RLIMIT_CPU": int(seconds * processors) + 5, "RLIMIT_FSIZE": file_size,
              "RLIMIT_CORE": 0}
    for name, value in limits.items():
        with contextlib.suppress(ValueError, OSError):  # a lower limit was set already
            resource.setrlimit(getattr(resource, name), (value, value))


def supervise(
    command: Sequence[str],
    folder: Path,
    seconds: float,
    memory: int,
    environment: Mapping[str, str],
    log: Path,
    ready: Path | None = None,
    start: float = 120.0,
) -> Ended:
    """Run a command in a folder until it ends or goes beyond a limit; then it and all its children are
    killed.

    seconds: of the clock, from when the file `ready` appears where one is named (what comes before may take
    `start` seconds). memory: bytes that all its processes together may hold. log: receives what it prints.
    """
    began, peak, reason = time.monotonic(), 0, ""
    with open(log, "wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL,
                                   stdout=output, stderr=output, start_new_session=True, close_fds=True)
    known, waiting = {process.pid: psutil.Process(process.pid)}, ready is not None
    limits_at = began + (start if ready else seconds)
    try:
        while process.poll() is None:
            if waiting and ready.exists():
                waiting, began = False, time.monotonic()
                limits_at = began + seconds
            peak = max(peak, _held(known))
            reason = "memory" if peak > memory else "time" if time.monotonic() > limits_at else ""
            if reason:
                break
            time.sleep(POLL)
    finally:
        code = process.poll()
        _kill(process, known)
    return Ended(None if reason else code, reason, time.monotonic() - began, peak)


def _held(known: dict[int, psutil.Process]) -> int:
    """Bytes that the known processes and all their children hold now; new children become known."""
    for process in list(known.values()):
        with contextlib.suppress(psutil.Error):
            known.update((child.pid, child) for child in process.children(recursive=True))
    total = 0
    for process in known.values():
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def _kill(process: subprocess.Popen, known: dict[int, psutil.Process]) -> None:
    """The session first; then every child that was seen, those that left the session among them."""
    _held(known)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, 9)
        else:
            process.kill()
    for each in known.values():
        if each.pid != process.pid:
            # psutil compares creation times, so a reused process id is left alone.
            with contextlib.suppress(psutil.Error):
                each.kill()
    process.wait()


def _hook(read: Sequence[str], write: Sequence[str]) -> None:
    """End the process with a note when Python is about to do what is not allowed."""
    below = lambda path, folders: any(
        path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders
    )
    end, say, realpath = os._exit, os.write, os.path.realpath  # bound here: untrusted code may replace them
    may_write, may_read = tuple(write), (*read, *write)

    def forbid(what: str) -> None:
        say(2, f"\nforbidden: {what}\n".encode(errors="replace"))
        end(FORBIDDEN)

    def look(event: str, arguments: tuple) -> None:
        if event == "open":
            path, mode, flags = arguments
            if not isinstance(path, (str, bytes, os.PathLike)):
                return
            path = realpath(os.fsdecode(path))
            writes = (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
            if writes and not below(path, may_write):
                forbid(f"it would write {path}")
            if not writes and not below(path, may_read):
                forbid(f"it would read {path}")
        elif event in WRITES:
            for path in arguments[:2]:
                named = isinstance(path, (str, bytes, os.PathLike))
                if named and not below(realpath(os.fsdecode(path)), may_write):
                    forbid(f"it would change {os.fsdecode(path)} ({event})")
        elif event in LISTS:
            path = arguments[0] if arguments and isinstance(arguments[0], (str, bytes, os.PathLike)) else "."
            if not below(realpath(os.fsdecode(path)), may_read):
                forbid(f"it would look into {os.fsdecode(path)}")
        elif event in STARTS:
            forbid(f"it would use {event}")

    sys.addaudithook(look)


# Landlock's calls and flags: linux/landlock.h
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE, _IOCTL = 1, 2, 4, 8, 1 << 14, 1 << 15
_FILE_ONLY = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL


class _Ruleset(ctypes.Structure):
    _fields_ = [("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("access", ctypes.c_uint64), ("folder", ctypes.c_int32)]


def _landlock(read: Sequence[str], write: Sequence[str]) -> bool:
    """Ask the kernel to confine this process to these folders; False if it cannot."""
    if not sys.platform.startswith("linux"):
        return False
    call = ctypes.CDLL(None, use_errno=True).syscall
    version = call(_CREATE, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    every = (1 << (13 if version < 2 else 14 if version < 3 else 15 if version < 5 else 16)) - 1
    rules = _Ruleset(every, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = call(_CREATE, ctypes.byref(rules), ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return False
    try:
        for folders, access in ((read, _EXECUTE | _READ_FILE | _READ_DIR), (write, every)):
            for folder in folders:
                place = os.open(folder, os.O_PATH | os.O_CLOEXEC)
                try:
                    allowed = access & every & (~0 if os.path.isdir(folder) else _FILE_ONLY)
                    if call(_ADD, ruleset, 1, ctypes.byref(_Beneath(allowed, place)), 0):
                        return False
                finally:
                    os.close(place)
        no_new_privileges = ctypes.CDLL(None, use_errno=True).prctl(38, 1, 0, 0, 0)
        return no_new_privileges == 0 and call(_RESTRICT, ruleset, 0) == 0
    finally:
        os.close(ruleset)
