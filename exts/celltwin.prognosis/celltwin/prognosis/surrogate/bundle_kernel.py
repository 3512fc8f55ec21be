"""The kernel that advances bundles of cells, as Warp compiles it from ``bundle_kernel.inl``."""

# Warp reads the annotations of kernels as values: no postponed annotations here.
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from celltwin.physics.engine.start_warp import start_warp

from .surrogate_numbers import BLOCK, FASTEST, FLOOR, LEAST, POLES, TINY

__all__ = ["LANES", "MODES", "BundleKernel", "make_bundle_kernel"]

LANES = 8  # cells that a processor advances at once; a power of 2
MODES = sum(POLES) + 1  # of both particles and of the electrolyte
_SOURCE = Path(__file__).with_suffix(".inl")
# Nothing is left for the vectorisers to find, and looking takes them longer than all else.
_CPU_FLAGS = "-march=native -ffp-contract=fast -fno-vectorize -fno-slp-vectorize"


@dataclass(frozen=True, eq=False)
class BundleKernel:
    """A kernel and the structures that it takes.

    Attributes
    ----------
    advance : object
        Warp's kernel: ``advance(laws, course, period, first, count, hide)`` takes cells through steps ``first`` to
        ``first + count`` of ``period`` [s], one bundle a thread; with ``hide`` what is not trusted is no number.
    laws, course : type
        Warp's structures of what all cells share, and of what they have each.
    """

    advance: Any
    laws: Any
    course: Any


@lru_cache(maxsize=8)
def make_bundle_kernel(*, width: int, layers: int, pieces: int) -> BundleKernel:
    """Return the kernel for a size of network and of tables.

    Parameters
    ----------
    width, layers : int
        Neurons in a hidden layer, a multiple of four, and hidden layers.
    pieces : int
        Straight pieces of every table.
    """
    import warp as wp

    start_warp()
    whole = {
        "LANES": LANES,
        "BLOCK": BLOCK,
        "MODES": MODES,
        "NEGATIVE_POLES": POLES[0],
        "PIECES": pieces,
        "WIDTH": width,
        "LAYERS": layers,
    }
    real = {"FLOOR": FLOOR, "LEAST": LEAST, "FASTEST": FASTEST, "TINY": TINY}
    constants = [f"constexpr int {name} = {value};" for name, value in whole.items()]
    constants += [f"constexpr float {name} = {value!r}f;" for name, value in real.items()]
    source = "\n".join([*constants, _SOURCE.read_text(encoding="utf-8")])

    @wp.struct
    class BundleLaws:
        reference_temperature: wp.float32  # [K]
        warmth: wp.float32  # 1 over gas constant and reference temperature [mol/J]
        thermal_voltage: wp.float32  # twice that of a kelvin [V/K]
        electrolyte_energy: wp.float32  # activation energies [J/mol]
        negative_diffusion_energy: wp.float32
        negative_exchange_energy: wp.float32
        positive_diffusion_energy: wp.float32
        positive_exchange_energy: wp.float32
        negative_empty: wp.float32  # stoichiometry at 0 % state of charge, and from there to 100 %
        negative_span: wp.float32
        positive_empty: wp.float32
        positive_span: wp.float32
        rates: wp.array(dtype=wp.float32)  # (MODES,)
        shares: wp.array(dtype=wp.float32)  # (MODES,)
        low: wp.array(dtype=wp.float32)  # (3 + MODES,)
        high: wp.array(dtype=wp.float32)
        weights: wp.array(dtype=wp.float32)
        negative_diffusion: wp.array(dtype=wp.float32)  # (2 * PIECES,)
        negative_potential: wp.array(dtype=wp.float32)  # (6 * PIECES,)
        positive_diffusion: wp.array(dtype=wp.float32)
        positive_potential: wp.array(dtype=wp.float32)

    @wp.struct
    class BundleCourse:
        inputs: wp.array2d(dtype=wp.float32)  # (8, n_cells)
        charge_steps: wp.array(dtype=wp.float64)  # state of charge that a step at 1 A takes [1/A]
        current: wp.array2d(dtype=wp.float64)  # (n_steps, n_cells)
        current_end: wp.array2d(dtype=wp.float64)
        state: wp.array2d(dtype=wp.float32)  # (MODES + 2, n_cells)
        charges: wp.array(dtype=wp.float64)
        voltage: wp.array2d(dtype=wp.float32)
        temperature: wp.array2d(dtype=wp.float32)
        negative_surface: wp.array2d(dtype=wp.float32)
        positive_surface: wp.array2d(dtype=wp.float32)
        anode_potential: wp.array2d(dtype=wp.float32)
        heat: wp.array2d(dtype=wp.float32)
        soc: wp.array2d(dtype=wp.float64)
        trusted: wp.array2d(dtype=wp.uint8)

    @wp.func_native(source)
    def advance_bundle(
        bundle: int, laws: BundleLaws, course: BundleCourse, period: float, first: int, count: int, hide: int
    ): ...

    @wp.kernel(module="unique", module_options={"enable_backward": False, "cpu_compiler_flags": _CPU_FLAGS})
    def advance(laws: BundleLaws, course: BundleCourse, period: float, first: int, count: int, hide: int):
        advance_bundle(wp.tid(), laws, course, period, first, count, hide)

    return BundleKernel(advance, BundleLaws, BundleCourse)
