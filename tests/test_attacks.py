"""What was once found by attacking colorlab, each with its kind: one line and exit code 2, or the right
result."""

import io
import json
import lzma
import os
import signal
import struct
import subprocess
import sys
import tarfile
import time
import zlib
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from attacks.mutations import BOOK, record
from films import patches, save_film
from PIL import EpsImagePlugin, Image

import colorlab
from colorlab import experiments
from colorlab.cli import main
from colorlab.clips import datasets
from colorlab.experiments import provenance
from colorlab.experiments.page import write_page
from colorlab.experiments.parameters import parse_cell
from colorlab.experiments.repeat import read_record, variables
from colorlab.experiments.schema import problem_of
from colorlab.files.errors import InputError
from colorlab.files.locks import alone
from colorlab.files.video import read_image, read_video
from colorlab.files.video.damage import damage_of
from colorlab.modules.flow import read_flo
from colorlab.modules.vgg import trained_vgg

GREY = patches(6, 8)
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(colorlab.__file__).parents[1])}


@pytest.fixture
def film(tmp_path):
    frames = [
        av.VideoFrame.from_ndarray(np.roll(GREY, n, 1), "rgb24").reformat(format="yuv420p") for n in range(8)
    ]
    Image.fromarray(GREY).save(tmp_path / "ref.png")
    return save_film(tmp_path / "in.mkv", frames, "ffv1")


def refused(capsys, *arguments):
    """The one line with which a command refuses."""
    assert main(list(map(str, arguments))) == 2
    error = [
        line for line in capsys.readouterr().err.replace("\r", "\n").splitlines()
        if line.startswith("colorlab:")
    ]
    assert len(error) == 1
    return error[0]


# ---- no command writes over what it reads, or two things under one name ----


@pytest.mark.parametrize("more, said", [
    (("--json", "truth.mkv"), "is what is read"),
    (("--csv", "pred.mkv"), "is what is read"),
    (("--json", "link.mkv"), "is what is read"),
    (("--json", "x", "--csv", "x"), "both name x"),
    (("--json", "x", "--csv", "./x"), "both name"),
])
def test_evaluate_writes_over_nothing_that_it_reads(film, tmp_path, monkeypatch, capsys, more, said):
    monkeypatch.chdir(tmp_path)
    for name in ("truth.mkv", "pred.mkv"):
        (tmp_path / name).write_bytes(film.read_bytes())
    (tmp_path / "link.mkv").symlink_to("truth.mkv")
    assert said in refused(capsys, "evaluate", "pred.mkv", "truth.mkv", "--metrics", "psnr", *more)
    assert (tmp_path / "truth.mkv").read_bytes() == film.read_bytes() == (
        tmp_path / "pred.mkv").read_bytes() and not (tmp_path / "x").exists()


def test_a_preview_takes_no_references_place(film, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(GREY).save("out.preview.jpg")
    before = Path("out.preview.jpg").read_bytes()
    assert "also the input" in refused(capsys, "colorize", film, "--reference", "out.preview.jpg@0",
                                       "--method", "copy", "--preview", "-o", "out.mp4")
    assert Path("out.preview.jpg").read_bytes() == before


def test_an_exemplar_that_is_no_frame_is_refused(film, capsys):
    said = refused(capsys, "evaluate", film, film, "--metrics", "psnr", "--skip-exemplar", "--exemplar", "99")
    assert "--exemplar 99" in said and "0 to 7" in said


# ---- archives ----

def tar_of(path, count=6, mode="w"):
    with tarfile.open(path, mode) as archive:
        for n in range(count):
            info = tarfile.TarInfo(f"{n}.txt")
            info.size = 700
            archive.addfile(info, io.BytesIO(bytes([n + 65]) * 700))
    return path


def broken_header(raw):
    raw[3 * 1536 + 5] ^= 1  # of the fourth member: a block of header and two of content each
    return raw


@pytest.mark.parametrize("damage", [
    broken_header, lambda raw: raw[:3 * 1536], lambda raw: raw[:6 * 1536 + 512], lambda raw: raw + b"more",
    lambda raw: raw[:3 * 1536] + bytes(1536) + raw[4 * 1536:]
])
def test_a_tar_that_ends_too_early_unpacks_nothing(tmp_path, damage):
    raw = damage(bytearray(tar_of(tmp_path / "a.tar").read_bytes()))
    (tmp_path / "a.tar").write_bytes(raw)
    with pytest.raises(InputError, match="damaged"):
        datasets.unpack(tmp_path / "a.tar", tmp_path / "out")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.tar"]


def test_whole_tars_of_every_kind_unpack(tmp_path):
    for mode in ("w", "w:gz", "w:bz2", "w:xz"):
        assert datasets.unpack(tar_of(tmp_path / "a.tar", mode=mode), tmp_path / mode.replace(":", "")) == 6


def test_a_damaged_xz_is_one_line(tmp_path):
    raw = bytearray(lzma.compress(tar_of(tmp_path / "a.tar", 40).read_bytes()))
    raw[len(raw) // 2] ^= 8
    (tmp_path / "a.tar.xz").write_bytes(raw)
    with pytest.raises(InputError):
        datasets.unpack(tmp_path / "a.tar.xz", tmp_path / "out")


def test_an_archive_may_not_expand_without_end(tmp_path):
    with pytest.raises(InputError, match="more than 0.0 GB.*--limit"):
        datasets.unpack(tar_of(tmp_path / "a.tar"), tmp_path / "out", limit=3000)
    assert not (tmp_path / "out").exists()


# ---- records of runs ----

@pytest.fixture
def runs(tmp_path):
    (tmp_path / "book.ipynb").write_text(json.dumps(BOOK))
    (tmp_path / "runs" / "good").mkdir(parents=True)
    (tmp_path / "runs" / "good" / "run.json").write_text(json.dumps(record(tmp_path / "book.ipynb")))
    return tmp_path / "runs"


FOREIGN = ["", "{}", "[]", "null", "3", "[" * 100_000, "9" * 5000, '{"method": "lstvc", "recipe": {}}']
FOREIGN += [
    json.dumps(record(Path("b.ipynb")) | {name: value})
    for name, value in (("notebook", 3), ("status", "<script>"), ("given", []), ("seconds", None),
                        ("seconds", 1e400), ("versions", {"torch": 2}), ("error", {"cell": 1}),
                        ("machine", []), ("environment", "x"), ("peak_memory_mb", 10**400), ("device", 3),
                        ("git", {}), ("started", 0), ("inputs", {"film": [1, 2]}))
]


@pytest.mark.parametrize("text", FOREIGN)
def test_a_foreign_record_is_passed_over_and_not_repeated(runs, capsys, text):
    (runs / "foreign").mkdir()
    (runs / "foreign" / "run.json").write_text(text)
    (runs / "good" / "metrics.json").write_text("[1]")
    write_page(runs, {})
    page = (runs / "index.html").read_text()
    assert "good" in page and "foreign" not in page and "<script>" not in page
    refused(capsys, "run", "--repeat", runs / "foreign" / "run.json")


def test_a_record_sets_no_variable_but_those_that_change_numbers():
    kept = variables({
        "OMP_NUM_THREADS": "3", "PYTHONHASHSEED": 4, "LD_PRELOAD": "/x.so", "IPYTHONDIR": "/x",
        "MKL_NUM_THREADS": "1\0", "PATH": "/x"
    })
    assert kept == {"OMP_NUM_THREADS": "3"}


def test_a_record_as_runs_leave_it_is_one(tmp_path):
    assert problem_of(record(tmp_path / "book.ipynb")) is None
    (tmp_path / "run.json").write_text(json.dumps(record(tmp_path / "book.ipynb")))
    assert read_record(tmp_path / "run.json")["given"] == {"seed": 3}


def test_a_run_takes_no_trained_networks_place(runs, tmp_path):
    (runs / "book").mkdir()
    (runs / "book" / "checkpoint.pt").write_bytes(b"weeks of work")
    with pytest.raises(InputError, match="no run of a notebook"):
        experiments.run([tmp_path / "book.ipynb"], out=runs, progress=False)
    assert (runs / "book" / "checkpoint.pt").read_bytes() == b"weeks of work"


def test_other_weights_are_another_run(tmp_path, monkeypatch):
    (tmp_path / "cavc.safetensors").write_bytes(b"one")
    monkeypatch.setenv("COLORLAB_CHECKPOINTS", str(tmp_path))
    before = provenance.code_hash()
    (tmp_path / "cavc.safetensors").write_bytes(b"two")
    assert provenance.code_hash() != before


CELL = "seed: int = 3\nx = None\nfree = make()\nratio: float = 0.5"


@pytest.mark.parametrize("name, text", [("seed", "+-5"), ("seed", "9" * 5000), ("seed", "1_000"),
                                        ("seed", "--5")])
def test_what_is_no_number_is_refused(name, text):
    with pytest.raises(InputError, match=f"{name} of the notebook is int") as raised:
        experiments.read_value(text, parse_cell(CELL, "book.ipynb")[name])
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize("text", ["b'x'", "{1, 2}", "...", "3j", "[b'x']", "{1: 2}", "(" * 500, "{[]: 1}"])
def test_a_value_that_no_record_holds_stays_the_text_that_it_is(text):
    for name in ("x", "free"):
        assert experiments.read_value(text, parse_cell(CELL, "book.ipynb")[name]) == text
    assert parse_cell("y = {1, 2}", "book.ipynb")["y"].default == "{1, 2}"


@pytest.mark.parametrize("text", [b"", b"[1, 2]", b"\xff\xfe", b'{"address": 3}', b"null"])
def test_a_scheduler_file_of_something_else_is_one_line(tmp_path, text):
    pytest.importorskip("distributed")
    from colorlab.experiments.cluster import connect

    (tmp_path / "dask.json").write_bytes(text)
    with pytest.raises(InputError, match="no scheduler's address"):
        connect(str(tmp_path / "dask.json"))


# ---- films and pictures ----

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, *chunks):
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + b"".join(chunks)
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("raw", [
    png(30000, 30000),
    png(4, 4, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100_000_000)))),
    png(4, 4), b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
])
def test_a_hostile_picture_is_one_line_and_starts_nothing(tmp_path, monkeypatch, raw):
    monkeypatch.setattr(subprocess, "check_call", lambda *_, **__: (tmp_path / "started").touch())
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", "gs")
    (tmp_path / "a.png").write_bytes(raw)
    with pytest.raises(InputError):
        read_image(tmp_path / "a.png")
    assert not (tmp_path / "started").exists()


def test_a_playlist_leads_to_no_other_file(film, tmp_path):
    for name, text in (("a.m3u8", f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{film}\n#EXT-X-ENDLIST\n"),
                       ("a.mp4", f"ffconcat version 1.0\nfile '{film.name}'\n")):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError):
            read_video(tmp_path / name)


def test_a_length_that_is_no_time_is_not_believed(film, tmp_path):
    raw = film.read_bytes()
    at = raw.index(b"DURATION") + 8
    clock = raw.index(b"00:00:0", at)
    (tmp_path / "odd.mkv").write_bytes(raw[:clock] + b"soon:am I" + raw[clock + 9 :])
    assert read_video(tmp_path / "odd.mkv").count() == 8


def test_a_flow_that_is_no_number_is_refused(tmp_path):
    header = np.float32(202021.25).tobytes() + np.array([1, 1], "<i4").tobytes()
    (tmp_path / "a.flo").write_bytes(header + np.array([np.nan, 0], "<f4").tobytes())
    with pytest.raises(InputError, match="no number"):
        read_flo(tmp_path / "a.flo")


@pytest.fixture
def scratched(film, tmp_path):
    raw = bytearray(film.read_bytes())
    raw[len(raw) // 2] ^= 16  # in the picture data: FFV1's checksum fails, and FFmpeg goes on
    (tmp_path / "scratched.mkv").write_bytes(raw)
    return tmp_path / "scratched.mkv"


def test_damage_is_counted_and_placed(film, scratched):
    assert not damage_of(read_video(film))
    found = damage_of(read_video(scratched))
    assert found.errors == 1 and 2 <= found.first <= 5 and found.lost == 0


def test_a_damaged_film_is_coloured_with_one_warning_or_refused(scratched, tmp_path, capsys):
    given = ("colorize", str(scratched), "--reference", f"{tmp_path / 'ref.png'}@0", "--method", "copy", "-o",
             str(tmp_path / "out.mkv"))
    assert (
        "1 error in its pictures" in refused(capsys, *given, "--strict")
        and not (tmp_path / "out.mkv").exists()
    )
    assert main(list(given)) == 0
    assert capsys.readouterr().err.count("warning: ") == 1 and read_video(tmp_path / "out.mkv").count() == 8
    assert "is damaged" in refused(capsys, "evaluate", scratched, scratched, "--metrics", "psnr", "--strict")


# ---- weights ----

def state():
    return colorlab.load("lstvc", "tiny").state_dict()


def with_first(value):
    weights = state()
    return {
        name: value(tensor) if number == 0 else tensor
        for number, (name, tensor) in enumerate(weights.items())
    }


@pytest.mark.parametrize("content",
                         [{1: torch.zeros(2)},
                          with_first(lambda t: t.to_sparse()),
                          with_first(lambda t: t.to("meta")),
                          with_first(lambda t: t * float("nan")),
                          with_first(lambda t: t.to(torch.complex64)),
                          with_first(lambda t: t.to(torch.int8)), {("a", 1): torch.zeros(1)}, [1, 2],
                          torch.zeros(3)])
@pytest.mark.parametrize("legacy", [False, True])
def test_weights_that_are_none_are_refused(tmp_path, content, legacy):
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(InputError):
        colorlab.load("lstvc", "tiny", tmp_path / "a.pth")


@pytest.mark.parametrize("kept", [1, 3, 100, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("legacy", [False, True])
def test_a_cut_checkpoint_is_one_line(tmp_path, kept, legacy):
    torch.save(state(), tmp_path / "a.pth", _use_new_zipfile_serialization=not legacy)
    raw = (tmp_path / "a.pth").read_bytes()
    (tmp_path / "a.pth").write_bytes(raw[: kept if isinstance(kept, int) else int(len(raw) * kept)])
    with pytest.raises(InputError):
        colorlab.load("lstvc", "tiny", tmp_path / "a.pth")


def test_a_text_is_no_vgg(tmp_path):
    (tmp_path / "vgg.pth").write_text("hello\nthere\n")
    with pytest.raises(InputError, match="not a checkpoint"):
        trained_vgg(tmp_path / "vgg.pth")


# ---- training, making, devices, streams ----


@pytest.mark.parametrize("more", [("--set", "frames=0"), ("--set", "precision=zz"), ("--set", "size=3,4"),
                                  ("--set", "strides=5"), ("--set", "rates=(1,)"), ("--set", "zoom=0.0"),
                                  ("--set", "seed=-1"), ("--set", "weights.l1=-1.0"),
                                  ("--change", "block_size=0"), ("--change", "block_size=many"),
                                  ("--change", "width=-3"), ("--change", "heads=5"), ("--minutes", "0")])
def test_numbers_with_which_nothing_can_be_trained_are_one_line(tmp_path, capsys, more):
    refused(capsys, "train", "--method", "lstvc", "--preset", "tiny", "--embedded", "--cpu", "--workers", "0",
            "--out", tmp_path / "out", *more)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("more", [("--workers", "-1"), ("--seed", "-1"), ("--seed", "9" * 5000),
                                  ("--steps", "9" * 5000)])
def test_options_that_are_no_counts_are_refused(tmp_path, more):
    with pytest.raises(SystemExit) as ended:
        main(["train", "--method", "lstvc", "--embedded", "--out", str(tmp_path / "out"), *more])
    assert ended.value.code == 2


def test_two_trainings_do_not_share_a_folder(tmp_path, capsys):
    (tmp_path / "out").mkdir()
    with alone(tmp_path / "out" / ".lock", tmp_path / "out", ""):
        assert "another run is at work" in refused(capsys, "train", "--method", "lstvc", "--preset", "tiny",
                                                   "--embedded", "--cpu", "--workers", "0", "--out",
                                                   tmp_path / "out")
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == [".lock"]


def test_training_on_films_goes_on_without_a_cache(film, tmp_path, monkeypatch):
    from colorlab.clips.windows import frame_files

    (tmp_path / "file").touch()
    monkeypatch.setenv("COLORLAB_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert len(frame_files(film)) == 8


def test_a_clip_larger_than_memory_is_refused(tmp_path, capsys):
    assert "more than a clip" in refused(
        capsys, "data", "make", "zoom", "--size", "1000000x1000000", "--out", tmp_path / "made"
    )
    assert not (tmp_path / "made").exists()


def test_a_device_without_numbers_is_refused(film, capsys, tmp_path):
    given = ("colorize", film, "--reference", f"{tmp_path / 'ref.png'}@0", "--method", "copy", "-o",
             tmp_path / "o.mp4")
    assert "meta" in refused(capsys, *given, "--device", "meta")
    assert "meta" in refused(capsys, "evaluate", film, film, "--metrics", "psnr", "--device", "meta")


@pytest.mark.skipif(os.name == "nt", reason="shells close streams otherwise there")
@pytest.mark.parametrize("shell, code", [("{} data list >&-", 0),
                                         ("{} evaluate --list-metrics >&- 2>&- <&-", 0),
                                         ("({} data list; echo $? > code) | true; exit $(cat code)", 1)])
def test_closed_streams_are_no_traceback(tmp_path, shell, code):
    given = shell.format(f"{sys.executable} -m colorlab")
    done = subprocess.run(["sh", "-c", given], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode in (
        code, 0) and "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise there")
def test_a_polite_kill_ends_every_command_in_order(film, tmp_path):
    (tmp_path / "flow").mkdir()
    code = ("import sys, time, colorlab.cli.evaluate as e, colorlab.cli\n"
            "e.find_clips = lambda *_: (open(sys.argv[1], 'w').close(), time.sleep(60))\n"
            "sys.exit(colorlab.cli.main(['evaluate', sys.argv[2], sys.argv[2]]))")
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "begun"),
         str(film)], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not (tmp_path / "begun").exists() and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert "stopped" in process.communicate(timeout=60)[1] and process.returncode == 130


def test_an_error_stands_on_a_line_of_its_own_in_a_log(film, tmp_path):
    other = save_film(
        tmp_path / "long.mkv",
        [av.VideoFrame.from_ndarray(GREY, "rgb24").reformat(format="yuv420p") for _ in range(9)], "ffv1")
    done = subprocess.run(
        [sys.executable, "-m", "colorlab", "evaluate",
         str(film), str(other), "--metrics", "psnr"], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 2
    last = done.stderr.rstrip("\n").split("\n")[-1]
    assert last.startswith("colorlab: the prediction ends after 8 frames")
