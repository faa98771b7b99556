"""What works on this machine and what does not, each with a suggested fix: `colorlab doctor`, and the first
cell of notebook 00.

Each check imports only what it tests, so that a broken torch is a finding and not a traceback.
"""

from __future__ import annotations

import html
import importlib
import platform
import re
import shutil
import struct
import sys
import tempfile
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from colorlab.files.project_folders import home

REINSTALL = "pip install --force-reinstall torch torchvision   (both at once, from one place)"
COMPLETE = "run `make setup` again, or `pip install -e .` in the checkout"
TIGHT_DISK_GB, TIGHT_MEMORY_GB = 2, 4
MARKS = {"ok": "ok", "note": "note", "problem": "PROBLEM"}


class Finding(NamedTuple):
    subject: str     # what was checked
    state: str       # "ok"; "note": works, with less; "problem": something will fail
    said: str        # what was found
    fix: str = ""   # what to do about it


class Report(tuple):
    """Findings in the order of the checks, which a notebook shows as a table and a terminal as lines."""

    @property
    def problems(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self if finding.state == "problem")

    @property
    def summary(self) -> str:
        return (
            f"{len(self.problems)} of {len(self)} checks found a problem"
            if self.problems
            else f"{len(self)} checks, no problem"
        )

    def __repr__(self) -> str:
        lines = []
        for subject, state, said, fix in self:
            lines.append(f"{MARKS[state]:<8} {subject:<12} {said}")
            lines += [f"{'':8} {'':<12} fix: {fix}"] if fix else []
        return "\n".join([*lines, self.summary])

    def _repr_html_(self) -> str:
        colors = {"ok": "#2a8f4f", "note": "#b07d12", "problem": "#c8402f"}
        rows = "".join('<tr><td '
                       f'style="color:{colors[state]};text-align:left"><b>{MARKS[state]}</b></td><td '
                       f'style="text-align:left">{subject}</td><td '
                       f'style="text-align:left">{html.escape(said)}' +
                       (f"<br><i>Fix:</i> {html.escape(fix)}" if fix else "") + "</td></tr>"
                       for subject, state, said, fix in self)
        return f"<table>{rows}</table><p>{self.summary}</p>"


def check() -> Report:
    """Every finding, for the last line of a notebook's cell: a table there, lines on a terminal."""
    return Report(report())


def report() -> tuple[Finding, ...]:
    """Run every check. A check that fails unexpectedly is itself a finding."""
    findings: list[Finding] = []
    for look in CHECKS:
        try:
            broken = any(finding.subject == "torch" and finding.state == "problem" for finding in findings)
            found = look() if look not in NEED_TORCH or not broken else Finding(
                look.__name__, "note", "not looked at, because torch cannot be imported", "fix torch first")
        except Exception as error:  # any exception from a broken installation is worth reporting
            found = Finding(look.__name__, "problem", f"could not be looked at: {first_line(error)}",
                            COMPLETE)
        findings += [found] if isinstance(found, Finding) else found
    return tuple(findings)


def python() -> Finding:
    version, bits = platform.python_version(), struct.calcsize("P") * 8
    if sys.version_info < (3, 11):
        return Finding("python", "problem", f"{version} is too old",
                       "install Python 3.11 or newer and set up again with it")
    if bits != 64:
        return Finding("python", "problem", f"{version} is a {bits}-bit build, for which there is no torch",
                       "install a 64-bit Python")
    return Finding("python", "ok", f"{version} in {shown(Path(sys.prefix))}")


def packages() -> list[Finding]:
    """Is everything that pyproject.toml requires installed, and new enough?"""
    from packaging.requirements import Requirement

    from colorlab.experiments.provenance import requirements

    wrong, stated = [], [Requirement(line) for line in requirements()]
    for need in stated:
        found = installed(need.name)
        if found is None:
            wrong.append(Finding("packages", "problem", f"{need.name} is not installed", COMPLETE))
        elif not need.specifier.contains(found, prereleases=True):
            wrong.append(
                Finding("packages", "problem", f"{need.name} {found} is too old, {need.specifier} is needed",
                        COMPLETE))
    if not stated:
        wrong.append(
            Finding("packages", "note",
                    "colorlab is used without being installed, so its needs are not known", COMPLETE))
    return wrong or [Finding("packages", "ok", f"all {len(stated)} are there and new enough")]


def torch() -> Finding:
    if installed("torch") is None:
        return Finding("torch", "problem", "not installed", COMPLETE)
    try:
        module = importlib.import_module("torch")
    except Exception as error:
        return Finding("torch", "problem",
                       f"{installed('torch')} is installed but cannot be imported: {first_line(error)}",
                       REINSTALL)
    return Finding("torch", "ok", module.__version__)


def torchvision() -> Finding:
    """Do torch and torchvision match? From different sources they may be incompatible builds."""
    if installed("torchvision") is None:
        return Finding("torchvision", "problem", "not installed", REINSTALL)
    ours, theirs = built("torch"), built("torchvision")
    try:
        importlib.import_module("torchvision")
    except Exception as error:
        return Finding(
            "torchvision", "problem", f"{theirs} was built for another torch than {ours}, which is installed "
            f"({first_line(error)}); timm, which imports it, fails with it", REINSTALL)
    if variant(ours) != variant(theirs):
        return Finding("torchvision", "note",
                       f"{theirs} and torch {ours} are of different builds; some operators may be missing",
                       REINSTALL)
    return Finding("torchvision", "ok", f"{theirs}, a pair with torch")


def film() -> Finding:
    av = importlib.import_module("av")
    if "libx264" not in av.codecs_available and "h264" not in av.codecs_available:
        return Finding("film", "note", f"PyAV {av.__version__} has no H.264, the usual codec",
                       "pip install --force-reinstall av")
    return Finding("film", "ok", f"PyAV {av.__version__} with H.264")


def device() -> Finding:
    """Which device torch can use, and why not a GPU that is present."""
    torch = importlib.import_module("torch")
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return Finding("device", "ok", f"{torch.cuda.get_device_name(0)}, {memory:.0f} GB (device='cuda')")
    if torch.backends.mps.is_available():
        return Finding("device", "ok", "the Mac's own GPU (device='mps')")
    if shutil.which("nvidia-smi") or Path("/proc/driver/nvidia/version").exists():
        if torch.version.cuda is None:
            return Finding("device", "note",
                           "the CPU: an NVIDIA GPU is here, but this torch is built without CUDA", REINSTALL)
        return Finding(
            "device",
            "note",
            f"the CPU: an NVIDIA GPU is here, but torch cannot use it with CUDA {torch.version.cuda}",
            "update the NVIDIA driver; in a container, pass the GPU through",
        )
    return Finding("device", "ok", "the CPU, for which the notebooks and preset='course' are made")


def processor() -> Finding:
    import psutil

    from colorlab.experiments.provenance import cores

    threads = importlib.import_module("torch").get_num_threads()
    memory = psutil.virtual_memory().total / 2**30
    said = f"{cores()} cores, torch uses {threads} threads, {memory:.0f} GB of memory"
    if memory < TIGHT_MEMORY_GB:
        return Finding("processor", "note", said, "close other programs; preset='paper' needs more")
    if threads > cores():
        return Finding("processor", "note", f"{said}: more threads than cores slow one another down",
                       f"set OMP_NUM_THREADS={cores()}")
    return Finding("processor", "ok", said)


def cache() -> Finding:
    """Can clips be kept, and is there room?"""
    folder = importlib.import_module("colorlab.clips.cache").cache_folder()
    free = shutil.disk_usage(existing_parent(folder)).free / 2**30
    if not writable(folder):
        return Finding("cache", "problem", f"{shown(folder)} cannot be written",
                       "set COLORLAB_CACHE to a folder that can")
    state = "note" if free < TIGHT_DISK_GB else "ok"
    return Finding("cache", state, f"{shown(folder)}, {free:.0f} GB free",
                   "make room, or set COLORLAB_CACHE" if state == "note" else "")


def weights() -> Finding:
    """Are the trained weights of the course networks beside the package?"""
    folder, methods = importlib.import_module(
        "colorlab.methods.weights").CHECKPOINTS, importlib.import_module("colorlab.methods").LEARNED
    missing = [name for name in methods if not (folder / f"{name}.safetensors").is_file()]
    if missing:
        return Finding("weights", "note", f"no course weights for {', '.join(missing)} in {shown(folder)}",
                       "a complete clone and a wheel have them; `colorlab train` makes them; "
                       "COLORLAB_CHECKPOINTS says where they are")
    return Finding("weights", "ok", f"course weights of {', '.join(methods)}")


def notebooks() -> Finding:
    versions = {name: installed(name) for name in ("jupyterlab", "ipywidgets", "anywidget", "ipykernel")}
    if missing := [name for name, version in versions.items() if version is None]:
        return Finding("notebooks", "problem", f"{', '.join(missing)} not installed", COMPLETE)
    from jupyter_client.kernelspec import KernelSpecManager

    launch = KernelSpecManager().find_kernel_specs().get("python3")
    said = ", ".join(f"{name} {version}" for name, version in versions.items())
    if launch and not Path(launch).resolve().is_relative_to(Path(sys.prefix).resolve()):
        return Finding(
            "notebooks", "note",
            f"{said}; but the kernel 'Python 3' starts from {launch}, which may be another Python",
            f"{sys.executable} -m ipykernel install --sys-prefix")
    return Finding("notebooks", "ok", said)


CHECKS: tuple[Callable[[], Finding | Iterable[Finding]], ...] = (
    python, packages, torch, torchvision, film, device, processor, cache, weights, notebooks)
NEED_TORCH = (torchvision, device, processor, cache, weights)


def installed(name: str) -> str | None:
    """A package's version, None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def built(name: str) -> str:
    """The version with its build ("2.15.0+cpu"), read from its version.py: it is needed most when the import
    fails."""
    file = metadata.distribution(name).locate_file(f"{name}/version.py")
    found = re.search(r"__version__\s*=\s*['\"]([^'\"]+)",
                      Path(str(file)).read_text()) if Path(str(file)).is_file() else None
    return found.group(1) if found else installed(name) or "?"


def variant(version: str) -> str:
    """The part after the "+" of a version: "cpu", "cu132", or nothing."""
    return version.partition("+")[2]


def shown(folder: Path) -> str:
    """A folder in short form without private paths: relative to the project or to home, if it is in one of
    them."""
    for name, root in (("", Path(__file__).parents[2]), ("~/", home())):
        if folder.is_relative_to(root):
            return f"{name}{folder.relative_to(root).as_posix()}"
    return str(folder)


def existing_parent(folder: Path) -> Path:
    return folder if folder.exists() else existing_parent(folder.parent)


def writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def first_line(error: BaseException) -> str:
    """The start of an error's message, fit for one line."""
    text = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return text if len(text) <= 160 else text[:157] + "..."
