"""Pinhole camera of the demo scenes: metres on the street to positions in the image."""

from dataclasses import dataclass

import numpy as np

NEAREST = 1.2  # metres; nothing is projected from closer, where coordinates would explode


@dataclass(frozen=True)
class Camera:
    """A camera that looks along the street.

    Street coordinates are metres: x to the right, y up from the ground, z ahead. Image
    coordinates are in units of the image height: u in [0, 2] to the right, v in [0, 1] downwards,
    so a scene is the same at every resolution.

    Args:
        horizon: v of the horizon.
        vanishing: u of the vanishing point.
        focal: Focal length in image heights.
        height: Camera height above the street in metres.
    """

    horizon: float
    vanishing: float
    focal: float = 1.25
    height: float = 1.4

    def scale(self, z: float) -> float:
        """Image heights per metre at the distance ``z``."""
        return self.focal / max(z, NEAREST)

    def project(self, points: list[tuple[float, float, float]]) -> np.ndarray:
        """Projects street points (x, y, z) in metres to image points.

        Returns:
            Image coordinates (u, v), shape (P, 2), float64, in image heights.
        """
        xyz = np.asarray(points, dtype=np.float64)
        scale = self.focal / np.maximum(xyz[:, 2], NEAREST)
        u = self.vanishing + scale * xyz[:, 0]
        v = self.horizon + scale * (self.height - xyz[:, 1])
        return np.stack([u, v], axis=1)
