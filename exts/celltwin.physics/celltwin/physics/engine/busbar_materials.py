"""What busbars are made of."""

from __future__ import annotations

from dataclasses import dataclass

from celltwin.core import SpecError

__all__ = ["Conductor", "find_conductor"]


@dataclass(frozen=True, kw_only=True)
class Conductor:
    """A metal at room temperature.

    Attributes
    ----------
    resistivity : float
        Electrical resistivity [ohm.m].
    conductivity : float
        Thermal conductivity [W/(m.K)].
    """

    resistivity: float
    conductivity: float


_CONDUCTORS = {
    "copper": Conductor(resistivity=1.68e-8, conductivity=401.0),
    "aluminium": Conductor(resistivity=2.65e-8, conductivity=237.0),
    "nickel": Conductor(resistivity=6.93e-8, conductivity=90.9),
    "brass": Conductor(resistivity=6.2e-8, conductivity=110.0),
    "steel": Conductor(resistivity=1.43e-7, conductivity=63.9),
}
_ALIASES = {"aluminum": "aluminium", "nickel-plated steel": "steel"}


def find_conductor(material: str) -> Conductor:
    """Return the properties of a busbar's material.

    Parameters
    ----------
    material : str
        Such as ``"copper"``; in capitals or not.

    Raises
    ------
    SpecError
        If nothing is known of the material.

    References
    ----------
    .. [1] CRC Handbook of Chemistry and Physics, 95th ed., sec. 12: resistivity of pure metals at 293 K.
    .. [2] T. L. Bergman et al., Fundamentals of Heat and Mass Transfer, Wiley, 2011, table A.1: conductivity at 300 K;
       steel is AISI 1010, brass is cartridge brass.
    """
    name = material.strip().lower()
    found = _CONDUCTORS.get(_ALIASES.get(name, name))
    if found is None:
        raise SpecError(
            f"busbar.material = {material!r}: its resistivity and conductivity are not known",
            remedy=f"Name one of {', '.join(_CONDUCTORS)}",
        )
    return found
