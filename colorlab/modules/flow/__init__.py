"""Optical flow: warping, occlusion and reliability masks, estimation, and files.

One convention throughout: a flow is (B, 2, H, W) in pixels, channel 0 to the right, channel 1 down.
`forward` is defined on the grid of frame t and says where each of its pixels is in frame t+1, so
`warp(next_frame, forward)` brings frame t+1 onto the grid of frame t; `backward` is defined on the grid of
t+1.
"""

from colorlab.modules.flow.estimate import (
    RAFT_WEIGHTS, FlowEstimate, classical_flow, estimate_flow, raft, raft_file, raft_flow, resize_flow,
)
from colorlab.modules.flow.files import read_flo, write_flo
from colorlab.modules.flow.occlusion import Reliability, inside_frame, occlusion_lai, reliable_ruder, soften
from colorlab.modules.flow.warping import warp

__all__ = [
    "RAFT_WEIGHTS", "FlowEstimate", "Reliability", "classical_flow", "estimate_flow", "inside_frame",
    "occlusion_lai", "raft", "raft_file", "raft_flow", "read_flo", "reliable_ruder", "resize_flow", "soften",
    "warp", "write_flo",
]
