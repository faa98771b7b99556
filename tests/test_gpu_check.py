"""`make gpu` on a machine without a GPU: the same script, tiny, to its last part."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent / "gpu" / "check.py"


def check(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True,
                          timeout=300)


def test_every_part_leaves_its_lines_and_a_cpu_agrees_with_itself(tmp_path):
    done = check("--device", "cpu", "--small", "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    lines = json.loads((tmp_path / "gpu.json").read_text())["lines"]
    assert not [line for line in lines if "failed" in line]
    assert {line["part"] for line in lines} == {"numerics", "speed", "gradients", "a step", "pages"}
    assert all(line["greatest"] == 0
               for line in lines
               if line["part"] == "numerics" and line["mode"] == "float32")
    assert all(line["network"] == line["judges"] == 0 for line in lines if line["part"] == "gradients")
    page = (tmp_path / "gpu.md").read_text()
    assert "## speed" in page and page.count("| colormnet |") >= 4


def test_what_there_is_no_time_for_is_left_out_and_said(tmp_path):
    assert check("--device", "cpu", "--small", "--minutes", "0", "--out", str(tmp_path)).returncode == 0
    lines = json.loads((tmp_path / "gpu.json").read_text())["lines"]
    assert len(lines) == 4 and all("were left" in line["skipped"] for line in lines)
