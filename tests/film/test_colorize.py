"""The main job, with stand-ins for networks: lightness stays, frames keep their order and number, references
arrive as they should."""

import itertools
import os
import signal
import threading
import time
import weakref

import numpy as np
import pytest
import torch
from films import grey_ramp, packets, save_film, with_tone
from PIL import Image
from torch import nn

import colorlab
import colorlab.cli.colorize as command
from colorlab.cli import main, models
from colorlab.color import frames_to_rgb, rgb_to_lab
from colorlab.files.errors import InputError
from colorlab.files.video import read_video
from colorlab.film.colorize import network_size

RNG = np.random.default_rng(0)
FILM = RNG.integers(0, 256, (7, 24, 36, 3), dtype=np.uint8)
PICTURE = RNG.integers(0, 256, (40, 60, 3), dtype=np.uint8)


class Painter(nn.Module):
    """Gives every pixel the ab it was made with; remembers what it was handed."""

    def __init__(self, ab=(20.0, -30.0), frames_per_step=1):
        super().__init__()
        self.register_buffer("ab", torch.tensor(ab))
        self.frames_per_step = frames_per_step
        self.references, self.seen = "none yet", []

    def start(self, references):
        self.references = references
        return 0

    def step(self, l, state):
        self.seen.append(l)
        frames = l.shape[1] if l.ndim == 5 else 1
        return self.ab.view(2, 1, 1).expand(*l.shape[:-3], 2, *l.shape[-2:]), state + frames


class Counter(Painter):
    """Gives frame n the ab (n, 0): shows which colours end in which frame."""

    def step(self, l, state):
        clip = l if l.ndim == 5 else l[:, None]
        ab = torch.zeros(1, clip.shape[1], 2, *clip.shape[-2:])
        ab[:, :, 0] = torch.arange(state, state + clip.shape[1]).view(1, -1, 1, 1)
        return (ab if l.ndim == 5 else ab[:, 0]), state + clip.shape[1]


def lab(frame):
    return rgb_to_lab(frames_to_rgb(frame))


def grey_of(frames):
    return frames.mean(-1, keepdims=True).astype(np.uint8).repeat(3, -1)


# ---- colorize ----

@pytest.mark.parametrize("ab", [(20.0, -30.0), (0.0, 0.0), (110.0, 110.0), (-100.0, 90.0)])
@pytest.mark.parametrize("size", [None, 16])
def test_lightness_out_is_lightness_in(ab, size):
    """To what rounding to 8 bits allows: 0.28 of L at black, where one level is 0.27 and the gamut ends
    sharply."""
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, -1)
    film = [grey, *grey_of(FILM)[:, :16, :16]]
    for before, after in zip(film, colorlab.colorize(film, PICTURE, Painter(ab), size), strict=True):
        assert (lab(after)[0] - lab(before)[0]).abs().max() < 0.4


def test_lightness_of_a_color_film_is_kept_too():
    for before, after in zip(FILM, colorlab.colorize(FILM, PICTURE, Painter()), strict=True):
        assert (lab(after)[0] - lab(before)[0]).abs().max() < 0.4


def test_color_is_the_networks_where_it_exists():
    grey = np.full((24, 36, 3), 128, np.uint8)
    out, = colorlab.colorize([grey], PICTURE, Painter((20.0, -30.0)))
    assert torch.allclose(lab(out)[1:].mean((1, 2)), torch.tensor([20.0, -30.0]), atol=0.4)


def test_color_that_does_not_exist_keeps_its_hue():
    grey = np.full((24, 36, 3), 230, np.uint8)
    out, = colorlab.colorize([grey], PICTURE, Painter((60.0, -80.0)))
    a, b = lab(out)[1:].mean((1, 2)).tolist()
    assert abs(np.arctan2(b, a) - np.arctan2(-80, 60)) < 0.05 and 3 < np.hypot(a, b) < 60


def test_no_color_gives_the_grey_film_back_exactly():
    grey = grey_of(FILM)
    assert np.array_equal(list(colorlab.colorize(grey, PICTURE, Painter((0.0, 0.0)))), grey)


@pytest.mark.parametrize("block", [1, 2, 3, 7, 20])
def test_frames_keep_their_order_in_blocks_of_any_length(block):
    film = [np.full((24, 36, 3), 128, np.uint8)] * 7
    out = list(colorlab.colorize(film, PICTURE, Counter(frames_per_step=block)))
    assert [round(lab(frame)[1].mean().item()) for frame in out] == list(range(7))


def test_frames_come_one_by_one_from_a_film_without_end():
    endless = itertools.cycle(FILM)
    assert (
        len(list(itertools.islice(colorlab.colorize(endless, PICTURE, Painter(frames_per_step=3)), 20))) == 20
    )


def test_no_more_than_a_block_is_read_ahead():
    pulled = itertools.count()
    out = colorlab.colorize((frame for frame in FILM if next(pulled) >= 0), PICTURE,
                            Painter(frames_per_step=2))
    next(out)
    assert next(pulled) == 2


def test_frames_are_let_go_of():
    given = []

    def film():
        for frame in itertools.islice(itertools.cycle(FILM), 40):
            given.append(weakref.ref(fresh := frame.copy()))
            yield fresh
            del fresh

    for _ in colorlab.colorize(film(), PICTURE, Painter(frames_per_step=3)):
        assert sum(reference() is not None for reference in given) <= 3


def test_the_network_sees_the_film_small_and_the_picture_too():
    model = Painter()
    out, *_ = colorlab.colorize(FILM, [(2, FILM[2]), PICTURE], model, size=16)
    assert model.seen[0].shape == (1, 1, 16, 24) and out.shape == (24, 36, 3)
    (index, own), loose = model.references
    assert index == 2 and own.shape == (1, 3, 16, 24) and loose.shape == (1, 3, 16, 24)
    assert 0 <= model.seen[0].min() and 50 < model.seen[0].max() <= 100


def test_full_size_is_never_enlarged():
    assert network_size((240, 320), 480) == (240, 320)
    assert network_size((480, 720), 240) == (240, 360) and network_size((721, 433), 100) == (167, 100)


def test_a_small_loose_picture_stays_as_it_is_and_a_large_one_shrinks():
    model = Painter()
    next(colorlab.colorize(FILM, RNG.integers(0, 256, (20, 70, 3), dtype=np.uint8), model))
    assert model.references.shape == (1, 3, 20, 70)
    next(colorlab.colorize(FILM, RNG.integers(0, 256, (48, 96, 3), dtype=np.uint8), model))
    assert model.references.shape == (1, 3, 24, 48)


def test_a_frames_own_picture_falls_pixel_on_pixel():
    model = Painter()
    ramp = np.linspace(40, 200, 72)[None, :, None] + np.linspace(0, 40, 48)[:, None, None] * np.ones(3)
    next(colorlab.colorize(FILM, [(0, ramp.astype(np.uint8))], model))
    pooled = ramp.reshape(24, 2, 36, 2, 3).mean((1, 3)).astype(np.uint8)
    # half a pixel off would be 0.9
    assert (model.references[0][1] - lab(pooled))[..., 2:-2, 2:-2].abs().max() < 0.5


def test_no_reference_arrives_as_none():
    model = Painter()
    next(colorlab.colorize(FILM, None, model))
    assert model.references is None


def test_gradients_and_inference_mode_do_not_leak_to_the_caller():
    for _ in colorlab.colorize(FILM[:2], PICTURE, Painter()):
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("references, message", [
    (PICTURE / 255.0, "uint8 array"),
    (PICTURE[..., :1], "uint8 array"),
    ("ref.png", "not str"),
    ([(-1, PICTURE)], "from 0"),
    ([(1, PICTURE), (1, PICTURE)], "two references for frame 1"),
    ([(0, PICTURE, 2)], "frame_index, picture"),
])
def test_a_reference_that_is_none_says_so_at_once(references, message):
    with pytest.raises(InputError, match=message):
        colorlab.colorize(FILM, references, Painter())


def test_a_frames_own_picture_has_the_films_shape():
    with pytest.raises(InputError, match="40x40, the film 36x24: another shape"):
        next(colorlab.colorize(FILM, [(0, PICTURE[:, :40])], Painter()))


def test_frames_of_two_sizes_and_tiny_networks_are_refused():
    with pytest.raises(InputError, match="frame 1 is 36x20, those before it are 36x24"):
        list(colorlab.colorize([FILM[0], FILM[0][:20]], PICTURE, Painter()))
    with pytest.raises(InputError, match="size 8 is too small"):
        colorlab.colorize(FILM, PICTURE, Painter(), size=8)


def test_the_function_stands_at_the_front_door_though_its_module_and_command_were_imported():
    assert callable(colorlab.colorize) and colorlab.cli.colorize is command


# ---- the command ----

@pytest.fixture
def film(tmp_path):
    Image.fromarray(PICTURE).save(tmp_path / "ref.png")
    return save_film(tmp_path / "in.mp4", grey_ramp(8), extra=with_tone)


@pytest.fixture
def painter(monkeypatch):
    model = Painter()
    monkeypatch.setattr(models, "load", lambda *_, **__: model)
    return model


def arguments(film, *more, reference=("ref.png",), method="lstvc", out="out.mp4"):
    named = itertools.chain.from_iterable(("--reference", str(film.parent / name)) for name in reference)
    return [
        "colorize",
        str(film), *named, "--method", method, "--device", "cpu", "-o",
        str(film.parent / out), *map(str, more)
    ]


def fails(arguments, capsys):
    """Runs a command that must fail; its one line."""
    before = sorted(os.listdir())
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and sorted(os.listdir()) == before
    return said.err


def test_a_film_is_colored_with_its_sound_and_progress(film, painter, capsys):
    assert main(arguments(film)) == 0
    out = film.parent / "out.mp4"
    frames = list(read_video(out))
    assert len(frames) == 8 and lab(frames[-1])[2].mean() < -15
    assert packets(out, "audio") == packets(film, "audio")
    said = capsys.readouterr()
    assert "8/8" in said.err and said.out == f"{out}: 8 frames\n"


def test_a_folder_of_frames_is_colored(film, painter):
    folder = film.parent / "frames"
    folder.mkdir()
    for k, frame in enumerate(FILM):
        Image.fromarray(frame[..., 0]).save(folder / f"shot{k}.jpg")
    assert main(arguments(folder, out="out")) == 0
    assert sorted(os.listdir(folder.parent / "out")) == [f"shot{k}.png" for k in range(7)]
    assert main(arguments(folder, "--rate", 12)) == 0
    assert read_video(folder.parent / "out.mp4").rate == 12


def test_references_carry_their_frames_and_odd_names(film, painter):
    Image.fromarray(FILM[0]).resize((48, 32)).save(film.parent / "me@home.png")
    assert main(arguments(film, "--size", 16, reference=("ref.png", "me@home.png", "me@home.png@5"))) == 0
    loose, also_loose, (frame, own) = painter.references
    assert frame == 5 and own.shape == (1, 3, 16, 24) and also_loose.shape == own.shape
    assert painter.seen[0].shape[-2:] == (16, 24)


def test_one_loose_picture_is_no_list(film, painter):
    assert main(arguments(film)) == 0
    assert isinstance(painter.references, torch.Tensor)


@pytest.mark.parametrize("change, message", [
    (dict(reference=("nothing.png",)), "there is no reference picture .*nothing.png"),
    (dict(reference=("ref.png@eight",)), "number of a frame, from 0, not 'eight'"),
    (dict(reference=("ref.png@8",)), "the film has 8 frames, 0 to 7"),
    (dict(reference=("ref.png@2", "ref.png@2")), "two references for frame 2"),
    (dict(reference=()), "give one with --reference"),
    (dict(reference=("in.mp4",)), "is not a picture"),
    (dict(method="tcavc"), "paints its own reference"),
    (dict(out="in.mp4"), "also the input"),
    (dict(out="ref.png"), "also the input"),
    (dict(out="missing/out.mp4"), "does not exist; make it first"),
    (dict(out="out.gif"), "films end in .mp4"),
])
def test_what_cannot_be_done_is_one_line(film, painter, capsys, monkeypatch, change, message):
    import re
    monkeypatch.chdir(film.parent)
    assert re.search(message, fails(arguments(film, **change), capsys))
    assert not painter.seen


@pytest.mark.parametrize("more, message", [(("--size", 3), "--size 3 is too small"),
                                           (("--rate", 0), "no frame rate"),
                                           (("--device", "cuda:99"), "--device cuda:99 cannot be used here"),
                                           (("--device", "toaster"), "--device toaster cannot be used here")])
def test_options_out_of_range_are_one_line(film, painter, capsys, monkeypatch, more, message):
    monkeypatch.chdir(film.parent)
    assert message in fails(arguments(film, *more), capsys)


def test_a_film_that_was_cut_short_is_refused_before_the_work(film, painter, capsys, monkeypatch):
    monkeypatch.chdir(film.parent)
    whole = save_film(film.parent / "in.mkv", grey_ramp(40)).read_bytes()  # its first frames can be read
    (film.parent / "in.mkv").write_bytes(whole[: len(whole) // 2])
    assert "cut short" in fails(arguments(film.parent / "in.mkv"), capsys)
    assert not painter.seen


def test_a_reference_of_another_shape_leaves_nothing_behind(film, painter, monkeypatch, capsys):
    monkeypatch.chdir(film.parent)
    Image.fromarray(PICTURE[:, :20]).save("tall.png")
    assert main(arguments(film, reference=("tall.png@0",))) == 2
    assert "another shape" in capsys.readouterr().err
    assert sorted(os.listdir()) == ["in.mp4", "ref.png", "tall.png"]


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_leaves_nothing_behind(film, monkeypatch, capsys, number):
    class Slow(Painter):
        def step(self, l, state):
            time.sleep(0.2)
            return super().step(l, state)

    monkeypatch.chdir(film.parent)
    monkeypatch.setattr(models, "load", lambda *_, **__: Slow())
    threading.Timer(0.7, os.kill, (os.getpid(), number)).start()
    assert main(arguments(film)) == 130
    assert "stopped" in capsys.readouterr().err
    assert sorted(os.listdir()) == ["in.mp4", "ref.png"]


@pytest.mark.parametrize("method", ["copy", "lstvc", "colormnet", "cavc"])
def test_every_method_that_takes_a_reference_colors_a_film(film, method):
    pytest.importorskip({"copy": "colorlab.methods.baselines"}.get(method, f"colorlab.papers.{method}"))
    assert main(
        arguments(film, "--preset", "tiny", "--size", 32, method=method,
                  reference=("ref.png", "ref.png@3"))) == 0
    assert read_video(film.parent / "out.mp4").count() == 8


def test_the_method_without_a_reference_colors_a_film(film):
    pytest.importorskip("colorlab.papers.tcavc", exc_type=ImportError)
    assert main(arguments(film, "--preset", "tiny", "--size", 32, method="tcavc", reference=())) == 0
    assert read_video(film.parent / "out.mp4").count() == 8
