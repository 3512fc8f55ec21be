"""Kernels of the circuit: from the tangents of the cells to the currents of the pack, and back to every cell.

Every cell is a voltage source behind a resistance for the moment. Groups, strings and packs reduce to such sources
one after the other, from the leaves of the circuit's tree to its root; there the drive fixes the pack's current, and
the currents go back down. Groups are lanes of a bundle, so that a thread walks through the positions of eight groups.
"""

# Warp reads the annotations of kernels as values: no postponed annotations here.
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .lanes import Lanes

__all__ = ["DRIVE_CURRENT", "DRIVE_POWER", "DRIVE_VOLTAGE", "CircuitKernels", "make_circuit_kernels"]

DRIVE_CURRENT, DRIVE_POWER, DRIVE_VOLTAGE = 0, 1, 2
_PARALLEL = 1


@dataclass(frozen=True, eq=False)
class CircuitKernels:
    """The kernels of the circuit."""

    reduce_groups: Any
    reduce_railed_groups: Any
    solve_tree: Any
    share_current: Any
    share_railed_current: Any


@lru_cache(maxsize=8)
def make_circuit_kernels(lanes: Lanes) -> CircuitKernels:
    """Return the kernels of the circuit."""
    import warp as wp

    real, vector = lanes.real, lanes.vector
    zero, one = real(0.0), real(1.0)

    @wp.kernel(module="unique", module_options=lanes.module_options)
    def reduce_groups(
        parallel: int,
        source: wp.array2d(dtype=vector),
        conductance: wp.array2d(dtype=vector),
        bypass: wp.array(dtype=vector),
        bleed: wp.array(dtype=vector),
        group_source: wp.array(dtype=vector),
        group_resistance: wp.array(dtype=vector),
    ):
        g = wp.tid()
        total = bypass[g]
        driven = -bleed[g]
        for p in range(parallel):
            total += conductance[p, g]
            driven += wp.cw_mul(conductance[p, g], source[p, g])
        resistance = wp.cw_div(vector(one), wp.max(total, vector(real(1e-12))))
        group_resistance[g] = resistance
        group_source[g] = wp.cw_mul(driven, resistance)

    @wp.kernel(module="unique", module_options=lanes.module_options)
    def reduce_railed_groups(
        parallel: int,
        feed: real,
        rail: wp.array(dtype=vector),
        source: wp.array2d(dtype=vector),
        conductance: wp.array2d(dtype=vector),
        bypass: wp.array(dtype=vector),
        bleed: wp.array(dtype=vector),
        place: wp.array3d(dtype=vector),
        drawn: wp.array3d(dtype=vector),
        entry: wp.array2d(dtype=vector),
        group_source: wp.array(dtype=vector),
        group_resistance: wp.array(dtype=vector),
    ):
        # Voltage between the rails at a position, and current drawn up to it, are affine in the voltage at the first
        # position and in the group's current: rows of place and drawn are the constant and the two factors.
        g = wp.tid()
        r = rail[g]
        dropped_0 = vector()
        dropped_v = vector()
        dropped_i = vector()
        for p in range(parallel):
            if p == 0:
                place[0, p, g] = vector()
                place[1, p, g] = vector(one)
                place[2, p, g] = vector()
            else:
                place[0, p, g] = place[0, p - 1, g] - wp.cw_mul(r, drawn[0, p - 1, g]) * real(2.0)
                place[1, p, g] = place[1, p - 1, g] - wp.cw_mul(r, drawn[1, p - 1, g]) * real(2.0)
                place[2, p, g] = place[2, p - 1, g] - wp.cw_mul(r, drawn[2, p - 1, g]) * real(2.0) + r * feed
            y = conductance[p, g]
            if p == 0:
                drawn[0, p, g] = wp.cw_mul(y, source[p, g])
                drawn[1, p, g] = -y
                drawn[2, p, g] = vector()
            else:
                drawn[0, p, g] = drawn[0, p - 1, g] + wp.cw_mul(y, source[p, g] - place[0, p, g])
                drawn[1, p, g] = drawn[1, p - 1, g] - wp.cw_mul(y, place[1, p, g])
                drawn[2, p, g] = drawn[2, p - 1, g] - wp.cw_mul(y, place[2, p, g])
            if p < parallel - 1:
                dropped_0 += wp.cw_mul(r, drawn[0, p, g])
                dropped_v += wp.cw_mul(r, drawn[1, p, g])
                dropped_i += wp.cw_mul(r, drawn[2, p, g])
        # all the current has been drawn at the last position: voltage at the first one, affine in the current
        last = parallel - 1
        steep = wp.cw_div(vector(one), wp.min(drawn[1, last, g], vector(real(-1e-12))))
        first_0 = -wp.cw_mul(drawn[0, last, g], steep)
        first_i = wp.cw_mul(vector(one) - drawn[2, last, g], steep)
        entry[0, g] = first_0
        entry[1, g] = first_i
        ends = vector()
        ends_i = vector()
        if feed < real(1.5):  # opposite feed: the positive end lies at the last position
            ends = dropped_0 + wp.cw_mul(dropped_v, first_0)
            ends_i = dropped_i + wp.cw_mul(dropped_v, first_i)
        open_voltage = first_0 - ends
        own = -(first_i - ends_i)
        # bypass and bleed lie across the group's ends
        beside = vector(one) + wp.cw_mul(own, bypass[g])
        group_source[g] = wp.cw_div(open_voltage - wp.cw_mul(own, bleed[g]), beside)
        group_resistance[g] = wp.cw_div(own, beside)

    @wp.kernel(module="unique", module_options=lanes.module_options)
    def solve_tree(
        first: wp.array(dtype=int),
        roots: wp.array(dtype=int),
        kind: wp.array(dtype=int),
        child_start: wp.array(dtype=int),
        children: wp.array(dtype=int),
        group_start: wp.array(dtype=int),
        link: wp.array(dtype=real),
        connected: wp.array(dtype=real),
        drive_kind: wp.array(dtype=int),
        drive: wp.array2d(dtype=real),
        row: int,
        limits: wp.array2d(dtype=real),
        node_source: wp.array(dtype=real),
        node_resistance: wp.array(dtype=real),
        node_base: wp.array(dtype=real),
        node_share: wp.array(dtype=real),
        node_current: wp.array(dtype=real),
        pack_current: wp.array(dtype=real),
        pack_voltage: wp.array(dtype=real),
        limited: wp.array(dtype=int),
    ):
        pack = wp.tid()
        low = first[pack]
        root = roots[pack]
        # up: every node becomes a source behind a resistance
        for node in range(low, root + 1):
            summed = real(0.0)
            in_series = link[node]
            across = real(0.0)
            driven = real(0.0)
            for place in range(child_start[node], child_start[node + 1]):
                child = children[place]
                through = connected[child] / wp.max(node_resistance[child], real(1e-9))
                summed += node_source[child]
                in_series += node_resistance[child]
                across += through
                driven += through * node_source[child]
            if kind[node] == _PARALLEL:
                node_resistance[node] = link[node] + one / wp.max(across, real(1e-12))
                node_source[node] = driven / wp.max(across, real(1e-12))
            else:
                node_resistance[node] = in_series
                node_source[node] = summed
        # down: the current of every node is base + share * (current of the pack)
        node_base[root] = zero
        node_share[root] = one
        for back in range(root + 1 - low):
            node = root - back
            inner = node_resistance[node] - link[node]
            inside = node_source[node] - inner * node_base[node]
            for place in range(child_start[node], child_start[node + 1]):
                child = children[place]
                if kind[node] == _PARALLEL:
                    through = connected[child] / wp.max(node_resistance[child], real(1e-9))
                    node_base[child] = (node_source[child] - inside) * through
                    node_share[child] = inner * node_share[node] * through
                else:
                    node_base[child] = node_base[node]
                    node_share[child] = node_share[node]
        emf = node_source[root]
        resistance = node_resistance[root]
        asked = drive[row, pack]
        wanted = asked
        if drive_kind[pack] == DRIVE_VOLTAGE:
            wanted = (emf - asked) / resistance
        if drive_kind[pack] == DRIVE_POWER:
            under = emf * emf - real(4.0) * resistance * asked
            wanted = real(2.0) * asked / (emf + wp.sqrt(wp.max(under, zero)))
        # voltage limits of the groups hold the current back, never beyond zero
        highest = real(1e30)
        lowest = real(-1e30)
        tightest_high = int(-1)
        tightest_low = int(-1)
        for group in range(group_start[pack], group_start[pack + 1]):
            share = node_share[group] * node_resistance[group]
            still = node_source[group] - node_resistance[group] * node_base[group]
            if share > real(1e-12):
                up_to = (still - limits[pack, 0]) / share
                down_to = (still - limits[pack, 1]) / share
                if up_to < highest:
                    highest = up_to
                    tightest_high = group
                if down_to > lowest:
                    lowest = down_to
                    tightest_low = group
        amperes = wanted
        reason = int(0)
        if wanted > wp.max(highest, zero):
            amperes = wp.max(highest, zero)
            reason = tightest_high + 1
        if wanted < wp.min(lowest, zero):
            amperes = wp.min(lowest, zero)
            reason = tightest_low + 1
        limited[pack] = reason
        amperes = amperes * connected[root]
        pack_current[pack] = amperes
        pack_voltage[pack] = emf - resistance * amperes
        for node in range(low, root + 1):
            node_current[node] = node_base[node] + node_share[node] * amperes
        for group in range(group_start[pack], group_start[pack + 1]):
            node_current[group] = node_base[group] + node_share[group] * amperes

    @wp.func
    def settle(
        p: int,
        g: int,
        between: vector,
        source: wp.array2d(dtype=vector),
        inner: wp.array2d(dtype=vector),
        conductance: wp.array2d(dtype=vector),
        shunt: wp.array2d(dtype=vector),
        guess: wp.array2d(dtype=vector),
        largest: vector,
        branch_current: wp.array2d(dtype=vector),
        voltage: wp.array2d(dtype=vector),
        current: wp.array2d(dtype=vector),
        change: wp.array2d(dtype=real),
    ):
        branch = wp.cw_mul(conductance[p, g], source[p, g] - between)
        volts = source[p, g] - wp.cw_mul(inner[p, g], branch)
        inside = branch + wp.cw_mul(shunt[p, g], volts)
        # the guess is read before the current is written: they may be one array
        change[p, g] = wp.max(wp.cw_mul(wp.abs(inside - guess[p, g]), largest))
        branch_current[p, g] = branch
        voltage[p, g] = volts
        current[p, g] = inside
        return branch

    @wp.kernel(module="unique", module_options=lanes.module_options)
    def share_current(
        parallel: int,
        source: wp.array2d(dtype=vector),
        inner: wp.array2d(dtype=vector),
        conductance: wp.array2d(dtype=vector),
        shunt: wp.array2d(dtype=vector),
        bypass: wp.array(dtype=vector),
        bleed: wp.array(dtype=vector),
        group_source: wp.array(dtype=vector),
        group_resistance: wp.array(dtype=vector),
        group_current: wp.array(dtype=vector),
        inverse_capacity: wp.array(dtype=vector),
        guess: wp.array2d(dtype=vector),
        branch_current: wp.array2d(dtype=vector),
        voltage: wp.array2d(dtype=vector),
        current: wp.array2d(dtype=vector),
        change: wp.array2d(dtype=real),
        group_voltage: wp.array(dtype=vector),
        imbalance: wp.array(dtype=vector),
    ):
        g = wp.tid()
        between = group_source[g] - wp.cw_mul(group_resistance[g], group_current[g])
        group_voltage[g] = between
        total = -group_current[g] - bleed[g] - wp.cw_mul(bypass[g], between)
        for p in range(parallel):
            total += settle(
                p,
                g,
                between,
                source,
                inner,
                conductance,
                shunt,
                guess,
                inverse_capacity[g],
                branch_current,
                voltage,
                current,
                change,
            )
        imbalance[g] = wp.max(imbalance[g], wp.abs(total))

    @wp.kernel(module="unique", module_options=lanes.module_options)
    def share_railed_current(
        parallel: int,
        source: wp.array2d(dtype=vector),
        inner: wp.array2d(dtype=vector),
        conductance: wp.array2d(dtype=vector),
        shunt: wp.array2d(dtype=vector),
        bypass: wp.array(dtype=vector),
        bleed: wp.array(dtype=vector),
        group_source: wp.array(dtype=vector),
        group_resistance: wp.array(dtype=vector),
        group_current: wp.array(dtype=vector),
        place: wp.array3d(dtype=vector),
        entry: wp.array2d(dtype=vector),
        inverse_capacity: wp.array(dtype=vector),
        guess: wp.array2d(dtype=vector),
        branch_current: wp.array2d(dtype=vector),
        voltage: wp.array2d(dtype=vector),
        current: wp.array2d(dtype=vector),
        change: wp.array2d(dtype=real),
        group_voltage: wp.array(dtype=vector),
        imbalance: wp.array(dtype=vector),
    ):
        g = wp.tid()
        ends = group_source[g] - wp.cw_mul(group_resistance[g], group_current[g])
        group_voltage[g] = ends
        through = group_current[g] + bleed[g] + wp.cw_mul(bypass[g], ends)
        first = entry[0, g] + wp.cw_mul(entry[1, g], through)
        total = -through
        for p in range(parallel):
            between = place[0, p, g] + wp.cw_mul(place[1, p, g], first) + wp.cw_mul(place[2, p, g], through)
            total += settle(
                p,
                g,
                between,
                source,
                inner,
                conductance,
                shunt,
                guess,
                inverse_capacity[g],
                branch_current,
                voltage,
                current,
                change,
            )
        imbalance[g] = wp.max(imbalance[g], wp.abs(total))

    return CircuitKernels(
        reduce_groups=reduce_groups,
        reduce_railed_groups=reduce_railed_groups,
        solve_tree=solve_tree,
        share_current=share_current,
        share_railed_current=share_railed_current,
    )
