"""What a run of the twin is told: one declaration for Kit settings, the command line and scripts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from celltwin.core import Mode, SettingsError
from celltwin.physics import FIDELITIES

__all__ = ["REPOSITORY", "TwinSettings", "default_run_folder", "settings_from"]

# Packs, duties, parameters and models lie in data/ beside exts/.
REPOSITORY = Path(__file__).resolve().parents[4]


@dataclass(frozen=True, kw_only=True)
class TwinSettings:
    """Settings of one run.

    Attributes
    ----------
    pack : str
        Pack file (TOML) or stage (USD) of the pack.
    telemetry : str
        Recording to replay; empty for the simulated plant.
    out : str
        Folder for the results; empty for ``out/<pack>-<time>``.
    mode : str
        ``observe``, ``advise`` or ``autonomous``.
    speed : float
        Multiple of real time; 0 for as fast as the machine allows.
    step_period : float
        Time between two steps of the twin [s].
    duration : float
        Longest time to run [s of the twin]; 0 for until the duty or the recording ends.
    duty : str
        Duty of the simulated plant.
    fidelity : str
        Cell model of the simulated plant: ``SPMe`` or ``ECM``.
    seed : int
        Seed of everything random.
    quantity : str
        Quantity that colours the pack.
    report : bool
        Whether to write ``report.html`` at the end.
    recalibrated : str
        Earlier run of the same pack, whose recalibration goes on; empty to begin anew.
    past : str
        Where the past charges of the cells are from: the folder of an earlier run of the same pack, a folder of CSV
        histories, or ``new`` for a pack whose first charge is yet to come; empty where its past is unknown.
    used_like : str
        Cycling protocol of the training cells that the pack is used like, such as ``2C``; empty where it is like none.
    campaign : str
        Campaign file to run instead of a twin; empty for a twin.
    ray : str
        Address of the Ray cluster that a campaign runs on; empty for this machine's cores.
    workers : int
        Most runs of a campaign at the same time; 0 for one a core.
    """

    pack: str = "data/packs/reference.toml"
    telemetry: str = ""
    out: str = ""
    mode: str = "advise"
    speed: float = 0.0
    step_period: float = 10.0
    duration: float = 0.0
    duty: str = "data/scenarios/discharge_and_fast_charge.toml"
    fidelity: str = "SPMe"
    seed: int = 1
    quantity: str = "temperature"
    report: bool = True
    recalibrated: str = ""
    past: str = ""
    used_like: str = ""
    campaign: str = ""
    ray: str = ""
    workers: int = 0

    def __post_init__(self) -> None:
        """Check the values."""
        if self.mode not in list(Mode):
            raise SettingsError(f"--mode {self.mode}: unknown mode", remedy=f"Use one of {', '.join(Mode)}")
        if self.fidelity not in FIDELITIES:
            raise SettingsError(
                f"--fidelity {self.fidelity}: unknown cell model", remedy=f"Use {' or '.join(FIDELITIES)}"
            )
        if self.quantity not in ("temperature", "voltage", "soc", "soh", "rul"):
            raise SettingsError(
                f"--quantity {self.quantity}: the pack cannot be coloured by it",
                remedy="Use temperature, voltage, soc, soh or rul",
            )
        for name, least in (("speed", 0.0), ("duration", 0.0), ("step_period", 1e-3), ("workers", 0)):
            if not getattr(self, name) >= least:
                raise SettingsError(f"--{name.replace('_', '-')} {getattr(self, name)}: must be at least {least:g}")


def settings_from(values: Mapping[str, object]) -> TwinSettings:
    """Return settings from texts or numbers by name, as Kit or a command line gives them.

    Raises
    ------
    SettingsError
        If a name is unknown or a value does not fit; the message lists what is known.
    """
    kinds: dict[str, type] = {item.name: type(item.default) for item in fields(TwinSettings)}
    chosen: dict[str, object] = {}
    for name, value in values.items():
        key = name.replace("-", "_")
        if key not in kinds:
            options = ", ".join("--" + known.replace("_", "-") for known in kinds)
            raise SettingsError(f"unknown option --{name}", remedy=f"Options: {options}")
        kind = kinds[key]
        try:
            if kind is bool and isinstance(value, str):
                chosen[key] = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[
                    value.lower()
                ]
            else:
                chosen[key] = kind(value)
        except (KeyError, TypeError, ValueError):
            raise SettingsError(
                f"--{name} {value}: not a {kind.__name__}", remedy=f"Give --{name} a {kind.__name__}"
            ) from None
    return TwinSettings(**chosen)  # type: ignore[arg-type]


def resolve(path: str) -> Path:
    """Return a path as given if it exists, else the one of that name in the repository."""
    given = Path(path)
    if given.is_absolute() or given.exists():
        return given
    shipped = REPOSITORY / given
    return shipped if shipped.exists() else given


def default_run_folder(pack_name: str) -> Path:
    """Return a new folder name in ``out`` for a run of a pack."""
    return REPOSITORY / "out" / f"{pack_name}-{time.strftime('%Y%m%d-%H%M%S')}"
