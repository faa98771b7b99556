"""Fetching, from a server of our own on this machine that can break off, change the file, and lie."""

import hashlib
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from colorlab.cli import main
from colorlab.files.errors import InputError
from colorlab.files.fetch import digits_in_name, fetch

CONTENT = bytes(range(256)) * 4000  # about a megabyte
SHA = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    content, tag, ranges, break_at, announce = CONTENT, '"v1"', True, None, True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, wanted = self.server, self.headers.get("Range")
        server.asked.append(wanted)
        start = 0
        if wanted and server.ranges and self.headers.get("If-Range") == server.tag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(server.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(server.content)}")
                return self.end_headers()
            self.send_response(206)
            self.send_header("Content-Range",
                             f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        else:
            self.send_response(200)
        if server.announce:
            self.send_header("Content-Length", str(len(server.content) - start))
        self.send_header("ETag", server.tag)
        self.end_headers()
        self.wfile.write(server.content[start:server.break_at])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with running() as server:
        yield server


@contextmanager
def running():
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def url(server, name="file.pth") -> str:
    return f"http://127.0.0.1:{server.server_port}/{name}"


def broken_off(server, path):
    server.break_at = 300_000
    with pytest.raises(InputError,
                       match="broke off after 300,000 of 1,024,000 bytes; the same command goes on"):
        fetch(url(server), path)
    server.break_at = None


def test_a_file_comes_whole_and_is_told_what_was_checked(server, tmp_path):
    found = fetch(url(server), tmp_path / "new" / "file.pth", SHA)
    assert found.path.read_bytes() == CONTENT and found.sha256 == SHA and found.unverified == ()
    assert [path.name for path in found.path.parent.iterdir()] == ["file.pth"]


def test_what_broke_off_goes_on_from_there(server, tmp_path):
    broken_off(server, tmp_path / "f")
    assert not (tmp_path / "f").exists()
    assert fetch(url(server), tmp_path / "f", SHA).size == len(CONTENT)
    assert server.asked == [None, "bytes=300000-"]


def test_a_file_that_changed_meanwhile_is_not_glued_together(server, tmp_path):
    broken_off(server, tmp_path / "f")
    server.content, server.tag = CONTENT[::-1], '"v2"'
    fetch(url(server), tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == CONTENT[::-1]


def test_a_server_without_ranges_sends_all_again(server, tmp_path):
    broken_off(server, tmp_path / "f")
    server.ranges = False
    assert fetch(url(server), tmp_path / "f", SHA).path.read_bytes() == CONTENT


def test_a_part_that_is_complete_needs_no_more_bytes(server, tmp_path):
    (tmp_path / "f.part").write_bytes(CONTENT)
    (tmp_path / "f.part.version").write_text('"v1"')
    assert fetch(url(server), tmp_path / "f", SHA).size == len(CONTENT) and server.asked == ["bytes=1024000-"]


def test_another_file_is_refused_and_not_kept(server, tmp_path):
    with pytest.raises(InputError, match="not the file that was expected"):
        fetch(url(server), tmp_path / "f", "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_the_name_carries_the_first_digits(server, tmp_path):
    assert digits_in_name("https://example.org/models/vgg19-dcbb9e9d.pth") == "dcbb9e9d" and digits_in_name(
        "https://x/epoch-3.pth") == ""
    good, bad = url(server, f"net-{SHA[:8]}.pth"), url(server, "net-00000000.pth")
    assert f"begins with {SHA[:8]}" in " ".join(fetch(good, tmp_path / "good").verified)
    with pytest.raises(InputError, match="not the file"):
        fetch(bad, tmp_path / "bad")


def test_what_could_not_be_checked_is_said(server, tmp_path):
    server.announce = False
    found = fetch(url(server), tmp_path / "f")
    assert found.verified == () and len(found.unverified) == 2


@pytest.mark.parametrize(
    ("address", "said"),
    (("http://localhost:9/x", "could not be fetched"), ("ftp://x/y", "begins with https")))
def test_an_address_that_does_not_answer_is_one_line(address, said, tmp_path):
    with pytest.raises(InputError, match=said):
        fetch(address, tmp_path / "f")


def test_the_command_fetches_checks_the_network_and_says_what_it_does_not_know(
        server, tmp_path, capsys, monkeypatch):
    import io

    import torch

    import colorlab
    from colorlab.cli import weights as weights_command
    from colorlab.methods import weights

    file = io.BytesIO()
    torch.save(
        {
            "model": {
                f"module.{name}": value for name, value in colorlab.load("cavc", "tiny").state_dict().items()
            }
        }, file)
    server.content = file.getvalue()
    monkeypatch.setitem(weights.ADDRESSES, "cavc", (url(server), tmp_path / "cavc.pth"))
    check = weights_command.check_fits
    monkeypatch.setattr(weights_command, "check_fits", lambda path, method: check(path, method, "tiny"))
    assert main(["weights", "fetch", "cavc"]) == 0
    said = capsys.readouterr().out
    assert "verified: names and shapes are those of cavc" in said and "not verified: its content" in said
    assert main(["weights", "fetch", "cavc"]) == 2 and "is there already" in capsys.readouterr().err


def test_a_file_of_another_network_is_told_from_it(server, tmp_path):
    import torch

    from colorlab.methods import check_fits

    torch.save({"a": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="does not fit"):
        check_fits(tmp_path / "other.pth", "cavc", "tiny")


def test_without_an_address_the_place_to_get_it_is_named(capsys):
    assert main(["weights", "fetch", "lstvc"]) == 2
    assert "OneDrive" in capsys.readouterr().err
