"""Show a run of the library to the risk model as the twin would see it, and keep what it said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, Kind, Level, PackSpec, PackState, Reading

from .abuse_constants import AbuseConstants
from .heat_evidence import HeatEvidence
from .library_cases import library_pack
from .library_runs import LibraryRun
from .risk_model import Recalibration, RiskModel
from .risk_priors import RiskPriors
from .rollout_campaign import HORIZONS

__all__ = ["ReplayedRun", "replay_run"]

ASK_EVERY = 120.0  # between two predictions [s]
REPLAYED = 5400.0  # of a run in which nothing runs away; what comes after still tells its outcome [s]
LOOK_EVERY = 20.0  # between two process images; the twin's are closer [s]
AFTER_ONSET = 900.0  # for which a run is followed after its first runaway [s]
# Of the library's sensors, as the reference pack declares them; and of an estimate of the state of charge.
TEMPERATURE_DOUBT, CURRENT_DOUBT, VOLTAGE_DOUBT, SOC_DOUBT = 0.1, 5e-3, 1e-3, 0.02
PACK_CURRENT_DOUBT, FLOW_DOUBT, COOLANT_DOUBT = 0.1, 1e-3, 0.2


@dataclass(frozen=True, kw_only=True, eq=False)
class ReplayedRun:
    """What the model said along a run.

    Attributes
    ----------
    name, family, kind : str
        Of the case.
    time : ndarray of shape (n_times,)
        Of the predictions [s].
    onset : ndarray of shape (n_cells,)
        When each cell ran away [s]; NaN where it did not.
    end : float
        Time until which it is known what happened [s].
    begins : float
        When the fault began [s]; NaN for none.
    probability, own : ndarray of shape (n_times, n_cells, 3)
        Risk of each cell, and the part that does not come from neighbours.
    short_probability : ndarray of shape (n_times, n_cells)
        Probability of an internal short.
    with_short, without_short : ndarray of shape (n_times, n_cells, 3)
        What a short would mean, and what happens without.
    temperature : ndarray of shape (n_times, n_cells)
        As measured [K].
    unexplained : ndarray of shape (n_times, n_cells)
        Heat that the balance does not explain [W].
    unexplained_score : ndarray of shape (n_times, n_cells)
        The same in its standard deviations.
    faulty : int
        Cell with the short; -1 for none.
    """

    name: str
    family: str
    kind: str
    time: Array
    onset: Array
    end: float
    begins: float
    probability: Array
    own: Array
    short_probability: Array
    with_short: Array
    without_short: Array
    temperature: Array
    unexplained: Array
    unexplained_score: Array
    faulty: int

    def labels(self, column: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return whether each cell runs away within a horizon of each prediction, and where that is known.

        Cells that have run away already are left out.
        """
        horizon = HORIZONS[column]
        at = self.time[:, np.newaxis]
        gone = self.onset[np.newaxis] <= at
        with np.errstate(invalid="ignore"):
            goes = (self.onset[np.newaxis] > at) & (self.onset[np.newaxis] <= at + horizon)
        known = ~gone & (goes | (at + horizon <= self.end))
        return goes, known


def replay_run(
    run: LibraryRun,
    spec: PackSpec,
    constants: AbuseConstants,
    surrogate: Callable[[Array], Array],
    priors: RiskPriors,
    recalibration: Recalibration | None = None,
    *,
    ask_every: float = ASK_EVERY,
) -> ReplayedRun:
    """Measure a run with the sensors' noise and ask the model along it.

    The state of charge is the true one with an error that is drawn once a group; currents are those through the
    cells, as the simulated plant sends them.

    Parameters
    ----------
    run : LibraryRun
        The run.
    spec : PackSpec
        The pack whose cells the library uses.
    constants, surrogate, priors, recalibration
        Parts of the model.
    ask_every : float
        Time between two predictions [s].
    """
    case = run.case
    pack = library_pack(spec, case)
    source = HeatEvidence(pack, constants)
    model = RiskModel(surrogate, recalibration or Recalibration(), priors)
    random = np.random.default_rng((case.seed, 7))
    soc_error = np.repeat(SOC_DOUBT * random.standard_normal(pack.n_groups), pack.parallel)
    quantity, wrong, since, offset = case.sensor
    last = np.nanmin(run.onset) + AFTER_ONSET if np.isfinite(run.onset).any() else REPLAYED
    kept: dict[str, list[Array]] = {name: [] for name in _KEPT}
    times: list[float] = []
    asked = looked = -np.inf
    for step, now in enumerate(run.time):
        if now > last:
            break
        if now - looked < LOOK_EVERY - 1e-6:
            continue
        looked = now
        cells = run.cell_temperature[step] + TEMPERATURE_DOUBT * random.standard_normal(pack.n_cells)
        current = run.cell_current[step] + CURRENT_DOUBT * random.standard_normal(pack.n_cells)
        if quantity and now >= since:
            target = cells if quantity == "temperature" else current
            target[wrong] += offset
        mean = run.cell_current[step].reshape(pack.n_groups, -1).sum(axis=1)
        # Through the pack flows what the groups without a leak give, and they are most of them.
        flows = float(mean[np.argmin(np.abs(mean - np.median(mean)))]) + PACK_CURRENT_DOUBT * random.standard_normal()
        state = _image(step, float(now), run, pack, cells, current, flows, soc_error, random)
        source.observe(state)
        if now - asked < ask_every - 1e-6:
            continue
        asked = now
        evidence = source.newest
        if evidence is None or evidence.time != now:
            continue
        risk = model.assess(evidence, source, pack.parallel, pack.n_modules)
        times.append(float(now))
        with np.errstate(invalid="ignore"):
            score = np.nan_to_num(evidence.unexplained / evidence.unexplained_doubt)
        for name, values in (
            ("probability", risk.probability),
            ("own", risk.own),
            ("short_probability", risk.short_probability),
            ("with_short", risk.with_short),
            ("without_short", risk.without_short),
            ("temperature", evidence.temperature),
            ("unexplained", np.nan_to_num(evidence.unexplained)),
            ("unexplained_score", score),
        ):
            kept[name].append(values)
    return ReplayedRun(
        name=case.name,
        family=case.family,
        kind=case.kind,
        time=np.array(times),
        onset=run.onset,
        end=run.end,
        begins=case.begins,
        faulty=case.faulty,
        **{name: np.stack(values) for name, values in kept.items()},
    )


_KEPT = (
    "probability",
    "own",
    "short_probability",
    "with_short",
    "without_short",
    "temperature",
    "unexplained",
    "unexplained_score",
)


def _image(
    step: int,
    now: float,
    run: LibraryRun,
    pack: PackSpec,
    temperature: Array,
    current: Array,
    flows: float,
    soc_error: Array,
    random: np.random.Generator,
) -> PackState:
    voltage = run.group_voltage[step] + VOLTAGE_DOUBT * random.standard_normal(pack.n_groups)
    flow = np.maximum(run.coolant_flow[step] + FLOW_DOUBT * random.standard_normal(pack.n_modules), 0.0)
    leaving = run.coolant_temperature[step] + COOLANT_DOUBT * random.standard_normal(pack.n_modules)
    soc = np.clip(run.cell_soc[step] + soc_error, 0.0, 1.0)

    def measured(quantity: str, level: Level, values: Array, doubt: float) -> Reading:
        return Reading.at(
            Kind.MEASURED, quantity, level, values, now, standard_uncertainty=doubt, provenance="scenario library"
        )

    return PackState(time=now, step=step).updated(
        measured("temperature", Level.CELL, temperature, TEMPERATURE_DOUBT),
        measured("current", Level.CELL, current, CURRENT_DOUBT),
        measured("current", Level.PACK, np.array([flows]), PACK_CURRENT_DOUBT),
        measured("voltage", Level.GROUP, voltage, VOLTAGE_DOUBT),
        measured("coolant_flow", Level.MODULE, flow, FLOW_DOUBT),
        measured("coolant_temperature", Level.MODULE, leaving, COOLANT_DOUBT),
        Reading.at(
            Kind.ESTIMATED, "soc", Level.CELL, soc, now, standard_uncertainty=SOC_DOUBT, provenance="scenario library"
        ),
    )
