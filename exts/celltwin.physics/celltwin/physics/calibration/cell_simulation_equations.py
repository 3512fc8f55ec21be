"""Equations of one cell with one temperature, cooled the more the warmer it is."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

__all__ = ["lumped_equations"]


def lumped_equations(name: str, *, heat_of_mixing: bool = False) -> Any:
    """Return a lithium-ion model of PyBaMM with one temperature, contact resistance and cooling that grows.

    Still air and radiation take more from every square metre and kelvin where a cell is warmer: around a lying cylinder
    of 18 mm, 11 W/(m2.K) at 5 K above the air and 16 at 40 K. The coefficient is therefore ``h (1 + g |T - T_air|)``
    with PyBaMM's parameter h and ours, ``"Heat transfer growth [K-1]"``; 0 leaves PyBaMM's law.

    Parameters
    ----------
    name : {"SPM", "SPMe", "DFN"}
        Which equations.
    heat_of_mixing : bool
        Whether heat of mixing within particles is counted.

    References
    ----------
    .. [1] F. P. Incropera et al., Fundamentals of Heat and Mass Transfer, 6th ed., 2007, sections 9.6.3 and 12.3.
    """
    import pybamm

    options = {
        "thermal": "lumped",
        "contact resistance": "true",
        "use lumped thermal capacity": "true",
        "heat of mixing": "true" if heat_of_mixing else "false",
    }
    model = getattr(pybamm.lithium_ion, name)(options, build=False)
    model.submodels["thermal"] = _cooled_cell()(model.param, model.options, model.x_average)
    model.build_model()
    return model


@lru_cache(maxsize=1)
def _cooled_cell() -> Any:
    import pybamm
    from pybamm.models.submodels.thermal.lumped import Lumped

    class CooledCell(Lumped):  # type: ignore[misc]
        """PyBaMM's cell with one temperature, whose cooling grows."""

        def get_coupled_variables(self, variables: dict[str, Any]) -> dict[str, Any]:
            """Multiply PyBaMM's cooling by its growth."""
            variables = super().get_coupled_variables(variables)
            warmth = variables["Volume-averaged cell temperature [K]"] - variables["Surface temperature [K]"]
            grown = 1.0 + pybamm.Parameter("Heat transfer growth [K-1]") * pybamm.AbsoluteValue(warmth)
            for name in ("Surface total cooling [W.m-3]", "Surface total cooling [W]"):
                variables[name] = variables[name] * grown
            return variables

    return CooledCell
