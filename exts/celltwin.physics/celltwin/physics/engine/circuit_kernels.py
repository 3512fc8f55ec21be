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

    # Every sum over a loop has a function of its own: the way back recalls functions, but no loops.

    @wp.func
    def summed_conductance(parallel: int, g: int, conductance: wp.array2d(dtype=vector)):
        total = vector()
        for p in range(parallel):
            total += conductance[p, g]
        return total

    @wp.func
    def driven_current(parallel: int, g: int, source: wp.array2d(dtype=vector), conductance: wp.array2d(dtype=vector)):
        total = vector()
        for p in range(parallel):
            total += wp.cw_mul(conductance[p, g], source[p, g])
        return total

    @wp.func
    def summed_row(row: int, count: int, g: int, values: wp.array3d(dtype=vector)):
        total = vector()
        for p in range(count):
            total += values[row, p, g]
        return total

    @wp.func
    def summed_children(
        node: int, child_start: wp.array(dtype=int), children: wp.array(dtype=int), values: wp.array(dtype=real)
    ):
        total = real(0.0)
        for place in range(child_start[node], child_start[node + 1]):
            total += values[children[place]]
        return total

    @wp.func
    def child_conductance(child: int, connected: wp.array(dtype=real), node_resistance: wp.array(dtype=real)):
        return connected[child] / wp.max(node_resistance[child], real(1e-9))

    @wp.func
    def conductance_across(
        node: int,
        child_start: wp.array(dtype=int),
        children: wp.array(dtype=int),
        connected: wp.array(dtype=real),
        node_resistance: wp.array(dtype=real),
    ):
        total = real(0.0)
        for place in range(child_start[node], child_start[node + 1]):
            total += child_conductance(children[place], connected, node_resistance)
        return total

    @wp.func
    def current_into(
        node: int,
        child_start: wp.array(dtype=int),
        children: wp.array(dtype=int),
        connected: wp.array(dtype=real),
        node_resistance: wp.array(dtype=real),
        node_source: wp.array(dtype=real),
    ):
        total = real(0.0)
        for place in range(child_start[node], child_start[node + 1]):
            child = children[place]
            total += child_conductance(child, connected, node_resistance) * node_source[child]
        return total

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
        total = bypass[g] + summed_conductance(parallel, g, conductance)
        driven = driven_current(parallel, g, source, conductance) - bleed[g]
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
            dropped = wp.cw_mul(r, summed_row(1, last, g, drawn))
            ends = wp.cw_mul(r, summed_row(0, last, g, drawn)) + wp.cw_mul(dropped, first_0)
            ends_i = wp.cw_mul(r, summed_row(2, last, g, drawn)) + wp.cw_mul(dropped, first_i)
        open_voltage = first_0 - ends
        own = -(first_i - ends_i)
        # bypass and bleed lie across the group's ends
        beside = vector(one) + wp.cw_mul(own, bypass[g])
        group_source[g] = wp.cw_div(open_voltage - wp.cw_mul(own, bleed[g]), beside)
        group_resistance[g] = wp.cw_div(own, beside)

    @wp.func
    def current_at(
        group: int,
        voltage: real,
        node_source: wp.array(dtype=real),
        node_resistance: wp.array(dtype=real),
        node_base: wp.array(dtype=real),
        node_share: wp.array(dtype=real),
    ):
        # current of the pack at which a group has a voltage
        share = wp.max(node_share[group] * node_resistance[group], real(1e-12))
        return (node_source[group] - node_resistance[group] * node_base[group] - voltage) / share

    @wp.func
    def tightest(
        start: int,
        end: int,
        sign: real,
        voltage: real,
        node_source: wp.array(dtype=real),
        node_resistance: wp.array(dtype=real),
        node_base: wp.array(dtype=real),
        node_share: wp.array(dtype=real),
    ):
        # group that reaches a voltage first as the current grows (sign 1) or falls (sign -1)
        found = int(start)
        least = real(1e300)
        for group in range(start, end):
            reached = sign * current_at(group, voltage, node_source, node_resistance, node_base, node_share)
            if reached < least:
                least = reached
                found = group
        return found

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
            if kind[node] == _PARALLEL:
                across = wp.max(
                    conductance_across(node, child_start, children, connected, node_resistance), real(1e-12)
                )
                into = current_into(node, child_start, children, connected, node_resistance, node_source)
                node_resistance[node] = link[node] + one / across
                node_source[node] = into / across
            else:
                node_resistance[node] = link[node] + summed_children(node, child_start, children, node_resistance)
                node_source[node] = summed_children(node, child_start, children, node_source)
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
                    through = child_conductance(child, connected, node_resistance)
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
        # voltage limits of the groups hold the current back, never beyond zero; derivatives follow the tightest alone
        start = group_start[pack]
        end = group_start[pack + 1]
        high = tightest(start, end, real(1.0), limits[pack, 0], node_source, node_resistance, node_base, node_share)
        low_group = tightest(
            start, end, real(-1.0), limits[pack, 1], node_source, node_resistance, node_base, node_share
        )
        most = current_at(high, limits[pack, 0], node_source, node_resistance, node_base, node_share)
        least = current_at(low_group, limits[pack, 1], node_source, node_resistance, node_base, node_share)
        amperes = wanted
        reason = int(0)
        if wanted > wp.max(most, zero):
            amperes = wp.max(most, zero)
            reason = high + 1
        if wanted < wp.min(least, zero):
            amperes = wp.min(least, zero)
            reason = low_group + 1
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
