"""The scenario library of thermal runaway: what is drawn for each run, and why it is in the library."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from celltwin.core import PackSpec, Scenario, parse_scenario

__all__ = ["DURATION", "FAMILIES", "OUTSIDE", "LibraryCase", "draw_cases", "library_pack"]

DURATION = 9000.0  # of every run [s]
SERIES, PARALLEL, ROWS = 5, 7, 5  # of the library's packs: one module
OUTSIDE = "heat from outside"
# Share of each family in the library; suppositions, stated on the model card.
FAMILIES = {
    "healthy": 0.25,
    "confounder": 0.15,  # what looks like a fault of a cell and is none
    "short": 0.35,
    "short without coolant": 0.13,
    OUTSIDE: 0.12,
}
_HEALTHY = ("hot day", "fast charge at 45 degC", "cycle", "coolant lost", "rest")
_CONFOUNDERS = ("temperature sensor", "weak cell", "open weld", "current sensor")


@dataclass(frozen=True, kw_only=True)
class LibraryCase:
    """One run of the library.

    Attributes
    ----------
    name : str
        Unique name.
    family, kind : str
        One of ``FAMILIES``, and what happens in it.
    seed : int
        Of cells, sensors and noise.
    scenario : str
        The scenario, as TOML.
    gap_conductivity : float
        Of what fills the gaps between the cells [W/(m.K)].
    ambient_transfer : float
        From the module to the air around it [W/(m^2.K)].
    sensor : tuple of (str, int, float, float)
        Quantity, cell, time [s] and offset [SI] of a sensor that is wrong; ``("", 0, 0, 0)`` for none.
    faulty : int
        Cell with the short; -1 for none.
    begins : float
        When the fault begins [s]; NaN for none.
    """

    name: str
    family: str
    kind: str
    seed: int
    scenario: str
    gap_conductivity: float
    ambient_transfer: float
    sensor: tuple[str, int, float, float]
    faulty: int
    begins: float

    def parse(self) -> Scenario:
        """Return the scenario."""
        return parse_scenario(self.scenario)


def library_pack(spec: PackSpec, case: LibraryCase | None = None) -> PackSpec:
    """Return the library's pack: one module of 35 cells of a pack, with the case's gaps and surroundings.

    Parameters
    ----------
    spec : PackSpec
        The pack whose cells and cooling are used.
    case : LibraryCase, optional
        Gives the filling of gaps and the heat transfer to the air.
    """
    layout = replace(spec.layout, rows=ROWS)
    cooling = spec.cooling
    if case is not None:
        layout = replace(layout, gap_conductivity=case.gap_conductivity)
        cooling = replace(cooling, ambient_transfer=case.ambient_transfer)
    return replace(
        spec,
        name=f"{spec.name}_module",
        series=SERIES,
        parallel=PARALLEL,
        strings=1,
        layout=layout,
        cooling=cooling,
        modules=spec.modules[:1],
        sensors=(),
        mappings=(),
    )


def draw_cases(count: int, *, seed: int = 1) -> tuple[LibraryCase, ...]:
    """Draw the library; the first cases do not depend on how many follow.

    Parameters
    ----------
    count : int
        Number of runs.
    seed : int
        Seed.
    """
    return tuple(_draw(number, seed) for number in range(count))


def _draw(number: int, seed: int) -> LibraryCase:
    random = np.random.default_rng((seed, number))
    family = str(random.choice(list(FAMILIES), p=list(FAMILIES.values())))
    n_cells = SERIES * PARALLEL
    cell = int(random.integers(n_cells))
    gap = float(random.choice([0.026, 0.1, 0.3], p=[0.6, 0.2, 0.2]))
    ambient, inlet, soc = 298.15, 298.15, float(random.uniform(0.3, 1.0))
    flow = float(random.choice([1.0, 0.5, 0.2], p=[0.7, 0.2, 0.1]))
    transfer, faults, kind, begins, faulty = 0.0, "", family, float("nan"), -1
    sensor = ("", 0, 0.0, 0.0)
    table = ""
    at = float(random.uniform(300.0, 3600.0))
    if random.uniform() < 0.3:
        ambient = inlet = float(random.uniform(298.15, 318.15))
    steps = _load(random)
    if family == "healthy":
        kind = str(random.choice(_HEALTHY))
        if kind in ("hot day", "fast charge at 45 degC"):
            ambient = inlet = float(random.uniform(313.15, 323.15))
            transfer = 10.0
            steps = _cycle(1.0 if kind == "hot day" else 2.0, 2.0 if kind != "hot day" else 1.5)
        elif kind == "cycle":
            steps = _cycle(float(random.uniform(0.5, 2.0)), float(random.uniform(0.5, 2.0)))
        elif kind == "coolant lost":
            faults = _coolant(at, 0.0)
            steps = _cycle(1.0, 1.0)
        else:
            steps = _rest()
    elif family == "confounder":
        kind = str(random.choice(_CONFOUNDERS))
        begins = at
        if kind == "temperature sensor":
            sensor = ("temperature", cell, at, float(random.choice([-1.0, 1.0]) * random.uniform(3.0, 30.0)))
        elif kind == "current sensor":
            sensor = ("current", cell, at, float(random.choice([-1.0, 1.0]) * random.uniform(0.1, 2.0)))
        elif kind == "weak cell":
            faults = _fault("weak_cell", cell, 0.0, f"resistance = {random.uniform(2.0, 4.0):.3f}\ncapacity = 0.9")
            steps = _cycle(1.5, 1.5)
        else:
            faults = _fault("open_weld", cell, at, "")
            steps = _cycle(1.0, 1.0)
    elif family.startswith("short"):
        resistance = float(np.exp(random.uniform(np.log(0.08), np.log(20.0))))
        ramp = float(np.exp(random.uniform(np.log(5.0), np.log(5400.0))))
        faults = _fault("internal_short", cell, at, f"resistance = {resistance:.4f}\nramp = {ramp:.1f}")
        kind, begins, faulty = "short", at, cell
        if family != "short":
            faults += _coolant(float(random.uniform(0.0, 3600.0)), float(random.choice([0.0, 0.02])))
            kind = "short without coolant"
    else:
        hottest = float(random.uniform(373.15, 573.15))
        rise = float(random.uniform(300.0, 2400.0))
        transfer = float(random.uniform(10.0, 40.0))
        table = (
            f'kind = "table"\ntimes = [0.0, {at:.0f}, {at + rise:.0f}]\n'
            f"temperatures = [{ambient:.2f}, {ambient:.2f}, {hottest:.2f}]"
        )
        begins, kind = at, OUTSIDE
        if random.uniform() < 0.8:
            faults = _coolant(at, 0.0)
    ambient_text = table or f"temperature = {ambient:.2f}"
    text = (
        f'name = "risk_{number:04d}"\nseed = {seed * 100_000 + number}\n\n[initial]\nsoc = {soc:.4f}\n'
        f"temperature = {inlet:.2f}\n\n[ambient]\n{ambient_text}\n\n[coolant]\ninlet_temperature = {inlet:.2f}\n"
        f'flow = {flow:.2f}\n\n[physics]\nabuse = "hu_2020_nmc"\n\n{steps}{faults}'
    )
    return LibraryCase(
        name=f"risk_{number:04d}",
        family=family,
        kind=kind,
        seed=seed * 100_000 + number,
        scenario=text,
        gap_conductivity=gap,
        ambient_transfer=transfer,
        sensor=sensor,
        faulty=faulty,
        begins=begins,
    )


def _load(random: np.random.Generator) -> str:
    """Return a load: half of the packs rest, the others are cycled."""
    if random.uniform() < 0.5:
        return _rest()
    return _cycle(float(random.uniform(0.3, 1.5)), float(random.uniform(0.3, 1.5)))


def _rest() -> str:
    return f'[[steps]]\nkind = "rest"\nlongest = {DURATION:.0f}\n\n'


def _cycle(discharge: float, charge: float) -> str:
    return (
        '[[steps]]\nkind = "repeat"\ncount = 6\n\n'
        f'[[steps.steps]]\nkind = "discharge"\nrate = {discharge:.3f}\nuntil_soc = 0.2\nlongest = 3600\n\n'
        '[[steps.steps]]\nkind = "rest"\nlongest = 600\n\n'
        f'[[steps.steps]]\nkind = "charge"\nrate = {charge:.3f}\nuntil_rate = 0.1\nlongest = 5400\n\n'
        '[[steps.steps]]\nkind = "rest"\nlongest = 600\n\n'
    )


def _fault(kind: str, cell: int, at: float, fields: str) -> str:
    return f'[[faults]]\nkind = "{kind}"\ntarget = "cell:{cell}"\nat = {at:.1f}\n{fields}\n\n'


def _coolant(at: float, flow: float) -> str:
    return f'[[faults]]\nkind = "coolant_loss"\ntarget = "pack"\nat = {at:.1f}\nflow = {flow:.2f}\n\n'
