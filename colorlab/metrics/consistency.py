"""How steady the colour of a clip is: CDC, the colour distribution consistency index (Liu et al. 2021)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.special import rel_entr

from colorlab.files.errors import InputError
from colorlab.metrics.frames import Frame, check_frame

# Liu et al.'s and the NTIRE scorer's. CAVC's text lists t = 1, 2, 3, its equation sums CDC_1, CDC_2 and
# CDC_4: the equation is taken, as it agrees with the benchmark that the paper compares with; the text's 3 is
# a slip. (`cdc(frames, lags=(1, 2, 3))` is what the text would be.)
LAGS = (1, 2, 4)


def cdc(frames: Iterable[Frame], lags: Sequence[int] = LAGS) -> float:
    """CDC of one clip, in [0, ln 2], lower is steadier: the mean over lags t of CDC_t.

    CDC_t is the mean, over all pairs of frames (i, i + t) and over R, G and B, of the Jensen-Shannon
    divergence (natural logarithm, no square root) of their 256-bin histograms. A lag counts once, however
    many pairs it has. lags: t = 1, 2, 4, as the published scorers and CAVC's equation have it; CAVC's text
    says 1, 2, 3 beside that equation (see LAGS). All frames count, the exemplar too. It uses neither the
    ground truth nor positions: a panning camera alone gives 1e-3 to 3e-3, a grey film scores about as the
    truth does (because its lightness changes), a frozen one 0. Print the truth's value beside it.

    Raises InputError for a clip without a single pair at the longest lag.
    """
    meter = ColorConsistency(lags)
    for frame in frames:
        meter.see(frame)
    return meter.value()


class ColorConsistency:
    """CDC of a clip seen frame by frame; it keeps as many histograms as the longest lag."""

    def __init__(self, lags: Sequence[int] = LAGS):
        self.lags = tuple(lags)
        self.seen = 0
        self.sums = {lag: np.zeros(3) for lag in self.lags}
        self.recent: deque[np.ndarray] = deque(maxlen=max(self.lags))

    def see(self, frame: Frame) -> float | None:
        """Add the next frame; returns its divergence from the frame before, None for the first."""
        histograms = color_histograms(frame)
        divergence = {
            lag: jensen_shannon(self.recent[-lag], histograms) for lag in self.lags if lag <= len(self.recent)
        }
        for lag, value in divergence.items():
            self.sums[lag] += value
        self.recent.append(histograms)
        self.seen += 1
        return float(divergence[1].mean()) if 1 in divergence else None

    def by_lag(self) -> dict[int, np.ndarray]:
        """{lag: (3,) mean divergence of R, G and B}."""
        if self.seen <= max(self.lags):
            raise InputError(f"CDC compares frames up to {max(self.lags)} apart and needs clips of at least "
                             f"{max(self.lags) + 1} frames; this one has {self.seen}")
        return {lag: total / (self.seen - lag) for lag, total in self.sums.items()}

    def value(self) -> float:
        return float(np.mean([means.mean() for means in self.by_lag().values()]))


def color_histograms(frame: Frame) -> np.ndarray:
    """(H, W, 3) uint8 -> (3, 256): the share of pixels at each level of R, G and B."""
    check_frame(frame)
    flat = frame.reshape(-1, 3)
    return np.stack([np.bincount(flat[:, c], minlength=256) for c in range(3)]) / len(flat)


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """(..., bins) twice -> (...): KL(p || m)/2 + KL(q || m)/2 with m = (p + q)/2, natural logarithm, in [0,
    ln 2]."""
    middle = (p + q) / 2
    return (rel_entr(p, middle) + rel_entr(q, middle)).sum(-1) / 2
