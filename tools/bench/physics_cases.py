"""One cell at constant current by PyBaMM and by the pack engine: what the accuracy bench compares."""

from __future__ import annotations

from dataclasses import dataclass
from time import process_time
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import Array
from celltwin.physics.engine import CellModel, CellPopulation, Drive, EngineOptions, PackEngine, build_pack_engine
from celltwin.physics.engine.pack_network import Circuit, HeatPaths, PackNetwork
from tools.bench.places import reference_pack

if TYPE_CHECKING:
    import pybamm

__all__ = ["Case", "PybammCell", "Trace", "cell_network", "compare", "run_engine", "time_cell_step"]

TOLERANCES = {"rtol": 1e-6, "atol": 1e-8}
SAMPLES = 1801
NEAR = 1e-6  # of a cut-off voltage [V]
FINE_SHELLS, FINE_VOLUMES = 200, 60  # 800 even shells move ORegan2022 at 1C by 0.2 mV
FULL_ORDER_SHELLS, FULL_ORDER_VOLUMES = 60, 20  # of a fine DFN, with a particle in each of 40 volumes
BEYOND = 1.1  # time allowed, over that at which the nominal charge has passed


@dataclass(frozen=True)
class Case:
    """One test of one cell.

    Attributes
    ----------
    parameter_set : str
        PyBaMM's name.
    rate : float
        Current over that of one hour [1/h], positive on discharge.
    temperature : float
        Of the surroundings, and of the cell at first [K].
    """

    parameter_set: str
    rate: float
    temperature: float

    @property
    def initial_soc(self) -> float:
        """State of charge at the start [-]."""
        return 1.0 if self.rate > 0.0 else 0.1

    @property
    def label(self) -> str:
        """How people write the rate."""
        size = abs(self.rate)
        text = f"C/{1.0 / size:.0f}" if size < 1.0 else f"{size:g}C"
        return text if self.rate > 0.0 else f"{text} charge"

    @property
    def duration(self) -> float:
        """Longest time that the test may take [s]."""
        return BEYOND * 3600.0 / abs(self.rate)


@dataclass(frozen=True, eq=False)
class Trace:
    """Voltage [V] and temperature [K] of one cell over time [s]."""

    time: Array
    voltage: Array
    temperature: Array


class PybammCell:
    """One cell of a parameter set in PyBaMM, with a lumped temperature, built once for all cases.

    Parameters
    ----------
    parameter_set : str
        PyBaMM's name.
    fidelity : {"SPMe", "DFN"}
        The model.
    fine : bool
        PyBaMM's default mesh, or one with 200 shells, thin towards the surface, and 60 volumes across each layer;
        for a DFN 60 such shells and the default 20 volumes.
    true_mean : bool
        Whether the electrolyte's mean concentration is its mean: see :func:`_average_truly`.
    """

    def __init__(
        self, parameter_set: str, *, fidelity: str = "SPMe", fine: bool = False, true_mean: bool = True
    ) -> None:
        import pybamm

        model = getattr(pybamm.lithium_ion, fidelity)({"thermal": "lumped", "cell geometry": "arbitrary"}, build=False)
        if true_mean:
            _average_truly(model)
        model.build_model()
        self._values = pybamm.ParameterValues(parameter_set)
        free = self._values.copy()
        free.update(dict.fromkeys((*_INPUTS, *_CONCENTRATIONS), "[input]"))
        points, meshes = dict(model.default_var_pts), dict(model.default_submesh_types)
        if fine:
            full = fidelity == "DFN"
            shells, volumes = (FULL_ORDER_SHELLS, FULL_ORDER_VOLUMES) if full else (FINE_SHELLS, FINE_VOLUMES)
            points = {name: shells if name.startswith("r_") else volumes for name in points}
            graded = pybamm.MeshGenerator(pybamm.Exponential1DSubMesh, {"side": "right", "stretch": 2.0})
            meshes |= {"negative particle": graded, "positive particle": graded}
        solver = pybamm.IDAKLUSolver(**TOLERANCES)
        self._simulation = pybamm.Simulation(
            model, parameter_values=free, var_pts=points, submesh_types=meshes, solver=solver
        )

    def run(self, case: Case, current: float) -> Trace:
        """Return voltage and temperature until a cut-off voltage or the end of the case.

        Raises
        ------
        pybamm.SolverError
            If the model cannot be solved, as the DFN without salt left in an electrode.
        """
        start = self._values.copy()
        start.set_initial_state(case.initial_soc)
        inputs = dict.fromkeys(_INPUTS, case.temperature) | {"Current function [A]": current}
        inputs |= {name: float(start[name]) for name in _CONCENTRATIONS}
        time = np.linspace(0.0, case.duration, SAMPLES)
        solution = self._simulation.solve([0.0, case.duration], t_interp=time, inputs=inputs)
        names = ("Voltage [V]", "Volume-averaged cell temperature [K]")
        return Trace(solution.t, *(solution[name].entries for name in names))


def _average_truly(model: pybamm.lithium_ion.BaseModel) -> None:
    """Make an unbuilt PyBaMM model average the electrolyte's concentration over the cell.

    PyBaMM 26.10 takes the mean of ``eps c / eps`` as the mean of ``eps c`` times that of ``1 / eps``, since it holds
    a porosity that differs between layers for one that does not. So an electrolyte of 1000 mol/m^3 everywhere has a
    mean of 1036 (Chen2020, ORegan2022) or 1161 mol/m^3 (Marquis2019), at which SPMe takes conductivity and
    thermodynamic factor. Here the means of the layers are weighted by their thickness.
    """
    import pybamm

    class TrulyAveraged(pybamm.electrolyte_diffusion.Full):  # type: ignore[misc]
        def get_coupled_variables(self, variables: dict[str, Any]) -> dict[str, Any]:
            layers = (str(domain) for domain in self.options.whole_cell_domains)
            names = ((f"{layer.capitalize()} porosity", "times concentration [mol.m-3]") for layer in layers)
            self.layers = [variables[f"{name} {rest}"] / variables[name] for name, rest in names]
            return dict(super().get_coupled_variables(variables))

        def _get_standard_whole_cell_concentration_variables(self, concentration: Any) -> dict[str, Any]:
            result = super()._get_standard_whole_cell_concentration_variables(concentration)
            mean = pybamm.x_average(pybamm.concatenation(*self.layers))
            return {**result, "X-averaged electrolyte concentration [mol.m-3]": mean}

    for name, submodel in model.submodels.items():
        if type(submodel) is pybamm.electrolyte_diffusion.Full:
            model.submodels[name] = TrulyAveraged(model.param, model.options)


_INPUTS = ("Current function [A]", "Ambient temperature [K]", "Initial temperature [K]")
_CONCENTRATIONS = tuple(f"Initial concentration in {side} electrode [mol.m-3]" for side in ("negative", "positive"))


def cell_network(model: CellModel, ambient_temperature: float) -> PackNetwork:
    """Return the circuit and the heat paths of one cell in air [K]."""
    circuit = Circuit(
        n_groups=1,
        parallel=1,
        connection_resistance=np.zeros(1),
        rail_resistance=np.zeros(1),
        opposite_feed=False,
        kind=np.zeros(2, dtype=np.int8),
        child_start=np.array([0, 0, 1], dtype=np.int32),
        children=np.zeros(1, dtype=np.int32),
        link_resistance=np.zeros(2),
        roots=np.ones(1, dtype=np.int32),
    )
    heat = HeatPaths(
        neighbours=np.zeros((1, 1), dtype=np.int32),
        conductance=np.zeros((1, 1)),
        ambient_conductance=np.array([model.thermal.heat_transfer]),
        coolant_conductance=np.zeros(1),
        segment=np.zeros(1, dtype=np.int32),
        segment_start=np.array([0, 1], dtype=np.int32),
        design_flow=np.zeros(1),
        coolant_heat_capacity=1.0,
        inlet_temperature=np.full(1, ambient_temperature),
        ambient_temperature=ambient_temperature,
    )
    return PackNetwork(circuit=circuit, heat=heat, heat_capacity=np.array([model.thermal.heat_capacity]))


def run_engine(model: CellModel, case: Case, current: float, options: EngineOptions | None = None) -> Trace:
    """Return what the pack engine gives for a pack of one cell, until a cut-off voltage."""
    options = options or EngineOptions()
    population = CellPopulation(soc=case.initial_soc, temperature=case.temperature)
    engine = PackEngine(model, cell_network(model, case.temperature), cells=population, options=options, device="cpu")

    def is_done(now: PackEngine) -> bool:
        voltage = float(now.read_cells("voltage")[0])
        return voltage <= model.lowest_voltage + NEAR if current > 0.0 else voltage >= model.highest_voltage - NEAR

    # The engine holds the current back at the cut-off, so that no cell is driven past it within a step.
    drive = Drive(values=current, lowest_voltage=model.lowest_voltage, highest_voltage=model.highest_voltage)
    period = options.step * max(1.0, round(case.duration / 1800.0 / options.step))
    history = engine.advance(drive, case.duration, sample_period=period, stop=is_done)
    full = np.abs(history.cell_current[:, 0] - current) < 1e-3 * abs(current)
    return Trace(history.time[full], history.cell_voltage[full, 0], history.cell_temperature[full, 0])


def time_cell_step(fidelity: str, volumes: tuple[int, int, int] | None = None) -> float:
    """Return the processor time of a cell-step of 2,800 unlike, coupled cells: the best of eight runs of 25 steps [ns].

    Parameters
    ----------
    fidelity : {"SPMe", "DFN", "ECM"}
        The model.
    volumes : tuple of int, optional
        Of the electrodes of a DFN.
    """
    pack = reference_pack()
    scale = np.random.default_rng(1).uniform(0.97, 1.03, pack.n_cells)
    cells = CellPopulation(soc=0.8, capacity_scale=scale)
    engine = build_pack_engine(
        pack, cells=cells, options=EngineOptions(volumes=volumes), fidelity=fidelity, device="cpu"
    )
    current, spent = 2.0 * pack.parallel, []
    engine.advance(current, 30.0)
    for _ in range(8):
        start = process_time()
        engine.advance(current, 25.0)
        spent.append(process_time() - start)
    return 1e9 * min(spent) / 25.0 / pack.n_cells


def compare(trace: Trace, reference: Trace) -> tuple[Array, Array, Array]:
    """Return times that both reach [s], and differences of voltage [V] and temperature [K] there."""
    limit = min(trace.time[-1], reference.time[-1])
    time = trace.time[trace.time <= limit]
    count = time.size
    voltage = trace.voltage[:count] - np.interp(time, reference.time, reference.voltage)
    temperature = trace.temperature[:count] - np.interp(time, reference.time, reference.temperature)
    return time, voltage, temperature
