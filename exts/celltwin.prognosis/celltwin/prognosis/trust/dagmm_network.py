r"""Deep autoencoding Gaussian mixture: how unlike the training data an input is, as an energy.

An encoder compresses the input to a few numbers, a decoder rebuilds it, and what was lost joins the code:

.. math:: z = [\,\mathrm{encode}(x),\ \ln\lVert x - x'\rVert,\ \cos(x, x')\,]

An estimation network says to which of some normal distributions :math:`z` belongs; weights, means and covariances of
the mixture follow from its answers, and the energy is the negative logarithm of the mixture's density,

.. math:: E(z) = -\ln \sum_k \phi_k\, \mathcal{N}(z;\ \mu_k,\ \Sigma_k + \epsilon I).

The publication takes the relative distance instead of the logarithm of the distance; that saturates where an input
is so far away that nothing of it is rebuilt.

Three things make it train where the plain recipe fails. :math:`z` is normalised without free parameters before the
mixture, so that the energy cannot fall by shrinking the code; the covariances are those of at least :math:`\epsilon`
in every direction and are factorised in double precision; and the mean membership is held away from few components.

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

SMALLEST = 1e-6  # added to norms, so that a quotient of two has a value where an input is all zeros


def build_dagmm(
    n_inputs: int, *, code: int, width: int, components: int, dropout: float, covariance_floor: float
) -> torch.nn.Module:
    """Return an untrained network, a PhysicsNeMo module.

    Its ``forward`` takes scaled inputs of shape (n, n_inputs) and returns their energies (n,) as float64.

    Parameters
    ----------
    n_inputs, code, width, components : int
        Inputs, numbers in the code, neurons of a hidden layer, normal distributions of the mixture.
    dropout : float
        Share of the estimation network's neurons that are silent in a training step.
    covariance_floor : float
        Added to the variances of the normalised code and errors.
    """
    network: torch.nn.Module = _dagmm_class()(
        n_inputs=n_inputs,
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
            self, n_inputs: int, code: int, width: int, components: int, dropout: float, covariance_floor: float
        ) -> None:
            super().__init__(meta=ModelMetaData())
            self.covariance_floor = covariance_floor
            self.encoder = FullyConnected(n_inputs, width, code, num_layers=2, activation_fn="silu")
            self.decoder = FullyConnected(code, width, n_inputs, num_layers=2, activation_fn="silu")
            self.estimation = torch.nn.Sequential(
                FullyConnected(code + 2, width, width, num_layers=1, activation_fn="tanh"),
                torch.nn.Tanh(),
                torch.nn.Dropout(dropout),
                torch.nn.Linear(width, components),
            )
            size = code + 2
            self.normalise = torch.nn.BatchNorm1d(size, affine=False, momentum=None)
            double = torch.float64
            self.register_buffer("log_weight", torch.full((components,), -math.log(components), dtype=double))
            self.register_buffer("mean", torch.zeros(components, size, dtype=double))
            self.register_buffer("whitening", torch.eye(size, dtype=double).repeat(components, 1, 1))

        def compress(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            """Return the rebuilt input (n, n_inputs) and the normalised code with its errors (n, code + 2)."""
            code = self.encoder(x)
            rebuilt = self.decoder(code)
            norm, rebuilt_norm = x.square().sum(1).add(SMALLEST).sqrt(), rebuilt.square().sum(1).add(SMALLEST).sqrt()
            lost = (x - rebuilt).square().sum(1).add(SMALLEST).sqrt()
            cosine = (x * rebuilt).sum(1) / (norm * rebuilt_norm)
            errors = torch.stack([torch.log(lost), cosine], dim=1)
            return rebuilt, self.normalise(torch.cat([code, errors], dim=1))

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
            _, z = self.compress(x)
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
            _, z = self.compress(x)
            return self.energy(z, self.log_weight, self.mean, self.whitening)

    return Dagmm
