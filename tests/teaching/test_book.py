"""`make book`: every notebook is a page, equations and explorers are in it, and no page loads anything from a
network."""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest

from colorlab.files.errors import InputError
from colorlab.teaching.book import build, chapter, main, mathml, resources, title_of
from colorlab.teaching.explore import Explorer, View

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EXERCISE = '''def my_double(x):
    """Twice a number."""
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION

from colorlab.teaching.exercises import check

check(my_double, 3, expected=6)'''


def tools():
    for name in ("sphinx", "myst_nb", "sphinx_book_theme", "latex2mathml"):
        pytest.importorskip(name, reason="needs the book's tools: pip install -e \".[book]\"")


def small_book(title: str = "01 · One") -> nbformat.NotebookNode:
    """A chapter with an equation, an explorer's output and an exercise."""
    html = Explorer(lambda at: View(np.zeros((16, 16, 3), np.uint8), note="here"), grid=(2, 2)).page()
    output = nbformat.v4.new_output(
        "execute_result", {"text/html": html, "text/plain": "Explorer"}, execution_count=1
    )
    return nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell(
                f"# {title}\n\nSee `02_two`, where $a_i^2$ is\n\n$$ \\frac{{1}}{{2}} \\tag{{Eq. 7}} $$"),
            nbformat.v4.new_code_cell("explorer", outputs=[output], execution_count=1),
            nbformat.v4.new_code_cell(EXERCISE)
        ], metadata={"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}})


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    tools()
    folder = tmp_path_factory.mktemp("small")
    for stem, title in (("01_one", "01 · One"), ("02_two", "02 · Two")):
        nbformat.write(small_book(title), folder / f"{stem}.ipynb")
    build([folder], folder / "book")
    return folder / "book"


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    tools()
    out = tmp_path_factory.mktemp("whole") / "book"
    build([ROOT / "notebooks"], out)
    return out


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_is_a_page_with_all_its_equations(whole, notebook):
    page = (whole / f"{notebook.stem}.html").read_text(encoding="utf-8")
    book = nbformat.read(notebook, as_version=4)
    text = "\n".join(cell.source for cell in book.cells if cell.cell_type == "markdown")
    assert f"{title_of(book)}</" in page.replace('<a class="headerlink"', "</a>")
    assert page.count('display="block"') == len(re.findall(r"\$\$.+?\$\$", text, re.DOTALL))
    assert "$$" not in re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)


def test_every_explorer_of_the_notebooks_is_in_the_book(whole):
    for notebook in NOTEBOOKS:
        kept = sum('class="colorlab-page"' in "".join(output.get("data", {}).get("text/html", ""))
                   for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"
                   for output in cell.outputs)
        assert (whole / f"{notebook.stem}.html").read_text(
            encoding="utf-8").count('<div class="colorlab-page">') == kept, notebook.stem


def test_nothing_is_loaded_from_a_network_and_all_that_is_loaded_is_there(whole):
    pages = list(whole.glob("*.html"))
    assert len(pages) >= len(NOTEBOOKS) + 2
    for page in pages:
        for address in resources(page):
            assert address.startswith("data:") or (
                whole / re.split("[?#]", address)[0]).is_file(), f"{page.name}: {address}"
    styles = [style.read_text(encoding="utf-8") for style in whole.rglob("*.css")]
    assert not any(re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", style) for style in styles)


def test_the_book_can_be_searched_and_read_on(whole):
    # words are kept by their stems
    assert "temperatur" in (whole / "searchindex.js").read_text(encoding="utf-8")
    page = (whole / "02_correspondence_warping.html").read_text(encoding="utf-8")
    assert re.search(r'class="(left-prev|right-next)"[^>]*href="01_lab_color.html"', page.replace("\n", " "))
    assert re.search(r'class="(left-prev|right-next)"[^>]*href="03_sca_cosine_features.html"',
                     page.replace("\n", " "))
    assert "viewport" in page and "data-mode" in page  # for telephones; light and dark


def test_an_explorer_comes_through_as_it_is(small):
    page = (small / "01_one.html").read_text(encoding="utf-8")
    html = small_book().cells[1].outputs[0].data["text/html"]
    assert re.search(r'<script type="application/json">(.*?)</script>',
                     html).group(0) in page and "function bring(root, data)" in page


def test_a_chapter_that_is_named_is_linked(small):
    assert re.search(r'<a [^>]*href="02_two.html"[^>]*>(<span [^>]*>)?<code',
                     (small / "01_one.html").read_text(encoding="utf-8"))


def test_a_solution_stands_behind_a_click_below_what_a_student_starts_from():
    [start, solution] = chapter(small_book()).cells[2:]
    assert (
        start.source == '```python\ndef my_double(x):\n    """Twice a number."""\n    # your lines here\n```'
    )
    assert "hide-cell" in solution.metadata["tags"] and solution.source == EXERCISE


def test_a_chapter_leaves_the_notebook_as_it_was():
    book = small_book()
    before = nbformat.writes(book)
    chapter(book, others=["02_two"])
    assert nbformat.writes(book) == before


def test_an_equation_has_its_number_at_its_right(small):
    page = (small / "01_one.html").read_text(encoding="utf-8")
    assert re.search(
        r'<div class="colorlab-equation"><math [^>]*display="block".*?</math><span>\(Eq. 7\)</span></div>',
        page)


def test_an_equation_that_cannot_be_converted_is_named():
    tools()
    with pytest.raises(ValueError, match=r"no MathML for x \\left\("):
        mathml(r"x \left( y")


def test_a_book_is_replaced_and_nothing_else_is(small, tmp_path, capsys):
    nbformat.write(small_book(), tmp_path / "03_three.ipynb")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    assert main([str(tmp_path / "03_three.ipynb"), "--out", str(tmp_path / "out")]) == 2
    assert "holds something that is no book" in capsys.readouterr().err and (
        tmp_path / "out" / "thesis.txt").read_text() == "mine"
    build([tmp_path / "03_three.ipynb"], tmp_path / "book")
    build([tmp_path / "03_three.ipynb"], tmp_path / "book")
    assert (tmp_path / "book" / "03_three.html").is_file()


def test_a_page_that_would_load_from_a_network_is_refused(tmp_path):
    tools()
    book = small_book()
    book.cells.append(nbformat.v4.new_markdown_cell('<img src="https://example.org/picture.png">'))
    nbformat.write(book, tmp_path / "01_one.ipynb")
    with pytest.raises(InputError, match="01_one.html loads https://example.org/picture.png"):
        build([tmp_path], tmp_path / "book")
    assert not (tmp_path / "book").exists()


def test_links_to_the_world_are_allowed(tmp_path):
    page = tmp_path / "page.html"
    page.write_text('<link rel="canonical" href="https://a.org"><a href="https://b.org">b</a><script '
                    'src="x.js"></script><img src="//c.org/p.png">')
    assert list(resources(page)) == ["x.js", "//c.org/p.png"]
