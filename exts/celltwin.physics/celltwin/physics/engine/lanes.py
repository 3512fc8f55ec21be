"""Bundles of cells: the vector type that every kernel of the engine works on, and mathematics on it.

One thread of a kernel advances a bundle of ``width`` cells, one a lane. On a CPU the compiler turns the arithmetic of
eight lanes into vector instructions, six times as fast as one cell after the other; on a GPU a bundle is one cell.
The source is the same. Kernels are made by functions that take :class:`Lanes`, and use nothing but its functions.
"""

# Warp reads the annotations of kernels as values: no postponed annotations here, nor in any module with kernels.
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

__all__ = ["Lanes", "lane_functions"]


# Warp's own flags, and fused multiply-add and whole registers for eight lanes: a quarter faster.
_CPU_FLAGS = (
    "-march=native -mllvm=-inline-threshold=9000 -mllvm=-inline-cold-callsite-threshold=3000 "
    "-mllvm=-slp-recursion-max-depth=4 -ffp-contract=fast -mprefer-vector-width=512"
)


@dataclass(frozen=True, eq=False)
class Lanes:
    """The vector type of a bundle and its mathematics; all functions are Warp functions.

    Attributes
    ----------
    width : int
        Cells in a bundle.
    backward : bool
        Whether kernels made with it can be differentiated.
    real, vector : type
        Warp's type of one number, and of one number a lane.
    exp : function
        Exponential of a vector, for arguments in [-40, 40]; relative error below 1e-9.
    log, sqrt, tanh : function
        Of a vector, lane by lane.
    asinh : function
        Of a vector, lane by lane, odd to the last digit.
    minimum, maximum : function
        Of two vectors, lane by lane.
    clip : function
        A vector held between two numbers.
    select : function
        ``select(condition, a, b)``: ``a`` where ``condition`` is above 0, elsewhere ``b``.
    cubic : function
        ``cubic(table, column, x)``: value at ``x`` in [0, 1] of the piecewise cubic whose four coefficients of
        interval k, in powers of the place within the interval, stand in ``table[k, column:column + 4]``.
    cubic_slope : function
        The derivative of it with ``x``.
    """

    width: int
    backward: bool
    real: Any
    vector: Any
    exp: Any
    log: Any
    sqrt: Any
    tanh: Any
    asinh: Any
    minimum: Any
    maximum: Any
    clip: Any
    select: Any
    cubic: Any
    cubic_slope: Any

    @property
    def module_options(self) -> dict[str, Any]:
        """Options for ``@wp.kernel(module="unique", module_options=...)`` of every kernel of the engine."""
        return {"max_unroll": 1, "enable_backward": self.backward, "cpu_compiler_flags": _CPU_FLAGS}


@lru_cache(maxsize=8)
def lane_functions(width: int, *, backward: bool = False) -> Lanes:
    """Return the vector type of ``width`` lanes and its functions.

    Parameters
    ----------
    width : int
        Cells in a bundle: 8 for a CPU, 1 for a GPU and for gradients.
    backward : bool
        Whether kernels made with it can be differentiated.
    """
    import warp as wp

    real = wp.float64
    vector = wp.types.vector(length=width, dtype=real)

    @wp.func
    def exp(x: vector):
        # exp(x) = exp(x / 64)^64: a short series and six squarings, without a branch or a call
        z = x * real(1.0 / 64.0)
        y = z * real(1.0 / 40320.0) + vector(real(1.0 / 5040.0))
        y = wp.cw_mul(y, z) + vector(real(1.0 / 720.0))
        y = wp.cw_mul(y, z) + vector(real(1.0 / 120.0))
        y = wp.cw_mul(y, z) + vector(real(1.0 / 24.0))
        y = wp.cw_mul(y, z) + vector(real(1.0 / 6.0))
        y = wp.cw_mul(y, z) + vector(real(0.5))
        y = wp.cw_mul(y, z) + vector(real(1.0))
        y = wp.cw_mul(y, z) + vector(real(1.0))
        y2 = wp.cw_mul(y, y)
        y4 = wp.cw_mul(y2, y2)
        y8 = wp.cw_mul(y4, y4)
        y16 = wp.cw_mul(y8, y8)
        y32 = wp.cw_mul(y16, y16)
        return wp.cw_mul(y32, y32)

    @wp.func
    def log(x: vector):
        out = vector()
        for lane in range(width):
            out[lane] = wp.log(x[lane])
        return out

    @wp.func
    def sqrt(x: vector):
        out = vector()
        for lane in range(width):
            out[lane] = wp.sqrt(x[lane])
        return out

    @wp.func
    def tanh(x: vector):
        out = vector()
        for lane in range(width):
            out[lane] = wp.tanh(x[lane])
        return out

    @wp.func
    def asinh(x: vector):
        out = vector()
        for lane in range(width):
            size = wp.abs(x[lane])
            out[lane] = wp.sign(x[lane]) * wp.log(size + wp.sqrt(size * size + real(1.0)))
        return out

    @wp.func
    def minimum(a: vector, b: vector):
        return wp.min(a, b)

    @wp.func
    def maximum(a: vector, b: vector):
        return wp.max(a, b)

    @wp.func
    def clip(x: vector, low: real, high: real):
        return wp.min(wp.max(x, vector(low)), vector(high))

    @wp.func
    def select(condition: vector, a: vector, b: vector):
        out = vector()
        for lane in range(width):
            out[lane] = wp.where(condition[lane] > real(0.0), a[lane], b[lane])
        return out

    @wp.func
    def cubic(table: wp.array2d(dtype=real), column: int, x: vector):
        out = vector()
        count = table.shape[0]
        for lane in range(width):
            place = x[lane] * real(count)
            k = wp.clamp(int(place), 0, count - 1)
            z = place - real(k)
            out[lane] = ((table[k, column + 3] * z + table[k, column + 2]) * z + table[k, column + 1]) * z + table[
                k, column
            ]
        return out

    @wp.func
    def cubic_slope(table: wp.array2d(dtype=real), column: int, x: vector):
        out = vector()
        count = table.shape[0]
        for lane in range(width):
            place = x[lane] * real(count)
            k = wp.clamp(int(place), 0, count - 1)
            z = place - real(k)
            out[lane] = real(count) * (
                (real(3.0) * table[k, column + 3] * z + real(2.0) * table[k, column + 2]) * z + table[k, column + 1]
            )
        return out

    return Lanes(
        width=width,
        backward=backward,
        real=real,
        vector=vector,
        exp=exp,
        log=log,
        sqrt=sqrt,
        tanh=tanh,
        asinh=asinh,
        minimum=minimum,
        maximum=maximum,
        clip=clip,
        select=select,
        cubic=cubic,
        cubic_slope=cubic_slope,
    )
