"""The picture of the pack bench: time of a cell and step over the size of the pack, and where a step goes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tools.bench.pack_kernels import StepProfile
from tools.bench.pack_liionpack import LiionpackTiming
from tools.bench.pack_speed import SizeTiming
from tools.bench.pictures import save_picture

__all__ = ["plot_scaling"]

CELLS, TIMES, LIMIT = "#1f5fa8", "#c65102", "#6f6f6f"


def plot_scaling(
    path: Path,
    sizes: Sequence[SizeTiming],
    profile: StepProfile,
    liionpack: LiionpackTiming | None,
    *,
    target: float,
) -> None:
    """Draw the picture.

    Parameters
    ----------
    path : Path
        File to write.
    sizes : sequence of SizeTiming
        Packs of all sizes.
    profile : StepProfile
        A step of the reference pack.
    liionpack : LiionpackTiming, optional
        To set beside it.
    target : float
        Cell-steps a second that should be reached.
    """
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11.0, 4.4), layout="constrained")
    cells = [size.n_cells for size in sizes]
    left.fill_between(cells, [size.median for size in sizes], [size.worst for size in sizes], color=CELLS, alpha=0.2)
    left.plot(cells, [size.median for size in sizes], "o-", color=CELLS, label="Celltwin")
    left.axhline(
        1.0 / target, color=LIMIT, linestyle="--", label=f"target, {target / 1e6:g} million cell-steps a second"
    )
    if liionpack is not None:
        left.plot(liionpack.n_cells, 1.0 / liionpack.rate, "s", color=TIMES, label="liionpack 0.4.0, SPM without heat")
    left.set(
        xscale="log",
        yscale="log",
        xlabel="Cells of the pack",
        ylabel="Time of a cell and step [s]",
        title="Reference pack and copies of it, steps of 1 s",
    )
    left.grid(visible=True, which="major", alpha=0.3)
    left.legend(frameon=False)
    names = [kernel.name.replace("_", " ") for kernel in profile.kernels]
    taken = [1e6 * kernel.seconds for kernel in profile.kernels]
    names.append("Python and launches")
    taken.append(max(0.0, 1e6 * profile.step - sum(taken)))
    right.barh(names[::-1], taken[::-1], color=CELLS)
    right.bar_label(right.containers[0], fmt="%.0f", padding=3)
    right.set(
        xlabel="Processor time in a step of 2,800 cells [µs]",
        title=f"Where a step of {1e6 * profile.step:,.0f} µs goes",
    )
    right.margins(x=0.12)
    save_picture(figure, path)
