"""Closed meshes of simple solids, as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

__all__ = ["Mesh", "box", "join", "loft", "rounded_rectangle", "turn"]

# Corners of a box as lowest (0) or highest (1) along x, y, z; its faces, and their normals.
_BOX_CORNERS = np.array([[i & 1, (i >> 1) & 1, i >> 2] for i in range(8)])
_BOX_COUNTS = np.full(6, 4)
_BOX_INDICES = np.array([0, 2, 3, 1, 4, 5, 7, 6, 0, 1, 5, 4, 2, 6, 7, 3, 0, 4, 6, 2, 1, 3, 7, 5])
_BOX_NORMALS = np.repeat([[0, 0, -1], [0, 0, 1], [0, -1, 0], [0, 1, 0], [-1, 0, 0], [1, 0, 0]], 4, axis=0).astype(float)


@dataclass(frozen=True, eq=False)
class Mesh:
    """A polygon mesh with hard and smooth edges where its normals say so.

    Attributes
    ----------
    points : ndarray of shape (n_points, 3)
        Vertices [m].
    counts : ndarray of int, shape (n_faces,)
        Vertices of each face.
    indices : ndarray of int, shape (n_corners,)
        Vertex of each corner of each face, anticlockwise seen from outside.
    normals : ndarray of shape (n_corners, 3)
        Unit outward normal at each corner.
    """

    points: Array
    counts: NDArray[np.int64]
    indices: NDArray[np.int64]
    normals: Array

    @property
    def bounds(self) -> tuple[Array, Array]:
        """Lowest and highest corner of the axis-aligned box around it, each of shape (3,) [m]."""
        return self.points.min(axis=0), self.points.max(axis=0)

    def moved(self, offset: tuple[float, float, float]) -> Mesh:
        """Return the mesh translated by ``offset`` [m]."""
        return Mesh(self.points + np.asarray(offset), self.counts, self.indices, self.normals)


def join(meshes: list[Mesh]) -> Mesh:
    """Return one mesh of several solids."""
    starts = np.cumsum([0, *(mesh.points.shape[0] for mesh in meshes[:-1])])
    return Mesh(
        np.concatenate([mesh.points for mesh in meshes]),
        np.concatenate([mesh.counts for mesh in meshes]),
        np.concatenate([mesh.indices + start for mesh, start in zip(meshes, starts, strict=True)]),
        np.concatenate([mesh.normals for mesh in meshes]),
    )


def loft(sections: Array, *, smooth: bool) -> Mesh:
    """Return the solid through a stack of closed sections, with flat ends.

    Parameters
    ----------
    sections : ndarray of shape (n_sections, n_sides, 3)
        Planar convex rings [m], anticlockwise seen from the last section's side.
    smooth : bool
        Whether shading is smooth around a section; it is always hard from one band to the next.
    """
    n_sections, n_sides, _ = sections.shape
    ring = np.arange(n_sides)
    start = np.arange(n_sections - 1)[:, np.newaxis] * n_sides
    after = (ring + 1) % n_sides
    quads = np.stack([start + ring, start + after, start + n_sides + after, start + n_sides + ring], axis=-1)
    points = sections.reshape(-1, 3)
    corners = points[quads]  # (bands, sides, 4, 3)
    faces = np.cross(corners[:, :, 2] - corners[:, :, 0], corners[:, :, 3] - corners[:, :, 1])
    faces /= np.linalg.norm(faces, axis=-1, keepdims=True)
    if smooth:
        edges = faces + np.roll(faces, 1, axis=1)  # at the first corner of each side
        edges /= np.linalg.norm(edges, axis=-1, keepdims=True)
        following = np.roll(edges, -1, axis=1)
        sides = np.stack([edges, following, following, edges], axis=2)
    else:
        sides = np.repeat(faces[:, :, np.newaxis], 4, axis=2)
    ends = [ring[::-1], (n_sections - 1) * n_sides + ring]
    end_normals = []
    for end in ends:
        across = np.cross(points[end], np.roll(points[end], -1, axis=0)).sum(axis=0)
        end_normals.append(np.tile(across / np.linalg.norm(across), (n_sides, 1)))
    return Mesh(
        points,
        np.concatenate([np.full(quads.shape[0] * n_sides, 4), [n_sides, n_sides]]),
        np.concatenate([quads.reshape(-1), *ends]),
        np.concatenate([sides.reshape(-1, 3), *end_normals]),
    )


def turn(profile: list[tuple[float, float]], *, sides: int = 24, along: str = "z") -> Mesh:
    """Return the solid that a profile of ``(radius, height)`` pairs [m] makes by turning about an axis.

    Heights run upward along the axis, which is ``"z"`` or ``"x"``.
    """
    angle = 2.0 * np.pi * np.arange(sides) / sides
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    radius = np.array([pair[0] for pair in profile])[:, np.newaxis]
    height = np.broadcast_to(np.array([pair[1] for pair in profile])[:, np.newaxis], (len(profile), sides))
    sections = np.stack([radius * circle[:, 0], radius * circle[:, 1], height], axis=-1)
    if along == "x":
        sections = sections[..., [2, 0, 1]]
    return loft(sections, smooth=True)


def box(lowest: tuple[float, float, float], highest: tuple[float, float, float]) -> Mesh:
    """Return the box between two corners [m]."""
    corners = np.array([lowest, highest], dtype=np.float64)
    return Mesh(corners[_BOX_CORNERS, [0, 1, 2]], _BOX_COUNTS, _BOX_INDICES, _BOX_NORMALS)


def rounded_rectangle(size_x: float, size_y: float, radius: float, height: float, *, corner_sides: int = 4) -> Array:
    """Return a section for :func:`loft`: a rectangle about the z axis with round corners.

    Parameters
    ----------
    size_x, size_y, radius, height : float
        Outer sizes, corner radius and z [m]; the radius is at most half of the smaller size.

    Returns
    -------
    ndarray of shape (4 * (corner_sides + 1), 3)
        Points [m], anticlockwise seen from above.
    """
    radius = min(radius, 0.499 * size_x, 0.499 * size_y)
    angle = np.linspace(0.0, np.pi / 2.0, corner_sides + 1)
    points = []
    for quarter, (sign_x, sign_y) in enumerate(((1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, -1.0))):
        turned = angle + quarter * np.pi / 2.0
        x = sign_x * (size_x / 2.0 - radius) + radius * np.cos(turned)
        y = sign_y * (size_y / 2.0 - radius) + radius * np.sin(turned)
        points.append(np.stack([x, y, np.full_like(x, height)], axis=-1))
    return np.concatenate(points)
