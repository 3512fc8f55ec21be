"""A cell model as the kernels read it: its laws, finite volumes of particles and electrolyte, and tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from celltwin.core import FARADAY, Array

from .cell_laws import CellLawChoices, make_cell_structure
from .cell_model import CellModel, ElectrodeModel

__all__ = ["ParticleShells", "choose_laws", "integral_table", "inverse_sinh_table", "particle_shells", "share_cell"]


@dataclass(frozen=True, eq=False)
class ParticleShells:
    """Shells of a particle of radius 1.

    Attributes
    ----------
    volumes : ndarray of shape (shells,)
        Share of each in the particle, from the centre outwards [-].
    conductances : ndarray of shape (shells - 1,)
        Of the faces between them: flow of stoichiometry, in particle volumes, for a diffusivity of 1 [-].
    surface_gap : float
        Distance over which the outermost shell differs from the surface [-].
    """

    volumes: Array
    conductances: Array
    surface_gap: float


def particle_shells(shells: int) -> ParticleShells:
    r"""Return shells that are thinner towards the surface: the depth of their faces is :math:`(1 - k/n)^2` radii.

    A shell is represented by the mean of :math:`r^2` over it, so that the difference of two shells is exact for the
    parabola that the profile tends to under constant current, however few the shells. Thin outer shells follow the
    first seconds after a jump of the current, and fronts where the diffusivity falls with stoichiometry.

    Parameters
    ----------
    shells : int
        Number of shells, at least 2.
    """
    radius = 1.0 - (1.0 - np.arange(shells + 1) / shells) ** 2
    volumes = np.diff(radius**3)
    square = 0.6 * np.diff(radius**5) / volumes
    conductances = 6.0 * radius[1:-1] ** 3 / np.diff(square)
    return ParticleShells(volumes, conductances, float((1.0 - square[-1]) / 2.0))


def inverse_sinh_table(intervals: int = 4096) -> Array:
    """Return cubic coefficients of asinh(32 u / (1 - u)) over u in [0, 1), of shape (intervals, 4).

    The last knot, which would be infinite, lies at half of the last interval.
    """
    u = np.arange(intervals + 1) / intervals
    u[-1] = 1.0 - 0.5 / intervals
    x = 32.0 * u / (1.0 - u)
    value = np.arcsinh(x)
    slope = 32.0 / ((1.0 - u) ** 2 * np.sqrt(x * x + 1.0)) / intervals
    rise = np.diff(value)
    before, after = slope[:-1], slope[1:]
    return np.stack([value[:-1], before, 3.0 * rise - 2.0 * before - after, before + after - 2.0 * rise], axis=1)


def integral_table(table: Array) -> Array:
    """Return cubic coefficients of the integral from 0 of a table over [0, 1], both of shape (n_intervals, 4).

    Values and slopes are exact at the ends of every interval.
    """
    intervals = len(table)
    rise = table @ (1.0 / np.arange(1.0, 5.0)) / intervals
    before, after = table[:, 0] / intervals, table.sum(axis=1) / intervals
    start = np.concatenate([[0.0], np.cumsum(rise)[:-1]])
    return np.stack([start, before, 3.0 * rise - 2.0 * before - after, before + after - 2.0 * rise], axis=1)


def choose_laws(model: CellModel, *, heat_of_mixing: bool) -> CellLawChoices:
    """Return the simplest laws that hold for a cell model; whether the heat of mixing counts is up to the user."""
    electrodes = model.negative, model.positive
    return CellLawChoices(
        constant_diffusivity=(model.negative.constant_diffusivity, model.positive.constant_diffusivity),
        constant_transference=model.constant_transference,
        constant_exchange=(
            model.negative.exchange_current_scale is not None,
            model.positive.exchange_current_scale is not None,
        ),
        square_root_kinetics=bool(
            np.allclose([electrode.exchange_current_exponent for electrode in electrodes], 0.5, atol=1e-4)
        ),
        heat_of_mixing=heat_of_mixing,
    )


def share_cell(model: CellModel, *, shells: int, salt_nodes: tuple[int, int, int], device: str) -> Any:
    """Return the Warp structure of a cell model.

    Parameters
    ----------
    model : CellModel
        The cell.
    shells : int
        Shells of each particle.
    salt_nodes : tuple of int
        Finite volumes of the electrolyte in negative electrode, separator and positive electrode.
    device : str
        Warp's name of the device.
    """
    import warp as wp

    def table(values: Array | list[list[float]]) -> Any:
        return wp.array(np.ascontiguousarray(values, dtype=np.float64), dtype=wp.float64, device=device)

    negative, positive = model.negative, model.positive
    shared = make_cell_structure()()
    for side, electrode in (("negative", negative), ("positive", positive)):
        setattr(shared, f"potential_{side}", table(electrode.potential))
        diffusivity = electrode.diffusivity
        setattr(
            shared,
            f"diffusivity_{side}",
            table(diffusivity if electrode.constant_diffusivity else integral_table(diffusivity)),
        )
        scale = electrode.exchange_current_scale
        setattr(
            shared, f"exchange_{side}", table(electrode.exchange_current if scale is None else [[scale, 0.0, 0.0, 0.0]])
        )
        setattr(shared, f"inverse_time_{side}", electrode.particle_radius**-2)
        setattr(shared, f"gradient_{side}", electrode.particle_radius / (FARADAY * electrode.maximum_concentration))
        setattr(shared, f"reaction_{side}", 1.0 / (electrode.interface_area * electrode.thickness))
        setattr(shared, f"exponent_{side}", electrode.exchange_current_exponent)
    for name in ("electrolyte_diffusivity", "electrolyte_conductivity", "transference", "concentration_factor"):
        setattr(shared, name, table(getattr(model, name)))
    shared.temperature_factors = table(
        np.stack(
            [
                negative.diffusivity_temperature,
                positive.diffusivity_temperature,
                negative.exchange_current_temperature,
                positive.exchange_current_temperature,
                negative.conductivity_temperature,
                positive.conductivity_temperature,
            ]
        )
    )
    shared.inverse_sinh = table(inverse_sinh_table())
    particle = particle_shells(shells)
    shared.surface_gap = particle.surface_gap
    shared.outward = table(np.append(particle.conductances, 0.0) / particle.volumes)
    shared.inward = table(np.insert(particle.conductances, 0, 0.0) / particle.volumes)
    shared.volumes = table(particle.volumes)
    shared.edge = 3.0 / float(particle.volumes[-1])
    for name, values in _salt_volumes(model, salt_nodes).items():
        setattr(shared, name, table(values))
    shared.area = model.electrode_area
    shared.path_ionic = (
        _third(negative) + model.separator_thickness / model.separator_transport_efficiency + _third(positive)
    )
    shared.path_negative = negative.thickness / (3.0 * negative.conductivity)
    shared.path_positive = positive.thickness / (3.0 * positive.conductivity)
    shared.contact_resistance = model.contact_resistance
    shared.salt_reference = model.electrolyte_concentration
    shared.salt_lowest = model.electrolyte_range[0] / model.electrolyte_concentration
    shared.salt_highest = model.electrolyte_range[1] / model.electrolyte_concentration
    shared.reference_temperature = model.reference_temperature
    shared.lowest_temperature, shared.highest_temperature = model.temperature_range
    shared.empty_negative = negative.stoichiometry_empty
    shared.full_negative = negative.stoichiometry_full
    return shared


def _third(electrode: ElectrodeModel) -> float:
    return electrode.thickness / (3.0 * electrode.transport_efficiency)


def _salt_volumes(model: CellModel, nodes: tuple[int, int, int]) -> dict[str, Array]:
    """Return widths, distances and shares of current of the electrolyte's finite volumes, from negative to positive."""
    negative, positive = model.negative, model.positive
    thickness = (negative.thickness, model.separator_thickness, positive.thickness)
    porosity = (negative.porosity, model.separator_porosity, positive.porosity)
    efficiency = (negative.transport_efficiency, model.separator_transport_efficiency, positive.transport_efficiency)
    width = np.concatenate([np.full(n, length / n) for n, length in zip(nodes, thickness, strict=True)])
    # Resistance from the middle of a volume to its face. At the ends of an electrode towards the separator the
    # profile tends to a parabola, for which the distance from mean to face is a little shorter.
    to_left = np.concatenate(
        [np.full(n, 0.5 * w / n / e) for n, w, e in zip(nodes, thickness, efficiency, strict=True)]
    )
    to_right = to_left.copy()
    to_right[nodes[0] - 1] *= 1.0 - 1.0 / (3.0 * nodes[0])
    to_left[nodes[0] + nodes[1]] *= 1.0 - 1.0 / (3.0 * nodes[2])
    source = np.concatenate([np.full(nodes[0], 1.0 / nodes[0]), np.zeros(nodes[1]), np.full(nodes[2], -1.0 / nodes[2])])
    distance = np.ones(width.size)
    distance[:-1] = to_right[:-1] + to_left[1:]
    return {
        "salt_capacity": np.repeat(porosity, nodes) * width,
        "salt_weight": width / width.sum(),
        "salt_distance": distance,
        "salt_share": np.cumsum(source),
        "salt_source": source,
    }
