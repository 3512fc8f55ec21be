r"""Deep autoencoding Gaussian mixture: how unlike the training data a cell and what is said of it are, as an energy.

An encoder compresses what is measured of a cell, what is known of it (its beginning and its age) and the health
that a model has told, to a few numbers; a decoder rebuilds all of it. What was lost, and the age, are described by

.. math:: z = [\,\ln\lVert m - m'\rVert,\ h - h',\ a\,]

with the measured inputs :math:`m`, the health :math:`h` and the age :math:`a`, a prime where they are rebuilt. An
estimation network says to which of some normal distributions :math:`z` belongs; weights, means and covariances of
the mixture follow from its answers, and the energy is the negative logarithm of the mixture's density,

.. math:: E(z) = -\ln \sum_k \phi_k\, \mathcal{N}(z;\ \mu_k,\ \Sigma_k + \epsilon I).

The publication has the code, the relative distance and the cosine in :math:`z`. The relative distance saturates where
nothing is rebuilt; where a cell lies in the code and the cosine say little of how wrong its prediction is. In
training the energy of true health is low, so that a told health that does not go with beginning and age is unlikely.

Three things make it train where the plain recipe fails. :math:`z` is normalised without free parameters before the
mixture, so that the energy cannot fall by shrinking what is lost; the covariances are those of at least
:math:`\epsilon` in every direction and are factorised in double precision; and the mean membership is held away from
few components.

References
----------
.. [1] B. Zong et al., "Deep autoencoding Gaussian mixture model for unsupervised anomaly detection", ICLR 2018.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["build_dagmm", "whiten"]

SMALLEST = 1e-6  # of the rows of a component, so that one without rows has a mean
SMALLEST_LOSS = 1e-2  # added to the square of what is lost of the measured inputs [spreads^2]
DESCRIBED = 3  # numbers in z


def build_dagmm(
    n_inputs: int,
    *,
    n_measured: int,
    code: int,
    width: int,
    components: int,
    dropout: float,
    covariance_floor: float,
) -> torch.nn.Module:
    """Return an untrained network, a PhysicsNeMo module.

    Its ``forward`` takes inputs of shape (n, n_inputs), as :func:`mixture_rows` gives them, and returns their energies
    (n,) as float64. :meth:`weigh` must have been called once before.

    Parameters
    ----------
    n_inputs, n_measured : int
        Inputs: first the measured ones, then what is known of the cell, of which the last is its age; at the end
        the health that was told.
    code, width, components : int
        Numbers in the code, neurons of a hidden layer, normal distributions of the mixture.
    dropout : float
        Share of the estimation network's neurons that are silent in a training step.
    covariance_floor : float
        Added to the variances of the normalised z.
    """
    network: torch.nn.Module = _dagmm_class()(
        n_inputs=n_inputs,
        n_measured=n_measured,
        code=code,
        width=width,
        components=components,
        dropout=dropout,
        covariance_floor=covariance_floor,
    )
    return network


def whiten(covariance: torch.Tensor) -> torch.Tensor:
    """Return the inverse Cholesky factors of covariances, both of shape (k, size, size)."""
    import torch

    factor = torch.linalg.cholesky(covariance)
    identity = torch.eye(factor.shape[1], dtype=factor.dtype, device=factor.device).expand_as(factor)
    whitening: torch.Tensor = torch.linalg.solve_triangular(factor, identity, upper=False)
    return whitening


def __getattr__(name: str) -> Any:
    """Give PhysicsNeMo the class under its name when it builds a network from a checkpoint."""
    if name == "Dagmm":
        return _dagmm_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@cache
def _dagmm_class() -> Any:
    import torch
    from physicsnemo.core import ModelMetaData, Module
    from physicsnemo.models.mlp import FullyConnected

    class Dagmm(Module):  # type: ignore[misc]  # PhysicsNeMo has no types
        """Autoencoder, estimation network and mixture."""

        def __init__(
            self,
            n_inputs: int,
            n_measured: int,
            code: int,
            width: int,
            components: int,
            dropout: float,
            covariance_floor: float,
        ) -> None:
            super().__init__(meta=ModelMetaData())
            self.n_measured = n_measured
            self.covariance_floor = covariance_floor
            self.encoder = FullyConnected(n_inputs, width, code, num_layers=2, activation_fn="silu")
            self.decoder = FullyConnected(code, width, n_inputs, num_layers=2, activation_fn="silu")
            self.estimation = torch.nn.Sequential(
                FullyConnected(DESCRIBED, width, width, num_layers=1, activation_fn="tanh"),
                torch.nn.Tanh(),
                torch.nn.Dropout(dropout),
                torch.nn.Linear(width, components),
            )
            self.normalise = torch.nn.BatchNorm1d(DESCRIBED, affine=False, momentum=None)
            self.register_buffer("centre", torch.zeros(2))
            self.register_buffer("weight", torch.ones(2))
            double = torch.float64
            self.register_buffer("log_weight", torch.full((components,), -math.log(components), dtype=double))
            self.register_buffer("mean", torch.zeros(components, DESCRIBED, dtype=double))
            self.register_buffer("whitening", torch.eye(DESCRIBED, dtype=double).repeat(components, 1, 1))

        def weigh(self, x: torch.Tensor, weights: tuple[float, float]) -> None:
            """Scale age and health from now on so that in these inputs (n, n_inputs) they have these spreads."""
            spread = x[:, -2:].std(0)
            self.centre = x[:, -2:].mean(0)
            self.weight = torch.tensor(weights) / torch.where(spread > 0.0, spread, 1.0)

        def scale(self, x: torch.Tensor) -> torch.Tensor:
            """Return inputs (n, n_inputs) whose age and health are scaled."""
            return torch.cat([x[:, :-2], (x[:, -2:] - self.centre) * self.weight], dim=1)

        def rebuild(self, scaled: torch.Tensor) -> torch.Tensor:
            """Return what decoder and encoder make of scaled inputs, of the same shape (n, n_inputs)."""
            rebuilt: torch.Tensor = self.decoder(self.encoder(scaled))
            return rebuilt

        def describe(self, scaled: torch.Tensor) -> torch.Tensor:
            """Return what is lost of scaled inputs, and their age, normalised: z of shape (n, 3)."""
            difference = scaled - self.rebuild(scaled)
            lost = 0.5 * torch.log(difference[:, : self.n_measured].square().sum(1) + SMALLEST_LOSS)
            z: torch.Tensor = self.normalise(torch.stack([lost, difference[:, -1], scaled[:, -2]], dim=1))
            return z

        def memberships(self, z: torch.Tensor) -> torch.Tensor:
            """Return to which share each row belongs to each component, (n, components), as float64."""
            return torch.softmax(self.estimation(z).to(torch.float64), dim=1)

        def mixture(
            self, z: torch.Tensor, memberships: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            """Return log weights (k,), means (k, size) and covariances (k, size, size) of rows with memberships."""
            values = z.to(torch.float64)
            total = memberships.sum(0).clamp_min(SMALLEST)
            mean = (memberships.T @ values) / total[:, None]
            offset = values[:, None, :] - mean
            covariance = torch.einsum("nk,nki,nkj->kij", memberships, offset, offset) / total[:, None, None]
            identity = torch.eye(values.shape[1], dtype=torch.float64, device=values.device)
            return torch.log(total / len(values)), mean, covariance + self.covariance_floor * identity

        def hold_mixture(self, x: torch.Tensor) -> None:
            """Take the mixture of these inputs as that of every later energy."""
            z = self.describe(self.scale(x))
            self.log_weight, self.mean, covariance = self.mixture(z, self.memberships(z))
            self.whitening = whiten(covariance)

        def energy(
            self, z: torch.Tensor, log_weight: torch.Tensor, mean: torch.Tensor, whitening: torch.Tensor
        ) -> torch.Tensor:
            """Return energies (n,) of rows, from a mixture and the inverse Cholesky factors of its covariances."""
            k, size, _ = whitening.shape
            placed = (whitening @ mean[..., None])[..., 0]
            # One product for all components: a batch of small ones costs ten times as much once exported.
            white = (z.to(torch.float64) @ whitening.reshape(k * size, size).T).reshape(-1, k, size) - placed
            log_determinant = torch.log(torch.diagonal(whitening, dim1=1, dim2=2)).sum(1)
            constant = 0.5 * mean.shape[1] * math.log(2.0 * math.pi)
            return -torch.logsumexp(log_weight + log_determinant - 0.5 * white.square().sum(2) - constant, dim=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            z = self.describe(self.scale(x))
            return self.energy(z, self.log_weight, self.mean, self.whitening)

    return Dagmm
