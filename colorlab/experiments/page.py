"""`index.html`: every run of a folder with its state, time, numbers, pictures and links. It needs no network
and no server."""

import html
import math
from pathlib import Path
from typing import Any
from urllib.parse import quote


from colorlab.experiments.schema import read_metrics, read_run
from colorlab.files.atomic import write_text

STYLE = """
:root { color-scheme: light dark; --line: #8884; --faint: #777; --good: #2a8f4f; --bad: #c8402f; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } p.summary { color: var(--faint); margin-top: .2rem; }
article { border-top: 1px solid var(--line); padding: 1rem 0; } h2 { font-size: 1.1rem; margin: 0; }
.finished { color: var(--good); } .failed { color: var(--bad); } .running, .waiting { color: var(--faint); }
.facts { color: var(--faint); margin: .1rem 0 .5rem; } code { background: var(--line); padding: 0 .25em; border-radius: 3px; }
table { border-collapse: collapse; margin: .5rem 0; } td { padding: .1rem 1rem .1rem 0; border-bottom: 1px solid var(--line); }
img { max-height: 150px; margin: 0 .5rem .5rem 0; background: #fff; } pre { white-space: pre-wrap; color: var(--bad); }
"""


def write_page(out: Path, pending: dict[str, str]) -> None:
    """Write `out/index.html` from the run.json files under `out`; a reader never sees half a page.

    pending: names of runs that are "waiting" or "running".
    """
    found = [(path.parent.name, read_run(path)) for path in sorted(out.glob("[!.]*/run.json"))]
    # others keep their own run.json, as `colorlab train` does
    runs = [(name, record) for name, record in found if record is not None]
    cards = [card(out / name, name, record) for name, record in runs if name not in pending]
    cards += [
        f'<article><h2>{html.escape(name)}</h2><p class="{state}">{state}</p></article>'
        for name, state in pending.items()
    ]
    counts = summary([record for name, record in runs if name not in pending], pending)
    write_text(out / "index.html", whole_page("Runs", counts, "\n".join(cards), bool(pending)))


def whole_page(title: str, summary: str, body: str, pending: bool, style: str = "") -> str:
    """A page of HTML; while something is `pending` it loads itself again every five seconds."""
    refresh = '<meta http-equiv="refresh" content="5">' if pending else ""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{refresh}<title>{html.escape(title)}</title>'
        f"<style>{STYLE}{style}</style></head>\n<body><h1>{html.escape(title)}</h1>"
        f'<p class="summary">{summary}</p>\n{body}\n</body></html>\n'
    )


def summary(records: list[dict[str, Any]], pending: dict[str, str]) -> str:
    counts = {state: sum(record["status"] == state for record in records) for state in ("finished", "failed")}
    counts |= {state: list(pending.values()).count(state) for state in ("running", "waiting")}
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "nothing yet"


def card(folder: Path, name: str, record: dict[str, Any]) -> str:
    """One run: what it was, how it went, what it measured, what it drew."""
    stem, here = Path(record["notebook"]).stem, quote(name)
    title = f'<a href="{here}/{quote(stem)}.html">{html.escape(name)}</a>' if (
        folder / f"{stem}.html").exists() else html.escape(name)
    memory = f", {record['peak_memory_mb']:,.0f} MB at most" if record["peak_memory_mb"] else ""
    facts = f"{record['seconds']:.0f} s{memory}, {record['device'] or 'no device noted'}, {record['started'].replace('T', ' ')}"
    links = " · ".join(
        f'<a href="{here}/{quote(file)}">{label}</a>'
        for file, label in (
            (f"{stem}.ipynb", "notebook"),
            ("run.json", "run.json"),
            ("metrics.json", "metrics.json"),
            ("log.txt", "log"),
        )
        if (folder / file).exists()
    )
    pictures = "".join(f'<a href="{here}/{quote(stem)}.html"><img src="{here}/{picture.name}" alt=""></a>'
                       for picture in sorted(folder.glob("picture-*.png")))
    error = record["error"]
    failed = (
        f"<pre>{html.escape(' '.join(filter(None, (error['cell'], error['line'], error['message']))))}</pre>"
        if error
        else ""
    )
    return (
        f'<article><h2>{title} <span class="{html.escape(record["status"])}">{html.escape(record["status"])}</span></h2>'
        f'<p class="facts">{html.escape(facts)} · {links}</p>'
        f"{parameters(record['given'])}{failed}{metrics(folder / 'metrics.json')}{pictures}</article>"
    )


def parameters(given: dict[str, Any]) -> str:
    stated = " ".join(f"<code>{html.escape(f'{name}={value!r}')}</code>" for name, value in given.items())
    return f"<p>{stated}</p>" if given else ""


def metrics(file: Path) -> str:
    """The recorded numbers and words as a small table; lists and dicts stay in metrics.json."""
    recorded = read_metrics(file)
    rows = "".join(f"<tr><td>{html.escape(name)}</td><td>{html.escape(shown(value))}</td></tr>"
                   for name, value in recorded.items() if not isinstance(value, (list, dict)))
    return f"<table>{rows}</table>" if rows else ""


def shown(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) and math.isfinite(value) else str(value)
