"""Reactions of thermal runaway through the kernel: exact energy, any step, lanes of their own, closed forms."""

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import GAS_CONSTANT, ModelError
from celltwin.physics.engine.abuse_kernels import ABUSE_ROWS, abuse_constants, fresh_abuse_rows, make_abuse_kernels
from celltwin.physics.engine.abuse_model import AbuseReaction, SeparatorModel, VentModel
from celltwin.physics.engine.abuse_parameters import ABUSE_MODELS, abuse_model
from celltwin.physics.engine.lanes import lane_functions

VOLUME = 1.65e-5  # [m^3]
CAPACITY = 35.0  # [J/K]
ROW = {name: i for i, name in enumerate(ABUSE_ROWS)}


@pytest.fixture(scope="module")
def lco():
    return abuse_model("kim_2007_lco", volume=VOLUME)


class Cells:
    """A few cells whose temperature rises with what the kernel gives, and nothing else."""

    def __init__(self, model, temperature, lithium=1.0, width=8):
        import warp as wp

        wp.config.quiet = True
        self.model, self.temperature = model, np.array(temperature, dtype=float)
        self.count = self.temperature.size
        self.lanes = lane_functions(width)
        self.lithium = np.broadcast_to(lithium, self.temperature.shape)
        self.rows = fresh_abuse_rows(model, self.count)
        self.conductance = np.zeros(self.count)

    def advance(self, step, other_heat=0.0):
        """Return the heat of a step [W]."""
        import warp as wp

        lanes, vector = self.lanes, self.lanes.vector
        bundles = -(-self.count // lanes.width)

        def field(values):
            spread = np.resize(np.broadcast_to(values, (self.count,)), bundles * lanes.width)
            return wp.array(spread.reshape(bundles, lanes.width), dtype=vector, device="cpu")

        rows = np.stack([np.resize(row, bundles * lanes.width) for row in self.rows])
        rows = wp.array(rows.reshape(len(ABUSE_ROWS), bundles, lanes.width), dtype=vector, device="cpu")
        heat, conductance = field(np.nan), field(0.0)
        inputs = [lanes.real(step), wp.array(abuse_constants(self.model), dtype=lanes.real, device="cpu"), field(1.0)]
        inputs += [field(self.lithium), field(self.temperature), field(CAPACITY), lanes.real(1.0), field(other_heat)]
        inputs += [rows, rows, heat, conductance]
        wp.launch(make_abuse_kernels(lanes).advance_abuse, dim=bundles, inputs=inputs, device="cpu")
        self.rows = rows.numpy().reshape(len(ABUSE_ROWS), -1)[:, : self.count].copy()
        self.conductance = conductance.numpy().reshape(-1)[: self.count].copy()
        power = heat.numpy().reshape(-1)[: self.count].copy()
        self.temperature = self.temperature + (power + other_heat) * step / CAPACITY
        return power


def reaction_energy(model, rows):
    """Heat of reaction of what has been consumed [J]; nothing evaporated."""
    heats, fresh = model.heats, fresh_abuse_rows(model, 1)
    grows = {"negative": 1.0, "positive": 1.0, "positive_second": 1.0}
    return sum(grows.get(name, -1.0) * (rows[ROW[name]] - fresh[ROW[name]]) * heats[name] for name in heats)


def test_a_cool_cell_is_left_as_it_is(lco):
    cells = Cells(lco, np.full(8, 320.0))

    power = cells.advance(3600.0)

    np.testing.assert_array_equal(power, 0.0)
    np.testing.assert_array_equal(cells.rows, fresh_abuse_rows(lco, 8))


def test_a_single_reaction_at_constant_temperature_follows_its_exponential(lco):
    none = AbuseReaction(frequency=0.0, activation_energy=0.0, heat=0.0, initial=0.0)
    model = replace(lco, negative=none, positive=none, electrolyte=none, sei=replace(lco.sei, heat=1e-6))
    cells = Cells(model, np.full(8, 400.0))

    cells.advance(50.0)

    rate = 1.667e15 * np.exp(-1.3508e5 / (GAS_CONSTANT * 400.0))
    np.testing.assert_allclose(cells.rows[ROW["sei"]], 0.15 * np.exp(-50.0 * rate), rtol=1e-7)


def test_the_oxide_follows_the_logistic_function_at_constant_temperature(lco):
    none = AbuseReaction(frequency=0.0, activation_energy=0.0, heat=0.0, initial=0.0)
    model = replace(lco, sei=none, negative=none, electrolyte=none, positive=replace(lco.positive, heat=1e-6))
    cells = Cells(model, np.full(8, 450.0))

    cells.advance(600.0)

    growth = 6.667e13 * np.exp(-1.396e5 / (GAS_CONSTANT * 450.0)) * 600.0
    np.testing.assert_allclose(cells.rows[ROW["positive"]], 1.0 / (1.0 + 24.0 * np.exp(-growth)), rtol=1e-7)


@pytest.mark.parametrize("name", ABUSE_MODELS)
@pytest.mark.parametrize("step", [0.1, 1.0, 60.0])
def test_the_heat_is_that_of_what_was_consumed_in_steps_of_any_length(name, step):
    cells = Cells(abuse_model(name, volume=VOLUME), np.linspace(330.0, 700.0, 8))

    power = cells.advance(step)

    np.testing.assert_allclose(power * step, reaction_energy(cells.model, cells.rows), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(cells.rows[ROW["released"]], power * step, rtol=1e-12)


def test_an_adiabatic_runaway_ends_at_the_temperature_of_its_energy_even_in_one_step(lco):
    fine, coarse = Cells(lco, [480.0]), Cells(lco, [480.0])

    for _ in range(600):
        fine.advance(0.1)
    coarse.advance(60.0)

    assert coarse.temperature[0] > 800.0
    np.testing.assert_allclose(coarse.temperature, fine.temperature, atol=2.0)
    np.testing.assert_allclose(coarse.temperature, 480.0 + reaction_energy(lco, coarse.rows) / CAPACITY, rtol=1e-12)


def test_states_stay_in_their_bounds_however_hot_and_long(lco):
    cells = Cells(lco, np.array([350.0, 500.0, 1000.0, 2000.0, 5000.0, 350.0, 420.0, 430.0]))

    for other_heat in (5e3, -1e3, 0.0):
        cells.advance(100.0, other_heat)

    assert np.isfinite(cells.rows).all()
    reactants = cells.rows[:5]
    assert reactants.min() >= 0.0
    assert reactants.max() <= 1.0
    assert (cells.rows[ROW["released"]] <= lco.energy * (1.0 + 1e-12)).all()


def test_a_cell_that_runs_away_does_not_touch_the_cells_beside_it_in_its_bundle(lco):
    together = Cells(lco, [500.0, 360.0, 400.0, 330.0, 430.0])
    alone = [Cells(lco, [t]) for t in (500.0, 360.0, 400.0, 330.0, 430.0)]

    together.advance(5.0)
    for cell in alone:
        cell.advance(5.0)

    np.testing.assert_allclose(together.rows, np.hstack([cell.rows for cell in alone]), rtol=1e-12, atol=1e-300)


def test_a_half_charged_cell_has_half_the_lithium_to_burn(lco):
    cells = Cells(lco, [600.0, 600.0, 600.0], lithium=[1.0, 0.5, 0.0])

    cells.advance(1000.0)

    reacted = cells.rows[ROW["negative"]]
    assert reacted[0] > reacted[1] > reacted[2] == 0.0
    assert reacted[1] <= 0.375
    assert cells.rows[ROW["released"], 1] < cells.rows[ROW["released"], 0]


def test_an_open_vent_takes_the_heat_of_evaporation_and_the_electrolyte_with_it(lco):
    none = replace(lco.sei, frequency=0.0)
    vent = VentModel(opening_pressure=2.0e5, evaporation_time=10.0)
    model = replace(
        lco, sei=none, negative=none, positive=none, electrolyte=replace(lco.electrolyte, frequency=0.0), vent=vent
    )
    cells = Cells(model, [380.0, 420.0])  # vapour of about 1.7 and 5 bar

    power = cells.advance(5.0)

    assert cells.rows[ROW["vent"]].tolist() == [0.0, 1.0]
    remaining = cells.rows[ROW["electrolyte"], 1]
    np.testing.assert_allclose(cells.rows[ROW["vented"], 1], 3.7e5 * model.electrolyte_mass * (1.0 - remaining))
    np.testing.assert_allclose(power * 5.0, -cells.rows[ROW["vented"]])
    assert remaining == pytest.approx(np.exp(-0.5), rel=1e-6)
    assert cells.rows[ROW["electrolyte"], 0] == 1.0


def test_the_vent_stays_open_when_the_pressure_has_gone(lco):
    cells = Cells(replace(lco, vent=VentModel(opening_pressure=2.0e5)), [420.0])
    cells.advance(1.0)

    cells.temperature = np.array([350.0])
    cells.advance(1.0)

    assert cells.rows[ROW["vent"], 0] == 1.0


def test_ejected_heat_leaves_the_cell_and_stays_in_the_account(lco):
    vent = VentModel(opening_pressure=1.0e5, evaporation_heat=0.0, ejected_share=0.4)
    cells = Cells(replace(lco, vent=vent), [550.0])

    power = cells.advance(30.0)

    released, vented = cells.rows[ROW["released"], 0], cells.rows[ROW["vented"], 0]
    assert vented == pytest.approx(0.4 * released, rel=1e-9)
    assert power[0] * 30.0 == pytest.approx(released - vented, rel=1e-9)


def test_a_molten_separator_conducts_and_does_not_heal(lco):
    model = replace(lco, separator=SeparatorModel(melting_temperature=400.0, melting_range=10.0, conductance=8.0))
    cells = Cells(model, [390.0, 405.0, 430.0])
    cells.advance(1e-3)
    np.testing.assert_allclose(cells.conductance, [0.0, 4.0, 8.0], rtol=1e-3)

    cells.temperature = np.full(3, 350.0)
    cells.advance(1e-3)

    np.testing.assert_allclose(cells.conductance, [0.0, 4.0, 8.0], rtol=1e-3)


def test_the_gradient_of_the_heat_with_temperature_is_that_of_finite_differences(lco):
    import warp as wp

    lanes = lane_functions(1, backward=True)
    kernel = make_abuse_kernels(lanes).advance_abuse

    def field(value, gradient=False):
        return wp.array([[value]], dtype=lanes.vector, device="cpu", requires_grad=gradient)

    def heat_at(temperature, tape=None):
        start = field(temperature, gradient=True)
        rows = wp.array(
            fresh_abuse_rows(lco, 1), dtype=lanes.vector, shape=(len(ABUSE_ROWS), 1), device="cpu", requires_grad=True
        )
        heat = field(0.0, gradient=True)
        inputs = [lanes.real(1.0), wp.array(abuse_constants(lco), dtype=lanes.real, device="cpu"), field(1.0)]
        inputs += [field(1.0), start, field(CAPACITY), lanes.real(1.0), field(0.0)]
        inputs += [rows, wp.zeros_like(rows), heat, field(0.0, gradient=True)]
        with tape or wp.Tape():
            wp.launch(kernel, dim=1, inputs=inputs, device="cpu")
        return start, heat

    tape = wp.Tape()
    start, heat = heat_at(400.0, tape)
    tape.backward(grads={heat: field(1.0)})
    change = 1e-3
    up, down = (heat_at(400.0 + sign * change)[1].numpy().item() for sign in (1.0, -1.0))

    assert start.grad.numpy().item() == pytest.approx((up - down) / (2.0 * change), rel=1e-5)


def test_each_set_names_its_source_and_scales_with_the_cell():
    for name in ABUSE_MODELS:
        small, large = abuse_model(name, volume=VOLUME), abuse_model(name, volume=2.0 * VOLUME)
        assert large.energy == pytest.approx(2.0 * small.energy)
        assert "doi" in small.provenance["citation"] or "J. Power Sources" in small.provenance["citation"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: abuse_model("nickel_cadmium", volume=VOLUME), "'nickel_cadmium' is unknown"),
        (lambda: abuse_model("kim_2007_lco"), "size of its cell"),
        (lambda: abuse_model("kim_2007_lco", volume=-1.0), "volume = -1"),
        (lambda: AbuseReaction(frequency=-1.0, activation_energy=1.0, heat=1.0, initial=0.5), "frequency = -1"),
        (lambda: AbuseReaction(frequency=1.0, activation_energy=1.0, heat=1.0, initial=1.5), "initial = 1.5"),
        (lambda: VentModel(free_volume=0.0), "free_volume = 0"),
        (lambda: VentModel(ejected_share=np.nan), "ejected_share = nan"),
        (lambda: SeparatorModel(melting_range=0.0), "melting_range = 0"),
    ],
)
def test_what_is_not_physical_is_refused_with_its_name(make, message):
    with pytest.raises(ModelError, match=message):
        make()
