"""Mechanics models from PyBaMM parameter sets, from parameter files, and from the cells of a pack."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import Array, ModelError, PackSpec

from ..parameter_sets import parameter_values
from ..parameters import PARAMETER_FOLDER, load_cell_parameters
from .mechanics_curves import VolumeCurve, find_volume_curve
from .mechanics_model import CanForm, LayerForm, MechanicsModel, PressStacks
from .property_fit import build_cubic_table

if TYPE_CHECKING:
    import pybamm

__all__ = ["build_mechanics_model", "module_stacks", "pack_mechanics"]

_INTERVALS = 128
_LARGEST_CHANGE = 0.15  # of volume: twice what graphite or any layered oxide does between its ends
_LARGEST_EXPANSION = 5.0e-4  # [1/K]; five times that of solid polymers
_LAYER_EXPANSION = 1.1e-6 / 6.188e-3  # [1/K]: Ai et al. (2020), 1.1 um/K over the layers of the Enertech cell
_ASSEMBLY_SOC = 0.3  # cells travel, and are built into modules, at 30 % (IATA packing instruction 965)
_PRELOAD = 1.0e5  # [Pa]

# Curves of published sets that state none, or none that can be.
_SET_CURVES = {
    "Chen2020": ("graphite", "layered oxide"),
    "Ecker2015": ("graphite", "layered oxide"),
    "Marquis2019": ("graphite", "LCO"),
    "Mohtat2020": ("graphite", "layered oxide"),
    "NCA_Kim2011": ("graphite", "layered oxide"),
    "OKane2022": ("graphite", "layered oxide"),
    "ORegan2022": ("graphite", "layered oxide"),
    "Prada2013": ("graphite", "LFP"),
    "Ramadass2004": ("graphite", "LCO"),
}


def build_mechanics_model(
    source: str | pybamm.ParameterValues,
    *,
    form: LayerForm | CanForm | None = None,
    curves: tuple[str | None, str | None] = (None, None),
    reference_soc: float = _ASSEMBLY_SOC,
    reference_stoichiometry: tuple[float, float] | None = None,
    stacks: PressStacks | None = None,
) -> MechanicsModel:
    """Return the mechanics of a cell type.

    Volume changes are those of the parameter set where it has any that are possible, or follow from its partial molar
    volumes; otherwise published ones of the material.

    Parameters
    ----------
    source : str or pybamm.ParameterValues
        Name of a file in ``data/parameters``, of a PyBaMM set, or a set itself.
    form : LayerForm or CanForm, optional
        Shape of the cell. Without it, flat layers as the set has them.
    curves : tuple of str or None
        Names of published volume curves for the negative and the positive electrode, before the set's own.
    reference_soc : float
        State of charge of the reference state, at which the cells were put together [-].
    reference_stoichiometry : tuple of float, optional
        Stoichiometries of the reference state instead.
    stacks : PressStacks, optional
        Which cells press on each other.

    Raises
    ------
    ModelError
        If the set lacks thicknesses or fractions, or there is no possible volume change for an electrode.
    """
    values, name, base_set = _read(source)
    fallback = _SET_CURVES.get(base_set, (None, None))
    provenance: dict[str, Any] = {"parameter_set": name}
    tables, thicknesses = [], []
    layers = _number(values, "Number of electrodes connected in parallel to make a cell", 1.0)
    unit = _unit_thickness(values)
    flat = LayerForm(
        area=_number(values, "Electrode height [m]") * _number(values, "Electrode width [m]"), thickness=layers * unit
    )
    chosen = form or flat
    pairs = chosen.thickness / unit  # of electrodes, one on the other
    for electrode, asked, known in zip(("Negative", "Positive"), curves, fallback, strict=True):
        table, origin = _volume_change(values, electrode, asked, known, name)
        tables.append(table)
        provenance[f"{electrode.lower()} volume change"] = origin
        fraction = _number(values, f"{electrode} electrode active material volume fraction")
        thicknesses.append(pairs * fraction * _number(values, f"{electrode} electrode thickness [m]"))
    if reference_stoichiometry is None:
        reference_stoichiometry = _stoichiometry(source, values, reference_soc)
        provenance["reference state"] = f"{100.0 * reference_soc:g} % state of charge"
    expansion, provenance["thermal expansion"] = _expansion(values, flat, chosen)
    radius = _number(values, "Negative particle radius [m]")
    model = MechanicsModel(
        name=name,
        form=chosen,
        volume_change=np.concatenate(tables, axis=1),
        active_thickness=(thicknesses[0], thicknesses[1]),
        reference_stoichiometry=reference_stoichiometry,
        reference_temperature=_number(values, "Reference temperature [K]", 298.15),
        thermal_expansion=expansion,
        film_gain=3.0 * thicknesses[0] / radius,
        contact_share=0.0 if isinstance(chosen, CanForm) else 0.1,
        stacks=stacks,
        provenance=provenance,
    )
    return replace(model, hash=_hash(model))


def module_stacks(
    n_modules: int,
    cells_per_module: int,
    *,
    area: float,
    preload_pressure: float = _PRELOAD,
    housing_stiffness: float = 5.0e6,
    pad_compliance: float = 0.0,
) -> PressStacks:
    """Return the stacks of a pack in whose modules all cells press on each other.

    Parameters
    ----------
    n_modules, cells_per_module : int
        Modules, and cells in each.
    area : float
        Of the cells' layers [m^2].
    preload_pressure : float
        Pressure at the reference state [Pa].
    housing_stiffness : float
        Of straps, tie rods and end plates of a module [N/m].
    pad_compliance : float
        Of all pads of a module together [m/N].
    """
    return PressStacks(
        stack=np.repeat(np.arange(n_modules, dtype=np.int32), cells_per_module),
        preload=np.full(n_modules, preload_pressure * area),
        housing_stiffness=np.full(n_modules, housing_stiffness),
        pad_compliance=np.full(n_modules, pad_compliance),
    )


def pack_mechanics(spec: PackSpec, **options: Any) -> MechanicsModel:
    """Return the mechanics of a pack's cells: cans for cylinders, pressed modules for stacks of flat cells.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    **options
        As :func:`build_mechanics_model` takes them.
    """
    cell = spec.cell
    if cell.format == "cylindrical":
        return build_mechanics_model(
            cell.parameter_set, **{"form": CanForm(radius=0.5 * cell.diameter - 0.125e-3), **options}
        )
    form = LayerForm(area=cell.length * cell.width, thickness=cell.height)
    stacks = None
    if spec.layout.pattern == "stack":
        n_modules = len(spec.modules)
        stacks = module_stacks(n_modules, spec.series * spec.parallel, area=form.area)
    return build_mechanics_model(cell.parameter_set, **{"form": form, "stacks": stacks, **options})


def _read(source: str | pybamm.ParameterValues) -> tuple[pybamm.ParameterValues, str, str]:
    if not isinstance(source, str):
        return source, "given parameter values", ""
    if not _is_file(source):
        return parameter_values(source, ()), source, source
    parameters = load_cell_parameters(source)
    values = parameter_values(parameters.base_set, parameters.overrides)
    calibrated = parameters.provenance.get("model", {})  # a file that calibration wrote names the set it began from
    return values, parameters.name, calibrated.get("base_set", parameters.base_set)


def _is_file(source: str) -> bool:
    return source.endswith(".json") or (PARAMETER_FOLDER / f"{source}.json").is_file()


def _stoichiometry(source: object, values: pybamm.ParameterValues, soc: float) -> tuple[float, float]:
    if not 0.0 <= soc <= 1.0:
        raise ModelError(f"reference_soc = {soc:g} must be in [0, 1]", remedy="Give it as a fraction")
    if isinstance(source, str) and _is_file(source):
        cell = load_cell_parameters(source)
        empty, full = (cell.negative_empty, cell.positive_empty), (cell.negative_full, cell.positive_full)
    else:
        import pybamm

        at_empty, at_full, *positive_ends = pybamm.lithium_ion.get_min_max_stoichiometries(values)
        empty = (float(at_empty), float(max(positive_ends)))
        full = (float(at_full), float(min(positive_ends)))
    negative, positive = (low + soc * (high - low) for low, high in zip(empty, full, strict=True))
    return negative, positive


def _number(values: pybamm.ParameterValues, name: str, default: float | None = None) -> float:
    found = values[name] if name in values else default  # noqa: SIM401  # ParameterValues.get takes no default
    if not isinstance(found, int | float):
        raise ModelError(
            f"the parameter {name!r} is missing or no number",
            remedy="Mechanics need it as one number for the electrode",
        )
    return float(found)


def _unit_thickness(values: pybamm.ParameterValues) -> float:
    """Return the thickness of one pair of electrodes, with half of each foil, coated on both sides [m]."""
    layers = ("Negative electrode thickness [m]", "Separator thickness [m]", "Positive electrode thickness [m]")
    foils = ("Negative current collector thickness [m]", "Positive current collector thickness [m]")
    return sum(_number(values, name) for name in layers) + 0.5 * sum(_number(values, name, 1.2e-5) for name in foils)


def _volume_change(
    values: pybamm.ParameterValues, electrode: str, asked: str | None, known: str | None, name: str
) -> tuple[Array, str]:
    """Return the table of an electrode's volume change and where it is from."""
    if asked is not None:
        return _tabulate(find_volume_curve(asked))
    own = f"{electrode} electrode volume change"
    molar = f"{electrode} electrode partial molar volume [m3.mol-1]"
    refused = ""
    for parameter in (own, molar):
        if parameter not in values:
            continue
        table = build_cubic_table(_sampled(values, electrode, parameter), _INTERVALS)
        nodes = table.sum(axis=1)
        change = float(max(nodes.max(), table[0, 0]) - min(nodes.min(), table[0, 0]))
        if change <= _LARGEST_CHANGE:
            return table, f"{parameter!r} of the set"
        refused = f"; the set's {parameter!r} would be {100.0 * change:.0f} %, which no such material survives"
    if known is None:
        raise ModelError(
            f"no volume change is known for the {electrode.lower()} electrode{refused}",
            where=name,
            remedy="Name a published curve in `curves`: graphite, layered oxide, LCO or LFP",
        )
    table, origin = _tabulate(find_volume_curve(known))
    return table, origin + refused


def _tabulate(curve: VolumeCurve) -> tuple[Array, str]:
    # Slopes outside [0, 1] are asked for by nobody: the sampled curve is held there.
    return build_cubic_table(curve.sample, _INTERVALS), f"{curve.name}: {curve.source}"


def _sampled(values: pybamm.ParameterValues, electrode: str, parameter: str) -> Any:
    import pybamm

    function = values[parameter]

    def sample(stoichiometry: Array) -> Array:
        place = np.asarray(stoichiometry, dtype=np.float64)
        if not callable(function):
            full = _number(values, f"Maximum concentration in {electrode.lower()} electrode [mol.m-3]")
            scale = full if parameter.endswith("[m3.mol-1]") else 1.0
            return float(function) * scale * place
        symbol = values.process_symbol(function(pybamm.Vector(place)))
        return np.broadcast_to(np.asarray(symbol.evaluate(), dtype=np.float64).reshape(-1), place.shape)

    return sample


def _expansion(values: pybamm.ParameterValues, flat: LayerForm, form: LayerForm | CanForm) -> tuple[float, str]:
    """Return the free thickness of the layers for each kelvin [m/K] and where it is from."""
    stated = "Cell thermal expansion coefficient [m.K-1]"
    if stated in values:
        relative = _number(values, stated) / flat.thickness
        if relative <= _LARGEST_EXPANSION:
            return relative * form.thickness, f"{stated!r} of the set"
    return _LAYER_EXPANSION * form.thickness, (
        "W. Ai et al., J. Electrochem. Soc. 167 (2020) 013512: 1.1 um/K over the 6.19 mm of layers of their cell"
    )


def _hash(model: MechanicsModel) -> str:
    content = {
        "form": asdict(model.form),
        "volume_change": model.volume_change.round(12).tolist(),
        **{
            name: getattr(model, name)
            for name in (
                "active_thickness",
                "reference_stoichiometry",
                "reference_temperature",
                "thermal_expansion",
                "film_gain",
                "contact_exponent",
                "contact_share",
                "lowest_pressure_ratio",
            )
        },
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
