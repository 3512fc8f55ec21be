"""Search with one of PyBOP's optimisers: runs in the environment of ``pybop.txt``, which knows nothing of Celltwin.

Usage: ``python search_pybop.py REQUEST``; the request is the JSON that ``tools.bench.calibration_pybop`` writes. Every
batch of candidates is a line of JSON on standard output, and their costs come back as a line on standard input.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

warnings.filterwarnings("ignore")  # of the libraries, about themselves

import numpy as np  # noqa: E402
import pybop  # type: ignore[import-not-found]  # noqa: E402
from pybop.costs.evaluation import Evaluation  # type: ignore[import-not-found]  # noqa: E402

__all__ = ["main"]

Ask = Callable[[np.ndarray], np.ndarray]
DIFFERENCE = 4e-3  # step of the finite differences in the unit cube, as Celltwin's least squares takes
WITH_GRADIENT = ("AdamW", "GradientDescent", "IRPropMin", "IRPropPlus")
WITH_SCIPY = ("SciPyDifferentialEvolution", "SciPyMinimize")
ENDLESS = 10**9


class StartedParameter(pybop.Parameter):  # type: ignore[misc]  # no types
    """A parameter whose search begins at its initial value; PyBOP's populations would begin in the middle."""

    spread = 0.15

    def get_mean(self, transformed: bool = False) -> float:  # noqa: ARG002 - PyBOP's signature
        """Return where populations begin."""
        return float(self.initial_value)

    def get_std(self, transformed: bool = False) -> float:  # noqa: ARG002 - PyBOP's signature
        """Return how widely they begin."""
        return self.spread


class AskedProblem(pybop.Problem):  # type: ignore[misc]  # no types
    """A problem over the unit cube whose costs another process gives."""

    def __init__(self, start: list[float], spread: float, ask: Ask, *, gradient: bool) -> None:
        super().__init__()
        for index, value in enumerate(start):
            parameter = StartedParameter(bounds=[0.0, 1.0], initial_value=value)
            parameter.spread = spread
            self.parameters.add(f"p{index}", parameter)
        self._ask = ask
        self._has_sensitivities = gradient

    def evaluate_batch(self, inputs: list[dict[str, float]], calculate_sensitivities: bool = False) -> Any:
        """Return the costs of candidates; their gradients by one-sided differences, each a candidate more."""
        positions = np.clip([list(one.values()) for one in inputs], 0.0, 1.0)
        if not calculate_sensitivities:
            return Evaluation(values=self._ask(positions))
        costs, slopes = [], []
        for position in positions:
            sides = np.where(position > 1.0 - DIFFERENCE, -DIFFERENCE, DIFFERENCE)
            found = self._ask(np.vstack([position, position + np.diag(sides)]))
            costs.append(found[0])
            slopes.append((found[1:] - found[0]) / sides)
        named = dict(zip(self.parameters.names, np.array(slopes).T, strict=True))
        return Evaluation(values=np.array(costs), sensitivities=named)


def main(text: str) -> None:
    """Answer one request."""
    request = json.loads(text)
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    sys.stdout = sys.stderr  # what the libraries print is no candidate

    def ask(positions: np.ndarray) -> np.ndarray:
        channel.write(json.dumps({"positions": positions.tolist()}) + "\n")
        channel.flush()
        return np.array(json.loads(sys.stdin.readline())["costs"], dtype=float)

    np.random.seed(request["seed"])  # noqa: NPY002 - PINTS draws from the global generator
    name = request["optimiser"]
    problem = AskedProblem(request["start"], request["spread"], ask, gradient=name in WITH_GRADIENT)
    result = getattr(pybop, name)(problem, options=_options(name, request)).run()
    channel.write(json.dumps({"reason": str(getattr(result, "message", ""))}) + "\n")
    channel.flush()


def _options(name: str, request: dict[str, Any]) -> Any:
    if name not in WITH_SCIPY:
        return pybop.PintsOptions(max_iterations=ENDLESS, max_unchanged_iterations=ENDLESS)
    if name == "SciPyMinimize":
        return pybop.SciPyMinimizeOptions(
            method="L-BFGS-B", tol=1e-12, jac=False, solver_options={"eps": DIFFERENCE, "maxfun": ENDLESS}
        )
    start = np.array(request["start"])
    drawn = np.random.default_rng(request["seed"]).standard_normal((2 * start.size, start.size))
    population = np.vstack([start, np.clip(start + request["spread"] * drawn, 0.0, 1.0)])
    return pybop.SciPyDifferentialEvolutionOptions(
        init=population, maxiter=ENDLESS, tol=0.0, polish=False, seed=request["seed"]
    )


if __name__ == "__main__":
    main(sys.argv[1])
