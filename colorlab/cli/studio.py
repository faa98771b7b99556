"""`colorlab studio`: paint on a film in the browser and see the colour propagate."""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

from colorlab.files.errors import InputError
from colorlab.files.video import read_video
from colorlab.methods import METHODS


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "studio", help="paint on a film in the browser and see the colour propagate",
        description="Open a notebook with the colour studio: paint on a frame or drop a picture on "
                    "it, see the colour propagate with two methods side by side and how sure they "
                    "are, and ask why a pixel has its colour.")
    parser.add_argument("film", type=Path, metavar="FILM", help="a video file or a folder of frames")
    parser.add_argument("--method", action="append", dest="methods", choices=METHODS, metavar="NAME",
                        help="a method, or two to see side by side (default: lstvc and flow)")
    parser.add_argument("--size", type=int, default=128, metavar="N",
                        help="the short side at which the methods run (default: 128)")
    parser.add_argument("--frames", type=int, default=48, metavar="N",
                        help="how many frames to hold (default: 48)")
    parser.add_argument("--start", type=int, default=0, metavar="N", help="the first of them (default: 0)")
    parser.add_argument("--notebook", type=Path, metavar="FILE",
                        help="only write the notebook there, and open nothing")


def run(args: argparse.Namespace) -> int:
    methods = args.methods or ["lstvc", "flow"]
    if len(methods) > 2:
        raise InputError(f"the studio shows one method or two side by side, not {len(methods)}")
    if args.start >= (count := read_video(args.film).count()) or args.start < 0 or args.frames < 1:
        raise InputError(f"{args.film} has the frames 0 to {count - 1}; {args.frames} from {args.start} on "
                         "were asked for")
    path = args.notebook or Path(tempfile.mkdtemp(prefix="colorlab-studio-")) / "studio.ipynb"
    write_notebook(path, args.film.resolve(), methods, args.size, args.frames, args.start)
    if args.notebook:
        sys.stdout.write(f"{path}\n")
        return 0
    if importlib.util.find_spec("jupyterlab") is None:
        raise InputError("the studio needs JupyterLab: pip install jupyterlab")
    return subprocess.run([sys.executable, "-m", "jupyterlab", str(path)]).returncode


def write_notebook(path: Path, film: Path, methods: list[str], size: int, frames: int, start: int) -> None:
    """A notebook with the studio in its only code cell."""
    import nbformat

    text = nbformat.v4.new_markdown_cell(
        "Run the cell below (Shift + Enter). Paint, press *propagate*, play, and ask "
        "*why?*\n\n`studio.save(FOLDER)` writes what you painted for `colorlab colorize "
        "--reference`.")
    code = nbformat.v4.new_code_cell(
        f"from colorlab.teaching.studio import Studio\n\nstudio = Studio({str(film)!r}, "
        f"methods={methods!r}, size={size}, frames={frames}, start={start})\nstudio")
    book = nbformat.v4.new_notebook(
        cells=[text, code], metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(book, path)
