"""In a real browser: JupyterLab opens a notebook, runs all of it, a click into the picture changes the heat
map, and a film is uploaded.

Not part of `make test`, because running the notebooks takes minutes: `make browser`. Needs Chromium or Chrome
on this machine (Debian: `apt install chromium`) and playwright (`pip install -e ".[browser]"`), which drives
it.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.browser
sync_api = pytest.importorskip("playwright.sync_api",
                               reason="needs playwright: pip install -e \".[browser]\"")

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
NAMES = ("02_correspondence_warping", "05_memory_propagation")
OWN_FILM = "11_your_own_film"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
                None)
PATIENCE = float(os.environ.get("BROWSER_PATIENCE", 600))  # seconds that a notebook may run

PICTURE = "img.colorlab-picture"
ANSWER = f".jupyter-widgets:has({PICTURE}) .colorlab-tiles img"
# The bytes of an image, not its address: that is new with each update, whether the picture is or not.
CONTENT = """async (image) => {
    const bytes = new Uint8Array(await (await fetch(image.src)).arrayBuffer());
    return bytes.length + " bytes, " + bytes.reduce((sum, byte) => (31 * sum + byte) >>> 0, 7);
}"""


class Lab(NamedTuple):
    address: str
    token: str

    def ask(self, path: str) -> list[dict]:
        with urllib.request.urlopen(f"{self.address}/{path}?token={self.token}", timeout=10) as answer:
            return json.load(answer)


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Iterator[Lab]:
    """JupyterLab with copies of the notebooks and without this user's settings."""
    home = tmp_path_factory.mktemp("lab")
    for name in (*NAMES, OWN_FILM):
        shutil.copy(NOTEBOOKS / f"{name}.ipynb", home)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    own = {f"JUPYTER_{kind}_DIR": str(home / f".{kind}") for kind in ("CONFIG", "DATA", "RUNTIME")}
    own |= {
        "JUPYTERLAB_SETTINGS_DIR": str(home / ".settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / ".workspaces")
    }
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip", "127.0.0.1", "--port",
        str(port), "--ServerApp.port_retries=0", f"--ServerApp.root_dir={home}",
        f"--IdentityProvider.token={token}"
    ]
    with (
        open(home / "lab.log", "w") as log,
        subprocess.Popen(command, cwd=home, stdout=log, stderr=log, env=os.environ | own) as server,
    ):
        try:
            running = Lab(f"http://127.0.0.1:{port}", token)
            wait_until(lambda: server.poll() is not None or answers(running), 120,
                       "JupyterLab does not answer")
            assert server.poll() is None, (home / "lab.log").read_text()
            yield running
        finally:
            server.terminate()


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


def wait_until(true, seconds: float, otherwise: str) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, otherwise
        time.sleep(0.5)


def answers(lab: Lab) -> bool:
    try:
        return isinstance(lab.ask("api/sessions"), list)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def at_rest(lab: Lab, name: str) -> bool:
    """The notebook's kernel has nothing to do, three times in a row: between two cells it is idle for a
    moment, too."""
    for _ in range(3):
        state = [
            session["kernel"]["execution_state"]
            for session in lab.ask("api/sessions")
            if session["path"] == f"{name}.ipynb"
        ]
        if state != ["idle"]:
            return False
        time.sleep(1)
    return True


def run_all(lab: Lab, browser: "sync_api.Browser", name: str) -> "sync_api.Page":
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(120_000)
    page.goto(f"{lab.address}/lab/tree/{name}.ipynb?token={lab.token}&reset")
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    wait_until(lambda: at_rest(lab, name), 120, "the kernel does not start")
    page.locator(".lm-MenuBar-item", has_text="Run").click()
    page.locator('.lm-Menu-item[data-command="runmenu:run-all"]').click()
    page.locator(PICTURE).wait_for(state="attached", timeout=PATIENCE * 1000)
    wait_until(lambda: at_rest(lab, name), PATIENCE, f"{name} has not come to its end in {PATIENCE:.0f} s")
    return page


@pytest.mark.parametrize("name", NAMES)
def test_a_click_into_the_picture_changes_the_heat_map(lab, browser, name, tmp_path):
    page = run_all(lab, browser, name)
    try:
        assert page.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
        picture, answers, answer = page.locator(PICTURE), page.locator(ANSWER), page.locator(ANSWER).first
        assert picture.count() == 1 <= answers.count()
        # what answers without a kernel stands only where there is none
        assert page.locator(".colorlab-page").count() == 0
        picture.scroll_into_view_if_needed()
        box, before = picture.bounding_box(), answer.evaluate(CONTENT)
        assert min(box["width"], answer.bounding_box()["width"]) > 200
        picture.click(position={"x": 0.8 * box["width"], "y": 0.25 * box["height"]})
        wait_until(lambda: answer.evaluate(CONTENT) != before, 60, "a click does not change the heat map")
        wait_until(lambda: at_rest(lab, name), 60, "the kernel does not come to rest after a click")
        clicked = answer.evaluate(CONTENT)
        for _ in range(8):  # an arrow key moves the point by two pixels
            picture.press("ArrowLeft")
        wait_until(lambda: answer.evaluate(CONTENT) != clicked, 60,
                   "the arrow keys do not change the heat map")
        # the notebook's share of it is some 560 pixels
        page.set_viewport_size({"width": 1000, "height": 1000})
        page.wait_for_timeout(1000)
        narrow, below = picture.bounding_box(), answer.bounding_box()
        assert min(narrow["width"], below["width"]) > 200 and (
            below["y"] > narrow["y"] + narrow["height"] or below["x"] > narrow["x"]
        )
    finally:
        page.screenshot(path=os.environ.get("BROWSER_SCREENSHOTS", str(tmp_path)) + f"/{name}.png")
        page.close()


def test_an_uploaded_film_becomes_a_finished_file(lab, browser, tmp_path):
    from colorlab import clips
    from colorlab.files.video import write_image, write_video

    frames = clips.embedded_clip("layers", 10, 48, 80).frames
    film, picture = tmp_path / "grandmother.mp4", tmp_path / "wedding@0.png"
    write_video(film, frames.mean(-1, keepdims=True).repeat(3, -1).astype("uint8"), rate=12)
    write_image(picture, frames[0])

    page = run_all(lab, browser, OWN_FILM)
    try:
        for name, file in (("a film", film), ("pictures", picture)):
            with page.expect_file_chooser() as chooser:
                page.get_by_role("button", name=name).click()
            chooser.value.set_files(file)
            page.get_by_role("button", name=f"{name} (1)").wait_for()
        cell = page.locator(".jp-CodeCell", has_text="def keep(upload)")
        cell.locator(".jp-InputArea-editor").click()
        page.keyboard.press("Escape")
        page.locator(".lm-MenuBar-item", has_text="Run").click()
        page.locator('.lm-Menu-item[data-command="notebook:run-all-below"]').click()
        cell.get_by_text("grandmother.mp4 [('wedding@0.png', 0)]").wait_for()
        wait_until(lambda: at_rest(lab, OWN_FILM), PATIENCE, "the film is not finished")
        assert page.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
        last = page.locator(".jp-CodeCell", has_text="the command's exit code").last
        last.scroll_into_view_if_needed()
        for said in ("the command's exit code: 0", "the same file: True"):
            last.get_by_text(said).wait_for()  # a cell that scrolls into view is empty for a moment
    finally:
        page.screenshot(path=os.environ.get("BROWSER_SCREENSHOTS", str(tmp_path)) + f"/{OWN_FILM}.png")
        page.close()
