"""Pictures of remaining life: predicted against true with bands, and a fan of trajectories."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from celltwin.prognosis.cycles import CellCycles
from celltwin.prognosis.remaining_life import LifeEnsemble, LifeInputs, describe_cells, find_arrivals, running_median

__all__ = ["draw_lives"]

SHOWN = ("2C_battery-8", "3C_battery-4", "R2.5_battery-4", "R3_battery-8", "RW_battery-8", "Sim_satellite_battery-4")
FAN_SHARES = (0.2, 0.5, 0.8)


def draw_lives(folder: Path, cells: tuple[CellCycles, ...], ensemble: LifeEnsemble) -> Path:
    """Draw six test cells, one a protocol, above; the fan of one of them from three ages below; return the file."""
    import matplotlib.pyplot as plt

    shown = [cell for cell in cells if cell.name in SHOWN]
    end_of_life = ensemble.settings.end_of_life
    figure, axes = plt.subplots(3, 3, figsize=(11, 9.5), layout="constrained")
    for axis, cell in zip(axes.flat, shown, strict=False):
        lives = ensemble.predict(describe_cells((cell,), history=ensemble.settings.history))
        life = find_arrivals((cell,), np.array([end_of_life])).cycle[0, 0]
        cycle = np.arange(1, cell.soh.size + 1)
        before = cycle <= life
        axis.fill_between(
            cycle[before],
            lives.lowest[before],
            lives.highest[before],
            color="tab:blue",
            alpha=0.25,
            lw=0.0,
            label="90 % interval",
        )
        axis.plot(cycle[before], lives.median[before], color="tab:blue", label="predicted")
        axis.plot(cycle[before], (life - cycle)[before], color="black", lw=1.0, label="true")
        axis.set(title=cell.name.replace("_", " "), ylim=(0.0, None), xlabel="cycle", ylabel="cycles left")
    axes[0, 0].legend(frameon=False)
    cell = shown[2]
    inputs = describe_cells((cell,), history=ensemble.settings.history)
    life = int(find_arrivals((cell,), np.array([end_of_life])).cycle[0, 0])
    horizon = np.arange(0.0, 1.5 * life)
    for axis, share in zip(axes[2], FAN_SHARES, strict=True):
        now = int(share * life)
        row = slice(now - 1, now)
        one = LifeInputs(
            values=inputs.values[row],
            cycle=inputs.cycle[row],
            cell=inputs.cell[row],
            duty=inputs.duty[row],
            history=inputs.history,
        )
        low, middle, high = ensemble.predict(one).trajectory(horizon)
        axis.plot(np.arange(1, cell.soh.size + 1), running_median(cell.soh), color="black", lw=1.0, label="measured")
        axis.fill_between(now + horizon, low[0], high[0], color="tab:orange", alpha=0.3, lw=0.0, label="90 % band")
        axis.plot(now + horizon, middle[0], color="tab:orange", label="predicted")
        axis.axvline(now, color="grey", lw=0.8)
        axis.axhline(end_of_life, color="grey", lw=0.8, ls=":")
        axis.set(
            title=f"{cell.name.replace('_', ' ')}, at cycle {now}", xlabel="cycle", ylabel="SOH", ylim=(0.78, 1.02)
        )
    axes[2, 0].legend(frameon=False, loc="lower left")
    file = folder / "rul_lives.png"
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)
    plt.close(figure)
    return file
