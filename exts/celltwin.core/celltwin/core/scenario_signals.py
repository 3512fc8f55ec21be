"""Power over time of drive cycles, frequency regulation and solar shifting."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .arrays import Array, freeze
from .scenario_steps import DriveCycleStep, RegulationStep, SolarStep, VehicleSpec

__all__ = ["clear_sky_irradiance", "cloud_transmission", "cycle_values", "regulation_signal", "vehicle_power"]

GRAVITY = 9.80665  # [m/s^2]
SECONDS_PER_DAY = 86400.0
CLOUD_INTERVAL = 60.0  # between two states of the sky [s]
CLOUD_SMOOTHING = 3  # intervals over which a cloud's edge passes the array


def cycle_values(step: DriveCycleStep, elapsed: Array) -> Array:
    """Return the table of a drive cycle at times since the start of the step, again and again.

    Parameters
    ----------
    step : DriveCycleStep
        The step.
    elapsed : ndarray of shape (n,)
        Time since its start [s].

    Returns
    -------
    ndarray of shape (n,)
        Power of the vehicle [W] for a table of speed; else the column's value, scaled.
    """
    time, values = _table(step)
    place = np.mod(elapsed, time[-1])
    # The end of the last cycle is its end, not the start of one that is never driven.
    place = np.where((place == 0.0) & (elapsed > 0.0), time[-1], place)
    found = np.interp(place, time, values)
    if step.quantity != "speed":
        return np.asarray(step.scale * found)
    row = np.clip(np.searchsorted(time, place, side="right") - 1, 0, time.size - 2)
    acceleration = (values[row + 1] - values[row]) / (time[row + 1] - time[row])
    return np.asarray(step.scale * vehicle_power(step.vehicle, found, acceleration))


@lru_cache(maxsize=8)
def _table(step: DriveCycleStep) -> tuple[Array, Array]:
    return freeze(np.array(step.time)), freeze(np.array(step.values))


def vehicle_power(vehicle: VehicleSpec, speed: Array, acceleration: Array) -> Array:
    """Return the power that a vehicle takes from its battery [W], negative where it brakes into it.

    Parameters
    ----------
    vehicle : VehicleSpec
        The vehicle; its equation stands there.
    speed, acceleration : ndarray of shape (n,)
        [m/s] and [m/s^2].
    """
    force = (
        (1.0 + vehicle.rotating_share) * vehicle.mass * acceleration
        + 0.5 * vehicle.air_density * vehicle.drag_area * speed**2
        + vehicle.rolling_resistance * vehicle.mass * GRAVITY
    )
    wheel = force * speed
    drive = np.where(wheel >= 0.0, wheel / vehicle.efficiency, vehicle.regeneration * vehicle.efficiency * wheel)
    return np.asarray(drive + vehicle.auxiliary_power)


@lru_cache(maxsize=8)
def regulation_signal(step: RegulationStep, seed: int, number: int) -> Array:
    """Return the signal of a frequency regulation step, one value each ``step.interval``.

    Parameters
    ----------
    step : RegulationStep
        The step.
    seed : int
        Of the scenario.
    number : int
        Place of the step in the profile: no two steps have the same signal.

    Returns
    -------
    ndarray of shape (n,)
        Between -1 and 1, positive where the grid wants power.
    """
    count = int(np.ceil(step.duration / step.interval)) + 1
    random = np.random.default_rng([seed, 1, number])
    draws = random.standard_normal((count, 2))
    keep = np.exp(-step.interval / np.array([step.slow, step.fast]))
    new = np.sqrt(1.0 - keep**2)
    part = draws[0]
    signal = np.empty(count)
    for index in range(count):
        if index:
            part = keep * part + new * draws[index]
        signal[index] = part[0] + part[1]
    return freeze(np.clip(step.deviation / np.sqrt(2.0) * signal, -1.0, 1.0))


def clear_sky_irradiance(time_of_day: Array, latitude: float, day_of_year: float) -> Array:
    """Return the irradiance of a horizontal plane under a clear sky [W/m^2], by Haurwitz.

    Parameters
    ----------
    time_of_day : ndarray of shape (n,)
        Solar time since midnight [s].
    latitude : float
        [degrees], north positive.
    day_of_year : float
        1 to 366.
    """
    declination = np.deg2rad(23.45) * np.sin(2.0 * np.pi * (284.0 + day_of_year) / 365.0)
    hour = 2.0 * np.pi * (time_of_day / SECONDS_PER_DAY - 0.5)
    place = np.deg2rad(latitude)
    cosine = np.sin(place) * np.sin(declination) + np.cos(place) * np.cos(declination) * np.cos(hour)
    up = np.maximum(cosine, 1e-6)
    return np.where(cosine > 0.0, 1098.0 * up * np.exp(-0.057 / up), 0.0)


@lru_cache(maxsize=8)
def cloud_transmission(step: SolarStep, seed: int, number: int) -> Array:
    """Return the share of the clear sky's irradiance that clouds let through, one value a minute.

    Parameters
    ----------
    step : SolarStep
        The step.
    seed : int
        Of the scenario.
    number : int
        Place of the step in the profile.

    Returns
    -------
    ndarray of shape (n,)
        Between ``step.cloud_transmission`` and 1.
    """
    count = int(np.ceil(step.duration / CLOUD_INTERVAL)) + 2
    random = np.random.default_rng([seed, 2, number])
    draws = random.random(count)
    leave = min(CLOUD_INTERVAL / step.cloud_duration, 1.0)
    come = min(leave * step.cloudy_share / (1.0 - step.cloudy_share), 1.0)
    cloudy = np.empty(count)
    state = draws[0] < step.cloudy_share
    for index in range(count):
        if index:
            state = draws[index] >= leave if state else draws[index] < come
        cloudy[index] = state
    window = np.full(CLOUD_SMOOTHING, 1.0 / CLOUD_SMOOTHING)
    smooth = np.convolve(np.pad(cloudy, CLOUD_SMOOTHING // 2, mode="edge"), window, mode="valid")
    return freeze(1.0 - (1.0 - step.cloud_transmission) * smooth)
