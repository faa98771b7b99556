"""The table of a sweep, as `table.csv` for a program and `index.html` for a person; both grow while the sweep
runs."""

import csv
import html
import io
import json
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from colorlab.experiments.jobs import Job
from colorlab.experiments.page import shown, whole_page
from colorlab.experiments.runner import Run
from colorlab.files.atomic import write_text

STYLE = """
body { max-width: none; } .wide { overflow-x: auto; } th { text-align: left; padding: .2rem 1rem .2rem 0; cursor: pointer; }
th, td { vertical-align: top; white-space: nowrap; } td.long { white-space: normal; min-width: 20rem; color: var(--bad); }
td img { max-height: 90px; margin: 0 .3rem 0 0; }
"""
# A click on a column's head sorts by it, another one the other way round; the page finds the choice again
# when it loads anew.
SORT = """<script>
const table = document.querySelector("table"), rows = [...table.tBodies[0].rows], heads = [...table.tHead.rows[0].cells];
const text = row => row.cells[column].innerText, key = row => text(row) && !isNaN(text(row)) ? Number(text(row)) : text(row);
const order = (a, b) => typeof a == typeof b ? (a > b) - (a < b) : typeof a == "number" ? -1 : 1;
let [column, turn] = location.hash.slice(1).split("/").map(Number);
const sort = () => turn && column < heads.length && table.tBodies[0].append(...rows.sort((a, b) => turn * order(key(a), key(b))));
heads.forEach((head, n) => head.onclick = () => {
  turn = n == column && turn == 1 ? -1 : 1; column = n; history.replaceState(null, "", `#${n}/${turn}`); sort(); });
sort();
</script>"""


class RunRow(NamedTuple):
    """One combination. Columns that a run does not have yet are absent."""

    job: Job
    state: str  # "waiting", "running", "finished", "failed"; "not run" where the sweep was stopped before it
    recorded: dict[str, Any]  # what the notebook recorded, flat
    cost: dict[str, Any]      # seconds, memory, device
    error: str = ""


class Table:
    """The rows of one sweep. Runs that ended are read once, and remembered."""

    def __init__(self, out: Path, jobs: list[Job], swept: list[str]):
        self.out, self.jobs, self.swept = out, jobs, swept
        self.rows: dict[Path, tuple[Run, RunRow]] = {}

    def write(self, runs: dict[Path, Run], pending: dict[str, str]) -> None:
        """Write both files. runs: those that ended, by folder; pending: names of runs that are "waiting" or
        "running"."""
        rows = [self.row(job, runs.get(job.folder), pending.get(job.name)) for job in self.jobs]
        write_text(self.out / "table.csv", as_csv(rows, self.swept))
        write_text(self.out / "index.html", as_page(rows, self.swept, self.out, bool(pending)))

    def row(self, job: Job, run: Run | None, state: str | None) -> RunRow:
        if run is None:
            return RunRow(job, state or "not run", {}, {})
        if self.rows.get(job.folder, (None,))[0] is not run:
            cost = {
                name: run.record.get(name)
                for name in ("seconds", "peak_memory_mb", "peak_gpu_memory_mb", "device")
            }
            self.rows[job.folder] = run, RunRow(job, run.record["status"], flat(run.metrics), cost, run.error)
        return self.rows[job.folder][1]


def flat(recorded: dict[str, Any], before: str = "") -> dict[str, Any]:
    """`{"copy": {"psnr": 30.5}}` as `{"copy.psnr": 30.5}`; lists, which no cell of a table holds, stay in
    metrics.json."""
    found: dict[str, Any] = {}
    for name, value in recorded.items():
        if isinstance(value, dict):
            found |= flat(value, f"{before}{name}.")
        elif not isinstance(value, list):
            found[before + name] = value
    return found


def columns(rows: list[RunRow], swept: list[str]) -> tuple[list[str], list[str], list[str]]:
    """The names of all parameters (those that vary first), of all that was recorded, and of what the runs
    took."""
    names = [*swept, *(name for name in rows[0].job.parameters if name not in swept)]
    recorded = list(dict.fromkeys(name for row in rows for name in row.recorded))
    cost = [name for name in dict.fromkeys(name for row in rows for name in row.cost)
            if any(row.cost.get(name) is not None for row in rows)]
    return names, recorded, cost


def as_csv(rows: list[RunRow], swept: list[str]) -> str:
    """One line for each combination, in the grid's order; what a notebook recorded under another column's
    name has a mark."""
    names, recorded, cost = columns(rows, swept)
    taken = {"run", "state", "error", *names, *cost}
    lines = [[
        "run", "state", *names, *(f"recorded.{name}" if name in taken else name for name in recorded), *cost,
        "error"
    ]]
    for row in rows:
        lines.append([
            row.job.name, row.state, *(plain(row.job.parameters[name]) for name in names),
            *(row.recorded.get(name) for name in recorded), *(row.cost.get(name) for name in cost), row.error
        ])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def plain(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value


def as_page(rows: list[RunRow], swept: list[str], out: Path, pending: bool) -> str:
    """The same with pictures and links, to be sorted by a click; parameters that do not vary stand above
    it."""
    names, recorded, cost = columns(rows, swept)
    fixed = [
        f"<code>{html.escape(f'{name}={rows[0].job.parameters[name]!r}')}</code>" for name in names
        if name not in swept
    ]
    states = [row.state for row in rows]
    summary = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(sorted(states)))
    shown_columns = [*swept, *recorded, *cost]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in ("run", *shown_columns, "pictures"))
    body = "\n".join(f"<tr>{cells(row, swept, recorded, cost, out)}</tr>" for row in rows)
    title = f"{rows[0].job.notebook.stem}: {' × '.join(swept)}"
    return whole_page(
        title, f'{summary} · <a href="table.csv">table.csv</a> {" ".join(fixed)}', '<div '
        f'class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>{SORT}',
        pending, STYLE)


def cells(row: RunRow, swept: list[str], recorded: list[str], cost: list[str], out: Path) -> str:
    """One row of the page: a link to the executed notebook, the values, and pictures or what went wrong."""
    folder, stem, here = row.job.folder, row.job.notebook.stem, quote(row.job.name)
    made = (folder / f"{stem}.html").exists() and row.state in ("finished", "failed")
    first = f'<a href="{here}/{quote(stem)}.html">{row.state}</a>' if made else row.state
    files = "".join(
        f' <a href="{here}/{file}">{label}</a>'
        for file, label in (("run.json", "record"), ("log.txt", "log"))
        if made and (folder / file).exists()
    )
    values = [plain(row.job.parameters[name]) for name in swept]
    values += [row.recorded.get(name, "") for name in recorded] + [row.cost.get(name, "") for name in cost]
    pictures = "".join(f'<a href="{here}/{quote(stem)}.html"><img src="{here}/{picture.name}" alt=""></a>'
                       for picture in sorted(folder.glob("picture-*.png")) if made)
    last = f'<td class="long">{html.escape(row.error)}</td>' if row.error else f"<td>{pictures}</td>"
    return (f'<td class="{row.state.replace(" ", "-")}">{first}{files}</td>' +
            "".join(f"<td>{html.escape(shown('' if value is None else value))}</td>" for value in values) +
            last)
