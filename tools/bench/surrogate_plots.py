"""Pictures of the surrogate beside the DFN."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from celltwin.core import ZERO_CELSIUS
from celltwin.prognosis.surrogate import CampaignSet, CellSurrogate
from tools.bench.pictures import save_picture

__all__ = ["draw_courses"]

SHOWN = ("pulses", "fast_charge")
PERIOD = 10.0  # [s]


def draw_courses(surrogate: CellSurrogate, held_out: CampaignSet, path: Path) -> None:
    """Draw voltage, temperature and anode potential of two held-out profiles, DFN and surrogate.

    Parameters
    ----------
    surrogate : CellSurrogate
        The surrogate.
    held_out : CampaignSet
        Simulations; the first of each shown kind is drawn.
    path : Path
        The picture.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(4, 2, figsize=(9.5, 8.5), sharex="col", layout="constrained")
    for column, kind in enumerate(SHOWN):
        run = held_out.select([held_out.kinds.index(kind)])
        found = surrogate.simulate(run.inputs, run.current, run.current_end)
        minutes = PERIOD / 60.0 * np.arange(1, run.current.shape[0] + 1)
        panels = (
            ("current [A]", run.current[:, 0], None),
            ("voltage [V]", run.values["voltage"][:, 0], found.voltage[:, 0]),
            (
                "temperature [°C]",
                run.values["temperature"][:, 0] - ZERO_CELSIUS,
                found.temperature[:, 0] - ZERO_CELSIUS,
            ),
            ("anode potential [V]", run.values["anode_potential"][:, 0], found.anode_potential[:, 0]),
        )
        for row, (label, dfn, own) in enumerate(panels):
            axis = axes[row, column]
            axis.plot(minutes, dfn, color="#1f4e79", linewidth=2.2, label="DFN (PyBaMM)" if own is not None else None)
            if own is not None:
                axis.plot(minutes, own, color="#e07b39", linewidth=1.1, linestyle="--", label="surrogate")
            axis.set_ylabel(label)
            axis.grid(alpha=0.25)
        warm = float(run.inputs.ambient[0]) - ZERO_CELSIUS
        axes[0, column].set_title(f"held out: {kind.replace('_', ' ')}, surroundings {warm:.0f} °C")
        axes[3, column].axhline(0.0, color="#b03030", linewidth=0.8, linestyle=":")
        axes[3, column].set_xlabel("time [min]")
        axes[1, column].legend(loc="best", frameon=False)
    save_picture(figure, path)
