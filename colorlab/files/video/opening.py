"""A film file opened with FFmpeg: what counts as a film, and what is never opened."""

from __future__ import annotations

from pathlib import Path

import av
from av.stream import Disposition

from colorlab.files.errors import InputError

NOT_FILMS = {"image2", "tty", "bin", "xbin", "adf", "idf", "ico"}  # FFmpeg "plays" pictures and text too
# Not opened at all: playlists that refer to other files or addresses, and formats that read a device.
LEAD_ELSEWHERE = {
    "hls", "applehttp", "dash", "webm_dash_manifest", "concat", "sdp", "rtsp", "rtp", "sap", "imf", "lavfi",
    "bluray", "dvdvideo", "vapoursynth", "avisynth"
}
FILM_FORMATS = ",".join(
    sorted({name for listed in av.formats_available for name in listed.split(",")} - LEAD_ELSEWHERE))
# Tags of old files are not always UTF-8. PyAV 19 passes their bytes through by default; earlier versions must
# be told to, or they fail.
ANY_TAGS = {"metadata_errors": "surrogateescape"} if int(av.__version__.split(".")[0]) < 19 else {}


def open_film(path: Path) -> av.container.InputContainer:
    """Open a file for reading, or say in one line why it cannot be (InputError)."""
    if not path.exists():
        raise InputError(f"there is no file or folder {path}")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes); copy it again")
    try:
        # "file:", as a name may hold a colon
        container = av.open(f"file:{path}", options={"format_whitelist": FILM_FORMATS}, **ANY_TAGS)
    except PermissionError as error:
        raise InputError(f"no permission to read {path}") from error
    except av.FFmpegError as error:
        raise InputError(f"{path} cannot be read as a film ({error.strerror}): it is cut short or not a "
                         "film; see what ffprobe says of it") from error
    if container.format.name in NOT_FILMS or container.format.name.endswith("_pipe"):
        kind = container.format.name.removesuffix("_pipe")
        container.close()
        raise InputError(f"{path} is not a film but a single picture or text ({kind}); put pictures in a "
                         "folder and give the folder")
    return container


def picture_stream(container: av.container.InputContainer) -> av.VideoStream | None:
    """The film's pictures: its first video stream that is not cover art."""
    return next((s for s in container.streams.video if not s.disposition & Disposition.attached_pic), None)
