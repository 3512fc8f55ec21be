"""One step of ageing for all cells: film growth, plating, loss of active material, and what they cost the cell.

The step runs before the cell's own: it reads the state at the beginning of the step, and leaves the current that side
reactions draw during it. Where the negative particles then lose ``current + side_current``, with the active material
that the step left, every ion that leaves them is found again in the rows of the ageing state.
"""

# Warp reads the annotations of kernels as values: no postponed annotations here. Laws that stand in for each other
# take the same arguments, whether they need them or not.
# mypy: ignore-errors
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from celltwin.core import FARADAY, GAS_CONSTANT, SECONDS_PER_HOUR

from .ageing import AgeingModel
from .ageing_shared import make_ageing_structure
from .lanes import Lanes

__all__ = ["AGEING_ROWS", "AgeingKernels", "make_ageing_kernels"]

# Rows of the arrays ``ageing_before`` and ``ageing``.
AGEING_ROWS = (
    "sei_thickness",  # [m]
    "plated_lithium",  # that can be stripped [A.h]
    "dead_lithium",  # that cannot [A.h]
    "active_negative",  # active material over that of the new cell [-]
    "active_positive",
    "lost_lithium",  # in active material that was lost, of both electrodes [A.h]
)


@dataclass(frozen=True, eq=False)
class AgeingKernels:
    """The kernel of ageing."""

    step: Any


def make_ageing_kernels(lanes: Lanes, model: AgeingModel, *, negative_nodes: int) -> AgeingKernels:
    """Return the kernel of an ageing model's mechanisms.

    Parameters
    ----------
    lanes : Lanes
        Vector type and its functions.
    model : AgeingModel
        Its kinds choose the code; its numbers come with :func:`share_ageing`.
    negative_nodes : int
        Finite volumes of the electrolyte in the negative electrode, the first rows of ``salt``.
    """
    losses = (model.loss_negative, model.loss_positive)
    return _make_kernels(
        lanes,
        sei=model.sei.kind,
        plating=model.plating.kind,
        square=all(loss.stress_exponent == 2.0 for loss in losses),
        warm_loss=any(loss.stress_activation_energy or loss.current_activation_energy for loss in losses),
        warm_plating=model.plating.activation_energy != 0.0,
        negative_nodes=negative_nodes,
    )


@lru_cache(maxsize=16)
def _make_kernels(
    lanes: Lanes, *, sei: str, plating: str, square: bool, warm_loss: bool, warm_plating: bool, negative_nodes: int
) -> AgeingKernels:
    import warp as wp

    real, vector, exp, log, clip = lanes.real, lanes.vector, lanes.exp, lanes.log, lanes.clip
    shared_type = make_ageing_structure()
    zero, half, one, hour = real(0.0), real(0.5), real(1.0), real(SECONDS_PER_HOUR)
    inverse_thermal = real(FARADAY / GAS_CONSTANT)
    far = real(40.0)  # what lanes.exp can take
    node_share = real(1.0 / negative_nodes)
    # gradients need the sums of loops after them, which only unrolled loops keep
    module_options = {**lanes.module_options, "max_unroll": max(16, negative_nodes)}
    least_active = real(0.01)  # below it a cell is long dead

    @wp.func
    def bounded(x: vector):
        return exp(clip(x, -far, far))

    @wp.func
    def uneven(spread: vector, transfer: real):
        # mean of exp(-alpha f w) over the electrode, over that of the mean w
        return vector(one) + spread * (transfer * transfer)

    # --- film: current density = numerator / (resting + moving * thickness)

    @wp.func
    def sei_none(
        shared: shared_type, w: vector, film: vector, f: vector, warm: vector, spread: vector, thickness: vector
    ):
        return vector(zero), vector(one), vector(zero)

    @wp.func
    def sei_reaction(
        shared: shared_type, w: vector, film: vector, f: vector, warm: vector, spread: vector, thickness: vector
    ):
        eta = w - vector(shared.sei_potential)
        rate = bounded(warm - wp.cw_mul(f, eta) * shared.sei_transfer)
        return wp.cw_mul(rate, uneven(spread, shared.sei_transfer)) * shared.sei_rate, vector(one), vector(zero)

    @wp.func
    def sei_solvent(
        shared: shared_type, w: vector, film: vector, f: vector, warm: vector, spread: vector, thickness: vector
    ):
        return bounded(warm) * shared.sei_rate, vector(zero), vector(one)

    @wp.func
    def sei_interstitial(
        shared: shared_type, w: vector, film: vector, f: vector, warm: vector, spread: vector, thickness: vector
    ):
        rate = bounded(warm - wp.cw_mul(f, w + film))
        return wp.cw_mul(rate, uneven(spread, one)) * shared.sei_rate, vector(zero), vector(one)

    @wp.func
    def sei_migration(
        shared: shared_type, w: vector, film: vector, f: vector, warm: vector, spread: vector, thickness: vector
    ):
        drive = wp.max(vector(shared.sei_potential) - w - film, vector(zero))
        return wp.cw_mul(bounded(warm), drive) * shared.sei_rate, vector(zero), vector(one)

    @wp.func
    def sei_carbonate(
        shared: shared_type, w: vector, film: vector, f: vector, warm: vector, spread: vector, thickness: vector
    ):
        eta = w - vector(shared.sei_potential)
        speed = bounded(wp.cw_mul(f, eta) * (-shared.sei_transfer))
        drag = wp.cw_mul(speed, thickness) * shared.sei_drag
        whole = vector(one) + drag
        bent = wp.cw_div(spread, wp.cw_mul(whole, whole)) * (shared.sei_transfer * shared.sei_transfer)
        rate = wp.cw_mul(wp.cw_mul(bounded(warm), speed), vector(one) + wp.cw_mul(bent, vector(one) - drag))
        return rate * shared.sei_rate, vector(one), speed * shared.sei_drag

    film_law = {
        "none": sei_none,
        "reaction limited": sei_reaction,
        "solvent-diffusion limited": sei_solvent,
        "interstitial-diffusion limited": sei_interstitial,
        "electron-migration limited": sei_migration,
        "ec reaction limited": sei_carbonate,
    }[sei]

    # --- plating: current into plated lithium [A], and the rates at which it is stripped and dies [1/s]

    @wp.func
    def cold_rates(shared: shared_type, inverse: vector):
        return vector(one)

    @wp.func
    def arrhenius_rates(shared: shared_type, inverse: vector):
        return bounded((vector(shared.inverse_reference) - inverse) * shared.plating_energy)

    plating_factor = arrhenius_rates if warm_plating else cold_rates

    @wp.func
    def plate(shared: shared_type, w: vector, f: vector, salt: vector, tilt: vector, spread: vector, inverse: vector):
        # plating is strongest where there is most salt
        drive = bounded(wp.cw_mul(w, f) * (-shared.plating_transfer))
        reach = wp.cw_mul(salt, uneven(spread, shared.plating_transfer)) + tilt * shared.plating_transfer
        return wp.cw_mul(wp.cw_mul(drive, reach), plating_factor(shared, inverse)) * shared.plating_current

    @wp.func
    def strip(shared: shared_type, w: vector, f: vector, spread: vector, active: vector, inverse: vector):
        transfer = one - shared.plating_transfer
        drive = wp.cw_mul(bounded(wp.cw_mul(w, f) * transfer), uneven(spread, transfer))
        return wp.cw_mul(wp.cw_mul(drive, active), plating_factor(shared, inverse)) * shared.stripping

    @wp.func
    def no_plating(
        shared: shared_type,
        w: vector,
        f: vector,
        salt: vector,
        tilt: vector,
        spread: vector,
        inverse: vector,
        active: vector,
        thickness: vector,
    ):
        return vector(zero), vector(zero), vector(zero)

    @wp.func
    def reversible(
        shared: shared_type,
        w: vector,
        f: vector,
        salt: vector,
        tilt: vector,
        spread: vector,
        inverse: vector,
        active: vector,
        thickness: vector,
    ):
        return (
            plate(shared, w, f, salt, tilt, spread, inverse),
            strip(shared, w, f, spread, active, inverse),
            vector(zero),
        )

    @wp.func
    def partly_reversible(
        shared: shared_type,
        w: vector,
        f: vector,
        salt: vector,
        tilt: vector,
        spread: vector,
        inverse: vector,
        active: vector,
        thickness: vector,
    ):
        decay = vector(shared.decay_rate) + wp.cw_div(vector(shared.decay_speed), thickness)
        return (
            plate(shared, w, f, salt, tilt, spread, inverse),
            strip(shared, w, f, spread, active, inverse),
            decay,
        )

    @wp.func
    def irreversible(
        shared: shared_type,
        w: vector,
        f: vector,
        salt: vector,
        tilt: vector,
        spread: vector,
        inverse: vector,
        active: vector,
        thickness: vector,
    ):
        return plate(shared, w, f, salt, tilt, spread, inverse), vector(zero), vector(zero)

    plating_law = {
        "none": no_plating,
        "reversible": reversible,
        "partially reversible": partly_reversible,
        "irreversible": irreversible,
    }[plating]
    all_dies = real(1.0 if plating == "irreversible" else 0.0)

    # --- loss of active material: rate over that of the new cell [1/s]

    @wp.func
    def squared(x: vector, exponent: real):
        return wp.cw_mul(x, x)

    @wp.func
    def powered(x: vector, exponent: real):
        return bounded(log(wp.max(x, vector(real(1e-9)))) * exponent)

    power = squared if square else powered

    @wp.func
    def cold_factor(shared: shared_type, inverse: vector, energy: real):
        return vector(one)

    @wp.func
    def arrhenius_factor(shared: shared_type, inverse: vector, energy: real):
        return bounded((vector(shared.inverse_reference) - inverse) * energy)

    loss_factor = arrhenius_factor if warm_loss else cold_factor

    @wp.func
    def lose(
        shared: shared_type,
        strain: vector,  # mean less surface stoichiometry
        load: vector,  # magnitude of the current for capacity scale 1 [A]
        inverse: vector,
        stress: real,
        stress_rate: real,
        exponent: real,
        stress_energy: real,
        current_rate: real,
        current_energy: real,
    ):
        tension = power(wp.max(strain * stress, vector(zero)), exponent)
        return (
            wp.cw_mul(tension, loss_factor(shared, inverse, stress_energy)) * stress_rate
            + wp.cw_mul(load, loss_factor(shared, inverse, current_energy)) * current_rate
        )

    @wp.kernel(module="unique", module_options=module_options)
    def step(
        shared: shared_type,
        seconds: real,
        capacity_scale: wp.array(dtype=vector),
        temperature: wp.array(dtype=vector),
        current: wp.array(dtype=vector),
        potential_negative: wp.array(dtype=vector),
        surface_negative: wp.array(dtype=vector),
        surface_positive: wp.array(dtype=vector),
        mean_negative: wp.array(dtype=vector),
        mean_positive: wp.array(dtype=vector),
        salt: wp.array2d(dtype=vector),
        ageing_before: wp.array2d(dtype=vector),
        ageing: wp.array2d(dtype=vector),
        side_current: wp.array(dtype=vector),
        film_resistance: wp.array(dtype=vector),
        active_negative: wp.array(dtype=vector),
        active_positive: wp.array(dtype=vector),
    ):
        b = wp.tid()
        scale = capacity_scale[b]
        amperes = current[b]
        w = potential_negative[b]
        thickness = ageing_before[0, b]
        plated = ageing_before[1, b]
        active_n = ageing_before[3, b]
        active_p = ageing_before[4, b]
        inverse = wp.cw_div(vector(one), temperature[b])
        warm = (vector(shared.inverse_reference) - inverse) * shared.sei_energy
        f = inverse * inverse_thermal
        per_scale = wp.cw_div(vector(one), scale)
        area = wp.cw_mul(scale, active_n) * shared.surface  # [m^2]
        density = wp.cw_div(amperes, area)
        film = wp.cw_mul(density, thickness) * shared.sei_resistivity  # [V]

        # salt and local potential vary together through the electrode, both as the ionic current makes them
        salt_here = vector()
        for k in range(negative_nodes):
            salt_here += salt[k, b] * node_share
        variance = vector()
        for k in range(negative_nodes):
            gap = salt[k, b] - salt_here
            variance += wp.cw_mul(gap, gap) * node_share
        steepness = f * shared.salt_drop + wp.cw_div(vector(shared.salt_factor), salt_here)
        tilt = wp.cw_mul(steepness, variance)
        spread = wp.cw_mul(tilt, steepness) * half

        # midway through the step: second order, and stable for any step
        numerator, resting, moving = film_law(shared, w, film, f, warm, spread, thickness)
        first = wp.cw_div(numerator, resting + wp.cw_mul(moving, thickness))
        midway = thickness + first * (half * seconds * shared.sei_growth)
        sei_density = wp.cw_div(numerator, resting + wp.cw_mul(moving, midway))

        plating_density, strip_rate, decay = plating_law(
            shared, w, f, salt_here, tilt, spread, inverse, active_n, thickness
        )
        plating_amperes = wp.cw_mul(plating_density, area)
        # backward Euler: what is stripped and what dies is of the lithium that is left
        charge = plating_amperes * (seconds / hour)
        source = plated + charge * (one - all_dies)
        left = wp.cw_div(source, vector(one) + (strip_rate + decay) * seconds)
        died = wp.cw_mul(decay, left) * seconds + charge * all_dies
        stripped = wp.cw_mul(strip_rate, left) * seconds
        side_current[b] = wp.cw_mul(sei_density, area) + plating_amperes - stripped * (hour / seconds)

        load = wp.cw_mul(wp.max(amperes, -amperes), per_scale)
        rate_n = (
            lose(
                shared,
                mean_negative[b] - surface_negative[b],
                load,
                inverse,
                shared.stress_negative,
                shared.stress_rate_negative,
                shared.exponent_negative,
                shared.stress_energy_negative,
                shared.current_rate_negative,
                shared.current_energy_negative,
            )
            + wp.cw_mul(sei_density, active_n) * shared.reaction_rate
        )
        rate_p = lose(
            shared,
            mean_positive[b] - surface_positive[b],
            load,
            inverse,
            shared.stress_positive,
            shared.stress_rate_positive,
            shared.exponent_positive,
            shared.stress_energy_positive,
            shared.current_rate_positive,
            shared.current_energy_positive,
        )
        active_n_after = wp.max(active_n - rate_n * seconds, vector(least_active))
        active_p_after = wp.max(active_p - rate_p * seconds, vector(least_active))
        lost = (
            wp.cw_mul(mean_negative[b], active_n - active_n_after) * shared.host_negative
            + wp.cw_mul(mean_positive[b], active_p - active_p_after) * shared.host_positive
        )
        # the film stays, on the surface that is left
        grown = thickness + sei_density * (seconds * shared.sei_growth)
        thickness_after = wp.cw_div(wp.cw_mul(grown, active_n), active_n_after)
        dead_after = ageing_before[2, b] + died

        ageing[0, b] = thickness_after
        ageing[1, b] = left
        ageing[2, b] = dead_after
        ageing[3, b] = active_n_after
        ageing[4, b] = active_p_after
        ageing[5, b] = ageing_before[5, b] + wp.cw_mul(lost, scale)
        active_negative[b] = active_n_after
        active_positive[b] = active_p_after
        film_after = wp.cw_mul(thickness_after, per_scale) * (shared.sei_resistivity / shared.surface)
        consumed = (
            wp.cw_mul(thickness_after, active_n_after) * shared.sei_charge
            + wp.cw_mul(left + dead_after, per_scale)
            - vector(shared.initial_charge)
        )
        film_resistance[b] = wp.cw_div(film_after, active_n_after) + (
            wp.cw_mul(consumed, per_scale) * shared.contact_growth
        )

    return AgeingKernels(step=step)
