"""What a network of past windows is made of and how it is trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from celltwin.core import SettingsError

from ..features import FEATURE_NAMES

__all__ = ["PhysicsWeights", "WindowSettings"]

FEWEST_STEPS = 20  # the learning rate must rise and fall


@dataclass(frozen=True, kw_only=True)
class PhysicsWeights:
    """Weights of the physics residuals in the loss; 0 leaves a term out.

    Attributes
    ----------
    dynamics : float
        State and learned dynamics agree: du/dt = G(t, x, u, u_t, u_x), by automatic differentiation.
    monotonicity : float
        The state does not rise from one cycle to the next.
    charge_balance : float
        The charge that the state loses between two cycles is what the dynamics consume in between.
    """

    dynamics: float = 0.0
    monotonicity: float = 0.0
    charge_balance: float = 0.0

    @property
    def any(self) -> bool:
        """Whether some term counts."""
        return max(self.dynamics, self.monotonicity, self.charge_balance) > 0.0


@dataclass(frozen=True, kw_only=True)
class WindowSettings:
    """Inputs, size and training of one network.

    Attributes
    ----------
    window : int
        Cycles that the network sees, the newest included.
    inputs : tuple of str
        Features of each cycle.
    width : int
        Neurons of a layer.
    layers : int
        Recurrent, attention or hidden layers.
    dropout : float
        Share of activations that are left out in training.
    steps, batch : int
        Steps of the optimiser, and windows in a step.
    learning_rate, weight_decay : float
        Of AdamW; the rate follows one cycle.
    input_noise : float
        Standard deviation of the noise on scaled inputs in training; half of its variance is common to a window.
    truncation : float
        Share of the windows whose past is hidden at random in training, so that a cell is known from few cycles.
    balance : float
        Windows are drawn with probability in proportion to (cycles of their protocol) ** -balance.
    huber : float
        Error, in spreads of SOH, past which the loss grows linearly.
    physics : PhysicsWeights
        Physics residuals in the loss.

    Raises
    ------
    SettingsError
        If there are fewer than 20 steps.
    """

    window: int = 12
    inputs: tuple[str, ...] = FEATURE_NAMES
    width: int = 32
    layers: int = 1
    dropout: float = 0.2
    steps: int = 800
    batch: int = 128
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    input_noise: float = 0.15
    truncation: float = 0.2
    balance: float = 0.5
    huber: float = 0.2
    physics: PhysicsWeights = field(default_factory=PhysicsWeights)

    def __post_init__(self) -> None:
        if self.steps < FEWEST_STEPS:
            raise SettingsError(
                f"a network cannot be trained in {self.steps} steps", remedy=f"Give {FEWEST_STEPS} steps or more"
            )

    def as_dict(self) -> dict[str, object]:
        """Return the settings as JSON takes them."""
        return {**asdict(self), "inputs": list(self.inputs)}
