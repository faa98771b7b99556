"""CIEDE2000 against the published pairs, and as a metric."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from colorlab.metrics import METRICS, ciede2000, difference, evaluate

# Sharma, Wu and Dalal 2005, Table 1: L1 a1 b1, L2 a2 b2, the difference
PAIRS = np.array([[float(number) for number in line.split()] for line in """
50.0000 2.6772 -79.7751 50.0000 0.0000 -82.7485 2.0425
50.0000 3.1571 -77.2803 50.0000 0.0000 -82.7485 2.8615
50.0000 2.8361 -74.0200 50.0000 0.0000 -82.7485 3.4412
50.0000 -1.3802 -84.2814 50.0000 0.0000 -82.7485 1.0000
50.0000 -1.1848 -84.8006 50.0000 0.0000 -82.7485 1.0000
50.0000 -0.9009 -85.5211 50.0000 0.0000 -82.7485 1.0000
50.0000 0.0000 0.0000 50.0000 -1.0000 2.0000 2.3669
50.0000 -1.0000 2.0000 50.0000 0.0000 0.0000 2.3669
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0009 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0010 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0011 7.2195
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0012 7.2195
50.0000 -0.0010 2.4900 50.0000 0.0009 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0010 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0011 -2.4900 4.7461
50.0000 2.5000 0.0000 50.0000 0.0000 -2.5000 4.3065
50.0000 2.5000 0.0000 73.0000 25.0000 -18.0000 27.1492
50.0000 2.5000 0.0000 61.0000 -5.0000 29.0000 22.8977
50.0000 2.5000 0.0000 56.0000 -27.0000 -3.0000 31.9030
50.0000 2.5000 0.0000 58.0000 24.0000 15.0000 19.4535
50.0000 2.5000 0.0000 50.0000 3.1736 0.5854 1.0000
50.0000 2.5000 0.0000 50.0000 3.2972 0.0000 1.0000
50.0000 2.5000 0.0000 50.0000 1.8634 0.5757 1.0000
50.0000 2.5000 0.0000 50.0000 3.2592 0.3350 1.0000
60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.2630
61.2901 3.7196 -5.3901 61.4292 2.2480 -4.9620 1.8731
35.0831 -44.1164 3.7933 35.0232 -40.0716 1.5901 1.8645
22.7233 20.0904 -46.6940 23.0331 14.9730 -42.5619 2.0373
36.4612 47.8580 18.3852 36.2715 50.5065 21.2231 1.4146
90.8027 -2.0831 1.4410 91.1528 -1.6435 0.0447 1.4441
90.9257 -0.5406 -0.9208 88.6381 -0.8985 -0.7239 1.5381
6.7747 -0.2908 -2.4247 5.8714 -0.0985 -2.2286 0.6377
2.0776 0.0795 -1.1350 0.9033 -0.0636 -0.5514 0.9082
""".strip().splitlines()])


def labs(columns, dtype=torch.float64):
    return torch.from_numpy(PAIRS[:, columns]).T.to(dtype).view(3, 1, -1)


def test_the_published_pairs_come_out_to_the_last_digit():
    expected = torch.from_numpy(PAIRS[:, 6]).view(1, -1)
    assert_close(ciede2000(labs(slice(0, 3)), labs(slice(3, 6))), expected, atol=6e-5, rtol=0)
    # whichever comes first
    assert_close(ciede2000(labs(slice(3, 6)), labs(slice(0, 3))), expected, atol=6e-5, rtol=0)


def test_scikit_image_agrees_on_any_colours():
    from skimage.color import deltaE_ciede2000
    lab = np.random.default_rng(0).uniform((0, -90, -90), (100, 90, 90), (2, 40, 50, 3))
    ours = ciede2000(*(torch.from_numpy(one).movedim(-1, 0) for one in lab))
    assert np.abs(ours.numpy() - deltaE_ciede2000(*lab)).max() < 1e-9


def test_frames_are_compared_as_srgb():
    frame = np.full((4, 5, 3), (200, 60, 60), np.uint8)
    other = np.full((4, 5, 3), (60, 60, 200), np.uint8)
    from skimage.color import deltaE_ciede2000, rgb2lab

    assert difference(frame, other) == pytest.approx(
        deltaE_ciede2000(rgb2lab(frame), rgb2lab(other)), abs=2e-3
    )
    assert difference(frame, frame).max() == 0


def test_the_metrics_are_a_mean_and_what_nine_in_ten_stay_below():
    truth = np.full((10, 10, 3), 100, np.uint8)
    predicted = truth.copy()
    predicted[0] = (200, 60, 60)                           # a tenth of the pixels
    far = float(difference(predicted, truth)[0, 0])
    report = evaluate([predicted, truth], [truth, truth], ("ciede2000", "ciede2000_p90"))
    assert report["ciede2000"] == pytest.approx(far / 20, rel=1e-5)
    predicted[1] = predicted[0]
    assert evaluate([predicted], [truth], ("ciede2000_p90",))["ciede2000_p90"] == pytest.approx(far, rel=1e-5)
    assert METRICS["ciede2000"].better == METRICS["ciede2000_p90"].better == "lower"
