r"""Physics residuals of a state of health that a network gives, by automatic differentiation.

State u(t, x) of age t and charging features x, learned dynamics G:

.. math:: \dot u = G(t, x, u, u_t, u_x), \qquad \max(0, u_2 - u_1) = 0, \qquad u_2 - u_1 = \int_{t_1}^{t_2} G\,dt
"""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Any

from .settings import PhysicsWeights
from .window_inputs import EXTRA_CHANNELS

if TYPE_CHECKING:
    import torch

__all__ = ["DYNAMICS_OUTPUTS", "build_dynamics", "physics_loss"]

DYNAMICS_OUTPUTS = ("dynamics", "monotonicity", "charge_balance")
DYNAMICS_LAYERS = 2


def build_dynamics(channels: int, width: int) -> torch.nn.Module:
    """Return an untrained G: it takes t, x, u, u_t, u_x (n, 2 x n_inputs + 3) and gives du/dt (n, 1)."""
    from physicsnemo.models.mlp import FullyConnected

    network: torch.nn.Module = FullyConnected(
        in_features=2 * (channels - EXTRA_CHANNELS) + 3,
        layer_size=width,
        out_features=1,
        num_layers=DYNAMICS_LAYERS,
        activation_fn="silu",
    )
    return network


def physics_loss(
    network: torch.nn.Module,
    dynamics: torch.nn.Module,
    windows: torch.Tensor,
    following: torch.Tensor,
    weights: PhysicsWeights,
) -> torch.Tensor:
    """Return the weighted mean square of the residuals.

    Parameters
    ----------
    network : torch.nn.Module
        State: windows to scaled SOH.
    dynamics : torch.nn.Module
        G, see :func:`build_dynamics`.
    windows, following : torch.Tensor of shape (n, window, channels)
        Windows of some cycles and of the next cycle of the same cells.
    weights : PhysicsWeights
        Of the terms.

    Notes
    -----
    Zhu et al. add a thermal-equilibrium term. The sets of cycles hold no temperature, so that such a term would
    tie two unmeasured quantities to each other; it is left out.

    References
    ----------
    .. [1] F. Wang et al., "Physics-informed neural network for lithium-ion battery degradation stable modeling and
       prognosis", Nature Communications 15, 4332 (2024).
    """
    import torch

    both = torch.cat([windows, following])
    both = both.detach().requires_grad_(True)
    state = network(both)
    (slopes,) = torch.autograd.grad(state.sum(), both, create_graph=True)
    age = both.shape[2] - EXTRA_CHANNELS
    features = both[:, -1, :age]
    t = both[:, -1, age : age + 1]
    # The age stands in every cycle of a window: its partial derivative is the sum over them.
    u_t = slopes[:, :, age].sum(dim=1, keepdim=True)
    rate = dynamics(torch.cat([t, features, state, u_t, slopes[:, -1, :age]], dim=1))
    n = len(windows)
    values = {
        "u": state[n:],
        "u_before": state[:n],
        "u__t": u_t[n:],
        "g": rate[n:],
        "g_before": rate[:n],
        "dt": t[n:] - t[:n],
    }
    residuals = _residuals().forward(values)
    total: torch.Tensor = state.new_zeros(())
    for name in DYNAMICS_OUTPUTS:
        weight = getattr(weights, name)
        if weight > 0.0:
            total = total + weight * residuals[name].square().mean()
    return total


@cache
def _residuals() -> Any:
    """Return the residuals compiled by PhysicsNeMo Sym from their symbols."""
    from physicsnemo.sym import PDE, PhysicsInformer
    from sympy import Function, Max, Symbol

    class Degradation(PDE):  # type: ignore[misc]  # physicsnemo has no types
        """Ordinary differential equation of health, its sign, and its balance over one cycle."""

        name = "Degradation"

        def __init__(self) -> None:
            self.dim = 1
            t, step = Symbol("t"), Symbol("dt")
            u = Function("u")(t)
            before, rate, rate_before = Symbol("u_before"), Symbol("g"), Symbol("g_before")
            self.equations = {
                "dynamics": u.diff(t) - rate,
                "monotonicity": Max(u - before, 0),
                "charge_balance": u - before - step * (rate + rate_before) / 2,
            }

    informer = logging.getLogger("physicsnemo.sym.eq.phy_informer")
    level = informer.level
    informer.setLevel(logging.ERROR)  # says that the derivative with time is given by the caller, as it is
    try:
        return PhysicsInformer(list(DYNAMICS_OUTPUTS), Degradation(), grad_method="autodiff")
    finally:
        informer.setLevel(level)
