"""`make gpu`: everything that only a GPU can show, in a quarter of an hour or less.

    python tests/gpu/check.py --out runs/gpu                          # a GPU, eight minutes
    python tests/gpu/check.py --device cpu --small --out runs/gpu  # the same script without one, some two
    minutes

It needs no network and no notebook packages (the part that has none is skipped and says so). It prints as it
goes and leaves gpu.json and gpu.md in a folder. A part that fails says why and the next one goes on; what
there is no time for is left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

import learning  # noqa: E402
import numerics  # noqa: E402
import pages  # noqa: E402
import speed  # noqa: E402
from report import Report  # noqa: E402

# and the seconds that must be left to begin
PARTS: dict[str, tuple[Callable[[Report, argparse.Namespace], None], float]] = {
    "numerics": (numerics.run, 20), "speed": (speed.run, 30), "learning": (learning.run, 30),
    "pages": (pages.run, 90)
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true",
                        help="tiny networks and films, to try the script itself")
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--parts", nargs="+", choices=tuple(PARTS), default=list(PARTS))
    parser.add_argument("--data", type=Path, nargs="*", default=[], metavar="FOLDER",
                        help="clips to train the course networks on, if time is left")
    args = parser.parse_args(arguments)
    if args.device == "cuda" and not torch.cuda.is_available():
        sys.stderr.write("make gpu: torch sees no CUDA device here; `make gpu DEVICE=cpu SMALL=1` tries "
                         "the script without one\n")
        return 2
    report = Report(args.out, torch.device(args.device), args.minutes)
    failed = 0
    for name in args.parts:
        run, needs = PARTS[name]
        if report.left() < needs:
            report.add(name, skipped=f"only {report.left():.0f} s were left")
            continue
        try:
            run(report, args)
        # noqa: BLE001: one part's failure is a finding, and must not cost the others their time
        except Exception as error:
            failed += 1
            report.add(name, failed=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
