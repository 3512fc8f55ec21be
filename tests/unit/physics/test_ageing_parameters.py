"""Ageing models from PyBaMM's parameter sets."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.core import ModelError
from celltwin.physics.engine.ageing_parameters import ageing_model, build_ageing_model


def test_the_set_of_okane_is_read_as_published() -> None:
    model = ageing_model("okane_2022", sei="ec reaction limited")

    assert model.sei.rate_constant == 1e-12
    assert model.sei.diffusivity == 2e-18
    assert model.sei.activation_energy == 38000.0
    np.testing.assert_allclose([model.plating.plating_rate, model.plating.stripping_rate], 1e-9, rtol=1e-9)
    np.testing.assert_allclose(model.plating.decay_speed, 1e-6 * 5e-9, rtol=1e-12)
    assert model.plating.decay_rate == 0.0
    assert model.loss_positive.critical_stress == 375e6
    assert model.provenance["citations"] == ["OKane2022", "OKane2020", "Chen2020"]


def test_a_set_without_ageing_is_refused_by_name_and_taken_with_a_default() -> None:
    import pybamm

    values = pybamm.ParameterValues("Chen2020")
    with pytest.raises(ModelError, match=r"Chen2020: it has no 'Exchange-current density for plating .*default_set"):
        build_ageing_model(values)

    model = build_ageing_model(values, default_set="okane_2022")

    borrowed = model.provenance["taken from default set"]["parameters"]
    assert "Exchange-current density for plating [A.m-2]" in borrowed
    assert "SEI solvent diffusivity [m2.s-1]" not in borrowed
    np.testing.assert_allclose(model.plating.plating_rate, 1e-9, rtol=1e-9)


def test_functions_that_follow_another_law_are_refused_by_name() -> None:
    import pybamm

    values = pybamm.ParameterValues("OKane2022")
    values["Exchange-current density for plating [A.m-2]"] = lambda c_e, c_li, temperature: 1e-6 * c_e**0.5
    with pytest.raises(ModelError, match=r"Exchange-current density for plating .* not proportional"):
        build_ageing_model(values, loss="none")


def test_activation_energies_of_functions_are_found() -> None:
    import pybamm

    values = pybamm.ParameterValues("OKane2022")

    def rate(density: pybamm.Symbol, temperature: pybamm.Symbol) -> pybamm.Symbol:
        return -1e-10 * abs(density) * pybamm.exp(4e4 / 8.31446261815324 * (1 / 298.15 - 1 / temperature))

    for side in ("Negative", "Positive"):
        values.update({f"{side} electrode current-driven LAM rate": rate}, check_already_exists=False)
    model = build_ageing_model(values, plating="none", loss="current-driven")

    np.testing.assert_allclose(model.loss_negative.current_rate, 1e-10, rtol=1e-9)
    np.testing.assert_allclose(model.loss_positive.current_activation_energy, 4e4, rtol=1e-9)


@pytest.mark.parametrize(
    "choice", [{"sei": "VonKolzenberg2020"}, {"plating": "sometimes"}, {"loss": "wear-driven"}, {"default_set": "none"}]
)
def test_unknown_mechanisms_are_refused(choice: dict[str, str]) -> None:
    import pybamm

    with pytest.raises(ModelError, match=next(iter(choice.values()))):
        build_ageing_model(pybamm.ParameterValues("OKane2022"), **choice)
