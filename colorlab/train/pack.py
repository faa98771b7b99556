"""`python -m colorlab.train.pack FOLDER ... --out DIR`: shrink training data for upload to a GPU machine.

Clips and photographs keep their names and their frames' order, so that a run on the packed folder has the
same split. Frames are resized to a short side of 160 pixels (JPEG, quality 90, colours at full resolution):
enough for crops of 128 x 224.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from colorlab.clips.windows import frame_files, picture_size, read_crop, survey
from colorlab.files.errors import InputError
from colorlab.files.video.names import check_names
from colorlab.files.atomic import atomically
from colorlab.train.split import clip_name


def pack(folders: Sequence[Path], out: Path, short_side: int = 160, quality: int = 90) -> int:
    """Write OUT/clips/NAME/00000.jpg ... and OUT/photographs/NAME.jpg; returns how many bytes. OUT is created
    atomically.

    Raises InputError for two clips of one name, and for pictures that cannot be read.
    """
    found = survey(*folders)
    check_names(found.clips, clip_name,
                "are both called {name}; rename one, so that the split can tell them apart", out.parent)
    check_names(found.photographs, _photograph_name, "would both be packed as {name}; rename one", out.parent)
    names = [clip_name(path) for path in found.clips]
    with atomically(out) as home:
        jobs = [(file, home / "clips" / name / f"{number:05d}.jpg") for name, path in zip(names, found.clips)
                for number, file in enumerate(frame_files(path))]
        jobs += [(file, home / "photographs" / _photograph_name(file)) for file in found.photographs]
        for file, target in tqdm(jobs, unit="picture", file=sys.stderr, leave=False):
            target.parent.mkdir(parents=True, exist_ok=True)
            shrunk(file, short_side).save(target, quality=quality, subsampling=0)
        size = sum(target.stat().st_size for _, target in jobs)
    return size


def _photograph_name(file: Path) -> str:
    return f"{file.parent.name}_{file.stem}.jpg"


def shrunk(file: Path, short_side: int) -> Image.Image:
    """A picture with this short side, or unchanged if it is smaller."""
    height, width = picture_size(file)
    scale = min(1.0, short_side / min(height, width))
    return Image.fromarray(
        read_crop(file, (0, 0, width, height), (round(height * scale), round(width * scale))))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m colorlab.train.pack", description="Make clips and photographs small enough to travel."
    )
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--short-side", type=int, default=160)
    parser.add_argument("--quality", type=int, default=90)
    args = parser.parse_args(arguments)
    try:
        size = pack(args.folders, args.out, args.short_side, args.quality)
    except (InputError, OSError) as error:
        sys.stderr.write(f"pack: {' '.join(str(error).split())}\n")
        return 2
    sys.stdout.write(f"{args.out}: {size / 2**20:.1f} MiB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
