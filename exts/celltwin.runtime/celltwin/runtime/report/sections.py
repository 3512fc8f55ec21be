"""The report's sections: what is said, shown and tabled, and in which order."""

from __future__ import annotations

import base64
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from celltwin.core import Array, Kind, Level, PackSpec, Quality, find_quantity
from celltwin.stage import render_pack

from .evidence import Evidence, Series
from .figures import draw_deviations, draw_pack, draw_range, draw_soc, draw_soh
from .life_section import level_texts, life_content
from .recalibration_section import recalibration_tables, recalibration_texts
from .risk_section import risk_content

__all__ = ["MOST_ROWS", "Picture", "Section", "Table", "build_sections", "picture_of_pack"]

MOST_ROWS = 40
PICTURE_SIZE = (1100, 720)


@dataclass(frozen=True)
class Picture:
    """A figure: SVG text or a PNG in base 64, and its caption."""

    caption: str
    svg: str = ""
    png: str = ""


@dataclass(frozen=True)
class Table:
    """Heads and rows of text."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """One box of the report."""

    title: str
    texts: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = field(default=())


def build_sections(evidence: Evidence) -> list[Section]:
    """Return the sections of a report; those without content are left out."""
    built = (
        _pack(evidence),
        _load(evidence),
        _groups(evidence),
        _temperatures(evidence),
        _charge(evidence),
        _health(evidence),
        _life(evidence),
        _risk(evidence),
        _recalibration(evidence),
        _advice(evidence),
        _safety(evidence),
        _alarms(evidence),
        _quarantine(evidence),
        _provenance(evidence),
    )
    return [section for section in built if section is not None]


def cell_snapshot(evidence: Evidence, quantity: str) -> Array | None:
    """Return the last values of all cells that may be trusted, NaN for the others; None where none may."""
    level_choices = [
        (kind, level)
        for level in (Level.CELL, Level.GROUP, Level.MODULE)
        for kind in (Kind.MEASURED, Kind.ESTIMATED, Kind.PREDICTED)
    ]
    series = evidence.series(quantity, *level_choices)
    if series is None:
        return None
    trusted = np.where(series.quality <= Quality.STALE, series.values, np.nan)
    known = np.flatnonzero(np.isfinite(trusted).any(axis=1))
    if known.size == 0:
        return None
    return np.repeat(trusted[known[-1]], evidence.spec.n_cells // trusted.shape[1])


def _pack(evidence: Evidence) -> Section | None:
    pictures = []
    hottest = evidence.series(
        "temperature", (Kind.MEASURED, Level.CELL), (Kind.ESTIMATED, Level.CELL), (Kind.MEASURED, Level.MODULE)
    )
    if hottest is not None:
        step = int(np.nanargmax(np.nanmax(np.where(np.isfinite(hottest.values), hottest.values, -np.inf), axis=1)))
        values = np.repeat(hottest.values[step], evidence.spec.n_cells // hottest.values.shape[1])
        when = hottest.time[step] / 60.0
        spread = float(np.nanmax(values) - np.nanmin(values))
        pictures.append(
            Picture(
                caption=f"Temperature of every cell ({hottest.kind}) when the pack was hottest, after {when:.0f} min; "
                f"{spread:.1f} K between the coldest and the hottest.",
                png=picture_of_pack(evidence.spec, values, "temperature"),
            )
        )
    for quantity, words in (
        ("soh", "Predicted health of every cell at the end; grey where it may not be trusted."),
        ("voltage", "Voltage of every cell's group at the end."),
    ):
        snapshot = cell_snapshot(evidence, quantity)
        if snapshot is not None and len(pictures) < 2:
            pictures.append(Picture(caption=words, png=picture_of_pack(evidence.spec, snapshot, quantity)))
    if not pictures:
        return None
    return Section("The pack", (evidence.spec.description,) if evidence.spec.description else (), tuple(pictures))


def picture_of_pack(
    spec: PackSpec,
    values: Array,
    quantity: str,
    *,
    ends: tuple[float, float] | None = None,
    title: str = "",
    marked: tuple[int, ...] = (),
) -> str:
    """Return the pack with its cells coloured, as a PNG in base 64; without ``ends`` the scale fits the values."""
    low, high = ends or (None, None)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pack.png"
        render_pack(
            spec,
            values,
            path,
            quantity=quantity,
            lowest=low,
            highest=high,
            title=title,
            size=PICTURE_SIZE,
            alarmed=marked,
        )
        return base64.b64encode(path.read_bytes()).decode("ascii")


def _load(evidence: Evidence) -> Section | None:
    current = evidence.series("current", (Kind.MEASURED, Level.PACK))
    voltage = evidence.series("voltage", (Kind.MEASURED, Level.PACK), (Kind.ESTIMATED, Level.PACK))
    if current is None or voltage is None:
        return None
    return Section(
        "Voltage and current",
        pictures=(
            Picture(
                "Current is positive on discharge.",
                draw_pack(current.time, current.values[:, 0], _on(current.time, voltage)),
            ),
        ),
    )


def _on(time: Array, series: Series) -> Array:
    return np.interp(time, series.time, series.values[:, 0])


def _groups(evidence: Evidence) -> Section | None:
    voltage = evidence.series("voltage", (Kind.MEASURED, Level.GROUP))
    if voltage is None:
        return None
    ids = evidence.spec.element_ids(Level.GROUP)
    ranks = evidence.summary["figures"]["groups"]
    weakest = tuple(ids.index(rank["element"]) for rank in ranks[:2])
    pictures = [
        Picture(
            "Voltage of the series groups.", draw_range(voltage.time, voltage.values, ids, "voltage", weakest, "group")
        )
    ]
    texts = []
    if ranks:
        deficit = {rank["element"]: rank["deficit_V"] for rank in ranks}
        values = np.array([-deficit.get(name, np.nan) for name in ids])
        pictures.append(
            Picture(
                "Mean deviation from the median group while discharging, weighted by charge.",
                draw_deviations(values, ids, weakest),
            )
        )
        weak = [rank for rank in ranks if rank["weak"]]
        named = " and ".join(rank["element"] for rank in ranks[:2])
        texts.append(
            f"The two weakest groups under discharge are {named}. "
            + (
                f"{len(weak)} of {len(ids)} groups are significantly weak: "
                "beyond three standard deviations of the better half."
                if weak
                else "No group is significantly weak: the spread is that of the sensors and of ordinary production."
            )
        )
        texts += [rank["sentence"] + "." for rank in ranks[:2]]
    return Section("Series groups", tuple(texts), tuple(pictures))


def _temperatures(evidence: Evidence) -> Section | None:
    series = evidence.series(
        "temperature", (Kind.MEASURED, Level.CELL), (Kind.MEASURED, Level.MODULE), (Kind.ESTIMATED, Level.CELL)
    )
    if series is None:
        return None
    ids = evidence.spec.element_ids(series.level)
    highest = np.nanmax(np.where(np.isfinite(series.values), series.values, -np.inf), axis=0)
    hottest = int(np.argmax(highest))
    step = int(np.nanargmax(series.values[:, hottest]))
    text = (
        f"Hottest: {ids[hottest]}, {find_quantity('temperature').format(float(highest[hottest]))} "
        f"after {series.time[step] / 60.0:.0f} min "
        f"(limit {find_quantity('temperature').format(evidence.spec.cell.highest_temperature)})."
    )
    marked = (hottest,) if series.values.shape[1] > 12 else ()
    picture = Picture(
        f"Temperatures, {series.kind}.",
        draw_range(series.time, series.values, ids, "temperature", marked, series.level.value),
    )
    return Section("Temperature", (text,), (picture,))


def _charge(evidence: Evidence) -> Section | None:
    soc = evidence.series("soc", (Kind.ESTIMATED, Level.PACK))
    if soc is None:
        return None
    groups = evidence.series("soc", (Kind.ESTIMATED, Level.GROUP))
    nothing = np.full(soc.time.size, np.nan)
    lowest, highest = nothing, nothing
    if groups is not None and groups.time.size == soc.time.size:
        some = np.where(np.isfinite(groups.values).any(axis=1)[:, np.newaxis], groups.values, 0.0)
        lowest, highest = np.nanmin(some, axis=1), np.nanmax(some, axis=1)
    picture = draw_soc(soc.time, soc.values[:, 0], soc.uncertainty[:, 0], lowest, highest)
    return Section(
        "State of charge",
        (),
        (Picture("Estimated from voltage and current; the band is where it lies with 95 % confidence.", picture),),
    )


def _health(evidence: Evidence) -> Section | None:
    soh = evidence.series("soh", (Kind.PREDICTED, Level.CELL))
    if soh is None:
        readings = evidence.history.reading(Kind.PREDICTED, "soh", Level.CELL)
        reason = next(
            (reason for reason in reversed(readings.reasons) if reason), "the cells were never charged in this run"
        )
        return Section("State of health", (f"There is no prediction. {reason}".rstrip(".") + ".",))
    step = int(np.flatnonzero(np.isfinite(soh.values).any(axis=1))[-1])
    predicted, quality = soh.values[step], soh.quality[step]
    trusted = quality == Quality.GOOD
    known = np.isfinite(predicted)
    true_soh = evidence.true_soh
    weakest = int(np.nanargmin(predicted))
    ids = evidence.spec.element_ids(Level.CELL)
    interval = 1.96 * soh.uncertainty[step][weakest]
    texts = [
        f"{int(known.sum())} cells predicted from their own charge curves; mean "
        f"{100 * np.nanmean(predicted):.1f} %, weakest {ids[weakest]} at {100 * predicted[weakest]:.1f} "
        f"± {100 * interval:.1f} % (95 %). "
        f"{int((known & trusted).sum())} of them may be trusted; "
        "the others lie outside what the model was trained on.",
        *level_texts(evidence),
    ]
    if true_soh is not None:
        error = 100 * np.abs(predicted - true_soh)[known]
        inside = np.abs(predicted - true_soh)[known] <= 1.96 * soh.uncertainty[step][known]
        texts.append(
            f"The simulated plant knows the truth: mean absolute error {error.mean():.2f} points of SOH; "
            f"the 95 % interval holds it for {100 * inside.mean():.0f} % of the cells. "
            "The model learned from real cells and has never seen this plant."
        )
    return Section(
        "State of health", tuple(texts), (Picture("Histogram of the cells.", draw_soh(predicted, trusted, true_soh)),)
    )


def _life(evidence: Evidence) -> Section | None:
    content = life_content(evidence)
    if content is None:
        return None
    texts, drawing, rows = content
    pictures = (Picture("Of every module; grey where it may not be trusted.", drawing),) if drawing else ()
    heads = ("Module", "Health by capacity", "Cycles left", "Days left at this use")
    return Section("Remaining life", texts, pictures, (Table(heads, rows[:MOST_ROWS]),) if rows else ())


def _risk(evidence: Evidence) -> Section | None:
    content = risk_content(evidence)
    if content is None:
        return None
    texts, drawing = content
    pictures = (Picture("Of the pack, and of the cell that is most at risk.", drawing),) if drawing else ()
    return Section("Risk of thermal runaway", texts, pictures)


def _recalibration(evidence: Evidence) -> Section | None:
    texts = recalibration_texts(evidence)
    tables = tuple(Table(heads, rows) for heads, rows in recalibration_tables(evidence, MOST_ROWS))
    return Section("Recalibration of the groups", texts, (), tables) if texts else None


def _advice(evidence: Evidence) -> Section | None:
    if not evidence.advice:
        return None
    last = evidence.advice[-1]
    modules = evidence.spec.element_ids(Level.MODULE)
    bleeding = np.reshape(last["balancing_current_A"], (len(modules), evidence.spec.series))
    rows = tuple(
        (
            module,
            f"{last['charge_current_A'][index]:.1f} A",
            f"{last['coolant_flow_kg_per_s'][index]:.3f} kg/s",
            f"{np.count_nonzero(bleeding[index])} groups",
            last["reasons"][index],
            last["expected"][index],
        )
        for index, module in enumerate(modules)
    )
    text = (
        f"The newest of {len(evidence.advice)} advices, for the state at {last['time_s'] / 60.0:.0f} min; "
        f"{len(last['candidates'])} candidates were simulated with {last['provenance']}."
    )
    return Section(
        "Advice",
        (text,),
        (),
        (Table(("Module", "Charge current", "Coolant flow", "Balancing", "Reason", "Expected effect"), rows),),
    )


def _safety(evidence: Evidence) -> Section | None:
    commands = [entry for entry in evidence.commands if entry.get("event") == "command"]
    if not commands:
        return None
    changed = [entry for entry in commands if entry["interventions"]]
    text = (
        f"{len(commands)} changes of the set-points, of which the shield altered {len(changed)}; "
        f"mode at the end: {evidence.summary['mode']}."
    )
    rows = tuple(
        (
            f"{entry['time_s'] / 60.0:.1f}",
            entry["origin"],
            f"{entry['duty_current_A']:.1f}",
            f"{entry['pack_current_A']:.1f}",
            "; ".join(entry["interventions"]) or "–",
        )
        for entry in commands[:MOST_ROWS]
    )
    return Section(
        "Commands and shield",
        (text,),
        (),
        (Table(("Time [min]", "From", "Duty asked [A]", "Pack got [A]", "What the shield changed"), rows),),
    )


def _alarms(evidence: Evidence) -> Section | None:
    alarms = evidence.summary["alarms"]
    if not alarms:
        return Section("Alarms", ("None.",))
    rows = tuple(
        (f"{alarm['time_s'] / 60.0:.1f}", alarm["severity"], alarm["element"], alarm["message"])
        for alarm in alarms[:MOST_ROWS]
    )
    text = f"{len(alarms)} alarms were raised" + (
        f"; the first {MOST_ROWS} are shown." if len(alarms) > MOST_ROWS else "."
    )
    return Section("Alarms", (text,), (), (Table(("Time [min]", "Severity", "Element", "Message"), rows),))


def _quarantine(evidence: Evidence) -> Section | None:
    quarantine = evidence.summary["quarantine"]
    if not quarantine["total"]:
        return Section("Quarantine", ("Every sample was accepted.",))
    rows = tuple(
        (row["reason"], row["channel"], str(row["count"]), row["first_origin"], row["first_example"])
        for row in quarantine["rows"][:MOST_ROWS]
    )
    return Section(
        "Quarantine",
        (f"{quarantine['total']} samples were not used; each is kept in history/quarantine.",),
        (),
        (Table(("Reason", "Channel", "Samples", "First at", "What was sent"), rows),),
    )


def _provenance(evidence: Evidence) -> Section:
    summary = evidence.summary
    rows = [
        ("Celltwin", str(summary["celltwin"])),
        ("Host", f"{summary['host']}, Python {summary['python']}"),
        ("Libraries", ", ".join(f"{name} {version}" for name, version in summary["libraries"].items())),
        ("Pack", f"{summary['pack']['file']}: {evidence.spec.source}"),
        ("Source", summary["source"]),
        ("Seed", str(summary["seed"])),
        ("Time", f"{summary['simulated_s']:.0f} s of the pack in {summary['wall_s']:.1f} s"),
        *((name, text) for name, text in summary["models"].items()),
        *(
            (f"File of the {tier} tier" if tier != "recording" else "Recorded stage", name)
            for tier, name in summary["tiers"].items()
        ),
    ]
    return Section("Provenance", (), (), (Table(("What", "Which"), tuple(rows)),))
