"""The process in which one notebook runs: `python -m colorlab.experiments.worker`.

papermill changes the working directory, and a kernel inherits environment variables: both are per process, so
each run has its own process. The task comes as one line of JSON on standard input, the progress and the
outcome leave as lines of JSON on standard output; what a library prints goes to `log.txt` in the run's
folder. Standard input stays open for as long as the parent lives: when it closes, this process ends, and its
kernel with it.
"""

import base64
import io
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any, Callable

from colorlab.experiments.parameters import one_line
from colorlab.experiments.record import RUN_FOLDER

PICTURES = 3              # thumbnails kept of each run
PICTURE_SIZE = (320, 200)  # pixels, the most each may take


def main() -> None:
    task = json.loads(sys.stdin.readline())
    folder = Path(task["folder"])
    channel = os.fdopen(os.dup(1), "w")  # for us only; the kernel inherits the log instead
    log = open(folder / "log.txt", "a")
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    threading.Thread(target=end_with_parent, daemon=True).start()

    def say(message: dict[str, Any]) -> None:
        channel.write(json.dumps(message) + "\n")
        channel.flush()

    executed = folder / Path(task["notebook"]).name
    error = run_notebook(Path(task["notebook"]), executed, task["parameters"], Path(task["cwd"]),
                         lambda done: say({"cells": done}))
    if executed.exists():
        write_html(executed)
        write_pictures(executed)
    say({"error": error})


def end_with_parent() -> None:
    os.read(0, 1)  # not sys.stdin, whose lock would delay the exit of a finished run
    os._exit(1)  # the kernel watches its parent and exits within a second


def run_notebook(notebook: Path, executed: Path, parameters: dict[str, Any], cwd: Path,
                 progress: Callable[[int], None]) -> dict[str, Any] | None:
    """Run `notebook` in the folder `cwd` into the file `executed`; None when every cell passed, else what
    failed and where.

    progress: told the number of code cells that have been started.
    """
    # jsonschema's URL checker: three seconds to import, never used here
    sys.modules["rfc3987_syntax"] = None
    import papermill
    from nbclient.exceptions import DeadKernelError

    from colorlab.experiments import kernels

    os.environ[RUN_FOLDER] = str(executed.parent)
    started: list[Any] = []

    def on_cell_start(cell, cell_index: int) -> None:
        if cell.cell_type == "code":
            started.append(cell)
            progress(len(started))

    try:
        papermill.execute_notebook(literal_path(notebook), literal_path(executed), parameters,
                                   engine_name=kernels.ENGINE, kernel_name="python3", language="python",
                                   progress_bar=False, cwd=cwd, on_cell_start=on_cell_start,
                                   store_widget_state=False, kernel_manager_class=kernels.PrivateKernel,
                                   extra_arguments=["--ext=colorlab.experiments.usage"])
    except papermill.PapermillExecutionError as error:
        return failure(f"In [{error.exec_count}]", error.source, f"{error.ename}: {error.evalue}".strip(": "))
    except DeadKernelError:
        return failure(f"number {len(started)}", started[-1].source,
                       "the kernel died (out of memory, or a library crashed)")
    except RuntimeError as error:
        if started:
            raise
        return failure(
            "", "",
            f"the kernel did not start ({one_line(error)}); `colorlab doctor` and log.txt may say why")


def failure(cell: str, source: str, message: str) -> dict[str, Any]:
    """cell: how the notebook numbers it; its first line that is code helps to find it."""
    lines = [
        line.strip()
        for line in source.splitlines()
        if line.strip() and not line.strip().startswith(("#", "%"))
    ]
    first = next(iter(lines), "")
    return {
        "cell": cell, "line": first if len(first) <= 60 else first[:57] + "...",
        "message": one_line(Exception(message))
    }


def literal_path(path: Path) -> str:
    """papermill substitutes {names} in paths, so a brace in a folder's name must be doubled."""
    return str(path).replace("{", "{{").replace("}", "}}")


def write_html(executed: Path) -> None:
    """The executed notebook as a page that any browser shows, beside it."""
    from nbconvert import HTMLExporter

    page, _ = HTMLExporter().from_filename(str(executed))
    executed.with_suffix(".html").write_text(page, encoding="utf-8")


def write_pictures(executed: Path) -> None:
    """`picture-1.png` and so on: a few of the notebook's figures, evenly spread, small."""
    from PIL import Image

    cells = json.loads(executed.read_text(encoding="utf-8"))["cells"]
    figures = [
        data[kind]
        for cell in cells
        for output in cell.get("outputs", ())
        for data in [output.get("data", {})]
        for kind in ("image/png", "image/jpeg")
        if kind in data
    ]
    count = min(PICTURES, len(figures))
    for number in range(count):
        chosen = figures[round((number + 1) * len(figures) / count) - 1]  # the last one is always among them
        image = Image.open(io.BytesIO(base64.b64decode("".join(chosen)))).convert("RGB")
        image.thumbnail(PICTURE_SIZE)
        image.save(executed.parent / f"picture-{number + 1}.png")


if __name__ == "__main__":
    main()
