"""What the course adds to the papers' networks, so that small ones colour well after minutes of training.

Each network is the paper's, with some of its stages replaced: frozen ImageNet features in the place of the
paper's pretrained backbone, colour carried as lines in lightness, and places made exact by lightness.
`colorlab/papers/` knows nothing of it.
"""
