"""The notebooks as a book for any web server, or opened from a folder: `make book`.

    python -m colorlab.teaching.book notebooks --out book

Sphinx builds it with myst-nb and the sphinx-book-theme: contents, search, next and previous, light and dark,
for screens of any width. Nothing is fetched from any network, neither now nor by a reader's browser:

- equations become MathML here, which browsers render natively;
- explorers use the HTML in the notebooks' outputs (colorlab/teaching/explorer_page.py);
- the notebooks are not run: the book shows their stored outputs.

Solutions are collapsed, below the lines that a student starts from. The tools are installed by `pip install
-e ".[book]"`, or by `make book`; this module can be imported without them.
"""

from __future__ import annotations

import argparse
import copy
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from colorlab.experiments import find_notebooks
from colorlab.files.errors import InputError
from colorlab.teaching.labs import BEGIN, exercises

TITLE = "colorlab"
INDEX = """# colorlab

A workbook for video colorization. Each chapter asks one question, builds the answer by hand, checks it, and lets you look inside.

**Pictures that you can point at answer on these pages**: move the pointer, touch, or use the arrow keys, and see where the colour of
that place comes from. In the running notebook every pixel answers, and every setting.

**Exercises** need Python: run the notebook. Here each shows where it starts; its solution is behind a click.

{table}

```{{toctree}}
:hidden:
:maxdepth: 1

{names}
```
"""
SETTINGS = {
    "project": TITLE,
    "html_title": TITLE,
    "author": "",
    "copyright": "",
    "root_doc": "index",
    "extensions": ["myst_nb", "colorlab.teaching.book"],
    "html_theme": "sphinx_book_theme",
    "nb_execution_mode": "off",
    "nb_ipywidgets_js": {},
    "myst_enable_extensions": ["dollarmath", "amsmath"],
    "html_math_renderer": "mathml",
    "html_copy_source": False,
    "html_show_sourcelink": False,
    "html_show_copyright": False,
    "html_show_sphinx": False,
    "html_last_updated_fmt": "",
    "suppress_warnings": ["myst.header", "mystnb.unknown_mime_type"],
    "html_theme_options": {
        "use_download_button": False, "use_fullscreen_button": False, "show_toc_level": 2,
        "logo": {"text": TITLE}, "navbar_persistent": [], "navigation_with_keys": False
    },
    "html_context": {"default_mode": "auto"},
}
STYLE = """
.bd-article :not(pre) > code, .bd-article code .pre { overflow-wrap: anywhere; white-space: normal; }
.bd-article math[display="block"] { margin: 0.8em 0; max-width: 100%; overflow-x: auto; overflow-y: hidden; }
.bd-article math { font-size: 1.08em; }
.colorlab-equation { display: flex; align-items: center; gap: 1em; }
.colorlab-equation > math { flex: 1; min-width: 0; }
.bd-article pre { font-size: 0.82em; }
.bd-article .cell_output img { max-width: 100%; height: auto; }
html[data-theme="dark"] .bd-content div.cell_output .text_html:not(:has(table.dataframe)) { background: none; color: inherit; padding: 0; }
html[data-theme="dark"] .bd-content div.cell_output .text_html img:not(.only-dark) { background: none; padding: 0; border-radius: 0; }
"""


def build(notebooks: Iterable[str | Path], out: str | Path) -> list[str]:
    """Write the book of these notebooks into the folder `out`; a line for each page.

    An existing book is replaced; a folder with other contents is refused. Raises InputError for
    that, for a notebook that cannot be read, for missing tools, and for a page that would load something from
    a network.
    """
    try:
        from sphinx.application import Sphinx
    except ImportError:
        raise InputError("the book is made with Sphinx, which is not installed: pip install -e "
                         "\".[book]\", or `make book`") from None
    out, paths = Path(out), find_notebooks(notebooks)
    if out.exists() and any(out.iterdir()) and not (out / "searchindex.js").exists():
        raise InputError(f"{out} holds something that is no book; give another --out")
    stems = [path.stem for path in paths]
    books = {path.stem: chapter(_read(path), path.stem, stems) for path in paths}
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "source", Path(folder) / "made"
        (source / "_static").mkdir(parents=True)
        (source / "_static" / "colorlab.css").write_text(STYLE, encoding="utf-8")
        (source / "index.md").write_text(_index(books), encoding="utf-8")
        for stem, book in books.items():
            nbformat.write(book, source / f"{stem}.ipynb")
        settings = SETTINGS | {"html_static_path": ["_static"], "html_css_files": ["colorlab.css"]}
        said = open(Path(folder) / "said.txt", "w+", encoding="utf-8")
        with said:
            app = Sphinx(source, None, made,
                         Path(folder) / "doctrees", "html", settings, status=None, warning=said,
                         freshenv=True)
            app.build()
            said.seek(0)
            warnings = [line for line in said.read().splitlines() if line.strip()]
        if app.statuscode or any("ERROR" in line for line in warnings):
            raise InputError("Sphinx could not make the book: "
                             f"{warnings[-1] if warnings else 'it does not say why'}")
        if loaded := [
                f"{page.name} loads {address}" for page in sorted(made.glob("*.html"))
                for address in resources(page) if _remote(address)
        ]:
            raise InputError(f"the book would need a network: {'; '.join(loaded[:3])}")
        if out.exists():
            shutil.rmtree(out)
        shutil.copytree(made, out, ignore=shutil.ignore_patterns(".buildinfo*", "objects.inv", "_sources"))
    return [f"{stem}.html  {title_of(book)}" for stem, book in books.items()]


def chapter(book: NotebookNode, name: str = "notebook", others: Iterable[str] = ()) -> NotebookNode:
    """A notebook as shown in the book: the student's starting point before each solution, and the solution
    collapsed.

    others: names of chapters; where the text names one, `02_...`, it becomes a link.
    """
    solved = {exercise.index: exercise for exercise in exercises(book, name)}
    book = copy.deepcopy(book)
    named = re.compile(rf"(?<!\[)`({'|'.join(map(re.escape, others)) or '(?!)'})`")
    cells = []
    for index, cell in enumerate(book.cells):
        if cell.cell_type == "markdown":
            cell.source = named.sub(r"[`\1`](\1.ipynb)", cell.source)
        if index in solved:
            start = solved[index].answer.partition(BEGIN)[0].rstrip() + "\n    # your lines here"
            cells.append(nbformat.v4.new_markdown_cell(f"```python\n{start}\n```", id=f"{cell.id}-start"))
            cell.metadata["tags"] = [*cell.metadata.get("tags", ()), "hide-cell"]
            cell.metadata["mystnb"] = {
                "code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"
            }
        cells.append(cell)
    book.cells = cells
    book.metadata.setdefault("language_info", {})["pygments_lexer"] = "ipython3"
    return book


def title_of(book: NotebookNode) -> str:
    """A notebook's first heading."""
    headings = (re.search(r"^# (.+)$", cell.source, re.MULTILINE)
                for cell in book.cells
                if cell.cell_type == "markdown")
    return next((heading.group(1) for heading in headings if heading), "without a title")


def mathml(latex: str, display: bool = False) -> str:
    """An equation in LaTeX as MathML; `\\tag{...}` is put at its right. Raises ValueError for what cannot be
    converted."""
    from latex2mathml.converter import convert

    tags = re.findall(r"\\tag\{([^}]*)\}", latex)
    try:
        math = convert(re.sub(r"\\tag\{[^}]*\}", "", latex).strip(), display="block" if display else "inline")
    except Exception as error:  # any exception of the converter
        raise ValueError(f"no MathML for {' '.join(latex.split())}: {error}") from error
    # a name from MathML 2; browsers need a length
    math = math.replace('width="negativethinmathspace"', 'width="-0.167em"')
    return f'<div class="colorlab-equation">{math}<span>({tags[0]})</span></div>' if tags else math


def setup(app: Any) -> dict[str, bool]:
    """What Sphinx calls: equations become MathML."""
    from docutils import nodes

    def inline(translator: Any, node: Any) -> None:
        translator.body.append(mathml(node.astext()))
        raise nodes.SkipNode

    def block(translator: Any, node: Any) -> None:
        translator.body.append(mathml(node.astext(), display=True))
        raise nodes.SkipNode

    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def resources(page: Path) -> Iterator[str]:
    """The addresses from which a page loads scripts, styles, pictures and the like; not those that it merely
    links to."""
    found: list[str] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            given = dict(attributes)
            if tag == "link" and not {"stylesheet", "preload", "icon", "modulepreload"} & set(
                (given.get("rel") or "").split()):
                return
            names = {"link": ("href",), "img": ("src", "srcset"), "object": ("data",),
                     "use": ("href",)}.get(tag, ("src",))
            found.extend(given[name] for name in names if given.get(name))

    Parser().feed(page.read_text(encoding="utf-8"))
    yield from found


def _remote(address: str) -> bool:
    return re.match(r"(https?:)?//", address) is not None


def _index(books: dict[str, NotebookNode]) -> str:
    rows = "\n".join(f"| [{stem.partition('_')[0]}]({stem}.ipynb) | "
                     f"{title_of(book).partition('·')[2].strip() or title_of(book)} |"
                     for stem, book in books.items())
    return INDEX.format(table=f"| chapter | its question |\n|---|---|\n{rows}", names="\n".join(books))


def _read(path: Path) -> NotebookNode:
    try:
        return nbformat.read(path, as_version=4)
    except (json.JSONDecodeError, nbformat.reader.NotJSONError, nbformat.ValidationError, OSError) as error:
        raise InputError(f"{path} cannot be read as a notebook: {error}") from None


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m colorlab.teaching.book",
        description="Make a book of the notebooks, for any web server.",
    )
    parser.add_argument("notebooks", nargs="*", default=["notebooks"],
                        help="notebooks, or folders of them (default: notebooks)")
    parser.add_argument("--out", default="book", help="where to write it (default: book)")
    given = parser.parse_args(arguments)
    try:
        lines = build(given.notebooks, given.out)
    except InputError as error:
        sys.stderr.write(f"book: {' '.join(str(error).split())}\n")
        return 2
    sys.stdout.write("\n".join(lines) + f"\nwritten to {given.out}; open {Path(given.out) / 'index.html'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
