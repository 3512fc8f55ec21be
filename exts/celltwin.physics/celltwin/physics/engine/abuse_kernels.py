"""Kernel of thermal runaway: the reactions of all cells through one step, each cell with substeps of its own.

The reactions are stiff: a cell that takes hours to 150 degC burns within a second. A step is therefore divided, lane
by lane, so that no substep warms a cell by more than ``LARGEST_RISE``. Within a substep the rates are those at its
middle temperature, and the reactants follow their exact solutions for these rates: none can fall below zero, and the
heat is that of the reactants consumed to the last digit, however long the step.
"""

# Warp reads the annotations of kernels as values: no postponed annotations here.
# mypy: ignore-errors
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from celltwin.core import GAS_CONSTANT, Array

from .abuse_model import AbuseModel
from .lanes import Lanes

__all__ = [
    "ABUSE_ROWS",
    "LARGEST_RISE",
    "MOST_SUBSTEPS",
    "AbuseKernels",
    "abuse_constants",
    "fresh_abuse_rows",
    "make_abuse_kernels",
]

# Rows of the state of a cell: four or five reactants [-], vent and separator [-], energies since the start [J].
ABUSE_ROWS = (
    "sei",
    "negative",
    "positive",
    "positive_second",
    "electrolyte",
    "vent",
    "molten",
    "released",
    "vented",
)
LARGEST_RISE = 2.0  # [K] of a cell in one substep
MOST_SUBSTEPS = 2000  # of one step; the last takes what is left of it
_BOUND = 40.0  # of arguments of lanes.exp
_BOILING_PRESSURE = 101325.0  # [Pa]


@dataclass(frozen=True, eq=False)
class AbuseKernels:
    """The kernels of thermal runaway, launched over bundles.

    Attributes
    ----------
    advance_abuse : kernel
        One step of the reactions; forward kernels work in place: give the same array as ``rows`` and ``rows_next``.
    short_cells : kernel
        Internal shorts, of nails and of molten separators; they fade as the cell empties.
    """

    advance_abuse: Any
    short_cells: Any


def abuse_constants(model: AbuseModel, *, full_stoichiometry: float = 1.0) -> Array:
    """Return what the kernel reads of a model.

    Parameters
    ----------
    model : AbuseModel
        The model.
    full_stoichiometry : float
        Mean stoichiometry of the negative electrode of the full cell [-], or 1 where the kernel is given the state of
        charge in its place.

    Returns
    -------
    ndarray of shape (37,)
        Of mixed units; the kernel knows the order.
    """
    values: list[float] = []
    for reaction in model.reactions.values():
        logarithm = np.log(reaction.frequency) if reaction.frequency > 0.0 else -1e6
        values += [float(logarithm), reaction.activation_energy / GAS_CONSTANT, reaction.lowest_temperature]
    values += [model.film_initial / model.film_reference, 1.0 / model.film_reference]
    values += list(model.heats.values())
    values += [model.negative.initial / full_stoichiometry, model.quiet_temperature]
    vent, separator = model.vent, model.separator
    if vent is None:
        values += [0.0] * 9
    else:
        latent = vent.molar_mass * vent.evaporation_heat / GAS_CONSTANT  # [K]
        values += [
            1.0,
            float(np.log(_BOILING_PRESSURE)) + latent / vent.boiling_temperature,
            latent,
            vent.gas * GAS_CONSTANT / vent.free_volume / max(model.energy, 1e-12),
            vent.opening_pressure,
            vent.boiling_temperature,
            1.0 / vent.evaporation_time,
            vent.evaporation_heat * model.electrolyte_mass,
            vent.ejected_share,
        ]
    if separator is None:
        values += [1e6, 1.0, 0.0]
    else:
        values += [separator.melting_temperature, 1.0 / separator.melting_range, separator.conductance]
    values += [LARGEST_RISE]
    return np.array(values)


def fresh_abuse_rows(model: AbuseModel, n_cells: int) -> Array:
    """Return the state of cells in which nothing has reacted, of shape (len(ABUSE_ROWS), n_cells)."""
    rows = np.zeros((len(ABUSE_ROWS), n_cells))
    rows[0] = model.sei.initial
    rows[2] = model.positive.initial
    rows[3] = model.positive_second.initial
    rows[4] = model.electrolyte.initial
    return rows


@lru_cache(maxsize=8)
def make_abuse_kernels(lanes: Lanes) -> AbuseKernels:
    """Return the kernel of thermal runaway.

    Kernels that can be differentiated take one substep a step: exact in energy, and accurate as long as a cell does
    not run away within the step.
    """
    import warp as wp

    real, vector = lanes.real, lanes.vector
    exp, select = lanes.exp, lanes.select
    one, half, zero, bound = real(1.0), real(0.5), real(0.0), real(_BOUND)
    few = real(1e-30)

    @wp.func
    def rate(constants: wp.array(dtype=real), first: int, inverse: vector, t: vector):
        grows = exp(lanes.clip(vector(constants[first]) - inverse * constants[first + 1], -bound, bound))
        return select(t - vector(constants[first + 2]), grows, vector(zero))

    @wp.func
    def film_rate(constants: wp.array(dtype=real), inverse: vector, film: vector):
        exponent = vector(constants[3] - constants[15]) - inverse * constants[4] - film * constants[16]
        return exp(lanes.clip(exponent, -bound, bound))

    @wp.func
    def remains(k: vector, h: vector):
        return exp(-wp.min(wp.cw_mul(k, h), vector(bound)))

    @wp.func
    def logistic(share: vector, k: vector, h: vector):
        # exact solution of d(share)/dt = k share (1 - share)
        return wp.cw_div(share, wp.max(share + wp.cw_mul(vector(one) - share, remains(k, h)), vector(few)))

    @wp.func
    def react(
        constants: wp.array(dtype=real),
        amount: vector,
        capacity: vector,
        other: vector,
        negative_limit: vector,
        left: vector,
        whole: bool,
        t: vector,
        sei: vector,
        reacted: vector,
        positive: vector,
        second: vector,
        electrolyte: vector,
        vent: vector,
        released: vector,
    ):
        inverse = wp.cw_div(vector(one), t)
        # the vent, and what it lets out
        pressure = (
            exp(lanes.clip(vector(constants[25]) - inverse * constants[26], -bound, bound))
            + wp.cw_mul(released, t) * constants[27]
        )
        opens = select(pressure - vector(constants[28]), vector(constants[24]), vector(zero))
        vent_next = wp.max(vent, opens)
        leaves = wp.cw_mul(select(t - vector(constants[29]), vector(constants[30]), vector(zero)), vent_next)
        # power at the start of the substep, and from it the substep
        k_negative = film_rate(constants, inverse, reacted)
        available = wp.max(negative_limit - reacted, vector(zero))
        power = wp.cw_mul(
            amount,
            wp.cw_mul(rate(constants, 0, inverse, t), sei) * constants[17]
            + wp.cw_mul(k_negative, available) * constants[18]
            + wp.cw_mul(rate(constants, 6, inverse, t), wp.cw_mul(positive, vector(one) - positive)) * constants[19]
            + wp.cw_mul(rate(constants, 9, inverse, t), wp.cw_mul(second, vector(one) - second)) * constants[20]
            + wp.cw_mul(rate(constants, 12, inverse, t), electrolyte) * constants[21],
        )
        fastest = wp.cw_div(power + wp.abs(other), capacity)
        h = left
        if not whole:
            h = wp.min(left, wp.cw_div(vector(constants[36]), wp.max(fastest, vector(few))))
        limit = vector(half * constants[36])
        warming = wp.cw_mul(wp.cw_div(power + other, capacity), h) * half
        middle = t + wp.min(wp.max(warming, -limit), limit)
        # exact solutions at the rates of the middle
        inverse_middle = wp.cw_div(vector(one), middle)
        film = reacted + wp.cw_mul(available, vector(one) - remains(k_negative, h * half))
        sei_next = wp.cw_mul(sei, remains(rate(constants, 0, inverse_middle, middle), h))
        reacts = wp.cw_mul(available, vector(one) - remains(film_rate(constants, inverse_middle, film), h))
        positive_next = logistic(positive, rate(constants, 6, inverse_middle, middle), h)
        second_next = logistic(second, rate(constants, 9, inverse_middle, middle), h)
        burns = rate(constants, 12, inverse_middle, middle)
        both = burns + leaves
        consumed = wp.cw_mul(electrolyte, vector(one) - remains(both, h))
        burnt = wp.cw_mul(consumed, wp.cw_div(burns, wp.max(both, vector(few))))
        heat = wp.cw_mul(
            amount,
            (sei - sei_next) * constants[17]
            + reacts * constants[18]
            + (positive_next - positive) * constants[19]
            + (second_next - second) * constants[20]
            + burnt * constants[21],
        )
        lost = wp.cw_mul(amount, consumed - burnt) * constants[31] + wp.cw_mul(heat, vent_next) * constants[32]
        t_next = t + wp.cw_div(heat - lost + wp.cw_mul(other, h), capacity)
        return (
            t_next,
            sei_next,
            reacted + reacts,
            positive_next,
            second_next,
            electrolyte - consumed,
            vent_next,
            heat,
            lost,
            h,
        )

    @wp.kernel(module="unique", module_options=lanes.module_options)
    def advance_abuse(
        step: real,
        constants: wp.array(dtype=real),
        content: wp.array(dtype=vector),  # reactants of the cell over those of the model [-]
        lithium: wp.array(dtype=vector),  # mean stoichiometry of the negative electrode, or state of charge [-]
        temperature: wp.array(dtype=vector),  # where the reactions happen, at the start of the step [K]
        heat_capacity: wp.array(dtype=vector),  # of the whole cell [J/K]
        reacting_share: real,  # share of the heat capacity at that temperature [-]
        other_heat: wp.array(dtype=vector),  # of everything else, into the same node [W]
        rows: wp.array2d(dtype=vector),
        rows_next: wp.array2d(dtype=vector),
        abuse_heat: wp.array(dtype=vector),  # mean of the step, less what leaves through the vent [W]
        short_conductance: wp.array(dtype=vector),  # of the molten separator [S]
    ):
        b = wp.tid()
        t = temperature[b]
        capacity = heat_capacity[b] * reacting_share
        limit = wp.max(lithium[b], vector(zero)) * constants[22]
        if wp.static(lanes.backward):
            t_end, sei_end, reacted_end, positive_end, second_end, electrolyte_end, vent_end, heat, lost, _h = react(
                constants, content[b], capacity, other_heat[b], limit, vector(step), True, t,
                rows[0, b], rows[1, b], rows[2, b], rows[3, b], rows[4, b], rows[5, b], rows[7, b],
            )  # fmt: skip
            molten_end = wp.max(rows[6, b], lanes.clip((t_end - vector(constants[33])) * constants[34], zero, one))
            rows_next[0, b] = sei_end
            rows_next[1, b] = reacted_end
            rows_next[2, b] = positive_end
            rows_next[3, b] = second_end
            rows_next[4, b] = electrolyte_end
            rows_next[5, b] = vent_end
            rows_next[6, b] = molten_end
            rows_next[7, b] = rows[7, b] + heat
            rows_next[8, b] = rows[8, b] + lost
            abuse_heat[b] = (heat - lost) / step
            short_conductance[b] = molten_end * constants[35]
        else:
            if wp.max(t) < constants[23]:
                abuse_heat[b] = vector(zero)
                return
            sei = rows[0, b]
            reacted = rows[1, b]
            positive = rows[2, b]
            second = rows[3, b]
            electrolyte = rows[4, b]
            vent = rows[5, b]
            released = rows[7, b]
            vented = rows[8, b]
            gained = vector(zero)
            left = vector(step)
            substeps = wp.int32(0)
            while wp.max(left) > zero and substeps < wp.static(MOST_SUBSTEPS):
                substeps += 1
                t, sei, reacted, positive, second, electrolyte, vent, heat, lost, h = react(
                    constants, content[b], capacity, other_heat[b], limit, left, substeps == wp.static(MOST_SUBSTEPS),
                    t, sei, reacted, positive, second, electrolyte, vent, released,
                )  # fmt: skip
                released = released + heat
                vented = vented + lost
                gained = gained + heat - lost
                left = left - h
            molten = wp.max(rows[6, b], lanes.clip((t - vector(constants[33])) * constants[34], zero, one))
            rows_next[0, b] = sei
            rows_next[1, b] = reacted
            rows_next[2, b] = positive
            rows_next[3, b] = second
            rows_next[4, b] = electrolyte
            rows_next[5, b] = vent
            rows_next[6, b] = molten
            rows_next[7, b] = released
            rows_next[8, b] = vented
            abuse_heat[b] = gained / step
            short_conductance[b] = molten * constants[35]

    @wp.kernel(module="unique", module_options=lanes.module_options)
    def short_cells(
        empty: real,  # stoichiometry at which nothing is left, or 0 for states of charge [-]
        scale: real,  # 1 over how far above it shorts fade [-]
        lithium: wp.array(dtype=vector),  # as above [-]
        imposed: wp.array(dtype=vector),  # short that the user asks for [S]
        molten: wp.array(dtype=vector),  # of the molten separator [S]
        bleed: wp.array(dtype=vector),  # beside the cell [S]
        internal_short: wp.array(dtype=vector),  # [S]
        shunt: wp.array(dtype=vector),  # both together [S]
    ):
        b = wp.tid()
        left = lanes.clip((lithium[b] - vector(empty)) * scale, zero, one)
        inside = wp.cw_mul(imposed[b] + molten[b], left)
        internal_short[b] = inside
        shunt[b] = inside + bleed[b]

    return AbuseKernels(advance_abuse=advance_abuse, short_cells=short_cells)
