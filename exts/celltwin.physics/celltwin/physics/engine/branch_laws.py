"""What every kind of cell is for the circuit: a source behind a resistance, that ends when it is exhausted."""

# Warp reads the annotations of kernels as values: no postponed annotations here.
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .lanes import Lanes

__all__ = ["BranchLaws", "make_branch_laws"]

# A discharge ends here: over the last of what it takes the voltage falls by volts, so that an exhausted cell carries
# what still reaches its surfaces and no more.
_EXHAUSTION = 10.0  # [V]


@dataclass(frozen=True, eq=False)
class BranchLaws:
    """Warp functions of a branch.

    Attributes
    ----------
    exhausted : function
        ``exhausted(left, inverse_last)``: the voltage that the last of something takes, and how much more with every
        bit less.
    draw_tangent : function
        Writes source, inner resistance and conductance of a branch from a voltage, its slope and their current.
    heat_within : function
        Heat of a cell, with that of its internal short and of its connection, from what its reactions release.
    """

    exhausted: Any
    draw_tangent: Any
    heat_within: Any


@lru_cache(maxsize=16)
def make_branch_laws(lanes: Lanes) -> BranchLaws:
    """Return the laws of a branch."""
    import warp as wp

    real, vector = lanes.real, lanes.vector
    one, exhaustion = real(1.0), real(_EXHAUSTION)

    @wp.func
    def exhausted(left: vector, inverse_last: real):
        # cubic from 1 of the last to 0, straight on below
        lack = wp.max(vector(one) - left * inverse_last, vector())
        held = wp.min(lack, vector(one))
        square = wp.cw_mul(held, held) * real(3.0)
        loss = wp.cw_mul(square, lack) - wp.cw_mul(wp.cw_mul(held, held), held) * real(2.0)
        return loss * exhaustion, square * (exhaustion * inverse_last)

    @wp.func
    def draw_tangent(
        bundle: int,
        voltage: vector,
        slope: vector,
        current: vector,
        shunt: vector,
        connection: vector,
        connected: vector,
        source: wp.array(dtype=vector),
        inner: wp.array(dtype=vector),
        conductance: wp.array(dtype=vector),
    ):
        # Thevenin source and resistance at the cell's own ends, with its shunt; conductance of the whole branch
        resistance = wp.max(-slope, vector(real(1e-7)))
        beside = vector(one) + wp.cw_mul(resistance, shunt)
        source[bundle] = wp.cw_div(voltage + wp.cw_mul(resistance, current), beside)
        inner_resistance = wp.cw_div(resistance, beside)
        inner[bundle] = inner_resistance
        conductance[bundle] = wp.cw_div(connected, inner_resistance + connection)

    @wp.func
    def heat_within(
        released: vector,
        current: vector,
        volts: vector,
        internal_short: vector,
        branch_current: vector,
        connection: vector,
    ):
        return (
            released
            - wp.cw_mul(current, volts)
            + wp.cw_mul(wp.cw_mul(volts, volts), internal_short)
            + wp.cw_mul(wp.cw_mul(branch_current, branch_current), connection)
        )

    return BranchLaws(exhausted=exhausted, draw_tangent=draw_tangent, heat_within=heat_within)
