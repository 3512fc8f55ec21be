"""Published volume changes of active materials over lithium content, for parameter sets that state none.

A curve is the change of a particle's volume over its volume, against the stoichiometry of lithium; only differences
count. Lattice data hold at equilibrium and say nothing of hysteresis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from celltwin.core import Array, ModelError, freeze

__all__ = ["VOLUME_CURVES", "VolumeCurve", "find_volume_curve"]


@dataclass(frozen=True, kw_only=True, eq=False)
class VolumeCurve:
    """Volume change of an active material.

    Attributes
    ----------
    name : str
        Of the material.
    stoichiometry, change : ndarray of shape (n_nodes,)
        Lithium content, rising from 0 to 1 [-], and volume change [-].
    source : str
        Citation.
    """

    name: str
    stoichiometry: Array
    change: Array
    source: str

    def __post_init__(self) -> None:
        """Make the nodes read-only."""
        for name in ("stoichiometry", "change"):
            object.__setattr__(self, name, freeze(np.asarray(getattr(self, name), dtype=np.float64)))

    def sample(self, stoichiometry: Array) -> Array:
        """Return the volume change [-] at stoichiometries, along a cubic that rises and falls as the nodes do."""
        from scipy.interpolate import PchipInterpolator

        inside = np.clip(np.asarray(stoichiometry, dtype=np.float64), 0.0, 1.0)
        return np.asarray(PchipInterpolator(self.stoichiometry, self.change)(inside))


VOLUME_CURVES = {
    curve.name: curve
    for curve in (
        VolumeCurve(
            name="graphite",
            stoichiometry=np.array([0.0, 0.12, 0.18, 0.24, 0.50, 1.0]),
            change=np.array([0.0, 0.02406, 0.033568, 0.043668, 0.05583, 0.130635]),
            source="P. Mohtat, S. Lee, V. Sulzer, J. B. Siegel, A. G. Stefanopoulou, J. Electrochem. Soc. 167 (2020) "
            "110561, after S. Schweidler et al., J. Phys. Chem. C 122 (2018) 8829",
        ),
        VolumeCurve(
            name="layered oxide",
            # -1.2 % is what NCM111 reaches at 4.3 V, -5.1 % what NCM811 does: about 0.4 and 0.2 lithium
            stoichiometry=np.array([0.0, 0.2, 0.4, 1.0]),
            change=np.array([-0.090, -0.051, -0.012, 0.0]),
            source="A. O. Kondrakov et al., J. Phys. Chem. C 121 (2017) 3286: 1.2 % (NCM111) and 5.1 % (NCM811) at "
            "4.3 V; one curve of lithium content for all of them: T. Jousseaume et al., Energy Environ. Sci. (2024), "
            "doi 10.1039/d3ee04115h. Below 0.2 lithium its slope is carried on",
        ),
        VolumeCurve(
            name="LCO",
            stoichiometry=np.array([0.0, 1.0]),
            change=np.array([0.0, -0.03636]),
            source="W. Ai, L. Kraft, J. Sturm, A. Jossen, B. Wu, J. Electrochem. Soc. 167 (2020) 013512: partial molar "
            "volume -7.28e-7 m^3/mol at 49943 mol/m^3",
        ),
        VolumeCurve(
            name="LFP",
            stoichiometry=np.array([0.0, 1.0]),
            change=np.array([-0.068, 0.0]),
            source="A. K. Padhi, K. S. Nanjundaswamy, J. B. Goodenough, J. Electrochem. Soc. 144 (1997) 1188: 6.8 % "
            "between LiFePO4 and FePO4, which exist side by side",
        ),
    )
}


def find_volume_curve(name: str) -> VolumeCurve:
    """Return a published curve by name.

    Raises
    ------
    ModelError
        If there is none.
    """
    if name not in VOLUME_CURVES:
        raise ModelError(
            f"there is no volume curve of {name!r}", remedy=f"Use one of {', '.join(sorted(VOLUME_CURVES))}"
        )
    return VOLUME_CURVES[name]
