"""The Newton step of cells with porous electrodes: salt flux and ionic current through all faces at once.

Both are unknown at every face between two volumes, and depend on those of its two neighbours; what is left is a
system of blocks of two by two along the cell. It is solved for two right sides, without current and for each ampere.
"""

# Warp reads the annotations of kernels as values: no postponed annotations here.
from typing import Any

from celltwin.core import FARADAY, GAS_CONSTANT

from .cell_laws import CellLaws, make_cell_structure
from .lanes import Lanes
from .porous_electrode_laws import LEAST_SALT, PorousLaws
from .shared_porous_cell import make_porous_structure

__all__ = ["make_newton_kernel"]


def make_newton_kernel(lanes: Lanes, cell: CellLaws, electrode: PorousLaws) -> Any:
    """Return the kernel for bundles, with the laws of a cell and of an electrode."""
    import warp as wp

    real, vector, log = lanes.real, lanes.vector, lanes.log
    shared_type, porous_type = make_cell_structure(), make_porous_structure()
    one, half, third, sixth = real(1.0), real(0.5), real(1.0 / 3.0), real(1.0 / 6.0)
    twice_thermal_voltage = real(2.0 * GAS_CONSTANT / FARADAY)
    least_salt = real(LEAST_SALT)
    relate, draw = electrode.relate_potential, cell.draw_tangent

    @wp.kernel(module="unique", module_options=lanes.module_options)
    def linearise(
        offset: int,
        part: int,
        shared: shared_type,
        porous: porous_type,
        keep: int,
        salt: wp.array2d(dtype=vector),
        temperature: wp.array(dtype=vector),
        side_current: wp.array(dtype=vector),
        film_resistance: wp.array(dtype=vector),
        guess: wp.array(dtype=vector),
        shunt: wp.array(dtype=vector),
        connection: wp.array(dtype=vector),
        connected: wp.array(dtype=vector),
        still_negative: wp.array2d(dtype=vector),
        slope_negative: wp.array2d(dtype=vector),
        still_positive: wp.array2d(dtype=vector),
        slope_positive: wp.array2d(dtype=vector),
        hindrance: wp.array2d(dtype=vector),
        ionic_resistance: wp.array2d(dtype=vector),
        solid_resistance: wp.array2d(dtype=vector),
        carried: wp.array2d(dtype=vector),
        salt_voltage: wp.array2d(dtype=vector),
        linear: wp.array2d(dtype=vector),
        point: wp.array2d(dtype=vector),
        logarithm: wp.array2d(dtype=vector),
        constant: wp.array2d(dtype=vector),
        reaction: wp.array2d(dtype=vector),
        saline: wp.array2d(dtype=vector),
        block: wp.array2d(dtype=vector),
        ionic_still: wp.array2d(dtype=vector),
        ionic_slope: wp.array2d(dtype=vector),
        salt_still: wp.array2d(dtype=vector),
        salt_slope: wp.array2d(dtype=vector),
        source: wp.array(dtype=vector),
        inner: wp.array(dtype=vector),
        conductance: wp.array(dtype=vector),
    ):
        b = wp.tid() + offset
        slot = b * keep + part
        n_n = porous.negative
        n_p = porous.positive
        first_p = n_n + porous.separator
        n_all = first_p + n_p
        n_faces = n_all - 1
        current = guess[b]
        t = temperature[b]
        warming = t - vector(shared.reference_temperature)
        thermal = t * (twice_thermal_voltage)
        for k in range(n_all):
            point[k, slot] = wp.max(salt_still[k, b] + wp.cw_mul(salt_slope[k, b], current), vector(least_salt))
            logarithm[k, slot] = log(point[k, slot])

        # potential between solid and electrolyte in every volume: constant + reaction * (ionic current out less in)
        # + saline * salt
        before = vector()
        for k in range(n_n):
            after = ionic_still[k, b] + wp.cw_mul(ionic_slope[k, b], current)
            value, by_current, by_salt, u, entropy = relate(
                shared,
                0,
                shared.potential_negative,
                shared.exponent_negative,
                one,
                still_negative[k, b],
                slope_negative[k, b],
                (after - before) * porous.inverse_share[k],
                side_current[b],
                linear[2, b],
                linear[0, b],
                film_resistance[b],
                point[k, slot],
                thermal,
                warming,
            )
            steep = by_current * porous.inverse_share[k]
            reaction[k, slot] = steep
            saline[k, slot] = by_salt
            constant[k, slot] = value - wp.cw_mul(steep, after - before) - wp.cw_mul(by_salt, point[k, slot])
            before = after
        before = current
        for v in range(n_p):
            k = first_p + v
            after = vector()
            if k < n_faces:
                after = ionic_still[k, b] + wp.cw_mul(ionic_slope[k, b], current)
            value, by_current, by_salt, u, entropy = relate(
                shared,
                1,
                shared.potential_positive,
                shared.exponent_positive,
                -one,
                still_positive[v, b],
                slope_positive[v, b],
                (before - after) * porous.inverse_share[k],
                vector(),
                linear[3, b],
                linear[1, b],
                vector(),
                point[k, slot],
                thermal,
                warming,
            )
            steep = by_current * (-porous.inverse_share[k])
            reaction[k, slot] = steep
            saline[k, slot] = by_salt
            constant[k, slot] = value - wp.cw_mul(steep, after - before) - wp.cw_mul(by_salt, point[k, slot])
            before = after

        # salt flux and ionic current through every face: two unknowns a face, each with its two neighbours.
        # Rows of block: 0 to 3 what multiplies the next face, 4 and 5 without current, 6 and 7 for each ampere.
        for k in range(n_faces):
            room, room_next = porous.inverse_room[k], porous.inverse_room[k + 1]
            g, g_next = hindrance[k, b] * porous.path_ionic[k], hindrance[k, b] * porous.path_ionic[k + 1]
            here = carried[k, b]
            earlier = vector()
            later = vector()
            if k > 0:
                earlier = carried[k - 1, b]
            if k < n_faces - 1:
                later = carried[k + 1, b]
            l11 = vector(room) - g * sixth
            l12 = earlier * (-room)
            d11 = (g + g_next) * (-third) - vector(room + room_next)
            d12 = here * (room + room_next)
            u11 = vector(room_next) - g_next * sixth
            u12 = later * (-room_next)
            f1 = salt[k + 1, b] - salt[k, b]
            l21 = vector()
            l22 = vector()
            d21 = vector()
            d22 = vector(one)
            u21 = vector()
            u22 = vector()
            f2 = vector()
            s2 = vector(one)
            if k < n_n - 1 or k >= first_p:
                volts = salt_voltage[k, b]
                c, c_next = point[k, slot], point[k + 1, slot]
                by_salt = saline[k, slot] + wp.cw_div(volts, c)
                by_next = -saline[k + 1, slot] - wp.cw_div(volts, c_next)
                z = ionic_resistance[k, b] * porous.path_ionic[k] + solid_resistance[k, b]
                z_next = ionic_resistance[k, b] * porous.path_ionic[k + 1] + solid_resistance[k + 1, b]
                bend, bend_next = reaction[k, slot], reaction[k + 1, slot]
                l21 = by_salt * room
                l22 = z * sixth - bend - wp.cw_mul(by_salt, earlier) * room
                d21 = by_next * room_next - by_salt * room
                d22 = bend + bend_next + (z + z_next) * third + wp.cw_mul(by_salt * room - by_next * room_next, here)
                u21 = by_next * (-room_next)
                u22 = z_next * sixth - bend_next + wp.cw_mul(by_next, later) * room_next
                f2 = (
                    constant[k + 1, slot]
                    - constant[k, slot]
                    - wp.cw_mul(by_salt, salt[k, b])
                    - wp.cw_mul(by_next, salt[k + 1, b])
                    + wp.cw_mul(volts, logarithm[k + 1, slot] - logarithm[k, slot])
                )
                s2 = (solid_resistance[k, b] + solid_resistance[k + 1, b]) * half
            s1 = vector()
            if k > 0:
                w11, w12 = block[8 * (k - 1), slot], block[8 * (k - 1) + 1, slot]
                w21, w22 = block[8 * (k - 1) + 2, slot], block[8 * (k - 1) + 3, slot]
                a1, a2 = block[8 * (k - 1) + 4, slot], block[8 * (k - 1) + 5, slot]
                e1, e2 = block[8 * (k - 1) + 6, slot], block[8 * (k - 1) + 7, slot]
                d11 -= wp.cw_mul(l11, w11) + wp.cw_mul(l12, w21)
                d12 -= wp.cw_mul(l11, w12) + wp.cw_mul(l12, w22)
                d21 -= wp.cw_mul(l21, w11) + wp.cw_mul(l22, w21)
                d22 -= wp.cw_mul(l21, w12) + wp.cw_mul(l22, w22)
                f1 -= wp.cw_mul(l11, a1) + wp.cw_mul(l12, a2)
                f2 -= wp.cw_mul(l21, a1) + wp.cw_mul(l22, a2)
                s1 -= wp.cw_mul(l11, e1) + wp.cw_mul(l12, e2)
                s2 -= wp.cw_mul(l21, e1) + wp.cw_mul(l22, e2)
            over = wp.cw_div(vector(one), wp.cw_mul(d11, d22) - wp.cw_mul(d12, d21))
            i11, i12 = wp.cw_mul(d22, over), wp.cw_mul(d12, -over)
            i21, i22 = wp.cw_mul(d21, -over), wp.cw_mul(d11, over)
            block[8 * k, slot] = wp.cw_mul(i11, u11) + wp.cw_mul(i12, u21)
            block[8 * k + 1, slot] = wp.cw_mul(i11, u12) + wp.cw_mul(i12, u22)
            block[8 * k + 2, slot] = wp.cw_mul(i21, u11) + wp.cw_mul(i22, u21)
            block[8 * k + 3, slot] = wp.cw_mul(i21, u12) + wp.cw_mul(i22, u22)
            block[8 * k + 4, slot] = wp.cw_mul(i11, f1) + wp.cw_mul(i12, f2)
            block[8 * k + 5, slot] = wp.cw_mul(i21, f1) + wp.cw_mul(i22, f2)
            block[8 * k + 6, slot] = wp.cw_mul(i11, s1) + wp.cw_mul(i12, s2)
            block[8 * k + 7, slot] = wp.cw_mul(i21, s1) + wp.cw_mul(i22, s2)

        # back, and the salt of every volume from what flows through its two faces
        out_f = vector()  # salt through the right face of a volume, without current and for each ampere
        out_s = vector()
        drift_f = vector()  # ionic current through it
        drift_s = vector()
        for back in range(n_all):
            k = n_all - 1 - back
            in_f = vector()
            in_s = vector()
            ahead_f = vector()
            ahead_s = vector()
            swept_in = vector()
            swept_out = vector()
            if k < n_faces:
                swept_out = carried[k, b]
            if k > 0:
                row = 8 * (k - 1)
                swept_in = carried[k - 1, b]
                in_f = block[row + 4, slot] - wp.cw_mul(block[row, slot], out_f)
                in_f -= wp.cw_mul(block[row + 1, slot], drift_f)
                in_s = block[row + 6, slot] - wp.cw_mul(block[row, slot], out_s)
                in_s -= wp.cw_mul(block[row + 1, slot], drift_s)
                ahead_f = block[row + 5, slot] - wp.cw_mul(block[row + 2, slot], out_f)
                ahead_f -= wp.cw_mul(block[row + 3, slot], drift_f)
                ahead_s = block[row + 7, slot] - wp.cw_mul(block[row + 2, slot], out_s)
                ahead_s -= wp.cw_mul(block[row + 3, slot], drift_s)
                ionic_still[k - 1, b] = ahead_f
                ionic_slope[k - 1, b] = ahead_s
            gain_f = in_f - out_f + wp.cw_mul(swept_out, drift_f) - wp.cw_mul(swept_in, ahead_f)
            gain_s = in_s - out_s + wp.cw_mul(swept_out, drift_s) - wp.cw_mul(swept_in, ahead_s)
            salt_still[k, b] = salt[k, b] + gain_f * porous.inverse_room[k]
            salt_slope[k, b] = gain_s * porous.inverse_room[k]
            out_f, out_s, drift_f, drift_s = in_f, in_s, ahead_f, ahead_s

        # voltage between the current collectors: potentials at both ends, and what is lost between them
        ends = n_all - 1
        voltage = constant[ends, slot] - constant[0, slot]
        slope = -(linear[4, b] + (solid_resistance[0, b] + solid_resistance[ends, b]) * half)
        voltage += wp.cw_mul(saline[ends, slot], salt_still[ends, b]) - wp.cw_mul(saline[0, slot], salt_still[0, b])
        slope += wp.cw_mul(saline[ends, slot], salt_slope[ends, b]) - wp.cw_mul(saline[0, slot], salt_slope[0, b])
        first = solid_resistance[0, b] * sixth - reaction[0, slot]
        final = solid_resistance[ends, b] * sixth - reaction[ends, slot]
        voltage += wp.cw_mul(first, ionic_still[0, b]) + wp.cw_mul(final, ionic_still[ends - 1, b])
        slope += wp.cw_mul(first, ionic_slope[0, b]) + wp.cw_mul(final, ionic_slope[ends - 1, b])
        for k in range(n_faces):
            volts = salt_voltage[k, b]
            per, per_next = wp.cw_div(volts, point[k, slot]), wp.cw_div(volts, point[k + 1, slot])
            ohmic = ionic_resistance[k, b] * ((porous.path_ionic[k] + porous.path_ionic[k + 1]) * third)
            if k > 0:
                ohmic += ionic_resistance[k - 1, b] * (porous.path_ionic[k] * sixth)
            if k < n_faces - 1:
                ohmic += ionic_resistance[k + 1, b] * (porous.path_ionic[k + 1] * sixth)
            voltage += (
                wp.cw_mul(volts, logarithm[k + 1, slot] - logarithm[k, slot])
                + wp.cw_mul(per_next, salt_still[k + 1, b])
                - wp.cw_mul(per, salt_still[k, b])
                - wp.cw_mul(ohmic, ionic_still[k, b])
            )
            slope += (
                wp.cw_mul(per_next, salt_slope[k + 1, b])
                - wp.cw_mul(per, salt_slope[k, b])
                - wp.cw_mul(ohmic, ionic_slope[k, b])
            )
        draw(
            b,
            voltage + wp.cw_mul(slope, current),
            slope,
            current,
            shunt[b],
            connection[b],
            connected[b],
            source,
            inner,
            conductance,
        )

    return linearise
