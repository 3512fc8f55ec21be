"""Laws of one cell as Warp functions: properties of temperature and concentration, potentials, kinetics.

Where a law is simpler for a cell type, such as a diffusivity that depends on nothing, a shorter function stands in.
"""

# Warp reads the annotations of kernels as values: no postponed annotations here.
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .branch_laws import make_branch_laws
from .lanes import Lanes

__all__ = [
    "LAST_LITHIUM",
    "CellLawChoices",
    "CellLaws",
    "make_cell_laws",
    "make_cell_structure",
]

LAST_LITHIUM = 1e-3  # over it, and over the last room for it, an exhausted cell's voltage falls: stoichiometry [-]


@dataclass(frozen=True, kw_only=True)
class CellLawChoices:
    """Which laws a cell type has; every choice has kernels of its own.

    Attributes
    ----------
    constant_diffusivity : tuple of bool
        Whether the diffusivity of the negative and of the positive particles depends on no stoichiometry.
    constant_transference : bool
        Whether the transference number depends on nothing.
    constant_exchange : tuple of bool
        Whether the exchange current of the negative and of the positive particles goes with sqrt(s (1 - s)) alone.
    square_root_kinetics : bool
        Whether the exchange currents go with the square root of the electrolyte's concentration.
    heat_of_mixing : bool
        Whether the heat of relaxing profiles in the particles counts.
    """

    constant_diffusivity: tuple[bool, bool] = (False, False)
    constant_transference: bool = False
    constant_exchange: tuple[bool, bool] = (False, False)
    square_root_kinetics: bool = False
    heat_of_mixing: bool = False


@dataclass(frozen=True, eq=False)
class CellLaws:
    """Warp functions of a cell's laws."""

    warmth: Any
    temperature_factor: Any
    coefficients: Any
    polynomial: Any
    property_at: Any
    potential: Any
    exchange: Any
    exchange_negative: Any
    exchange_positive: Any
    inverse_sinh: Any
    log_ratio: Any
    kinetic_power: Any
    diffusivity_negative: Any
    diffusivity_positive: Any
    transference: Any
    exhausted: Any
    released: Any
    chemical_power: Any
    draw_tangent: Any
    heat_within: Any


@lru_cache(maxsize=1)
def make_cell_structure() -> Any:
    """Return the Warp structure of what all cells share."""
    import warp as wp

    real = wp.float64

    @wp.struct
    class SharedCell:
        """Numbers and tables of the cell type."""

        potential_negative: wp.array2d(dtype=real)
        potential_positive: wp.array2d(dtype=real)
        diffusivity_negative: wp.array2d(dtype=real)  # its integral over stoichiometry; its value where constant
        diffusivity_positive: wp.array2d(dtype=real)
        exchange_negative: wp.array2d(dtype=real)
        exchange_positive: wp.array2d(dtype=real)
        electrolyte_diffusivity: wp.array2d(dtype=real)
        electrolyte_conductivity: wp.array2d(dtype=real)
        transference: wp.array2d(dtype=real)
        concentration_factor: wp.array2d(dtype=real)
        inverse_sinh: wp.array2d(dtype=real)  # of 32 u / (1 - u), over u in [0, 1)
        temperature_factors: wp.array2d(dtype=real)  # rows: diffusivity -, +, exchange current -, +, conductivity -, +
        outward: wp.array(dtype=real)  # conductance of a shell to the next over its volume [-]
        inward: wp.array(dtype=real)  # and to the one before
        volumes: wp.array(dtype=real)  # share of each shell in the particle [-]
        edge: real  # 3 / volume of the last shell [-]
        salt_capacity: wp.array(dtype=real)  # porosity times width of each node [m]
        salt_weight: wp.array(dtype=real)  # width of each node over that of the cell [-]
        salt_distance: wp.array(dtype=real)  # face: sum of distance over transport efficiency [m]
        salt_share: wp.array(dtype=real)  # face: ionic current over cell current [-]
        salt_source: wp.array(dtype=real)  # node: reaction current over cell current [-]
        surface_gap: real  # (1 - mean r^2 of the last shell) / 2 [-]
        inverse_time_negative: real  # 1 / R^2 [1/m^2]
        inverse_time_positive: real
        gradient_negative: real  # R / (F c_max) [m^2.m/C]: stoichiometry gradient for flux over diffusivity
        gradient_positive: real
        area: real  # electrode area [m^2]
        reaction_negative: real  # 1 / (a L) [-]
        reaction_positive: real
        path_ionic: real  # L_n/(3 tau_n) + L_s/tau_s + L_p/(3 tau_p) [m]
        path_negative: real  # L_n/(3 sigma_n) [ohm.m^2]
        path_positive: real
        contact_resistance: real
        exponent_negative: real
        exponent_positive: real
        salt_reference: real  # c_e,0 [mol/m^3]
        salt_lowest: real  # relative to it, of the polynomials' range
        salt_highest: real
        reference_temperature: real
        lowest_temperature: real
        highest_temperature: real
        empty_negative: real
        full_negative: real

    return SharedCell


@lru_cache(maxsize=16)
def make_cell_laws(lanes: Lanes, choices: CellLawChoices) -> CellLaws:
    """Return the laws of a cell type."""
    import warp as wp

    real, vector, width = lanes.real, lanes.vector, lanes.width
    exp, log, sqrt, clip = lanes.exp, lanes.log, lanes.sqrt, lanes.clip
    shared_type = make_cell_structure()
    zero, half, one = real(0.0), real(0.5), real(1.0)
    branch = make_branch_laws(lanes)

    @wp.func
    def warmth(shared: shared_type, temperature: vector):
        held = clip(temperature, shared.lowest_temperature, shared.highest_temperature)
        return vector(real(1000.0) / shared.reference_temperature) - wp.cw_div(vector(real(1000.0)), held)

    @wp.func
    def temperature_factor(table: wp.array2d(dtype=real), row: int, theta: vector):
        inner = theta * table[row, 2] + vector(table[row, 1])
        inner = wp.cw_mul(inner, theta) + vector(table[row, 0])
        return exp(wp.cw_mul(inner, theta))

    @wp.func
    def coefficient(table: wp.array2d(dtype=real), row: int, theta: vector):
        inner = theta * table[row, 3] + vector(table[row, 2])
        inner = wp.cw_mul(inner, theta) + vector(table[row, 1])
        return wp.cw_mul(inner, theta) + vector(table[row, 0])

    @wp.func
    def coefficients(table: wp.array2d(dtype=real), theta: vector):
        # of the powers of salt, at a temperature
        c0 = coefficient(table, 0, theta)
        c1 = coefficient(table, 1, theta)
        c2 = coefficient(table, 2, theta)
        c3 = coefficient(table, 3, theta)
        c4 = coefficient(table, 4, theta)
        c5 = coefficient(table, 5, theta)
        c6 = coefficient(table, 6, theta)
        c7 = coefficient(table, 7, theta)
        return c0, c1, c2, c3, c4, c5, c6, c7

    @wp.func
    def polynomial(
        c0: vector, c1: vector, c2: vector, c3: vector, c4: vector, c5: vector, c6: vector, c7: vector, x: vector
    ):
        y = wp.cw_mul(c7, x) + c6
        y = wp.cw_mul(y, x) + c5
        y = wp.cw_mul(y, x) + c4
        y = wp.cw_mul(y, x) + c3
        y = wp.cw_mul(y, x) + c2
        y = wp.cw_mul(y, x) + c1
        return wp.cw_mul(y, x) + c0

    @wp.func
    def property_at(table: wp.array2d(dtype=real), salt: vector, theta: vector):
        c0, c1, c2, c3, c4, c5, c6, c7 = coefficients(table, theta)
        return polynomial(c0, c1, c2, c3, c4, c5, c6, c7, salt - vector(one))

    @wp.func
    def potential(table: wp.array2d(dtype=real), stoichiometry: vector, warming: vector):
        # value, slope with stoichiometry, and derivative with temperature; straight on beyond [0, 1]
        value = vector()
        slope = vector()
        entropy = vector()
        count = table.shape[0]
        for lane in range(width):
            s = stoichiometry[lane]
            held = wp.clamp(s, real(1e-6), real(1.0 - 1e-6))
            place = held * real(count)
            k = wp.clamp(int(place), 0, count - 1)
            z = place - real(k)
            u = ((table[k, 3] * z + table[k, 2]) * z + table[k, 1]) * z + table[k, 0]
            du = real(count) * ((real(3.0) * table[k, 3] * z + real(2.0) * table[k, 2]) * z + table[k, 1])
            e = ((table[k, 7] * z + table[k, 6]) * z + table[k, 5]) * z + table[k, 4]
            de = real(count) * ((real(3.0) * table[k, 7] * z + real(2.0) * table[k, 6]) * z + table[k, 5])
            tangent = du + warming[lane] * de
            value[lane] = u + warming[lane] * e + tangent * (s - held)
            slope[lane] = tangent
            entropy[lane] = e
        return value, slope, entropy

    # exchange currents: g(s) sqrt(s (1 - s)), and the slope of the logarithm

    @wp.func
    def same_exchange(table: wp.array2d(dtype=real), stoichiometry: vector):
        s = clip(stoichiometry, real(1e-4), real(1.0 - 1e-4))
        spread = s - wp.cw_mul(s, s)
        return sqrt(spread) * table[0, 0], wp.cw_div(vector(half) - s, spread)

    @wp.func
    def local_exchange(table: wp.array2d(dtype=real), stoichiometry: vector):
        value = vector()
        slope = vector()
        count = table.shape[0]
        for lane in range(width):
            s = wp.clamp(stoichiometry[lane], real(1e-4), real(1.0 - 1e-4))
            place = s * real(count)
            k = wp.clamp(int(place), 0, count - 1)
            z = place - real(k)
            g = ((table[k, 3] * z + table[k, 2]) * z + table[k, 1]) * z + table[k, 0]
            dg = real(count) * ((real(3.0) * table[k, 3] * z + real(2.0) * table[k, 2]) * z + table[k, 1])
            spread = s * (one - s)
            value[lane] = g * wp.sqrt(spread)
            slope[lane] = dg / g + (one - real(2.0) * s) / (real(2.0) * spread)
        return value, slope

    exchange_n = same_exchange if choices.constant_exchange[0] else local_exchange
    exchange_p = same_exchange if choices.constant_exchange[1] else local_exchange

    @wp.func
    def inverse_sinh(table: wp.array2d(dtype=real), x: vector):
        # a table costs an eighth of a logarithm; beyond 2e4 the last interval is followed straight on
        out = vector()
        count = table.shape[0]
        size = wp.abs(x)
        places = wp.cw_div(size, size + vector(real(32.0))) * real(count)
        for lane in range(width):
            place = places[lane]
            k = wp.clamp(int(place), 0, count - 1)
            z = place - real(k)
            value = ((table[k, 3] * z + table[k, 2]) * z + table[k, 1]) * z + table[k, 0]
            out[lane] = wp.where(x[lane] < zero, -value, value)
        return out

    @wp.func
    def log_ratio(x: vector):
        # ln(x) = 4 artanh((y - 1) / (y + 1)) with y = sqrt(x): seven terms, better than 1e-6 between 1/20 and 20
        y = sqrt(x)
        z = wp.cw_div(y - vector(one), y + vector(one))
        z2 = wp.cw_mul(z, z)
        inner = z2 * real(1.0 / 13.0) + vector(real(1.0 / 11.0))
        inner = wp.cw_mul(inner, z2) + vector(real(1.0 / 9.0))
        inner = wp.cw_mul(inner, z2) + vector(real(1.0 / 7.0))
        inner = wp.cw_mul(inner, z2) + vector(real(1.0 / 5.0))
        inner = wp.cw_mul(inner, z2) + vector(real(1.0 / 3.0))
        inner = wp.cw_mul(inner, z2) + vector(one)
        return wp.cw_mul(inner, z) * real(4.0)

    @wp.func
    def square_root(x: vector, exponent: real):
        return sqrt(x)

    @wp.func
    def power(x: vector, exponent: real):
        return exp(log(x) * exponent)

    kinetic_power = square_root if choices.square_root_kinetics else power

    @wp.func
    def same_diffusivity(table: wp.array2d(dtype=real), factor: vector, here: vector, there: vector):
        return factor * table[0, 0]

    @wp.func
    def local_diffusivity(table: wp.array2d(dtype=real), factor: vector, here: vector, there: vector):
        # Mean between two stoichiometries: the rise of its integral, which the table holds, over their distance. Some
        # diffusivities change a hundredfold between two shells. Within an interval the quotient is a polynomial.
        out = vector()
        count = table.shape[0]
        low = clip(here, zero, one) * real(count)
        high = clip(there, zero, one) * real(count)
        for lane in range(width):
            k = wp.clamp(int(low[lane]), 0, count - 1)
            m = wp.clamp(int(high[lane]), 0, count - 1)
            x = low[lane] - real(k)
            y = high[lane] - real(k)
            z = high[lane] - real(m)
            before = ((table[k, 3] * x + table[k, 2]) * x + table[k, 1]) * x + table[k, 0]
            after = ((table[m, 3] * z + table[m, 2]) * z + table[m, 1]) * z + table[m, 0]
            within = table[k, 3] * (x * (x + y) + y * y) + table[k, 2] * (x + y) + table[k, 1]
            span = y - x
            apart = k != m and wp.abs(span) > real(1e-4)
            out[lane] = wp.where(apart, (after - before) / wp.where(apart, span, one), within)
        return wp.cw_mul(factor, out) * real(count)

    diffusivity_n = same_diffusivity if choices.constant_diffusivity[0] else local_diffusivity
    diffusivity_p = same_diffusivity if choices.constant_diffusivity[1] else local_diffusivity

    @wp.func
    def same_transference(shared: shared_type, salt: vector, theta: vector):
        return vector(shared.transference[0, 0])

    @wp.func
    def local_transference(shared: shared_type, salt: vector, theta: vector):
        return property_at(shared.transference, clip(salt, shared.salt_lowest, shared.salt_highest), theta)

    transference = same_transference if choices.constant_transference else local_transference

    @wp.func
    def released_never(table: wp.array2d(dtype=real), old: vector, new: vector, temperature: vector, warming: vector):
        return vector()

    @wp.func
    def released_enthalpy(
        table: wp.array2d(dtype=real), old: vector, new: vector, temperature: vector, warming: vector
    ):
        u, du, entropy = potential(table, (old + new) * half, warming)
        return wp.cw_mul(u - wp.cw_mul(temperature, entropy), new - old)

    released = released_enthalpy if choices.heat_of_mixing else released_never

    # what the reactions of both electrodes release

    @wp.func
    def power_at_surface(
        shared: shared_type,
        step: real,
        side: vector,
        at_surfaces: vector,
        resting_n: vector,
        released_n: vector,
        released_p: vector,
        flux_n: vector,
        flux_p: vector,
    ):
        return at_surfaces

    @wp.func
    def power_of_profiles(
        shared: shared_type,
        step: real,
        side: vector,
        at_surfaces: vector,
        resting_n: vector,
        released_n: vector,
        released_p: vector,
        flux_n: vector,
        flux_p: vector,
    ):
        charge_n = wp.cw_div(
            vector(one / (real(3.0) * shared.gradient_negative * shared.inverse_time_negative)), flux_n
        )
        charge_p = wp.cw_div(
            vector(one / (real(3.0) * shared.gradient_positive * shared.inverse_time_positive)), flux_p
        )
        profiles = wp.cw_mul(charge_n, released_n) + wp.cw_mul(charge_p, released_p)
        return profiles * (one / step) + wp.cw_mul(side, resting_n)

    chemical_power = power_of_profiles if choices.heat_of_mixing else power_at_surface

    return CellLaws(
        warmth=warmth,
        temperature_factor=temperature_factor,
        coefficients=coefficients,
        polynomial=polynomial,
        property_at=property_at,
        potential=potential,
        exchange=local_exchange,
        exchange_negative=exchange_n,
        exchange_positive=exchange_p,
        inverse_sinh=inverse_sinh,
        log_ratio=log_ratio,
        kinetic_power=kinetic_power,
        diffusivity_negative=diffusivity_n,
        diffusivity_positive=diffusivity_p,
        transference=transference,
        exhausted=branch.exhausted,
        released=released,
        chemical_power=chemical_power,
        draw_tangent=branch.draw_tangent,
        heat_within=branch.heat_within,
    )
