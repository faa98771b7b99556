"""What a check has found so far, on disk after every line: a machine that is taken away leaves all that was
measured."""

from __future__ import annotations

import json
import platform
import sys
import time
from pathlib import Path

import torch


class Report:
    """Lines of one JSON file and one Markdown page. minutes: what the whole check may take."""

    def __init__(self, folder: Path, device: torch.device, minutes: float):
        self.folder, self.device, self.end = folder, device, time.monotonic() + 60 * minutes
        folder.mkdir(parents=True, exist_ok=True)
        self.lines: list[dict[str, object]] = []
        self.about = {
            "device": torch.cuda.get_device_name()
            if device.type == "cuda" else f"{device.type}, {platform.machine()}", "torch": torch.__version__,
            "cuda": torch.version.cuda, "python": platform.python_version()
        }

    def left(self) -> float:
        """Seconds."""
        return self.end - time.monotonic()

    def add(self, part: str, **facts: object) -> None:
        self.lines.append({"part": part, **facts})
        sys.stdout.write(f"{part:10} " +
                         "  ".join(f"{name} {_short(value)}" for name, value in facts.items()) + "\n")
        sys.stdout.flush()
        self._write()

    def _write(self) -> None:
        (self.folder / "gpu.json").write_text(
            json.dumps({"about": self.about, "lines": self.lines}, indent=1)
        )
        text = ["# On a GPU", "", *(f"- {name}: {value}" for name, value in self.about.items()), "",
                "`make gpu` made this page; `tests/gpu/check.py` says what each line means.", ""]
        for part in dict.fromkeys(line["part"] for line in self.lines):
            text += _tables(
                part,
                [
                    {k: v for k, v in line.items() if k != "part"}
                    for line in self.lines
                    if line["part"] == part
                ],
            )
        (self.folder / "gpu.md").write_text("\n".join(text))


def _tables(part: str, lines: list[dict[str, object]]) -> list[str]:
    """A heading, and one table for each set of columns."""
    text = [f"## {part}", ""]
    for columns in dict.fromkeys(tuple(line) for line in lines):
        text += ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
        text += [
            "| " + " | ".join(_short(value)
                              for value in line.values()) + " |"
            for line in lines
            if tuple(line) == columns
        ]
        text.append("")
    return text


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
