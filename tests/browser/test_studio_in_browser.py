"""The studio's easel in a real browser, without JupyterLab: a drag is a stroke in the film's pixels, a click
with "why?" a question.

Not part of `make test`: `make browser` runs it. Needs Chromium or Chrome and playwright.
"""

import base64
import json
import shutil

import numpy as np
import pytest

from colorlab.teaching import plots
from colorlab.teaching.studio import _EASEL

pytestmark = pytest.mark.browser
sync_api = pytest.importorskip("playwright.sync_api",
                               reason="needs playwright: pip install -e \".[browser]\"")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
                None)

HARNESS = """async ([code, values]) => {
  const module = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  window.values = values;
  window.saved = 0;
  const model = { get: (name) => window.values[name], set: (name, value) => { window.values[name] = value; },
                  save_changes: () => { window.saved += 1; }, on: () => {} };
  module.default.render({ model, el: document.body });
}"""


@pytest.fixture(params=[1280, 390])
def page(request):
    if not CHROMIUM:
        pytest.skip("needs Chromium or Chrome on this machine")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": request.param, "height": 800})
        page.set_content("<body style='margin: 10px'></body>")
        png = base64.b64encode(plots.to_png(np.full((64, 112, 3), 128, np.uint8))).decode()
        page.evaluate(HARNESS, [
            _EASEL, {
                "png": png, "size": [64, 112], "tool": "paint", "color": "#ff0000", "radius": 3, "stroke": [],
                "asked": [-1, -1]
            }
        ])
        page.wait_for_function("document.querySelector('canvas').width === 112")
        yield page
        browser.close()


def place(page, y, x):
    """A place in the film on the screen."""
    box = page.locator("canvas.colorlab-easel").bounding_box()
    return box["x"] + (x + 0.5) / 112 * box["width"], box["y"] + (y + 0.5) / 64 * box["height"]


def test_a_drag_is_a_stroke_in_pixels_of_the_film(page):
    page.mouse.move(*place(page, 20, 30))
    page.mouse.down()
    page.mouse.move(*place(page, 40, 90), steps=6)
    assert page.evaluate("window.saved") == 0  # a stroke is sent when it ends
    page.mouse.up()
    stroke = json.loads(page.evaluate("JSON.stringify(window.values.stroke)"))
    assert len(stroke) >= 6 and np.allclose([stroke[0], stroke[-1]], [[20.5, 30.5], [40.5, 90.5]], atol=0.5)
    assert page.evaluate("window.saved") == 1
    red = page.evaluate("Array.from(document.querySelector('canvas').getContext('2d').getImageData(30, "
                        "20, 1, 1).data)")
    assert red[0] > red[1] + 50  # what is drawn is seen at once


def test_a_click_with_why_asks_and_paints_nothing(page):
    page.evaluate("window.values.tool = 'ask'")
    page.mouse.click(*place(page, 12, 100))
    assert page.evaluate("window.values.asked") == [12, 100] and page.evaluate("window.values.stroke") == []
