"""The report of a calibration: what is said, shown and tabled."""

from __future__ import annotations

from typing import Any

import numpy as np

from .calibration_evidence import CalibrationEvidence
from .calibration_figures import (
    draw_convergence,
    draw_correlation,
    draw_curve,
    draw_overview,
    draw_parameters,
    short_name,
)
from .sections import Picture, Section, Table

__all__ = ["calibration_page"]

MOST_CURVES = 10
_ORDER = {"refused": 0, "flagged": 1, "passed": 2}
_MEASURED = ("voltage", "temperature")
_SMALL = 1e-3
_STRONG = 0.85  # correlation from which a pair is listed


def calibration_page(evidence: CalibrationEvidence) -> dict[str, Any]:
    """Return what the page's template takes."""
    summary = evidence.summary
    cell = summary["provenance"]["cell"]
    return {
        "title": f"Calibration: {summary['cell']}",
        "subtitle": f"{cell['format']} cell, {cell['chemistry']}, {cell['capacity']:g} A·h; {_model(evidence)}. "
        f"{len(summary['parameters'])} free parameters, fitted on {', '.join(summary['fitted'])}.",
        "notes": _notes(evidence),
        "cards": _cards(evidence),
        "sections": [
            section
            for section in (
                _fit(evidence),
                _curves(evidence),
                _checks(evidence),
                _parameters(evidence),
                _correlations(evidence),
                _convergence(evidence),
                _limits(evidence),
                _data(evidence),
                _provenance(evidence),
            )
            if section is not None
        ],
    }


def _model(evidence: CalibrationEvidence) -> str:
    model = evidence.summary["provenance"]["model"]
    return f"{model['equations']} with lumped temperature on {model['base_set'].rsplit('/', 1)[-1]}"


def _notes(evidence: CalibrationEvidence) -> list[dict[str, str]]:
    summary, notes = evidence.summary, []
    if summary["outcome"] == "refused":
        notes.append(
            {
                "level": "bad",
                "text": "This calibration is refused and no parameter set was written: see the checks in red.",
            }
        )
    if summary["interrupted"]:
        notes.append(
            {"level": "warn", "text": "The search was interrupted; everything below is of the best found until then."}
        )
    notes += [
        {
            "level": "bad" if check["outcome"] == "refused" else "warn",
            "text": f"{_title(check)}: {check['message']}.".replace("A.h", "A·h").replace("..", "."),
        }
        for check in summary["doubts"]
    ]
    if not notes:
        notes.append({"level": "", "text": "All checks of balances, fit, search and data passed."})
    if not any(found["held_out"] for found in summary["provenance"]["figures"]):
        notes.append(
            {
                "level": "",
                "text": "No curve was held out, so that the figures say how well the cell is reproduced, "
                "not how well another rate would be predicted.",
            }
        )
    return notes


def _title(check: dict[str, Any]) -> str:
    name = str(check["name"])
    return name[:1].upper() + name[1:] + (f" ({check['curve']})" if check["curve"] else "")


def _cards(evidence: CalibrationEvidence) -> list[dict[str, str]]:
    summary = evidence.summary
    figures, cards = summary["provenance"]["figures"], []

    def card(label: str, value: str, detail: str = "") -> None:
        cards.append({"label": label, "value": value, "detail": detail})

    card("Outcome", summary["outcome"], summary["verdict"].split(": ", 1)[-1])
    for held, word in ((False, "fitted"), (True, "held out")):
        found = [item for item in figures if item["held_out"] is held]
        if not found:
            continue
        worst = max(found, key=lambda item: item["voltage_RMSE_V"] or 0.0)
        card(
            f"Voltage, {word}",
            f"{1e3 * (worst['voltage_RMSE_V'] or 0.0):.1f} mV",
            f"worst of {len(found)}: {worst['curve']}, {_number(worst['voltage_MAPE_percent'])} %",
        )
        warm = [item for item in found if item["temperature_RMSE_K"] is not None]
        if warm:
            worst = max(warm, key=lambda item: item["temperature_RMSE_K"])
            card(
                f"Temperature, {word}",
                f"{worst['temperature_RMSE_K']:.2f} K",
                f"worst of {len(warm)}: {worst['curve']}, {_number(worst['temperature_MAPE_percent'], 3)} % of kelvin",
            )
    resting = summary["resting"]
    card("Capacity at rest", f"{resting['capacity']:.3f} A·h", f"N/P {resting['negative_to_positive']:.2f}")
    search = summary["provenance"]["search"]
    card("Search", f"{search['seconds']:.0f} s", f"{search['evaluations']} evaluations")
    return cards


def _fit(evidence: CalibrationEvidence) -> Section:
    bands = _bands(evidence)
    rows = tuple(
        (
            item["curve"],
            "held out" if item["held_out"] else "fitted",
            _number(item["voltage_MAPE_percent"]),
            _number(item["voltage_RMSE_V"], 1, 1e3),
            _number(item["temperature_MAPE_percent"], 3),
            _number(item["temperature_RMSE_K"], 2),
            *(_number(bands.get(item["curve"], {}).get(f"{what}_coverage"), 0, 100.0) for what in _MEASURED if bands),
            str(item["rows"]),
            str(item["rows_not_reached"] or ""),
        )
        for item in evidence.summary["provenance"]["figures"]
    )
    heads = (
        "Curve",
        "",
        "Voltage MAPE [%]",
        "Voltage RMSE [mV]",
        "Temperature MAPE [% of K]",
        "Temperature RMSE [K]",
        *(("Voltage in band [%]", "Temperature in band [%]") if bands else ()),
        "Rows",
        "Not reached",
    )
    return Section(
        "How near the model comes",
        texts=("Mean absolute error over the value, and root mean square error, over all scored rows.",),
        pictures=(Picture("Measured (broad) and simulated (thin).", svg=draw_overview(evidence.curves)),),
        tables=(Table(heads, rows),),
    )


def _bands(evidence: CalibrationEvidence) -> dict[str, dict[str, Any]]:
    """Return coverage and width of each curve's bands, by name; empty where there are none."""
    found = evidence.summary.get("prediction")
    return {} if found is None else {item["curve"]: item for item in found["curves"]}


def _curves(evidence: CalibrationEvidence) -> Section:
    shown, bands = evidence.curves[:MOST_CURVES], _bands(evidence)
    pictures = tuple(
        Picture(
            f"{curve.name}, {'held out' if curve.held_out else 'fitted'}: residual is simulated less measured."
            + _covered(bands.get(curve.name)),
            svg=draw_curve(curve),
        )
        for curve in shown
    )
    texts = []
    if bands:
        level = f"{100.0 * evidence.summary['prediction']['level']:.0f} %"
        texts.append(
            f"A {level} band should hold {level} of the measured values: for curves that were held out, whatever "
            "parameters, errors of the model and the sensor leave open; for fitted ones, the errors that a fit leaves."
        )
    if len(evidence.curves) > MOST_CURVES:
        texts.append(f"The first {MOST_CURVES} of {len(evidence.curves)} curves are shown.")
    return Section("Curve by curve", texts=tuple(texts), pictures=pictures)


def _covered(band: dict[str, Any] | None) -> str:
    """Return in words how much of a curve lies within its bands."""
    if band is None:
        return ""
    shares = [
        f"{100.0 * band[f'{what}_coverage']:.0f} % of {what}s (± {factor * band[key]:.{digits}f} {unit})"
        for what, key, factor, digits, unit in (
            ("voltage", "voltage_half_width_V", 1e3, 0, "mV"),
            ("temperature", "temperature_half_width_K", 1.0, 2, "K"),
        )
        if band[f"{what}_coverage"] is not None
    ]
    said = f" In the bands: {' and '.join(shares)}."
    if band["ended_early"]:
        said += f" {band['ended_early']} of {band['parameter_sets']} parameter sets end before the curve does."
    return said


def _checks(evidence: CalibrationEvidence) -> Section:
    rows = tuple(
        (
            check["outcome"],
            _title(check),
            _measure(check["value"], check),
            _measure(check["limit"], check),
            check["message"].replace("A.h", "A·h"),
        )
        for check in sorted(evidence.summary["provenance"]["checks"], key=lambda check: _ORDER[check["outcome"]])
    )
    return Section(
        "Consistency checks",
        texts=(
            "Beyond its limit a check flags the calibration; far beyond, it refuses it. "
            "Balances are of the simulated cell over each measured curve.",
        ),
        tables=(Table(("Outcome", "Check", "Value", "Limit", "In words"), rows),),
    )


def _measure(value: float | None, check: dict[str, Any]) -> str:
    if value is None:
        return ""
    size = f"{value:.3g}" if abs(value) >= _SMALL or value == 0.0 else f"below {_SMALL:g}"
    return f"{size} {_unit(check)}".strip()


def _unit(check: dict[str, Any]) -> str:
    return "" if check["unit"] == "-" else str(check["unit"]).replace("A.h", "A·h")


def _parameters(evidence: CalibrationEvidence) -> Section:
    summary = evidence.summary
    known = summary["uncertainty_method"] is not None
    heads = ["Parameter", "Unit", "Start", "Calibrated", "Lower bound", "Upper bound"]
    heads += ["95 % interval", "Remark"] if known else ["Remark"]
    rows = []
    for item in summary["parameters"]:
        row = [item["name"].split(" [")[0], "" if item["unit"] == "-" else item["unit"]]
        row += [f"{item[key]:.4g}" for key in ("start", "value", "low", "high")]
        if known:
            interval = item.get("interval_95")
            row.append("" if not interval or None in interval else f"{interval[0]:.3g} to {interval[1]:.3g}")
        remarks = ["at a bound"] if item["at_bound"] else []
        if not item.get("determined", True):
            remarks.append("the data say little beyond the prior")
        if _outside(item):
            remarks.append("calibrated value outside its interval")
        rows.append((*row, "; ".join(remarks)))
    texts = [*summary["identifiability"]] or ["The uncertainty of the parameters was not asked for."]
    if known:
        texts.insert(0, f"Intervals: {summary['uncertainty_method']}.")
    if any(_outside(item) for item in summary["parameters"]):
        texts.append(
            "Where a calibrated value lies outside its interval, the least squares follow errors of the model that the "
            "posterior, which knows residuals along a curve to be correlated, does not trust."
        )
    return Section(
        "Parameters",
        texts=tuple(texts),
        pictures=(Picture("", svg=draw_parameters(summary["parameters"])),),
        tables=(Table(tuple(heads), tuple(rows)),),
    )


def _outside(item: dict[str, Any]) -> bool:
    low, high = item.get("interval_95") or (None, None)
    return low is not None and high is not None and not low <= item["value"] <= high


def _correlations(evidence: CalibrationEvidence) -> Section | None:
    summary = evidence.summary
    if summary["correlation"] is None:
        return None
    correlation = np.asarray(summary["correlation"], dtype=np.float64)
    names = [item["name"] for item in summary["parameters"]]
    upper = np.triu(correlation, 1)
    strong = [
        (short_name(names[first]), short_name(names[second]), f"{upper[first, second]:+.2f}")
        for first, second in sorted(
            zip(*np.nonzero(np.abs(upper) >= _STRONG), strict=True), key=lambda at: -abs(upper[at])
        )
    ]
    text = "Pairs with a strong correlation trade against each other: only their combination is known."
    return Section(
        "Correlations",
        texts=(text,) if strong else ("No pair of parameters is strongly correlated.",),
        pictures=(Picture("", svg=draw_correlation(names, correlation)),),
        tables=(Table(("Parameter", "with", "Correlation"), tuple(strong)),) if strong else (),
    )


def _convergence(evidence: CalibrationEvidence) -> Section:
    search = evidence.summary["provenance"]["search"]
    rows = tuple(
        (
            stage["name"],
            stage["method"].replace("_", " "),
            str(stage["evaluations"]),
            _number(stage["cost"]),
            stage["ended"],
        )
        for stage in search["stages"]
    )
    failed = sum(search["failed_simulations"].values())
    texts = ["Costs of different stages do not compare: each has its own model or corrections."]
    if failed:
        texts.append(f"{failed} simulations of the last stage ended early and counted as misfits.")
    stages = [(str(name), int(count)) for name, count in evidence.summary["stages"]]
    return Section(
        "Convergence",
        texts=tuple(texts),
        pictures=(Picture("", svg=draw_convergence(evidence.history, stages)),),
        tables=(Table(("Stage", "Method", "Evaluations", "Best cost", "Ended"), rows),),
    )


def _limits(evidence: CalibrationEvidence) -> Section:
    return Section("What the set should not be used for", texts=tuple(evidence.summary["limits"][:3]))


def _data(evidence: CalibrationEvidence) -> Section:
    data = evidence.summary["provenance"]["data"]
    rows = tuple(
        (
            item["curve"],
            item["use"],
            item["file"],
            item["sha256"][:12],
            f"{item['rows_used']} of {item['rows']}",
            "; ".join(f"{count} {reason}" for reason, count in item["rows_left_out"].items()),
        )
        for item in data
    )
    texts = []
    for key, word in (("citation", "Data"), ("licence", "Licence")):
        found = list(dict.fromkeys(item[key] for item in data if item[key]))
        texts += [f"{word}: {text}." for text in found]
    idle = [item["curve"] for item in evidence.summary.get("read_only", ())]
    if idle:
        texts.append(f"Read and checked, neither fitted nor scored: {', '.join(idle)}. Discharges alone are fitted.")
    unused = evidence.summary["provenance"]["rows_in_no_curve"]
    if unused:
        texts.append("Rows in no curve: " + "; ".join(f"{count} {reason}" for reason, count in unused.items()) + ".")
    return Section(
        "Data",
        texts=tuple(texts),
        tables=(Table(("Curve", "Use", "File", "SHA-256", "Rows used", "Rows left out"), rows),),
    )


def _provenance(evidence: CalibrationEvidence) -> Section:
    card = evidence.summary["provenance"]
    model, options = card["model"], card["options"]
    rows = [
        ("Made", card["made"]),
        ("Equations", f"{model['equations']}, {model['thermal']}"),
        ("Heat of mixing", "counted" if model["heat_of_mixing"] else "left out"),
        ("Begun with", f"{model['base_set_citation']}"),
        ("Corrections", _corrections(model["corrections"])),
        ("Method", f"{options['method'].replace('_', ' ')}, seed {card['seed']}"),
        ("Allowed", f"{options['budget']} evaluations, {options['seconds']:.0f} s"),
        ("Software", ", ".join(f"{name} {version}" for name, version in card["software"].items())),
        ("Parameter set", evidence.summary["parameter_set"] or "none, the calibration is refused"),
    ]
    return Section("How it was made", tables=(Table(("", ""), tuple(rows)),))


def _corrections(corrections: dict[str, Any]) -> str:
    parts = []
    for name, value in corrections.items():
        count = value if isinstance(value, int) else len(value)
        if count:
            parts.append(f"{count} of {name.replace('_', ' ')}")
    return ", ".join(parts) or "none"


def _number(value: float | None, digits: int = 2, factor: float = 1.0) -> str:
    return "" if value is None else f"{factor * value:.{digits}f}"
