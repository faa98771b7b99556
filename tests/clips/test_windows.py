from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close
from torch.utils.data import DataLoader

from colorlab.clips import ClipDataset, embedded_clip, moving_photograph, photograph, survey, windows
from colorlab.color import frames_to_rgb, rgb_to_lab
from colorlab.files.errors import InputError


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COLORLAB_CACHE", str(tmp_path / "cache"))
    windows.frame_files.cache_clear()


def write_clip(folder: Path, frames: np.ndarray, suffix: str = ".png") -> Path:
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{number:05d}{suffix}")
    return folder


def counting_clip(count: int, height: int = 24, width: int = 40, base: int = 0) -> np.ndarray:
    """Flat frames whose level says which one they are."""
    return np.stack([np.full((height, width, 3), base + n, np.uint8) for n in range(count)])


def levels(window) -> list[int]:
    return (window.frames.mean((1, 2, 3)) * 255).round().int().tolist()


def test_a_window_is_frames_that_follow_one_another_at_an_even_stride(tmp_path):
    clip = write_clip(tmp_path / "clip", counting_clip(30))
    data = ClipDataset([clip], frames=4, size=(12, 20), strides=(1, 3), space="rgb", length=40)
    seen = {tuple(np.diff(levels(window)).tolist()) for window in (data[i] for i in range(40))}
    assert seen == {(1, 1, 1), (3, 3, 3)}
    assert all(levels(data[i])[0] == data[i].first for i in range(5))


def test_a_clip_shorter_than_the_window_is_played_back_and_forth(tmp_path):
    clip = write_clip(tmp_path / "clip", counting_clip(3))
    assert levels(ClipDataset([clip], frames=6, size=(12, 20), space="rgb")[0]) == [0, 1, 2, 1, 0, 1]


def test_each_clip_comes_once_before_any_comes_twice(tmp_path):
    clips = [write_clip(tmp_path / str(n), counting_clip(3, base=50 * n)) for n in range(5)]
    data = ClipDataset(clips, frames=2, size=(8, 8), length=15)
    rounds = [[data[i].source for i in range(start, start + 5)] for start in (0, 5, 10)]
    assert all(sorted(names) == sorted(map(str, clips)) for names in rounds)
    assert rounds[0] != rounds[1]


@pytest.mark.parametrize("share, expected", [(0.0, 0), (0.25, 2), (1.0, 8)])
def test_the_share_of_photographs_is_kept(tmp_path, share, expected):
    clip = write_clip(tmp_path / "clip", counting_clip(4))
    photo = tmp_path / "photo.jpg"
    Image.fromarray(photograph("chelsea")).save(photo)
    data = ClipDataset([clip], [photo], frames=2, size=(16, 16), share=share)
    assert sum(data[i].source == str(photo) for i in range(8)) == expected


def test_all_frames_of_a_window_get_the_same_crop_and_flip(tmp_path):
    clip = write_clip(tmp_path / "clip", np.repeat(photograph("chelsea")[None, ::4, ::4], 4, 0))
    data = ClipDataset([clip], frames=4, size=(24, 40), space="rgb", length=20)
    picked = [data[i].frames for i in range(20)]
    assert all(torch.equal(frames[0], frame) for frames in picked for frame in frames)
    assert len({frames[0].numpy().tobytes() for frames in picked}) == 20


def test_half_of_the_windows_are_mirrored(tmp_path):
    ramp = (
        np.repeat(np.arange(0, 200, 5, dtype=np.uint8)[None, None, :, None], 3, -1).repeat(24, 1).repeat(2, 0)
    )
    data = ClipDataset([write_clip(tmp_path / "clip", ramp)], frames=1, size=(12, 20), space="rgb",
                       length=200)
    falling = sum(bool(data[i].frames[0, 0, 0, 0] > data[i].frames[0, 0, 0, -1]) for i in range(200))
    assert 75 < falling < 125


def test_a_crop_shows_what_is_there(tmp_path):
    """Brightness is a plane over the picture, so each crop's own corners tell where it was taken."""
    plane = np.add.outer(np.arange(120), np.arange(120)).astype(np.uint8)
    clip = write_clip(tmp_path / "clip", np.repeat(plane[None, :, :, None], 3, -1))
    for index in range(10):
        values = ClipDataset([clip], frames=1, size=(30, 30), zoom=0.5, flip=False,
                             space="rgb")[index].frames[0, 0] * 255
        across, down = values[:, -1] - values[:, 0], values[-1] - values[0]
        assert (
            across.std() < 1
            and (across.mean() - down.mean()).abs() < 3
            and 29 * 2 - 2 < across.mean() < 29 * 4 + 2
        )


@pytest.mark.parametrize("framing, corners", [("cover", (20, 99)), ("squash", (0, 119))])
def test_a_frame_is_resized_whole_or_cut_in_its_middle(tmp_path, framing, corners):
    """A ramp across a picture three times as wide as high, shown in a square window: its middle third, or all
    of it."""
    ramp = np.repeat(np.arange(120, dtype=np.uint8)[None, None, :, None], 3, -1).repeat(80, 1)
    clip = write_clip(tmp_path / "clip", ramp)
    data = ClipDataset([clip], frames=1, size=(40, 40), framing=framing, flip=False, space="rgb", length=5)
    row = data[0].frames[0, 0, 20] * 255
    assert (row[0] - corners[0]).abs() < 3 and (row[-1] - corners[1]).abs() < 3
    assert all(torch.equal(data[index].frames, data[0].frames) for index in range(5))


def test_half_of_the_windows_run_backwards_where_that_is_asked_for(tmp_path):
    clip = write_clip(tmp_path / "clip", counting_clip(30))
    backwards = ClipDataset([clip], frames=4, size=(12, 20), reverse=True, space="rgb", length=60)
    seen = [levels(backwards[index]) for index in range(60)]
    assert 15 < sum(found[0] > found[-1] for found in seen) < 45
    assert all(min(found) == backwards[index].first for index, found in enumerate(seen))
    forwards = ClipDataset([clip], frames=4, size=(12, 20), space="rgb", length=20)
    assert all(levels(forwards[index]) == sorted(levels(forwards[index])) for index in range(20))


def test_a_photograph_that_does_not_serve_leaves_its_turn_to_the_next(tmp_path):
    paths = [tmp_path / f"photo{n}.png" for n in range(4)]
    for n, path in enumerate(paths):
        Image.fromarray(np.full((24, 40, 3), 40 * n, np.uint8)).save(path)
    chosen = lambda keep: [
        ClipDataset((), paths, frames=1, size=(12, 20), length=12, keep=keep)[i].source for i in range(12)
    ]
    assert set(chosen(None)) == set(map(str, paths))
    assert set(chosen(lambda path: path.stem in ("photo1", "photo3"))) == {str(paths[1]), str(paths[3])}
    with pytest.raises(InputError, match="keeps none of the 4 photographs"):
        chosen(lambda path: False)


def test_a_framing_that_there_is_not_is_refused(tmp_path):
    clip = write_clip(tmp_path / "clip", counting_clip(3))
    with pytest.raises(InputError, match="crop, cover, squash"):
        ClipDataset([clip], framing="stretch")


def test_workers_and_order_change_nothing(tmp_path):
    clip = write_clip(tmp_path / "clip", embedded_clip("zoom", 5, 32, 48).frames)
    photo = tmp_path / "photo.jpg"
    Image.fromarray(photograph("coffee")).save(photo)
    data = ClipDataset([clip], [photo], frames=2, size=(16, 24), length=6)
    alone = [data[i].frames for i in reversed(range(6))][::-1]
    batches = list(DataLoader(data, batch_size=3, num_workers=2))
    assert_close(torch.cat([batch.frames for batch in batches]), torch.stack(alone), atol=0, rtol=0)


def test_seeds_give_other_windows(tmp_path):
    clip = write_clip(tmp_path / "clip", embedded_clip("zoom", 5, 32, 48).frames)
    one, other = (ClipDataset([clip], frames=2, size=(16, 24), seed=seed)[0].frames for seed in (0, 1))
    assert not torch.equal(one, other)


def test_lab_is_the_lab_of_the_rgb(tmp_path):
    clip = write_clip(tmp_path / "clip", embedded_clip("zoom", 3, 32, 48).frames)
    lab, rgb = (ClipDataset([clip], frames=2, size=(16, 24), space=space)[3].frames
                for space in ("lab", "rgb"))
    assert_close(lab, rgb_to_lab(rgb))


def test_a_large_jpeg_is_read_as_well_as_a_whole_one(tmp_path):
    path = tmp_path / "large.jpg"
    Image.fromarray(photograph("retina")).save(path, quality=98, subsampling=0)
    got = windows.read_crop(path, (200, 300, 1000, 1000), (56, 64)).astype(float)
    whole = Image.fromarray(photograph("retina")).resize(
        (64, 56), Image.Resampling.BICUBIC, box=(200, 300, 1000, 1000)
    )
    assert np.abs(got - np.asarray(whole)).mean() < 1.5


def test_a_film_gives_the_same_frames_as_a_folder_and_is_unpacked_once(tmp_path, monkeypatch):
    import colorlab
    from colorlab.files import video

    frames = counting_clip(6, 32, 48, base=100)
    colorlab.write_video(tmp_path / "film.mp4", iter(frames))
    data = ClipDataset([tmp_path / "film.mp4"], frames=3, size=(16, 24), space="rgb")
    window = data[0]
    assert np.abs(np.array(levels(window)) - (100 + window.first + np.arange(3))).max() <= 2
    monkeypatch.setattr(video, "read_video", lambda path: pytest.fail("decoded again"))
    windows.frame_files.cache_clear()
    assert_close(data[0].frames, window.frames)


def test_a_photograph_in_motion_moves_steadily_and_keeps_its_colours():
    photo = frames_to_rgb(photograph("coffee").copy())
    rng = np.random.default_rng(5)
    clip = moving_photograph(photo, 5, (48, 80), rng)
    steps = (clip[1:] - clip[:-1]).abs().mean((1, 2, 3))
    far = (clip[4] - clip[0]).abs().mean()
    assert clip.shape == (5, 3, 48, 80) and 0 <= clip.min() and clip.max() <= 1
    assert (steps > 1e-3).all() and steps.max() < 4 * steps.min() and far > steps.mean()
    assert (clip.mean((0, 2, 3)) - photo.mean((1, 2))).abs().max() < 0.15


def test_a_passing_thing_hides_a_part_and_leaves_the_rest():
    black, white = torch.zeros(3, 60, 100), torch.ones(3, 60, 100)
    clip = moving_photograph(black, 4, (48, 80), np.random.default_rng(0), passer=white)
    share = clip.mean((1, 2, 3))
    assert ((share > 0.01) & (share < 0.6)).all() and not torch.equal(clip[0], clip[3])


def test_the_survey_tells_clips_films_and_photographs_apart(tmp_path):
    write_clip(tmp_path / "set" / "camel", counting_clip(3))
    write_clip(tmp_path / "set" / "every_fifth", counting_clip(1))
    for number in (5, 10, 15):
        Image.fromarray(counting_clip(1)[0]).save(tmp_path / "set" / "every_fifth" / f"{number:05d}.png")
    (tmp_path / "set" / "film.MP4").write_bytes(b"x")
    (tmp_path / "loose").mkdir()
    for number in (100007, 100039, 100099, 2018):
        Image.fromarray(counting_clip(1)[0]).save(tmp_path / "loose" / f"bsds_{number}.jpg")
    (tmp_path / "loose" / ".hidden.jpg").write_bytes(b"x")
    found = survey(tmp_path)
    assert {path.name for path in found.clips} == {"camel", "every_fifth", "film.MP4"}
    assert len(found.photographs) == 4


@pytest.mark.parametrize("spoil, message", [
    (lambda file: file.unlink(), "has disappeared since training began"),
    (lambda file: file.write_bytes(file.read_bytes()[:-300]), "damaged or cut short"),
    (lambda file: file.write_bytes(b""), "not a picture that can be read"),
])
def test_a_lost_or_damaged_frame_is_named(tmp_path, spoil, message):
    noise = np.random.default_rng(0).integers(0, 255, (1, 32, 48, 3), dtype=np.uint8)
    clip = write_clip(tmp_path / "clip", noise, ".jpg")
    data = ClipDataset([clip], frames=1, size=(16, 24))
    data[0]
    spoil(clip / "00000.jpg")
    with pytest.raises(InputError, match=f"00000.jpg .*{message}|00000.jpg {message}"):
        data[0]


def test_what_is_not_there_is_refused_at_once(tmp_path):
    with pytest.raises(InputError, match="1 of the files to train on are not there, the first is .*absent"):
        ClipDataset([tmp_path / "absent"])
    with pytest.raises(InputError, match="nothing to train on"):
        ClipDataset()
    with pytest.raises(InputError, match="no folder"):
        survey(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no frames, films or photographs in"):
        survey(tmp_path / "empty")


def test_a_loose_reference_is_another_view_of_the_same_clip_or_now_and_then_a_stranger(tmp_path):
    clips = [write_clip(tmp_path / str(n), counting_clip(20, base=100 * n)) for n in range(2)]
    data = ClipDataset(clips, frames=2, size=(8, 8), space="rgb", length=200)
    strangers = moments = 0
    for index in range(200):
        window, own = data.with_reference(index), int(data[index].source[-1])
        # the window itself is the one without a reference
        assert torch.equal(window.frames, data[index].frames)
        level = float(window.reference.mean()) * 255
        strangers += (level > 70) != bool(own)
        moments += abs(level - levels(window)[0]) > 0.6
    # one in eight, half of them of the same clip after all; relit pictures keep their side of 70
    assert 5 <= strangers <= 30
    assert moments > 120  # most show another moment or another light


def test_half_of_the_loose_references_are_mirrored(tmp_path):
    frames = np.zeros((4, 24, 40, 3), np.uint8)
    frames[:, :, 30:] = 255
    data = ClipDataset([write_clip(tmp_path / "clip", frames)], frames=2, size=(24, 40), zoom=1.0,
                       space="rgb", length=100)
    left_is_brighter = [
        bool(r[..., :20].mean() > r[..., 20:].mean())
        for r in (data.with_reference(i).reference for i in range(100))
    ]
    assert 30 < sum(left_is_brighter) < 70


def test_another_light_changes_the_tones_and_not_the_picture(tmp_path):
    ramp = torch.linspace(0, 1, 64).expand(3, 8, 64)
    relit = [windows.relit(ramp, np.random.default_rng(seed)) for seed in range(8)]
    assert all(
        bool((picture.diff(dim=-1) >= 0).all()) and picture.min() >= 0 and picture.max() <= 1
        for picture in relit)
    assert max(float((picture - ramp).abs().max()) for picture in relit) > 0.1
