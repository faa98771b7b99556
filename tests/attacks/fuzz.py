"""Many damaged files given to every command: what does not end as it should is told, with the number that
makes it again.

    python tests/attacks/fuzz.py --count 1000 [--seed 0] [--only NAME]
"""

from __future__ import annotations

import argparse
import collections
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the tests' own modules

from attacks.mutations import attack, subjects  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="number of the first mutation")
    parser.add_argument("--only", default="", metavar="NAME", help="files and uses with this in their name")
    args = parser.parse_args()
    found: collections.Counter[str] = collections.Counter()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        targets = [subject for subject in subjects(Path(folder, "home")) if args.only in subject.name]
        for number in range(args.seed, args.seed + args.count):
            subject = targets[number % len(targets)]
            work = Path(folder, "work")
            wrong = attack(subject, number, Path(folder, "home"), work)
            shutil.rmtree(work)
            found["as it should" if wrong is None else "wrong"] += 1
            if wrong is not None:
                sys.stdout.write(f"{subject.name}, mutation {number}: {wrong}\n")
                sys.stdout.flush()
    sys.stdout.write(f"{dict(found)} of {args.count} in {time.monotonic() - began:.0f} s\n")
    return int(found["wrong"] > 0)


if __name__ == "__main__":
    sys.exit(main())
