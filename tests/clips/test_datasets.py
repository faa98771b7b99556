"""Data sets: official splits, layouts as they are unpacked, what is missing, safe archives, and grey the
papers' way."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from colorlab.cli import main
from colorlab.clips import datasets
from colorlab.clips.datasets import DATA_SETS, splits
from colorlab.files.errors import InputError
from colorlab.files.video import read_video, write_image, write_video

FRAME = np.full((8, 12, 3), 90, np.uint8)


def make_frames(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True)
    for name in names:
        write_image(folder / name, FRAME)


def numbered(count: int, pattern: str = "{:05d}.jpg", start: int = 0, step: int = 1) -> list[str]:
    return [pattern.format(start + step * index) for index in range(count)]


# -- the official lists
# ----------------------------------------------------------------------------------------------

def test_the_two_davis_tests_are_different_clips():
    val, test_dev = (DATA_SETS["davis2017"].splits[split].clips for split in ("val", "test-dev"))
    assert len(set(val)) == len(set(test_dev)) == 30 and not set(val) & set(test_dev)
    assert "camel" in val and "helicopter" in test_dev  # ColorMNet's; the one in LSTVC's figures


def test_splits_do_not_leak():
    davis = [set(split.clips) for split in DATA_SETS["davis2017"].splits.values()]
    videvo = [set(split.clips) for split in DATA_SETS["videvo"].splits.values()]
    assert [len(clips) for clips in davis] == [60, 30, 30] and len(set.union(*davis)) == 120
    assert [len(clips) for clips in videvo] == [80, 20] and len(set.union(*videvo)) == 100


def test_nvcc2023_has_the_scorers_lengths():
    assert sum(splits.NVCC2023_VAL.values()) == 4339 and splits.NVCC2023_VAL["014"] == 600


# -- layouts as they come out of the archives
# ------------------------------------------------------------------------

@pytest.mark.parametrize("name, split, folder, frames", [
    ("davis2017", "val", "davis2017/trainval/DAVIS/JPEGImages/480p/camel", numbered(3)),
    ("davis2017", "test-dev", "davis2017/test-dev/DAVIS/JPEGImages/480p/lock", numbered(3)),
    ("videvo", "train", "videvo/data/train/input/videvo/Cat", numbered(3)),
    ("videvo", "test", "videvo/test/input/videvo/Koala", numbered(3)),
    ("fvi", "train", "fvi/FVI/Train/JPEGImages/003234408d", numbered(3, step=5)),
    ("nvcc2023", "val", "nvcc2023/val/001", numbered(3, "f{:03d}.png", start=1)),
    ("ldv", "train", "ldv/training_raw/001", numbered(3, "{:03d}.png", start=1)),
    ("uvo", "dense", "uvo/UVOv1.0/uvo_videos_dense_frames/-1ab_x", numbered(3, "{}.png")),
    ("reds", "val", "reds/val/val_sharp/000", numbered(3, "{:08d}.png")),
    ("sportsmot", "train", "sportsmot/dataset/train/v_1_c001/img1", numbered(3, "{:06d}.jpg", start=1)),
])
def test_a_clip_is_found_where_its_archive_puts_it(tmp_path, name, split, folder, frames):
    make_frames(tmp_path / folder, frames)
    (tmp_path / folder).parent.joinpath(".DS_Store").touch()
    found = datasets.clips(name, split, tmp_path, partial=True)
    clip = Path(folder).parts[-2] if name == "sportsmot" else Path(folder).name
    assert found == {clip: tmp_path / folder}
    assert len(list(read_video(found[clip]))) == 3


@pytest.mark.parametrize("name, split, path", [("ldv", "val", "ldv/validation_raw/001.mkv"),
                                               ("uvo", "sparse", "uvo/uvo_videos_sparse/-1ab_x.mp4")])
def test_a_film_is_found_where_its_archive_puts_it(tmp_path, name, split, path):
    (tmp_path / path).parent.mkdir(parents=True)
    write_video(tmp_path / path, [np.full((16, 16, 3), 90, np.uint8)] * 3)
    assert datasets.clips(name, split, tmp_path, partial=True) == {Path(path).stem: tmp_path / path}


def test_clips_come_in_the_official_order_and_only_they(tmp_path):
    for clip in ("soapbox", "camel", "bear", "blackswan"):  # bear is a training clip in the same folder
        make_frames(tmp_path / "davis2017/JPEGImages/480p" / clip, numbered(1))
    assert list(datasets.clips("davis2017", "val", tmp_path,
                               partial=True)) == ["blackswan", "camel", "soapbox"]


def test_val_is_not_read_from_test_dev(tmp_path):
    make_frames(tmp_path / "davis2017/test-dev/DAVIS/JPEGImages/480p/lock", numbered(1))
    with pytest.raises(InputError, match="is not in"):
        datasets.clips("davis2017", "val", tmp_path, partial=True)


def test_what_is_absent_says_where_it_comes_from_and_where_it_goes(tmp_path):
    with pytest.raises(InputError,
                       match=r"davischallenge\.org.*davis2017/trainval/DAVIS/JPEGImages/480p/CLIP is there"):
        datasets.clips("davis2017", "val", tmp_path)


def test_an_incomplete_set_is_not_used_silently(tmp_path):
    make_frames(tmp_path / "davis2017/trainval/DAVIS/JPEGImages/480p/camel", numbered(1))
    with pytest.raises(InputError, match="lacks 29 of its 30 clips: bike-packing, .* and 24 more"):
        datasets.clips("davis2017", "val", tmp_path)


def test_image_sets_are_read_class_by_class(tmp_path):
    for name in ("n02/b.JPEG", "n01/a.JPEG"):
        (tmp_path / "imagenet/val" / name).parent.mkdir(parents=True)
        write_image(tmp_path / "imagenet/val" / name.replace("JPEG", "jpeg"), FRAME)
    assert [path.name for path in datasets.images("imagenet", "val", tmp_path)] == ["a.jpeg", "b.jpeg"]
    with pytest.raises(InputError, match="a set of clips"):
        next(datasets.images("reds", "val", tmp_path))


def test_pictures_that_tcavc_drops():
    rng = np.random.default_rng(0)
    varied = rng.integers(0, 256, (256, 256, 3), dtype=np.uint8)
    flat = varied.copy()
    flat[:210, :, 2] = 7  # 82 % of the blue channel
    assert datasets.kept_by_tcavc(varied)
    assert not datasets.kept_by_tcavc(varied[:, :255])
    assert not datasets.kept_by_tcavc(varied[..., 0])
    assert not datasets.kept_by_tcavc(flat)
    flat[200:] = varied[200:]  # 78 %
    assert datasets.kept_by_tcavc(flat)


def test_picture_files_that_tcavc_drops(tmp_path):
    varied = np.random.default_rng(0).integers(0, 256, (260, 260, 3), dtype=np.uint8)
    flat = np.full_like(varied, 7)
    for name, picture in {"varied": varied, "grey": varied[..., 0], "small": varied[:100],
                          "flat": flat}.items():
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    Image.fromarray(varied).quantize(64).save(tmp_path / "palette.png")
    assert [path.stem
            for path in sorted(tmp_path.iterdir())
            if datasets.file_kept_by_tcavc(path)] == ["palette", "varied"]
    (tmp_path / "cut.png").write_bytes((tmp_path / "varied.png").read_bytes()[:900])
    with pytest.raises(InputError, match="cut.png is not a picture"):
        datasets.file_kept_by_tcavc(tmp_path / "cut.png")


# -- is it whole?
# ----------------------------------------------------------------------------------------------------

@pytest.fixture
def nvcc(tmp_path) -> Path:
    """All of NVCC2023's validation clips, of frames that are links to one picture."""
    write_image(tmp_path / "picture.png", FRAME)
    for clip, length in splits.NVCC2023_VAL.items():
        folder = tmp_path / "nvcc2023/val" / clip
        folder.mkdir(parents=True)
        for name in numbered(length, "f{:03d}.png", start=1):
            os.link(tmp_path / "picture.png", folder / name)
    return tmp_path


def test_a_whole_set_is_whole_and_each_damage_is_named(nvcc):
    assert datasets.check("nvcc2023", "val", nvcc) == ("whole", 15, 15, ())
    clip = nvcc / "nvcc2023/val/002"
    (clip / "f017.png").unlink()
    assert datasets.check("nvcc2023", "val", nvcc).problems == ("002: frames are missing: 17",)
    (clip / "f300.png").unlink()
    (clip / "f018.png").unlink()
    (clip / "f018.png").touch()
    (clip / "f017.jpg").hardlink_to(nvcc / "picture.png")
    assert datasets.check("nvcc2023", "val", nvcc).problems == (
        "002: 299 frames, the official clip has 300", "002: empty files: f018.png")
    for file in clip.iterdir():
        file.unlink()
    clip.rmdir()
    report = datasets.check("nvcc2023", "val", nvcc)
    assert report.status == "incomplete" and report.problems == ("lacks the clips 002",)


def test_decoding_finds_what_names_hide(tmp_path):
    folder = tmp_path / "reds/val/val_sharp/000"
    make_frames(folder, numbered(100, "{:08d}.png"))
    raw = (folder / "00000050.png").read_bytes()
    (folder / "00000050.png").write_bytes(raw[: len(raw) // 2])
    assert "000: " not in " ".join(datasets.check("reds", "val", tmp_path).problems)
    assert "00000050.png" in " ".join(datasets.check("reds", "val", tmp_path, decode=True).problems)


def test_every_fifth_frame_is_no_gap_in_fvi(tmp_path):
    make_frames(tmp_path / "fvi/FVI/Test/JPEGImages/a", numbered(4, step=5))
    make_frames(tmp_path / "fvi/FVI/Test/JPEGImages/b", ["00000.jpg", "00010.jpg"])
    assert datasets.check("fvi", "test", tmp_path).problems == (
        "has 2 clips, the official set 100", "b: frames are missing: 5")


def test_a_set_without_a_published_list_is_there_but_not_called_whole(tmp_path):
    make_frames(tmp_path / "nvcc2023/train/a", numbered(2))
    assert datasets.check("nvcc2023", "train", tmp_path).status == "there"


def test_unknown_names_are_refused(tmp_path):
    with pytest.raises(InputError, match="no data set named 'davis'; there are davis2017"):
        datasets.check("davis", "val", tmp_path)
    with pytest.raises(InputError, match="davis2017 has no split 'test'; it has train, val, test-dev"):
        datasets.check("davis2017", "test", tmp_path)


# -- archives
# --------------------------------------------------------------------------------------------------------

def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def make_tar(path: Path, members: list[tarfile.TarInfo], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for info in members:
            info.size = 3 if info.isfile() else 0
            archive.addfile(info, io.BytesIO(b"abc") if info.isfile() else None)
    return path


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_archive_is_unpacked_as_it_is(tmp_path, kind):
    archive = (
        make_zip(tmp_path / "a.zip", {"DAVIS/x/1.jpg": b"abc", "./DAVIS/2.jpg": b"abc"})
        if kind == "zip"
        else make_tar(
            tmp_path / "a.tar.gz", [tarfile.TarInfo("DAVIS/x/1.jpg"), tarfile.TarInfo("./DAVIS/2.jpg")]
        )
    )
    told = []
    assert datasets.unpack(archive, tmp_path / "sets/davis", lambda name, size: told.append(size)) == 2
    assert (tmp_path / "sets/davis/DAVIS/x/1.jpg").read_bytes() == b"abc" and (
        tmp_path / "sets/davis/DAVIS/2.jpg").is_file()
    assert told == [3, 3]


@pytest.mark.parametrize("name",
                         ["../evil.txt", "/evil.txt", "a/../../evil.txt", "a\\..\\evil.txt", "C:/evil.txt"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_nothing_lands_outside_the_folder(tmp_path, name, kind):
    archive = (make_zip(tmp_path / "a.zip", {"good.txt": b"abc", name: b"abc"}) if kind == "zip"
               else make_tar(tmp_path / "a.tar", [tarfile.TarInfo("good.txt"), tarfile.TarInfo(name)], "w"))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="outside its folder"):
        datasets.unpack(archive, tmp_path / "out")
    assert sorted(tmp_path.rglob("*")) == before


def test_links_are_not_unpacked(tmp_path):
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc"
    with pytest.raises(InputError, match="a link or a device"):
        datasets.unpack(make_tar(tmp_path / "a.tar.gz", [link]), tmp_path / "out")
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc")
    with pytest.raises(InputError, match="holds a link"):
        datasets.unpack(tmp_path / "a.zip", tmp_path / "out")


def test_a_damaged_archive_leaves_nothing(tmp_path):
    whole = make_zip(tmp_path / "a.zip", {"1.jpg": bytes(range(256)) * 40, "2.jpg": b"abc"})
    raw = bytearray(whole.read_bytes())
    raw[300] ^= 255  # inside the first file's data: its checksum fails
    whole.write_bytes(raw)
    tar = make_tar(tmp_path / "b.tar.gz", [tarfile.TarInfo(f"{n}.jpg") for n in range(50)])
    tar.write_bytes(tar.read_bytes()[: tar.stat().st_size // 2])
    (tmp_path / "c.zip").write_bytes(b"<html>404</html>")
    (tmp_path / "here").mkdir()
    (tmp_path / "here/file").touch()
    for name, message in (("a.zip", "damaged"), ("b.tar.gz", "damaged"), ("c.zip", "neither a zip nor a tar"),
                          ("d.zip", "no archive")):
        with pytest.raises(InputError, match=message):
            datasets.unpack(tmp_path / name, tmp_path / "out")
    with pytest.raises(InputError, match="is there already"):
        datasets.unpack(tmp_path / "a.zip", tmp_path / "here")
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".*"))


# -- grey input
# ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("color, cielab, opencv", [((255, 0, 0), 53.2, 32.3), ((0, 0, 255), 32.3, 10.8),
                                                   ((99, 99, 99), 42.0, 42.0)])
def test_opencv_grey_and_cielab_lightness_differ(color, cielab, opencv):
    frames = np.full((1, 2, 2, 3), color, np.uint8)
    assert datasets.lightness(frames)[0, 0, 0, 0].item() == pytest.approx(cielab, abs=0.1)
    assert datasets.lightness(frames, "opencv")[0, 0, 0, 0].item() == pytest.approx(opencv, abs=0.1)


def test_opencv_grey_is_opencvs():
    cv2 = pytest.importorskip("cv2")
    frames = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    assert (datasets.opencv_grey(frames)[0] == cv2.cvtColor(frames[0], cv2.COLOR_RGB2GRAY)).all()
    assert datasets.opencv_grey(np.uint8([[255, 0, 0]])).tolist() == [76]


# -- the command
# -----------------------------------------------------------------------------------------------------

def test_list_names_every_set_with_its_source(tmp_path, capsys):
    make_frames(tmp_path / "davis2017/trainval/DAVIS/JPEGImages/480p/camel", numbered(1))
    assert main(["data", "list", "--root", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    for name, data in DATA_SETS.items():
        assert name in out and data.source in out
    assert "train: not here, val: incomplete, 1 of 30 clips" in out


def test_check_says_what_is_missing_with_its_exit_code(nvcc, capsys):
    assert main(["data", "check", "--root", str(nvcc)]) == 0
    assert "nvcc2023/val: whole, 15 of 15 clips" in capsys.readouterr().out
    (nvcc / "nvcc2023/val/001/f002.png").unlink()
    assert main(["data", "check", "nvcc2023/val", "--root", str(nvcc)]) == 1
    assert "001: frames are missing: 2" in capsys.readouterr().out
    assert main(["data", "check", "videvo", "--root", str(nvcc)]) == 1
    assert "videvo/train: not here\n  get it from http" in capsys.readouterr().out
    assert main(["data", "check", "davis", "--root", str(nvcc)]) == 2


def test_made_clips_score_perfectly_against_themselves(tmp_path, monkeypatch, capsys):
    import json

    monkeypatch.setenv("COLORLAB_CACHE", str(tmp_path / "cache"))
    made = ["data", "make", "layers", "--frames", "6", "--size", "96x64", "--out", str(tmp_path / "made")]
    assert main(made) == 0
    clip = tmp_path / "made/layers"
    assert main([
        "evaluate",
        str(clip / "frames"),
        str(clip / "frames"), "--flow",
        str(clip), "--metrics", "psnr,cdc,warp_error", "--json",
        str(tmp_path / "out.json")
    ]) == 0
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["psnr"] == 100 and report["cdc"] == report["truth"]["cdc"]
    assert report["warp_error"] < 1e-3  # resampling, and the mixed pixels of edges
    capsys.readouterr()
    assert main(made) == 2 and "is there already" in capsys.readouterr().err
    assert main(["data", "make", "nothing"]) == 2
    assert main(["data", "make", "--size", "big", "--out", str(tmp_path / "b")]) == 2


def test_unpack_from_the_command_line(tmp_path, capsys):
    archive = make_zip(tmp_path / "a.zip", {"DAVIS/1.jpg": b"abc"})
    assert main(["data", "unpack", str(archive), str(tmp_path / "davis")]) == 0
    assert "1 files in" in capsys.readouterr().out
