"""A picture and its label map, painted together."""

from collections.abc import Sequence

import cv2
import numpy as np

from .camera import Camera

Colour = Sequence[float] | np.ndarray  # red, green, blue in [0, 255]
Point = tuple[float, float, float]  # x, y, z in metres

_SUPERSAMPLING = 2  # paint at twice the size, then average: borders become mixed pixels
_SHIFT = 4  # fractional bits of OpenCV's fixed-point coordinates


class Canvas:
    """A painter of polygons, far things first, into an image and a label map at once.

    Args:
        camera: Projects street coordinates.
        height: Image height in pixels; the width is twice that.
        haze: Colour into which distant things fade.
        visibility: Distance in metres at which 63 % of a colour have become haze.
    """

    def __init__(self, camera: Camera, height: int, haze: Colour, visibility: float) -> None:
        self.camera = camera
        self.height = height
        self.haze = np.asarray(haze, dtype=np.float64)
        self.visibility = visibility
        size = height * _SUPERSAMPLING
        self._scale = size * 2**_SHIFT
        self._image = np.zeros((size, 2 * size, 3), dtype=np.uint8)
        self._label = np.zeros((size, 2 * size), dtype=np.uint8)

    def _shade(self, colour: Colour, z: float) -> tuple[float, ...]:
        share = np.exp(-z / self.visibility)
        mixed = share * np.asarray(colour, dtype=np.float64) + (1 - share) * self.haze
        return tuple(np.clip(mixed, 0, 255).tolist())

    def _fixed(self, points: np.ndarray) -> np.ndarray:
        array: np.ndarray = np.round(np.asarray(points) * self._scale).astype(np.int32)
        return array

    def fill(
        self, shapes: Sequence[np.ndarray], colour: Colour, label: int | None, z: float
    ) -> None:
        """Fill polygons given in image coordinates.

        Args:
            shapes: Polygons, each of shape (P, 2), in image heights.
            colour: Colour before haze.
            label: Class of the pixels; None leaves the label map as it is (windows, shadows).
            z: Distance in metres, for the haze.
        """
        polygons = [self._fixed(shape) for shape in shapes]
        cv2.fillPoly(self._image, polygons, self._shade(colour, z), shift=_SHIFT)
        if label is not None:
            cv2.fillPoly(self._label, polygons, label, shift=_SHIFT)

    def polygon(self, points: Sequence[Point], colour: Colour, label: int | None) -> None:
        """Fill one polygon given in street coordinates."""
        z = min(point[2] for point in points)
        self.fill([self.camera.project(list(points))], colour, label, z)

    def billboard(
        self, x: float, z: float, outline: Sequence[tuple[float, float]], colour: Colour,
        label: int | None,
    ) -> None:  # fmt: skip
        """Fill a flat shape that faces the camera at (x, z).

        Args:
            x: Lateral position in metres.
            z: Distance in metres.
            outline: Corners (metres right of ``x``, metres above the ground).
            colour: Colour before haze.
            label: Class of the pixels, or None.
        """
        self.polygon([(x + dx, y, z) for dx, y in outline], colour, label)

    def disc(
        self, x: float, y: float, z: float, radii: tuple[float, float], colour: Colour,
        label: int | None, thickness: float | None = None,
    ) -> None:  # fmt: skip
        """Paint an ellipse that faces the camera.

        Args:
            x: Lateral position of the centre in metres.
            y: Height of the centre in metres.
            z: Distance in metres.
            radii: Horizontal and vertical radius in metres.
            colour: Colour before haze.
            label: Class of the pixels, or None.
            thickness: Width of the rim in metres; None fills the ellipse.
        """
        centre = self._fixed(self.camera.project([(x, y, z)]))[0].tolist()
        scale = self.camera.scale(z)
        axes = [max(1, round(radius * scale * self._scale)) for radius in radii]
        rim = -1
        if thickness is not None:
            rim = max(1, round(thickness * scale * self._scale / 2**_SHIFT))
        arguments = (centre, axes, 0, 0, 360)
        cv2.ellipse(self._image, *arguments, self._shade(colour, z), rim, shift=_SHIFT)
        if label is not None:
            cv2.ellipse(self._label, *arguments, label, rim, shift=_SHIFT)

    def gradient(self, top: Colour, bottom: Colour, last: float, label: int) -> None:
        """Paint a vertical gradient from the upper border to v = ``last`` over the full width."""
        rows = round(min(max(last, 0), 1) * len(self._label))
        share = np.linspace(0, 1, rows)[:, None]
        colours = (1 - share) * np.asarray(top) + share * np.asarray(bottom)
        self._image[:rows] = colours[:, None].astype(np.uint8)
        self._label[:rows] = label

    def develop(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the picture at its final size.

        Returns:
            Image (H, 2H, 3), float32, RGB in [0, 255], and label map (H, 2H), uint8.
        """
        size = (2 * self.height, self.height)
        image = cv2.resize(self._image, size, interpolation=cv2.INTER_AREA)
        label = np.ascontiguousarray(self._label[::_SUPERSAMPLING, ::_SUPERSAMPLING])
        return image.astype(np.float32), label
