r"""Residual of nonlinear diffusion in the negative particle, by automatic differentiation along the states' motion.

The linear states follow diffusion with the diffusivity of the particle's mean. The network's corrections :math:`c_i` of
the first modes are asked to carry a solution of the whole law, in Galerkin's sense: with :math:`a_i = z_i + c_i(z)`,

.. math:: \dot a_i = -2 \int_0^1 \kappa(x)\, x_\rho\, \psi_i' \rho^2 d\rho + \tfrac{2}{3} m,
          \qquad x = \bar x + \sum_i a_i \psi_i(\rho)

It needs no simulation: any course of currents gives rows to hold it on.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from celltwin.core import SECONDS_PER_HOUR, Array

from .diffusion_modes import mode_shapes
from .surrogate_numbers import NEGATIVE_CORRECTIONS, POLES

__all__ = ["DiffusionResidual"]

NODES = 12  # of Gauss and Legendre over the radius
INSIDE = 1e-3  # stoichiometries are kept this far within 0 and 1 in the law of diffusion


class DiffusionResidual:
    """Departure of a surrogate's corrected profiles from diffusion, as stoichiometry [-].

    Parameters
    ----------
    module : torch.nn.Module
        The surrogate.
    """

    def __init__(self, module: Any) -> None:
        import torch

        def tensor(values: Array) -> Any:
            return torch.as_tensor(values, dtype=torch.float32).to(module.negative_rates.device)

        nodes, weights = np.polynomial.legendre.leggauss(NODES)
        radius = 0.5 * (nodes + 1.0)
        modes = POLES[0] - 1
        shapes, slopes = mode_shapes(modes, radius)
        self._module = module
        self._radius, self._shapes, self._slopes = tensor(radius), tensor(shapes), tensor(slopes)
        self._measure = tensor(0.5 * weights * radius**2 * slopes[:NEGATIVE_CORRECTIONS])
        self._rates, self._weights = (
            module.negative_rates[:modes],
            tensor(2.0 / module.negative_rates[:modes].cpu().numpy()),
        )

    def __call__(self, inputs: Any, tangent: Any, speed: Any) -> Any:
        """Return the residual of each corrected mode, shape (NEGATIVE_CORRECTIONS, n).

        Parameters
        ----------
        inputs, tangent : tensor of shape (N_INPUTS, n)
            States and their motion.
        speed : tensor of shape (n,)
            Diffusivity of the mean over the squared radius [1/s].
        """
        import torch

        module, count = self._module, NEGATIVE_CORRECTIONS
        found, moving = torch.func.jvp(module.corrections, (inputs,), (tangent,))[:2]
        electrode = module.laws.negative
        mean = electrode.empty + inputs[0] * (electrode.full - electrode.empty)
        slope = -(electrode.full - electrode.empty) * inputs[2] / (3.0 * SECONDS_PER_HOUR) / speed  # at the surface
        away = inputs[3 : 3 + self._rates.shape[0]] - self._weights[:, None] * slope
        away = torch.cat([away[:count] + found[:count], away[count:]])
        steady = 0.5 * self._radius[:, None] ** 2 - 0.3
        profile = mean + slope * steady + self._shapes.T @ away
        rising = slope * self._radius[:, None] + self._slopes.T @ away
        law = module.negative_diffusion
        local = module._look_up(law, profile.clamp(INSIDE, 1.0 - INSIDE))[0] / module._look_up(law, mean)[0]
        flow = self._measure @ (local * rising)
        wanted = 2.0 * speed * (slope - flow)
        return (tangent[3 : 3 + count] + moving[:count] - wanted) / (self._rates[:count, None] * speed)
