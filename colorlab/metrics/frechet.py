"""The Frechet distance between two sets of features, used by FID and FVD, and the statistics that it
needs."""

from __future__ import annotations

import numpy as np

from colorlab.files.errors import InputError


class Moments:
    """Running mean and covariance of feature vectors that come in batches, in constant memory."""

    def __init__(self, dimension: int):
        self.count = 0
        self.mean = np.zeros(dimension)
        self.scatter = np.zeros((dimension, dimension))  # sum of (x - mean)(x - mean)^T

    def add(self, features: np.ndarray) -> None:
        """Add a batch (n, D)."""
        features = np.asarray(features, np.float64)
        if len(features) == 0:
            return
        mean = features.mean(0)
        centered = features - mean
        self._join(len(features), mean, centered.T @ centered)

    def merge(self, other: Moments) -> None:
        """Add all that `other` has seen."""
        if other.count:
            self._join(other.count, other.mean, other.scatter)

    @property
    def covariance(self) -> np.ndarray:
        """(D, D), unbiased."""
        if self.count < 2:
            raise InputError("a Frechet distance needs at least 2 feature vectors on each side, got "
                             f"{self.count}")
        return self.scatter / (self.count - 1)

    def _join(self, count: int, mean: np.ndarray, scatter: np.ndarray) -> None:
        total, step = self.count + count, mean - self.mean
        self.scatter += scatter
        self.scatter += np.outer(step, step) * (self.count * count / total)
        self.mean = self.mean + step * (count / total)
        self.count = total


def moments(features: np.ndarray) -> Moments:
    """The moments of one matrix of features, (N, D)."""
    found = Moments(np.asarray(features).shape[1])
    found.add(features)
    return found


def frechet_distance(x: Moments, y: Moments) -> float:
    """||m1 - m2||^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), at least 0.

    The trace of the root is the sum of the roots of the eigenvalues of S1^(1/2) S2 S1^(1/2), which is
    symmetric: no complex numbers, and no trouble with singular covariances. With no more vectors than
    dimensions they *are* singular, and the distance is biased upwards, the more the fewer there are.
    """
    first, second = x.covariance, y.covariance
    values, vectors = np.linalg.eigh(first)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    overlap = np.linalg.eigvalsh(root @ second @ root)
    trace = np.trace(first) + np.trace(second) - 2 * np.sqrt(np.maximum(overlap, 0)).sum()
    return float(max(((x.mean - y.mean) ** 2).sum() + trace, 0.0))
