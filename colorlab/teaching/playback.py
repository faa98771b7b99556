"""Films that play on a page: side by side, in a loop, without a player or a kernel.

    play(grey, coloured, names=("grey", "coloured"), rate=12)
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence

import numpy as np
from IPython.display import display
from PIL import Image

from colorlab.teaching import plots


def play(*films: Sequence[plots.Picture], names: Sequence[str] = (), rate: float = 12, columns: int = 2,
         width: int = 320, quality: int = 60) -> None:
    """Play films of one length side by side, for as long as the page is open.

    films: uint8 (H, W, 3) pictures or tensors (3, H, W) each. names: one above each film. rate: frames per
        second.
    columns: films to a row. width: of one film in pixels. quality: of the pictures, 0 to 100.
    The output is HTML that holds an animated WebP, which browsers show natively. The middle frame is included
    as a still for pages that show no HTML. Raises ValueError where there is no film, or films of different
    lengths.
    """
    lengths = {len(film) for film in films}
    if len(lengths) != 1 or lengths == {0}:
        raise ValueError(f"play wants films of one length, got {[len(film) for film in films]} frames")
    sheets = [plots.sheet(*frames, titles=names, columns=columns, width=width / 72) for frames in zip(*films)]
    said = ", ".join(names) or "film"
    page = (f'<img alt="{html.escape(said)}, playing in a loop" style="max-width:100%;height:auto" '
            f'src="data:image/webp;base64,{moving_webp(sheets, rate, quality)}">')
    still = plots.to_jpeg(sheets[len(sheets) // 2])
    display({"text/html": page, "image/jpeg": still, "text/plain": f"<{said}: {len(sheets)} frames>"},
            raw=True)


def moving_webp(frames: Sequence[np.ndarray], rate: float = 12, quality: int = 60) -> str:
    """Frames uint8 (H, W, 3) -> an animated WebP that loops, as base64."""
    first, *others = [Image.fromarray(np.asarray(frame)) for frame in frames]
    file = io.BytesIO()
    first.save(file, "WEBP", save_all=True, append_images=others, duration=round(1000 / rate), loop=0,
               quality=quality, method=4)
    return base64.b64encode(file.getvalue()).decode()
