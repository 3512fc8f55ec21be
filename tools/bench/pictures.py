"""How benches write their pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

__all__ = ["save_picture"]


def save_picture(figure: Figure, path: Path, *, dpi: int = 110, framed: bool = True) -> None:
    """Write a picture to a file, and close it.

    Parameters
    ----------
    figure : Figure
        Of Matplotlib.
    path : Path
        File; its folder is made.
    dpi : int
        Dots for each inch.
    framed : bool
        Whether axes keep their frames; without, those on top and at the right go.
    """
    import matplotlib.pyplot as plt

    if not framed:
        for axis in figure.axes:
            axis.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=dpi)
    plt.close(figure)
