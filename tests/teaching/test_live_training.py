"""Live training: what it shows is of the run, and stopping it leaves a checkpoint that can be used."""

import io
import os
import signal

import numpy as np
import pytest
from PIL import Image

import colorlab
from colorlab import clips, train
from colorlab.teaching.live_training import Live
from colorlab.train.saved_run import load_checkpoint


@pytest.fixture
def film():
    return list(clips.embedded_clip("layers", 3, 32, 48, 0).frames)


def run(live, out=None, steps=4):
    recipe = train.recipe_for("colormnet", "tiny", steps=steps, weights=train.LossWeights(l1=0.1))
    windows = train.EmbeddedWindows(recipe, scenes=("layers",), films=1, film_frames=6)
    settings = train.Settings(log_every=1, validate_every=2, progress=False, cpu=True, **live.settings)
    with live.running():
        train.train(colorlab.load("colormnet", "tiny"), "colormnet", recipe, windows, out, settings)


def test_it_shows_every_loss_and_the_films_at_every_validation(film):
    live = Live({"one": film, "two": film[::-1]}, "colormnet", at=(10, 20))
    run(live)
    assert [step for step, _ in live.losses] == [1, 2, 3, 4]
    assert list(live.pictures) == [0, 2, 4] == list(live.quality["one"]) == list(live.quality["two"])
    assert all(frame.shape == film[0].shape for frame in live.pictures[4]["two"])
    assert live.maps[4].shape == (32, 48) and live.maps[4].sum() == pytest.approx(1, abs=1e-3)
    still = Image.open(io.BytesIO(live.still()))
    assert still.width >= 640 and still.height > 400
    assert Image.open(io.BytesIO(live.curve.value)).width > 600


def test_its_quality_is_what_colorize_reaches(film):
    live = Live({"one": film}, "colormnet")
    network = colorlab.load("colormnet", "tiny")
    live.watch(0, network)
    colored = list(colorlab.colorize(film, [(0, film[0])], network))
    off = np.abs(np.stack(live.pictures[0]["one"]).astype(int) - np.stack(colored))
    assert off.max() <= 2  # colorize keeps chroma to 1/256


@pytest.mark.parametrize("how", ["button", "interrupt"])
def test_stopping_leaves_a_usable_checkpoint(film, tmp_path, how):
    live = Live({"one": film}, "colormnet")
    follow = live.follow

    def stop_at_two(line):
        follow(line)
        if line["step"] == 2:
            live.button.click() if how == "button" else os.kill(os.getpid(), signal.SIGINT)

    live.follow = stop_at_two
    before = signal.getsignal(signal.SIGINT)
    run(live, tmp_path, steps=40)
    assert [step for step, _ in live.losses][-1] <= 3 and signal.getsignal(signal.SIGINT) is before
    assert load_checkpoint(tmp_path / "checkpoint.pt")["step"] == live.losses[-1][0]
    colorlab.load("colormnet", "tiny", weights=tmp_path / "colormnet.safetensors")
    assert live.button.disabled


BUSY = """
import time
import numpy as np
from colorlab.teaching.live_training import Live
live = Live({"black": [np.zeros((16, 16, 3), np.uint8)] * 2}, "colormnet")
with live.running():
    print("BUTTON", live.button.comm.comm_id, flush=True)
    began = time.monotonic()
    while not live.asked.is_set() and time.monotonic() - began < 60:
        time.sleep(0.05)
print("STOPPED", live.asked.is_set())
"""


def test_a_click_reaches_a_kernel_that_is_busy():
    """As JupyterLab sends it: a widget's message to a subshell, while the main shell runs the training's
    cell."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3", startup_timeout=120)
    try:
        client.control_channel.send(client.session.msg("create_subshell_request"))
        subshell = client.get_control_msg(timeout=60)["content"].get("subshell_id")
        if not subshell:
            pytest.skip("this ipykernel has no subshells; there the kernel's interrupt stops the run")
        client.execute(BUSY)
        while True:
            message = client.get_iopub_msg(timeout=120)
            text = message["content"].get("text", "")
            assert message["msg_type"] != "error", message["content"]
            if text.startswith("BUTTON"):
                click = client.session.msg(
                    "comm_msg",
                    {"comm_id": text.split()[1], "data": {"method": "custom", "content": {"event": "click"}}})
                click["header"]["subshell_id"] = subshell
                client.shell_channel.send(click)
            if "STOPPED" in text:
                assert text.split()[-1] == "True"
                return
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
