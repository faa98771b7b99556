"""In a real browser: pages made of notebooks answer without Python, in the book and in nbconvert's HTML, at
every width, light and dark.

`make browser`; see test_browser.py. The book's tools are needed (`pip install -e ".[book]"`); notebooks are
not run.
"""

import functools
import http.server
import os
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import nbformat
import numpy as np
import pytest

pytestmark = pytest.mark.browser
sync_api = pytest.importorskip("playwright.sync_api",
                               reason="needs playwright: pip install -e \".[browser]\"")
for tool in ("myst_nb", "sphinx_book_theme", "latex2mathml"):
    pytest.importorskip(tool, reason="needs the book's tools: pip install -e \".[book]\"")

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
                None)
TWO = "99_two_explorers"
WIDTHS = (1280, 700, 390)
DRAWN = "canvas => canvas.toDataURL()"
# The brightness of the ground, 0 to 255, as the first of an element's ancestors has it that is not
# transparent.
GROUND = """element => {
    for (let e = element; e; e = e.parentElement) {
        const parts = getComputedStyle(e).backgroundColor.match(/[\\d.]+/g).map(Number);
        if (parts.length < 4 || parts[3] > 0) return parts[0];
    }
    return 255;
}"""


def explored(shade: int) -> str:
    """An explorer with two sources and two settings, as a notebook's output holds it."""
    from colorlab.teaching.explore import Explorer, View

    def look(at, frame):
        near, far = np.zeros((64, 112)), np.zeros((64, 112))
        near[at], far[at[0], 111 - at[1]] = 0.75, 0.25
        return View(np.full((64, 112, 3), shade + 60 * frame, np.uint8), {"near": near, "far": far},
                    note=f"{shade}: {at}, frame {frame}")

    return Explorer(look, at=(40, 56), grid=(4, 7), frame=(0, 1, 0)).page()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The book, and nbconvert's pages beside it, of notebook 02 and of one with two explorers."""
    from nbconvert import HTMLExporter

    from colorlab.teaching.book import build

    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("pages") / "book"
    shutil.copy(NOTEBOOKS / "02_correspondence_warping.ipynb", source)
    cells = [
        nbformat.v4.new_markdown_cell("# Two explorers"), *(nbformat.v4.new_code_cell(
            "explorer", execution_count=1, outputs=[
                nbformat.v4.new_output("execute_result", {"text/html": explored(shade)}, execution_count=1)
            ]) for shade in (20, 90))
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), source / f"{TWO}.ipynb")
    build([source], out)
    for path in source.glob("*.ipynb"):
        html, _ = HTMLExporter().from_filename(path)
        (out / f"nbconvert_{path.stem}.html").write_text(html, encoding="utf-8")
    return out


@pytest.fixture(scope="module")
def address(folder) -> Iterator[str]:
    class Silent(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_) -> None:
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Silent, directory=folder)
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    if not CHROMIUM:
        pytest.skip("needs Chromium or Chrome on this machine")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser, address, request, tmp_path):
    """Open a page of the folder; what is asked of other addresses is refused and listed, and so are errors of
    scripts."""
    pages = []

    def go(name: str, width: int = 1280, dark: bool = False, **more) -> "sync_api.Page":
        page = browser.new_page(viewport={"width": width, "height": 900},
                                color_scheme="dark" if dark else "light", **more)
        page.refused, page.errors = [], []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.route(re.compile(r"^(?!http://127\.0\.0\.1|data:)"), lambda route:
                   (page.refused.append(route.request.url), route.abort()))
        page.set_default_timeout(30_000)
        page.goto(f"{address}/{name}.html")
        page.locator(".colorlab-page[data-ready]").first.wait_for()
        pages.append(page)
        return page

    yield go
    for page in pages:
        if (where := os.environ.get("BROWSER_SCREENSHOTS")) and page.locator(".colorlab-page").count():
            page.locator(".colorlab-page").first.scroll_into_view_if_needed()
            page.screenshot(
                path=f"{where}/{re.sub('[^A-Za-z0-9]+', '_', request.node.name)}_{len(pages)}.png")
        page.close()


def point(page: "sync_api.Page", explorer: "sync_api.Locator", x: float, y: float) -> None:
    """Move the pointer to a place of the picture, in shares of its width and height."""
    picture = explorer.locator(".colorlab-pointed")
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_in_the_book_the_pointer_changes_the_maps(open_page, width, dark):
    page = open_page("02_correspondence_warping", width, dark)
    explorer = page.locator(".colorlab-page")
    canvas, note = explorer.locator("canvas").first, explorer.locator(".colorlab-note")
    point(page, explorer, 0.2, 0.2)
    before = canvas.evaluate(DRAWN), note.inner_text()
    point(page, explorer, 0.8, 0.7)
    assert canvas.evaluate(DRAWN) != before[0] and note.inner_text() != before[1]
    picture, map_ = explorer.locator(".colorlab-pointed img").bounding_box(), canvas.bounding_box()
    assert min(picture["width"], map_["width"]) >= min(300, width - 60)  # large, and never cut off
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert (explorer.evaluate(GROUND) < 60) == dark
    assert page.refused == [] and page.errors == []


@pytest.mark.parametrize("name", ["02_correspondence_warping", "nbconvert_02_correspondence_warping"])
def test_clicks_keys_and_the_slider_change_the_maps(open_page, name):
    page = open_page(name)
    explorer = page.locator(".colorlab-page")
    canvas, note, picture = explorer.locator("canvas").first, explorer.locator(
        ".colorlab-note"), explorer.locator(".colorlab-pointed")
    seen = [canvas.evaluate(DRAWN)]
    box = picture.bounding_box()
    picture.click(position={"x": 0.75 * box["width"], "y": 0.9 * box["height"]})
    seen.append(canvas.evaluate(DRAWN))
    for _ in range(4):
        picture.press("ArrowLeft")
    seen.append(canvas.evaluate(DRAWN))
    before = note.inner_text()
    explorer.locator("input[type=range]").press("ArrowRight")
    seen.append(canvas.evaluate(DRAWN))
    assert len(set(seen)) == 4 and note.inner_text() != before
    assert page.errors == []


def test_a_finger_changes_the_maps(open_page):
    page = open_page("02_correspondence_warping", 390, has_touch=True, is_mobile=True)
    explorer = page.locator(".colorlab-page")
    canvas, picture = explorer.locator("canvas").first, explorer.locator(".colorlab-pointed")
    picture.scroll_into_view_if_needed()
    box, before = picture.bounding_box(), canvas.evaluate(DRAWN)
    picture.tap(position={"x": 0.15 * box["width"], "y": 0.2 * box["height"]})
    assert canvas.evaluate(DRAWN) != before


@pytest.mark.parametrize("name", [TWO, f"nbconvert_{TWO}"])
def test_two_explorers_do_not_disturb_each_other(open_page, name):
    page = open_page(name)
    first, second = page.locator(".colorlab-page").all()
    # noqa: E731
    state = lambda explorer: (explorer.locator(".colorlab-note").inner_text(),
                              *[c.evaluate(DRAWN) for c in explorer.locator("canvas").all()])
    assert first.locator("canvas").count() == second.locator("canvas").count() == 2
    begin = state(first), state(second)
    point(page, second, 0.9, 0.1)
    moved = state(second)
    assert state(first) == begin[0] and moved != begin[1] and moved[0] == "90: (8, 104), frame 0"
    first.locator("input[type=range]").press("ArrowRight")
    assert state(first)[0] == "20: (40, 56), frame 1" and state(second) == moved


def test_a_map_shines_at_the_place_that_is_pointed_at(open_page):
    page = open_page(TWO)
    explorer = page.locator(".colorlab-page").first
    point(page, explorer, 0.93, 0.12)
    peak = explorer.locator("canvas").first.evaluate("""canvas => {
        const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data, warm = [];
        for (let i = 0; i < pixels.length; i += 4)  // orange to yellow; the ring is white
            if (pixels[i] > 150 && pixels[i + 2] < 120) warm.push(i / 4);
        const mean = part => warm.reduce((sum, i) => sum + part(i), 0) / warm.length;
        return [mean(i => i % canvas.width) / canvas.width, mean(i => Math.floor(i / canvas.width)) / canvas.height];
    }""")
    assert peak == pytest.approx([0.93, 0.12], abs=0.05)


def test_without_scripts_the_still_stands_there(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/nbconvert_{TWO}.html")
    stills = page.locator(".colorlab-still").all()
    assert len(stills) == 2 and all(
        still.is_visible() and still.bounding_box()["width"] > 300 for still in stills
    )
    context.close()


def test_the_book_is_searched_and_its_pages_follow_one_another(open_page):
    page = open_page("02_correspondence_warping")
    page.locator("a.right-next").click()
    page.wait_for_url("**/99_two_explorers.html")
    page.goto(page.url.replace("99_two_explorers.html", "search.html?q=temperature"))
    page.locator("#search-results li").first.wait_for()
    assert "02" in page.locator("#search-results li").first.inner_text()


def test_a_solution_shows_at_a_click(open_page):
    page = open_page("02_correspondence_warping")
    solution = page.locator("details", has_text="there, back").first
    code = solution.locator("pre").first
    assert not code.is_visible()
    solution.locator("summary").click()
    assert code.is_visible()


def test_equations_are_drawn(open_page):
    page = open_page("02_correspondence_warping")
    equations = page.locator('math[display="block"]').all()
    assert len(equations) == 3 and all(equation.bounding_box()["height"] > 12 for equation in equations)
    assert page.locator(".colorlab-equation span").first.inner_text() == "(Eq. 1)"
