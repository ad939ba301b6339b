"""Boxes standing on the street: what vehicles and buildings are made of."""

from dataclasses import dataclass, replace

from .canvas import Canvas, Colour, Point

SIDE_SHADE = 0.72  # brightness of a side against the end that faces the camera


@dataclass(frozen=True)
class Cuboid:
    """An upright box along the street, in metres.

    Args:
        x0: Left side.
        x1: Right side.
        y0: Bottom above the ground.
        y1: Top above the ground.
        z0: Near end.
        z1: Far end.
    """

    x0: float
    x1: float
    y0: float
    y1: float
    z0: float
    z1: float

    @property
    def visible_side(self) -> float | None:
        """Position of the side that the camera at x = 0 sees; None if it sees only the near end."""
        if self.x0 > 0:
            return self.x0
        return self.x1 if self.x1 < 0 else None

    def near_quad(self, left: float, right: float, low: float, high: float) -> list[Point]:
        """A rectangle on the near end; the bounds are fractions of its width and height."""
        width, height = self.x1 - self.x0, self.y1 - self.y0
        xs = (self.x0 + left * width, self.x0 + right * width)
        ys = (self.y0 + low * height, self.y0 + high * height)
        return [(xs[0], ys[0], self.z0), (xs[1], ys[0], self.z0), (xs[1], ys[1], self.z0),
                (xs[0], ys[1], self.z0)]  # fmt: skip

    def side_quad(self, x: float, near: float, far: float, low: float, high: float) -> list[Point]:
        """A rectangle on the side at ``x``; the bounds are fractions of its length and height."""
        length, height = self.z1 - self.z0, self.y1 - self.y0
        zs = (self.z0 + near * length, self.z0 + far * length)
        ys = (self.y0 + low * height, self.y0 + high * height)
        return [(x, ys[0], zs[0]), (x, ys[0], zs[1]), (x, ys[1], zs[1]), (x, ys[1], zs[0])]

    def inset(self, side: float, near: float, far: float, y0: float, y1: float) -> "Cuboid":
        """A smaller box, e.g. the cabin of a car; insets and heights in metres."""
        return replace(
            self, x0=self.x0 + side, x1=self.x1 - side, z0=self.z0 + near, z1=self.z1 - far,
            y0=y0, y1=y1,
        )  # fmt: skip

    def paint(self, canvas: Canvas, colour: Colour, label: int | None) -> None:
        """Paint the visible faces."""
        if self.y1 < canvas.camera.height:
            top = [(x, self.y1, z) for x, z in (
                (self.x0, self.z0), (self.x1, self.z0), (self.x1, self.z1), (self.x0, self.z1)
            )]  # fmt: skip
            canvas.polygon(top, [0.9 * c for c in colour], label)
        self.paint_side(canvas, (0, 1, 0, 1), [SIDE_SHADE * c for c in colour], label)
        canvas.polygon(self.near_quad(0, 1, 0, 1), colour, label)

    def paint_side(
        self, canvas: Canvas, bounds: tuple[float, float, float, float], colour: Colour,
        label: int | None,
    ) -> None:  # fmt: skip
        """Paint a rectangle of the visible side, if there is one."""
        side = self.visible_side
        if side is not None:
            canvas.polygon(self.side_quad(side, *bounds), colour, label)
