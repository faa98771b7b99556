"""What the course adds to the papers' networks, so that small ones colour well after minutes of training.

Each network is the paper's with some stages replaced: frozen ImageNet features instead of the paper's
pretrained backbone, colour carried as linear functions of lightness, and matches refined to sub-pixel
precision by lightness. `colorlab/papers/` does not depend on it.
"""
