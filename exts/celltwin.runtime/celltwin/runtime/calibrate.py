"""A calibration as a run folder: measurements in; parameter set, curves, summary and report out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from celltwin.core import RecordingError, SettingsError

from .interruption import interruptible
from .run_folder import RunFolder, writing
from .settings import REPOSITORY, resolve

if TYPE_CHECKING:
    from celltwin.physics.calibration.calibrate import CalibrationOptions, CalibrationResult
    from celltwin.physics.calibration.calibrated_set import ParameterUncertainty
    from celltwin.physics.calibration.consistency import CalibrationAudit
    from celltwin.physics.calibration.optimisers import Progress
    from celltwin.physics.calibration.predictive import PredictiveCurve, PredictiveInterval
    from celltwin.physics.measurements import CellDescription, MeasuredSet

__all__ = ["CURVES_FILE", "CalibrationOutcome", "CalibrationSettings", "run_calibration"]

CURVES_FILE = "curves.npz"
UNCERTAINTIES = {"none": "", "laplace": "laplace", "refits": "refits", "full": "emulator"}
"""What ``--uncertainty`` takes, and the posterior's method that it means."""
BAND = 0.90  # probability of the bands about curves


@dataclass(frozen=True, kw_only=True)
class CalibrationSettings:
    """What ``celltwin calibrate`` is told.

    Attributes
    ----------
    files : tuple of str
        Files or folders of measurements of one cell.
    cell : str
        Description of the cell (TOML).
    select : str
        Name of the cell where files hold several.
    kind : str
        Kind of the files; found out where empty.
    mapping : str
        Mapping file of a cycler's export; empty where the columns say what they are.
    hold_out : tuple of str
        Names of curves that take no part in the fit and are scored.
    shapes : bool
        Whether open-circuit curves and diffusivities may be corrected over stoichiometry.
    model : str
        SPM, SPMe or DFN.
    method : str
        Optimiser.
    base_set : str
        PyBaMM set or BPX file to begin with; chosen by chemistry where empty.
    budget : int
        Evaluations allowed.
    seconds : float
        Time allowed for the search [s].
    seed : int
        Of everything random.
    threads : int
        Candidates solved at one time.
    uncertainty : str
        ``none``, ``laplace`` (the linear model's), ``refits`` (to perturbed curves) or ``full`` (Markov chains).
    output : str
        Folder for the results; empty for ``out/calibration-<cell>``.
    resume : bool
        Whether to go on from the folder's checkpoint.
    install : bool
        Whether the set is put into ``data/parameters`` as well.
    report : bool
        Whether a report is written.
    """

    files: tuple[str, ...]
    cell: str
    select: str = ""
    kind: str = ""
    mapping: str = ""
    hold_out: tuple[str, ...] = ()
    shapes: bool = False
    model: Literal["SPM", "SPMe", "DFN"] = "DFN"
    method: str = "least_squares"
    base_set: str = ""
    budget: int = 4000
    seconds: float = 300.0
    seed: int = 0
    threads: int = 2
    uncertainty: str = "refits"
    output: str = ""
    resume: bool = False
    install: bool = False
    report: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class CalibrationOutcome:
    """What a calibration left behind.

    Attributes
    ----------
    folder : RunFolder
        Where.
    summary : dict
        Content of ``summary.json``.
    parameter_set : Path, optional
        The set's file; None where the calibration is refused.
    installed : Path, optional
        The same in ``data/parameters``.
    interrupted : bool
        Whether the search was stopped by the user.
    """

    folder: RunFolder
    summary: dict[str, Any]
    parameter_set: Path | None
    installed: Path | None
    interrupted: bool


Show = Callable[["Progress"], None]


def run_calibration(settings: CalibrationSettings, progress: Show | None = None) -> CalibrationOutcome:
    """Calibrate a cell and write everything that there is to say about it.

    An interruption ends the search with the best so far; set, summary and report are written all the same. A second
    one stops at once.

    Parameters
    ----------
    settings : CalibrationSettings
        What to do.
    progress : callable, optional
        Called with each :class:`celltwin.physics.calibration.optimisers.Progress`.

    Raises
    ------
    CelltwinError
        If measurements or description cannot be used, or the folder cannot be written.
    """
    from celltwin.physics.calibration.calibrate import calibrate
    from celltwin.physics.calibration.calibrated_set import build_calibrated_set, set_name, write_calibrated_set
    from celltwin.physics.calibration.calibrated_set_check import check_written_set
    from celltwin.physics.calibration.consistency import audit_calibration
    from celltwin.physics.calibration.consistency_check import CheckOutcome
    from celltwin.physics.measurements import check_measured_set, load_cell_description, require_usable

    _check(settings)
    description = load_cell_description(resolve(settings.cell))
    measured = _read(settings, description)
    require_usable(check_measured_set(measured, description))
    options = _options(settings, description, measured)
    name = set_name(description.name)
    folder = _folder(settings, name)
    with interruptible() as asked:

        def report(step: Progress) -> bool:
            if progress is not None:
                progress(step)
            return not asked()

        result = calibrate(
            description, _scorable(measured), options, progress=report, checkpoint=folder.path / "checkpoint"
        )
        interrupted = asked()
        audit = audit_calibration(result, measured)
        uncertainty: ParameterUncertainty | None = None
        sentences: tuple[str, ...] = ()
        bands: Mapping[str, PredictiveCurve] = {}
        if audit.outcome is CheckOutcome.REFUSED:
            sentences = ("The calibration is refused, so that the uncertainty of its parameters was not looked for.",)
        elif settings.uncertainty != "none" and not interrupted:
            uncertainty, sentences, bands = _uncertainty(settings, result, measured, report)
    path = None
    if audit.outcome is not CheckOutcome.REFUSED:
        content = build_calibrated_set(result, measured, audit, name=name, uncertainty=uncertainty)
        path = folder.path / f"{name}.json"
        with writing(path):
            write_calibrated_set(content, path)
        audit = replace(audit, checks=(*audit.checks, *check_written_set(path, result, measured, audit)))
        if audit.outcome is CheckOutcome.REFUSED:
            path.unlink()
            path = None
        else:
            content = build_calibrated_set(result, measured, audit, name=name, uncertainty=uncertainty)
            write_calibrated_set(content, path)
    installed = None
    if path is not None and settings.install:
        installed = REPOSITORY / "data" / "parameters" / path.name
        with writing(installed):
            write_calibrated_set(content, installed)
    _save_curves(folder.path / CURVES_FILE, result, measured, bands)
    summary = _summary(settings, result, measured, audit, uncertainty, sentences, interrupted=interrupted)
    summary["prediction"] = _prediction(bands)
    summary["parameter_set"] = None if path is None else path.name
    folder.write_json("summary.json", summary)
    if settings.report:
        from .report import ReportWriter

        ReportWriter(folder.path).write()
    return CalibrationOutcome(
        folder=folder, summary=summary, parameter_set=path, installed=installed, interrupted=interrupted
    )


def _check(settings: CalibrationSettings) -> None:
    if not settings.files:
        raise SettingsError("no measurements are given", remedy="celltwin calibrate FILE … --cell CELL.toml")
    if not settings.cell:
        raise SettingsError(
            "the description of the cell is missing",
            remedy="Give --cell CELL.toml with name, chemistry, format and capacity; see docs/calibration.md",
        )
    if settings.model not in ("SPM", "SPMe", "DFN"):
        raise SettingsError(f"--model {settings.model!r} is unknown", remedy="Use SPM, SPMe or DFN")
    if settings.uncertainty not in UNCERTAINTIES:
        raise SettingsError(
            f"--uncertainty {settings.uncertainty!r} is unknown", remedy=f"Use {', '.join(UNCERTAINTIES)}"
        )
    for value, option in (
        (settings.budget, "--budget"),
        (settings.seconds, "--seconds"),
        (settings.threads, "--threads"),
    ):
        if value <= 0:
            raise SettingsError(f"{option} {value:g} must be above 0", remedy=f"Give a larger {option}")


def _read(settings: CalibrationSettings, description: CellDescription) -> MeasuredSet:
    from celltwin.physics.measurements import read_measured_set

    return read_measured_set(
        [resolve(path) for path in settings.files],
        kind=settings.kind or None,
        mapping=resolve(settings.mapping) if settings.mapping else None,
        cell=settings.select or description,
    )


def _options(settings: CalibrationSettings, description: CellDescription, measured: MeasuredSet) -> CalibrationOptions:
    from celltwin.physics.calibration.calibrate import CalibrationOptions, fitted_discharges

    held = {measured.curve(name).name for name in settings.hold_out}
    curves = [curve.name for curve in fitted_discharges(_scorable(measured), description, shapes=settings.shapes)]
    fitted = tuple(name for name in curves if name not in held)
    if not fitted:
        there = ", ".join(f"{curve.name} ({curve.kind})" for curve in measured.curves)
        raise SettingsError(
            f"no discharge of C/4 or faster is left to fit; there are {there or 'no curves'}",
            remedy="Hold out fewer curves"
            if curves
            else "Give a discharge at constant current of C/2 or faster, from full to the lower cut-off: pulses, drive "
            "cycles, charges and rests are read and checked, and not fitted",
        )
    return CalibrationOptions(
        model=settings.model,
        curves=fitted,
        shapes=settings.shapes,
        base_set=str(resolve(settings.base_set)) if settings.base_set.endswith(".json") else settings.base_set or None,
        method=settings.method,
        budget=settings.budget,
        seconds=settings.seconds,
        seed=settings.seed,
        threads=settings.threads,
        compiled=settings.model == "DFN",
    )


def _scorable(measured: MeasuredSet) -> MeasuredSet:
    return replace(measured, curves=tuple(curve for curve in measured.curves if curve.scored.any()))


def _folder(settings: CalibrationSettings, name: str) -> RunFolder:
    path = Path(settings.output) if settings.output else REPOSITORY / "out" / f"calibration-{name}"
    if settings.resume:
        if not (path / "checkpoint").is_dir():
            raise RecordingError(
                "there is no calibration to go on with",
                where=str(path),
                remedy="Leave --resume out, or name its --output",
            )
        with writing(path):
            (path / "summary.json").unlink(missing_ok=True)
    elif (path / "summary.json").exists() or (path / "checkpoint").exists():
        raise RecordingError(
            "the folder already holds a calibration",
            where=str(path),
            remedy="Go on with it by --resume, or give another --output",
        )
    return RunFolder(path)


def _uncertainty(
    settings: CalibrationSettings,
    result: CalibrationResult,
    measured: MeasuredSet,
    progress: Callable[[Progress], bool],
) -> tuple[ParameterUncertainty | None, tuple[str, ...], Mapping[str, PredictiveCurve]]:
    """Return the parameters' uncertainty, what is to be said of it, and each curve as predicted, by name."""
    from celltwin.core import ModelError
    from celltwin.physics.calibration.calibrated_set_uncertainty import uncertainty_of
    from celltwin.physics.calibration.identifiability import describe_identifiability
    from celltwin.physics.calibration.posterior import PosteriorOptions, posterior_of
    from celltwin.physics.calibration.predictive import predict_curves

    method: Any = UNCERTAINTIES[settings.uncertainty]
    options = PosteriorOptions(method=method, leave_out=method != "laplace", seed=settings.seed)
    try:
        posterior = posterior_of(result, options, progress=progress)
    except ModelError as error:
        return None, (f"The uncertainty of the parameters could not be found: {error}",), {}
    sentences = (*describe_identifiability(posterior), *posterior.warnings)
    curves = [measured.curve(found.name) for found in result.figures]
    try:
        predicted = predict_curves(posterior, curves, level=BAND, seed=settings.seed, progress=progress)
    except ModelError as error:
        return uncertainty_of(posterior), (*sentences, f"Curves have no bands: {error}"), {}
    return uncertainty_of(posterior), sentences, {curve.name: curve for curve in predicted}


def _save_curves(
    path: Path, result: CalibrationResult, measured: MeasuredSet, bands: Mapping[str, PredictiveCurve]
) -> None:
    """Keep measured and simulated curves for the report."""
    from celltwin.physics.calibration.calibration_figures import simulate_curve
    from celltwin.physics.calibration.cell_simulation import CellModel

    model = result.problem.model
    fine = CellModel(model.base, replace(model.options, mesh="default", compiled=False), model.shapes)
    arrays: dict[str, Any] = {"history": result.history}
    for index, found in enumerate(result.figures):
        curve = measured.curve(found.name)
        simulated = simulate_curve(fine, curve, result.values)
        missing = np.full(curve.time.size, np.nan)
        arrays |= {
            f"{index}_time": curve.time,
            f"{index}_current": curve.current,
            f"{index}_voltage": curve.voltage,
            f"{index}_temperature": missing if curve.temperature is None else curve.temperature,
            f"{index}_scored": curve.scored,
            f"{index}_simulated_voltage": simulated.voltage,
            f"{index}_simulated_temperature": simulated.temperature,
        }
        band = bands.get(found.name)
        if band is not None:
            for name, interval in (("voltage", band.voltage), ("temperature", band.temperature)):
                for end in ("low", "high"):
                    spread = missing.copy()
                    spread[band.rows] = getattr(interval, end)
                    arrays[f"{index}_{name}_{end}"] = spread
    with writing(path):
        np.savez_compressed(path, **arrays)


def _prediction(bands: Mapping[str, PredictiveCurve]) -> dict[str, Any] | None:
    """Return how much of each curve lies within its bands, and how wide they are, as JSON."""
    if not bands:
        return None

    def half_width(interval: PredictiveInterval) -> float:
        return float(np.median(0.5 * (interval.high - interval.low)))

    def known(value: float) -> float | None:
        return value if np.isfinite(value) else None

    return {
        "level": BAND,
        "curves": [
            {
                "curve": name,
                "held_out": band.held_out,
                "voltage_coverage": known(band.voltage.coverage),
                "voltage_half_width_V": half_width(band.voltage),
                "temperature_coverage": known(band.temperature.coverage),
                "temperature_half_width_K": half_width(band.temperature),
                "parameter_sets": band.samples,
                "ended_early": band.ended_early,
            }
            for name, band in bands.items()
        ],
    }


def _summary(
    settings: CalibrationSettings,
    result: CalibrationResult,
    measured: MeasuredSet,
    audit: CalibrationAudit,
    uncertainty: ParameterUncertainty | None,
    sentences: Sequence[str],
    *,
    interrupted: bool,
) -> dict[str, Any]:
    from celltwin.physics.calibration.calibrated_set import limits_content, parameters_content
    from celltwin.physics.calibration.consistency_check import CheckOutcome, join_checks
    from celltwin.physics.calibration.consistency_flags import summarise
    from celltwin.physics.calibration.provenance import build_provenance_card, check_content

    resting = audit.resting
    return {
        "kind": "calibration",
        "cell": result.description.name,
        "outcome": str(audit.outcome),
        "verdict": summarise(audit.checks),
        "doubts": [
            check_content(check)
            for outcome in (CheckOutcome.REFUSED, CheckOutcome.FLAGGED)
            for check in join_checks(audit.of(outcome))
        ],
        "interrupted": interrupted,
        "settings": json.loads(json.dumps(asdict(settings))),
        "fitted": list(result.fitted),
        "curves": [found.name for found in result.figures],
        "read_only": [
            {"curve": curve.name, "kind": curve.kind}
            for curve in measured.curves
            if curve.name not in {found.name for found in result.figures}
        ],
        "stages": [[name, stage.evaluations] for name, stage in result.stages],
        "resting": {key: float(value) for key, value in vars(resting).items()}
        | {"negative_to_positive": resting.negative_to_positive},
        "parameters": parameters_content(result, uncertainty),
        "correlation": None if uncertainty is None else np.round(uncertainty.correlation, 4).tolist(),
        "uncertainty_method": None if uncertainty is None else uncertainty.method,
        "identifiability": list(sentences),
        "limits": limits_content(result, measured, audit),
        "provenance": build_provenance_card(result, measured, audit),
    }
