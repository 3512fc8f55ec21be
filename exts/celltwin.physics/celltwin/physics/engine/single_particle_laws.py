"""Laws of the single-particle model with electrolyte, as Warp functions: voltage at a current, sums of the salt."""

# Warp reads the annotations of kernels as values: no postponed annotations here.
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from celltwin.core import FARADAY, GAS_CONSTANT

from .cell_laws import LAST_LITHIUM, CellLaws, make_cell_structure
from .lanes import Lanes

__all__ = ["LINEAR_ROWS", "SingleParticleLaws", "make_single_particle_laws"]

# Rows of the array ``linear``: what the voltage of a cell needs once its profiles have been eliminated.
LINEAR_ROWS = (
    "surface_negative",  # stoichiometry without current [-]
    "surface_negative_slope",  # and for each ampere [1/A]
    "surface_positive",
    "surface_positive_slope",
    "salt_negative",  # mean concentration over c_e,0, without current [-]
    "salt_negative_slope",
    "salt_positive",
    "salt_positive_slope",
    "salt_voltage",  # chi R T / F [V]
    "salt_shape",  # difference of mean logarithm and logarithm of the mean, positive less negative [-]
    "rate_negative",  # exchange current over g(s) sqrt(s (1 - s)) [A/m^2]
    "rate_positive",
    "flux_negative",  # interfacial current density for each ampere [1/m^2]
    "flux_positive",
    "resistance",  # all that is ohmic within the cell [ohm]
    "salt_end",  # concentration at the positive current collector over c_e,0, without current [-]
    "salt_end_slope",
)
_LAST_SALT = 0.005  # over c_e,0: the last of it takes the voltage of an exhausted cell away [-]


@dataclass(frozen=True, eq=False)
class SingleParticleLaws:
    """Warp functions of a cell whose electrodes are one particle each.

    Attributes
    ----------
    voltage_tangent : function
        Voltage at a current, and its derivative with the current.
    mean_salt : function
        Mean concentration over some of the electrolyte's finite volumes.
    weighted_salt : function
        Mean concentration over the cell at a current.
    salt_shape : function
        Mean logarithm of the concentration less the logarithm of its mean, at a current.
    """

    voltage_tangent: Any
    mean_salt: Any
    weighted_salt: Any
    salt_shape: Any


@lru_cache(maxsize=16)
def make_single_particle_laws(lanes: Lanes, laws: CellLaws, *, n_salt: int) -> SingleParticleLaws:
    """Return the laws of the single-particle model.

    Parameters
    ----------
    lanes : Lanes
        Vector type and its functions.
    laws : CellLaws
        Laws of the cell type.
    n_salt : int
        Finite volumes of the electrolyte in the whole cell.
    """
    import warp as wp

    real, vector, sqrt = lanes.real, lanes.vector, lanes.sqrt
    shared_type = make_cell_structure()
    one, half = real(1.0), real(0.5)
    thermal_voltage = real(GAS_CONSTANT / FARADAY)
    inverse_lithium, inverse_salt = real(1.0 / LAST_LITHIUM), real(1.0 / _LAST_SALT)
    potential, inverse_sinh, log_ratio = laws.potential, laws.inverse_sinh, laws.log_ratio
    exchange_n, exchange_p = laws.exchange_negative, laws.exchange_positive
    exhausted = laws.exhausted

    @wp.func
    def voltage_tangent(
        shared: shared_type,
        linear: wp.array2d(dtype=vector),
        bundle: int,
        temperature: vector,
        side_current: vector,
        current: vector,
    ):
        # voltage of the cell at a current, and its derivative with the current
        warming = temperature - vector(shared.reference_temperature)
        thermal = temperature * (real(2.0) * thermal_voltage)
        s_n = linear[0, bundle] + wp.cw_mul(linear[1, bundle], current)
        s_p = linear[2, bundle] + wp.cw_mul(linear[3, bundle], current)
        u_n, du_n, entropy_n = potential(shared.potential_negative, s_n, warming)
        u_p, du_p, entropy_p = potential(shared.potential_positive, s_p, warming)
        j0_n, dj0_n = exchange_n(shared.exchange_negative, s_n)
        j0_p, dj0_p = exchange_p(shared.exchange_positive, s_p)
        x_n = wp.cw_div(
            wp.cw_mul(current + side_current, linear[12, bundle]), wp.cw_mul(j0_n, linear[10, bundle]) * real(2.0)
        )
        x_p = wp.cw_div(wp.cw_mul(current, linear[13, bundle]), wp.cw_mul(j0_p, linear[11, bundle]) * real(2.0))
        eta_n = wp.cw_mul(thermal, inverse_sinh(shared.inverse_sinh, x_n))
        eta_p = wp.cw_mul(thermal, inverse_sinh(shared.inverse_sinh, x_p))
        steep_n = wp.cw_div(thermal, sqrt(wp.cw_mul(x_n, x_n) + vector(one)))
        steep_p = wp.cw_div(thermal, sqrt(wp.cw_mul(x_p, x_p) + vector(one)))
        dx_n = wp.cw_div(linear[12, bundle], wp.cw_mul(j0_n, linear[10, bundle]) * real(2.0)) - wp.cw_mul(
            wp.cw_mul(x_n, dj0_n), linear[1, bundle]
        )
        dx_p = wp.cw_div(linear[13, bundle], wp.cw_mul(j0_p, linear[11, bundle]) * real(2.0)) - wp.cw_mul(
            wp.cw_mul(x_p, dj0_p), linear[3, bundle]
        )
        salt_n = wp.max(linear[4, bundle] + wp.cw_mul(linear[5, bundle], current), vector(real(1e-3)))
        salt_p = wp.max(linear[6, bundle] + wp.cw_mul(linear[7, bundle], current), vector(real(1e-3)))
        eta_c = wp.cw_mul(linear[8, bundle], log_ratio(wp.cw_div(salt_p, salt_n)) + linear[9, bundle])
        deta_c = wp.cw_mul(
            linear[8, bundle], wp.cw_div(linear[7, bundle], salt_p) - wp.cw_div(linear[5, bundle], salt_n)
        )
        voltage = u_p - u_n - eta_p - eta_n + eta_c - wp.cw_mul(current, linear[14, bundle])
        slope = (
            wp.cw_mul(du_p, linear[3, bundle])
            - wp.cw_mul(du_n, linear[1, bundle])
            - wp.cw_mul(steep_p, dx_p)
            - wp.cw_mul(steep_n, dx_n)
            + deta_c
            - linear[14, bundle]
        )
        salt_end = linear[15, bundle] + wp.cw_mul(linear[16, bundle], current)
        loss_n, steep_loss_n = exhausted(s_n, inverse_lithium)
        loss_p, steep_loss_p = exhausted(vector(one) - s_p, inverse_lithium)
        loss_c, steep_loss_c = exhausted(salt_end, inverse_salt)
        voltage = voltage - (loss_n + loss_p + loss_c)
        slope = slope + (
            wp.cw_mul(steep_loss_n, linear[1, bundle])
            - wp.cw_mul(steep_loss_p, linear[3, bundle])
            + wp.cw_mul(steep_loss_c, linear[16, bundle])
        )
        return voltage, slope

    # Sums over loops that later arithmetic needs are functions: the way back recalls functions, but no loops.

    @wp.func
    def mean_salt(values: wp.array2d(dtype=vector), b: int, start: int, count: int, share: real):
        total = vector()
        for k in range(count):
            total += values[start + k, b] * share
        return total

    @wp.func
    def weighted_salt(
        shared: shared_type,
        still: wp.array2d(dtype=vector),
        slope: wp.array2d(dtype=vector),
        b: int,
        current: vector,
    ):
        total = vector()
        for k in range(n_salt):
            total += (still[k, b] + wp.cw_mul(slope[k, b], current)) * shared.salt_weight[k]
        return total

    @wp.func
    def salt_shape(
        still: wp.array2d(dtype=vector),
        slope: wp.array2d(dtype=vector),
        b: int,
        start: int,
        count: int,
        share: real,
        current: vector,
        inverse_mean: vector,
    ):
        # mean ln(c) - ln(mean c) = -m2/2 + m3/3 - m4/4, of moments about the mean
        shape = vector()
        for k in range(count):
            place = start + k
            x = wp.cw_mul(still[place, b] + wp.cw_mul(slope[place, b], current), inverse_mean) - vector(one)
            x2 = wp.cw_mul(x, x)
            shape += wp.cw_mul(x2, (x - x2 * real(0.75)) * real(1.0 / 3.0) - vector(half)) * share
        return shape

    return SingleParticleLaws(
        voltage_tangent=voltage_tangent,
        mean_salt=mean_salt,
        weighted_salt=weighted_salt,
        salt_shape=salt_shape,
    )
