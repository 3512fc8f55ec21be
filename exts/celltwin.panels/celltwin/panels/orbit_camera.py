"""A camera that circles a pack: matrices for omni.ui.scene, and rays for picking."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from celltwin.core import Array, PackSpec, lay_out

__all__ = ["OrbitCamera", "frame_pack"]

# Above the horizon, so that the undersides of cells never show; below the zenith, where "up" is undefined.
LOWEST_ELEVATION, HIGHEST_ELEVATION = np.deg2rad(8.0), np.deg2rad(89.0)
ZOOM_STEP = 1.15


@dataclass(frozen=True, kw_only=True)
class OrbitCamera:
    """A perspective camera that looks at a target; z is up.

    Attributes
    ----------
    target : tuple of float
        Point that it looks at [m].
    distance : float
        Distance from the target [m].
    azimuth, elevation : float
        Direction from the target to the camera [rad], about z from x, and above the horizon.
    size : float
        Diameter of the scene [m]: bounds of zoom and clipping.
    field_of_view : float
        Vertical opening angle [rad].
    """

    target: tuple[float, float, float]
    distance: float
    azimuth: float
    elevation: float
    size: float
    field_of_view: float = 0.6

    def orbited(self, azimuth: float, elevation: float) -> OrbitCamera:
        """Return the camera turned by two angles [rad], the elevation kept between horizon and zenith."""
        raised = float(np.clip(self.elevation + elevation, LOWEST_ELEVATION, HIGHEST_ELEVATION))
        return replace(self, azimuth=(self.azimuth + azimuth) % (2.0 * np.pi), elevation=raised)

    def zoomed(self, steps: float) -> OrbitCamera:
        """Return the camera moved towards the target by a number of steps, which may be negative."""
        nearest, farthest = 0.08 * self.size, 8.0 * self.size
        return replace(self, distance=float(np.clip(self.distance * ZOOM_STEP**-steps, nearest, farthest)))

    def panned(self, right: float, up: float) -> OrbitCamera:
        """Return the camera shifted so that the scene follows a mouse by parts of half the view's height."""
        half_height = self.distance * np.tan(self.field_of_view / 2.0)
        across, upward, _ = self._axes()
        moved = np.asarray(self.target) - half_height * (right * across + up * upward)
        limit = self.size
        kept = np.clip(moved, -limit, limit)
        return replace(self, target=(float(kept[0]), float(kept[1]), float(kept[2])))

    def eye(self) -> Array:
        """Return the place of the camera, shape (3,) [m]."""
        return np.asarray(self.target) + self.distance * self._axes()[2]

    def view(self) -> Array:
        """Return the matrix from scene to camera for row vectors, shape (4, 4)."""
        turn = np.stack(self._axes(), axis=1)
        matrix = np.eye(4)
        matrix[:3, :3] = turn
        matrix[3, :3] = -self.eye() @ turn
        return matrix

    def projection(self, aspect: float) -> Array:
        """Return the matrix from camera to clip space for row vectors, shape (4, 4)."""
        scale = 1.0 / np.tan(self.field_of_view / 2.0)
        near, far = 0.02 * self.size, 20.0 * self.size
        matrix = np.zeros((4, 4))
        matrix[0, 0], matrix[1, 1] = scale / aspect, scale
        matrix[2, 2], matrix[2, 3] = (far + near) / (near - far), -1.0
        matrix[3, 2] = 2.0 * far * near / (near - far)
        return matrix

    def ray(self, x: float, y: float, aspect: float) -> tuple[Array, Array]:
        """Return origin [m] and unit direction of the ray through a point of the view.

        Parameters
        ----------
        x, y : float
            Point in normalised device coordinates: -1 to 1, right and up.
        aspect : float
            Width of the view over its height.
        """
        half = np.tan(self.field_of_view / 2.0)
        across, upward, backward = self._axes()
        direction = x * half * aspect * across + y * half * upward - backward
        return self.eye(), direction / np.linalg.norm(direction)

    def project(self, points: Array, aspect: float) -> Array:
        """Return points (n, 3) [m] in normalised device coordinates, shape (n, 2); NaN behind the camera."""
        clip = np.c_[points, np.ones(len(points))] @ self.view() @ self.projection(aspect)
        ahead = np.where(clip[:, 3] > 0.0, clip[:, 3], np.nan)
        seen: Array = clip[:, :2] / ahead[:, np.newaxis]
        return seen

    def pixels(self, length: float, view_height: float) -> float:
        """Return how many pixels a length [m] at the target takes in a view of a height [pixels]."""
        return float(length * view_height / (2.0 * self.distance * np.tan(self.field_of_view / 2.0)))

    def _axes(self) -> tuple[Array, Array, Array]:
        cos_a, sin_a = np.cos(self.azimuth), np.sin(self.azimuth)
        cos_e, sin_e = np.cos(self.elevation), np.sin(self.elevation)
        across = np.array([-sin_a, cos_a, 0.0])
        upward = np.array([-sin_e * cos_a, -sin_e * sin_a, cos_e])
        backward = np.array([cos_e * cos_a, cos_e * sin_a, sin_e])
        return across, upward, backward


def frame_pack(
    spec: PackSpec, aspect: float, *, azimuth: float | None = None, elevation: float = np.deg2rad(46.0)
) -> OrbitCamera:
    """Return a camera from which the whole pack fills the view.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    aspect : float
        Width of the view over its height.
    azimuth : float, optional
        Direction from the pack to the camera [rad]; where absent, one that lays the long side across the view.
    elevation : float
        Height above the horizon [rad].
    """
    corners = _bounds(spec)
    lowest, highest = corners.min(axis=0), corners.max(axis=0)
    centre, extent = (lowest + highest) / 2.0, highest - lowest
    if azimuth is None:
        azimuth = np.deg2rad(-72.0) if extent[0] >= extent[1] else np.deg2rad(18.0)
    camera = OrbitCamera(
        target=(float(centre[0]), float(centre[1]), float(centre[2])),
        distance=1.0,
        azimuth=azimuth % (2.0 * np.pi),
        elevation=float(np.clip(elevation, LOWEST_ELEVATION, HIGHEST_ELEVATION)),
        size=float(np.linalg.norm(extent)),
    )
    across, upward, backward = camera._axes()
    half = np.tan(camera.field_of_view / 2.0)
    offsets = corners - centre
    needed = np.maximum(np.abs(offsets @ across) / (half * aspect), np.abs(offsets @ upward) / half)
    return replace(camera, distance=float(1.04 * (needed + offsets @ backward).max()))


def _bounds(spec: PackSpec) -> Array:
    positions = lay_out(spec).cell_positions
    reach = np.array([max(spec.cell.footprint) / 2.0, max(spec.cell.footprint) / 2.0, spec.cell.height / 2.0])
    lowest, highest = positions.min(axis=0) - reach, positions.max(axis=0) + reach
    corners = np.array(np.meshgrid(*zip(lowest, highest, strict=True), indexing="ij"))
    return corners.reshape(3, -1).T
