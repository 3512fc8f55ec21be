"""The report of a simulated scenario: what is said, shown and tabled."""

from __future__ import annotations

from typing import Any

import numpy as np

from celltwin.core import (
    Array,
    InternalShort,
    Kind,
    Level,
    OpenWeld,
    Scenario,
    ScenarioPlayer,
    WeakCell,
    find_cells,
    find_quantity,
    load_scenario,
)
from celltwin.stage.heat_map import fit_range

from .evidence import Evidence, Series
from .figures import LONGEST_IN_HOURS, LONGEST_IN_MINUTES, draw_range
from .sections import MOST_ROWS, Picture, Section, Table, picture_of_pack
from .simulation_figures import Marks, break_lines, draw_energy, draw_sensor, draw_spreads, draw_terminals, draw_thermal
from .simulation_further import ageing_section, mechanics_section, runaway_section
from .simulation_steps import scenario_section

__all__ = [
    "build_simulation_sections",
    "simulation_cards",
    "simulation_notes",
    "simulation_subtitle",
    "simulation_title",
]

# Moments at which the pack is drawn.
MOST_MOMENTS = 4
LEAST_APART = 0.1  # of the run
# Cells with faults that are marked in a picture.
MOST_MARKED = 8
MOST_SENSORS = 6
MOST_LINES_NAMED = 3
LEAST_ENERGY = 1e-3  # that is worth a line [W.h]
_ROUNDING = 0.005  # of a state of charge that passes its ends
_BALANCE = {
    "electrical_Wh": "Delivered (taken where negative)",
    "bled_Wh": "Burnt by balancing resistors",
    "generated_Wh": "Heat made",
    "to_coolant_Wh": "Heat to the coolant",
    "to_ambient_Wh": "Heat to the ambient",
    "stored_as_heat_Wh": "Heat stored",
}


def build_simulation_sections(evidence: Evidence) -> list[Section]:
    """Return the sections of the report of a simulated scenario; those without content are left out."""
    scenario = load_scenario(evidence.folder / "scenario.toml")
    marks = tuple((fault.at, fault.title) for fault in scenario.faults)
    cells, groups = _faulted(scenario, evidence)
    built = (
        scenario_section(scenario),
        _pack(evidence, cells),
        _terminals(evidence, marks),
        _thermal(evidence, scenario, marks),
        runaway_section(evidence),
        ageing_section(evidence),
        mechanics_section(evidence),
        _groups(evidence, marks, groups),
        _charge(evidence, cells),
        _sharing(evidence, cells),
        _balance(evidence),
        _sensors(evidence),
        _events(evidence),
        _provenance(evidence, scenario),
    )
    return [section for section in built if section is not None]


def simulation_title(evidence: Evidence) -> str:
    """Return the title."""
    return "Simulation: " + str(evidence.summary["scenario"]["name"]).replace("_", " ")


def simulation_subtitle(evidence: Evidence) -> str:
    """Return the line below the title."""
    summary, spec = evidence.summary, evidence.spec
    speed = (summary["simulated_s"] - (summary["resumed_at_s"] or 0.0)) / max(summary["wall_s"], 1e-9)
    return (
        f"{spec.title}: {spec.n_cells} cells, {spec.capacity:.0f} A·h, "
        f"{spec.energy / 1000.0:.2f} kWh. {_after(summary['simulated_s'])} simulated in "
        f"{summary['wall_s']:.0f} s, {speed:.0f} times real time"
        + (
            f", the last {(summary['simulated_s'] - summary['resumed_at_s']) / 60.0:.0f} min after an interruption."
            if summary["resumed_at_s"]
            else "."
        )
    )


def simulation_notes(evidence: Evidence) -> list[dict[str, str]]:
    """Return what a reader must know first."""
    summary, notes = evidence.summary, []
    if summary["failure"]:
        notes.append({"level": "bad", "text": f"The simulation stopped early: {summary['failure']}"})
    if summary["ended"] == "cancelled":
        notes.append({"level": "warn", "text": "The simulation was interrupted before the end of the scenario."})
    runaways = [event for event in summary["events"] if event["message"].startswith("thermal runaway")]
    if runaways:
        count = int(summary["figures"].get("runaway_cells", len(runaways)))
        notes.append(
            {
                "level": "bad",
                "text": f"Thermal runaway of {_counted(count, 'cell')}, first {runaways[0]['element']} after "
                f"{runaways[0]['time'] / 60.0:.1f} min.",
            }
        )
    limits = [event for event in summary["events"] if event["kind"] == "limit"]
    passed = [event for event in limits if "held back" not in event["message"] and "contactor" not in event["message"]]
    if passed:
        notes.append(
            {
                "level": "warn",
                "text": f"Limits of the cell were passed: {passed[0]['element']}: {passed[0]['message']}"
                + (f", and {_counted(len(passed) - 1, 'event')} more" if len(passed) > 1 else ""),
            }
        )
    if evidence.history.damaged:
        notes.append(
            {"level": "warn", "text": f"Parts of the history cannot be read: {', '.join(evidence.history.damaged)}"}
        )
    return notes


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def simulation_cards(evidence: Evidence) -> list[dict[str, str]]:
    """Return the figures at the top."""
    figures = evidence.summary["figures"]
    extremes, cards = figures["extremes"], []

    def card(label: str, value: str, detail: str = "") -> None:
        cards.append({"label": label, "value": value, "detail": detail})

    for name, label in (("discharged", "Discharged"), ("charged", "Charged")):
        if figures[f"{name}_Ah"] > 0.005:
            card(label, f"{figures[f'{name}_Ah']:.1f} A·h", f"{figures[f'{name}_Wh'] / 1000.0:.2f} kWh")
    if figures["soc_last"] is not None:
        card("SOC", f"{100 * figures['soc_last']:.1f} %", f"from {100 * figures['soc_first']:.1f} %")
    for name, quantity, label in (
        ("lowest_group_voltage_V", "voltage", "Lowest group"),
        ("highest_group_voltage_V", "voltage", "Highest group"),
        ("highest_cell_temperature_K", "temperature", "Hottest cell"),
    ):
        if name in extremes:
            found = extremes[name]
            where = f"{found['element']} after {_after(found['time_s'])}"
            card(label, find_quantity(quantity).format(found["value"]), where)
    if "mean_cell_soh_last" in figures:
        lost = f"lowest {100 * figures['lowest_cell_soh_last']:.1f} %"
        card("SOH at the end", f"{100 * figures['mean_cell_soh_last']:.1f} %", lost)
    if "highest_pressure_Pa" in extremes and extremes["highest_pressure_Pa"]["value"] > 0.0:
        found = extremes["highest_pressure_Pa"]
        card("Highest pressure", find_quantity("pressure").format(found["value"]), found["element"])
    card("Widest spread", f"{figures['widest_cell_temperature_K']:.1f} K", "between two cells")
    card("Events", str(sum(event["kind"] in ("limit", "failure") for event in evidence.summary["events"])), "at limits")
    return cards


def _gap(evidence: Evidence) -> float:
    """Return the longest time between samples that nothing was jumped over in [s]."""
    return (
        2.0 * float(evidence.summary["sample_period_s"]) if evidence.summary["figures"].get("cycles_jumped") else np.inf
    )


def _after(seconds: float) -> str:
    """Return a time of the run for people."""
    if seconds > LONGEST_IN_HOURS:
        return f"{seconds / 86400.0:.1f} days"
    return f"{seconds / 3600.0:.1f} h" if seconds > LONGEST_IN_MINUTES else f"{seconds / 60.0:.0f} min"


def _series(evidence: Evidence, quantity: str, level: Level) -> Series | None:
    return evidence.series(quantity, (Kind.PREDICTED, level))


def _pack(evidence: Evidence, faulted: tuple[int, ...]) -> Section | None:
    temperature = _series(evidence, "temperature", Level.CELL)
    soc = _series(evidence, "soc", Level.CELL)
    if temperature is None or soc is None:
        return None
    pictures = []
    marked = faulted if len(faulted) <= MOST_MARKED else ()
    words = " Red balls: cells with a fault." if marked else ""
    ends = fit_range(temperature.values.reshape(-1), "temperature")
    for index in _moments(temperature):
        values, when = temperature.values[index], _after(float(temperature.time[index]))
        pictures.append(
            Picture(
                caption=f"Temperature of every cell after {when}; {np.ptp(values):.1f} K between the "
                f"coldest and the hottest. One scale for all moments.{words}",
                png=picture_of_pack(evidence.spec, values, "temperature", ends=ends, title=when, marked=marked),
            )
        )
    widest = int(np.argmax(np.ptp(soc.values, axis=1)))
    for index in sorted({widest, soc.time.size - 1}):
        values, when = soc.values[index], _after(float(soc.time[index]))
        why = "where it lies furthest apart" if index == widest else "at the end"
        pictures.append(
            Picture(
                caption=f"State of charge of every cell after {when}, {why}: "
                f"{100 * abs(values.min()):.1f} to {100 * values.max():.1f} %. A scale of its own.",
                png=picture_of_pack(evidence.spec, values, "soc", ends=_soc_ends(values), title=when, marked=marked),
            )
        )
    return Section("The pack over time", (), tuple(pictures))


def _soc_ends(values: Array) -> tuple[float, float]:
    """Return ends of a scale that shows no charge that a cell cannot have."""
    low, high = fit_range(values, "soc")
    beyond = _ROUNDING
    return (low if values.min() < -beyond else max(low, 0.0), high if values.max() > 1.0 + beyond else min(high, 1.0))


def _moments(temperature: Series) -> list[int]:
    """Return samples to draw: the hottest, the last, where the cells lie furthest apart, and some between."""
    last = temperature.time.size - 1
    wanted = [
        int(np.argmax(temperature.values.max(axis=1))),
        last,
        int(np.argmax(np.ptp(temperature.values, axis=1))),
        *(round(share * last) for share in (1 / 3, 2 / 3, 1 / 6, 1 / 2, 0.0)),
    ]
    chosen: list[int] = []
    for index in wanted:
        # Two moments that nobody could tell apart are one.
        apart = np.abs(temperature.time[chosen] - temperature.time[index]) >= LEAST_APART * temperature.time[last]
        if len(chosen) < MOST_MOMENTS and apart.all():
            chosen.append(index)
    return sorted(chosen)


def _faulted(scenario: Scenario, evidence: Evidence) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the cells that faults of a few cells name, and the groups of all cells with a fault."""
    cells: list[int] = []
    groups: list[int] = []
    for fault in scenario.faults:
        if isinstance(fault, InternalShort | OpenWeld | WeakCell):
            found = find_cells(fault.target, evidence.spec)
            groups += (found // evidence.spec.parallel).tolist()
            cells += found.tolist() if found.size <= MOST_MARKED else []
    return tuple(dict.fromkeys(cells)), tuple(dict.fromkeys(groups))


def _terminals(evidence: Evidence, marks: Marks) -> Section | None:
    voltage, current, power = (_series(evidence, name, Level.PACK) for name in ("voltage", "current", "power"))
    if voltage is None or current is None or power is None:
        return None
    columns = (voltage.values[:, 0], current.values[:, 0], power.values[:, 0])
    time, volts, amperes, watts = break_lines(voltage.time, _gap(evidence), *columns)
    svg = draw_terminals(time, volts, amperes, watts, marks)
    caption = "Current and power are positive on discharge." + (" Dashed lines: faults." if marks else "")
    return Section("Voltage, current, power", (), (Picture(caption, svg),))


def _thermal(evidence: Evidence, scenario: Scenario, marks: Marks) -> Section | None:
    temperature = _series(evidence, "temperature", Level.CELL)
    if temperature is None:
        return None
    spec = evidence.spec
    coolant = _series(evidence, "coolant_temperature", Level.MODULE)
    player = ScenarioPlayer(scenario, spec)
    ambient = np.array([player.surroundings(float(time)).ambient_temperature for time in temperature.time])
    found = evidence.summary["figures"]["extremes"]["highest_cell_temperature_K"]
    shown = find_quantity("temperature")
    text = (
        f"Hottest: {found['element']}, {shown.format(found['value'])} after {_after(found['time_s'])} "
        f"(limit {shown.format(spec.cell.highest_temperature)})."
    )
    flowing = _flowing(coolant, _series(evidence, "coolant_flow", Level.MODULE))
    columns = (temperature.values, ambient) if flowing is None else (temperature.values, ambient, flowing)
    time, cells, air, *outlets = break_lines(temperature.time, _gap(evidence), *columns)
    svg = draw_thermal(time, cells, outlets[0] if outlets else None, air, spec.cell.highest_temperature, marks)
    return Section("Temperature", (text,), (Picture("Envelope of the cells, and what surrounds them.", svg),))


def _flowing(coolant: Series | None, flow: Series | None) -> Array | None:
    """Return the temperature of the coolant where it flows, NaN where it stands; None for a pack without coolant."""
    if coolant is None or flow is None or not (flow.values > 0.0).any():
        return None
    return np.where(flow.values > 0.0, coolant.values, np.nan)


def _groups(evidence: Evidence, marks: Marks, faulted: tuple[int, ...]) -> Section | None:
    voltage, soc = _series(evidence, "voltage", Level.GROUP), _series(evidence, "soc", Level.CELL)
    if voltage is None or soc is None:
        return None
    ids = evidence.spec.element_ids(Level.GROUP)
    low = int(np.argmin(voltage.values.min(axis=0)))
    high = int(np.argmax(voltage.values.max(axis=0)))
    marked = tuple(dict.fromkeys((*faulted, low, high)))[:MOST_LINES_NAMED]
    time, volts, charges = break_lines(voltage.time, _gap(evidence), voltage.values, soc.values)
    pictures = (
        Picture(
            f"Voltage of the series groups; {ids[low]} goes lowest, {ids[high]} highest.",
            draw_range(time, volts, ids, "voltage", marked if len(ids) > 12 else (), "group"),
        ),
        Picture("How far the pack drifts apart.", draw_spreads(time, volts, charges, marks)),
    )
    return Section("Series groups", (), pictures)


def _charge(evidence: Evidence, faulted: tuple[int, ...]) -> Section | None:
    soc = _series(evidence, "soc", Level.CELL)
    if soc is None:
        return None
    ids = evidence.spec.element_ids(Level.CELL)
    low = int(np.argmin(soc.values.min(axis=0)))
    high = int(np.argmax(soc.values.max(axis=0)))
    marked = tuple(dict.fromkeys((*faulted, low, high)))[:MOST_LINES_NAMED]
    time, charges = break_lines(soc.time, _gap(evidence), soc.values)
    svg = draw_range(time, charges, ids, "soc", marked, "cell", remark="")
    words = ", ".join(ids[index] for index in marked)
    return Section("State of charge", (), (Picture(f"Envelope of all cells, and by name {words}.", svg),))


def _sharing(evidence: Evidence, faulted: tuple[int, ...]) -> Section | None:
    current = _series(evidence, "current", Level.CELL)
    if current is None or evidence.spec.parallel < 2:
        return None
    spec, ids = evidence.spec, evidence.spec.element_ids(Level.CELL)
    groups = current.values.reshape(current.time.size, spec.n_groups, spec.parallel)
    apart = np.abs(groups - groups.mean(axis=2, keepdims=True)).reshape(current.values.shape)
    furthest = np.argsort(-apart.max(axis=0), kind="stable")[:2].tolist()
    marked = tuple(dict.fromkeys((*faulted, *furthest)))[:MOST_LINES_NAMED]
    worst = int(np.argmax(apart.max(axis=0)))
    step = int(np.argmax(apart[:, worst]))
    text = (
        f"Furthest from its group's mean: {ids[worst]} with {current.values[step, worst]:.2f} A against "
        f"{groups[step, worst // spec.parallel].mean():.2f} A after {_after(float(current.time[step]))}."
    )
    time, amperes = break_lines(current.time, _gap(evidence), current.values)
    svg = draw_range(time, amperes, ids, "current", marked, "cell", remark="")
    return Section("Current sharing", (text,), (Picture("Current of the cells, positive on discharge.", svg),))


def _balance(evidence: Evidence) -> Section | None:
    power = _series(evidence, "power", Level.PACK)
    if power is None:
        return None
    figures, summary_balance = evidence.summary["figures"], evidence.summary["balance"]
    texts = []
    if figures["charged_Wh"] > 0.0 and figures["discharged_Wh"] > 0.0:
        texts.append(
            f"{figures['discharged_Wh'] / 1000.0:.2f} kWh left the pack and {figures['charged_Wh'] / 1000.0:.2f} kWh "
            f"entered it, with the state of charge going from {100 * figures['soc_first']:.1f} to "
            f"{100 * figures['soc_last']:.1f} %."
        )
    rows = [
        (label, f"{summary_balance[name]:.4g} W·h")
        for name, label in _BALANCE.items()
        if name in summary_balance and abs(summary_balance[name]) >= LEAST_ENERGY
    ]
    if "missing_heat" in summary_balance:
        rows.append(("Missing in the balance of heat", f"{summary_balance['missing_heat']:.1e} of what was made"))
    tables = (Table(("Cells and their connections", "Since the start"), tuple(rows)),) if rows else ()
    if max(figures["charged_Wh"], figures["discharged_Wh"]) < LEAST_ENERGY:
        return Section("Energy", tuple(texts), (), tables) if rows else None
    if figures.get("cycles_jumped"):
        return Section("Energy", tuple(texts), (), tables)
    svg = draw_energy(power.time, power.values[:, 0], ())
    return Section("Energy", tuple(texts), (Picture("Energy at the terminals since the start.", svg),), tables)


def _sensors(evidence: Evidence) -> Section | None:
    faults = evidence.summary["measured"]["sensor_faults"]
    if not faults:
        return None
    pictures: list[Picture] = []
    rows = []
    for fault in faults:
        hit = fault["channels"]
        until = fault["until_s"]
        rows.append(
            (
                fault["name"],
                fault["what"],
                str(len(hit)),
                f"{fault['from_s'] / 60.0:.1f}",
                "the end" if until is None else f"{until / 60.0:.1f}",
            )
        )
        if hit and len(pictures) < MOST_SENSORS:
            picture = _sensor_picture(evidence, fault, hit[0])
            if picture is not None:
                pictures.append(picture)
    quarantined = evidence.summary["measured"]["quarantined"]
    texts = [
        "What the sensors say, sound and broken, lies in history/measured; what is true in history/states.",
        "Telemetry checks kept out "
        + (", ".join(f"{count} {reason}" for reason, count in sorted(quarantined.items())) or "no sample")
        + ".",
    ]
    table = Table(("Fault", "What", "Channels", "From [min]", "Until [min]"), tuple(rows))
    return Section("Sensors", tuple(texts), tuple(pictures), (table,))


def _sensor_picture(evidence: Evidence, fault: dict[str, Any], channel: dict[str, Any]) -> Picture | None:
    level, element = Level(channel["level"]), int(channel["element"])
    true = _series(evidence, channel["quantity"], level)
    sent_time, sent = evidence.history.measured(channel["quantity"], level)
    if true is None or sent_time.size == 0:
        return None
    quantity = find_quantity(channel["quantity"])

    def shown(values: Array) -> Array:
        return quantity.display_scale * values + quantity.display_offset

    name = evidence.spec.element_ids(level)[element]
    ends = [(fault["from_s"], "from")] + ([(fault["until_s"], "until")] if fault["until_s"] is not None else [])
    svg = draw_sensor(
        true.time,
        shown(true.values[:, element]),
        sent_time,
        shown(sent[:, element]),
        label=f"{quantity.label} [{quantity.display_unit}]",
        marks=tuple(ends),
    )
    return Picture(f"{fault['name']}: {quantity.label.lower()} of {name}.", svg)


def _events(evidence: Evidence) -> Section:
    events = evidence.summary["events"]
    rows = tuple(
        (f"{event['time'] / 60.0:.1f}", event["kind"], event["element"], event["message"])
        for event in events[: 2 * MOST_ROWS]
    )
    text = f"{len(events)} events" + (f"; the first {2 * MOST_ROWS} are shown." if len(events) > 2 * MOST_ROWS else ".")
    return Section("Events", (text,), (), (Table(("Time [min]", "Kind", "Where", "What"), rows),))


def _provenance(evidence: Evidence, scenario: Scenario) -> Section:
    summary = evidence.summary
    rows = (
        ("Celltwin", str(summary["celltwin"])),
        ("Python", str(summary["python"])),
        ("Libraries", ", ".join(f"{name} {version}" for name, version in summary["libraries"].items())),
        ("Pack", f"{summary['pack']['file']}: {evidence.spec.source}"),
        ("Scenario", f"{summary['scenario']['file']} ({summary['scenario']['hash']}): {scenario.source}"),
        ("Model", summary["model"]),
        ("Seed", str(summary["seed"])),
        ("Time step", f"{summary['step_s']:g} s; samples every {summary['sample_period_s']:g} s"),
        ("Speed", f"{summary['cell_steps_per_s']:,} cell-steps a second"),
        ("Data", "history/states (simulated), history/measured (through the sensors), scenario.toml, pack.usdc"),
    )
    return Section("Provenance", (), (), (Table(("What", "Which"), rows),))
