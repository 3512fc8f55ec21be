import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from celltwin.core import SampleBlock
from celltwin.runtime.sample_buffer import SampleBuffer


def block(times):
    times = np.asarray(times, dtype=float)
    return SampleBlock(
        channels=("a",),
        time=times,
        values=times[:, np.newaxis] * 2.0,
        present=np.ones((times.size, 1), dtype=bool),
        origin=tuple(f"f:{number}" for number in range(times.size)) if times.size != 1 else ("f",),
    )


def test_hands_out_what_belongs_to_a_step_and_keeps_the_rest():
    buffer = SampleBuffer()
    buffer.add([block([0, 1, 2, 3]), block([4, 5])])

    taken = buffer.take(2.0)

    assert [list(part.time) for part in taken] == [[0, 1, 2]]
    assert taken[0].origin == ("f:0", "f:1", "f:2")
    assert [list(part.time) for part in buffer.take(10.0)] == [[3], [4, 5]]
    assert not buffer


def test_samples_out_of_order_stay_in_their_place():
    buffer = SampleBuffer()
    buffer.add([block([5, 4, 6, 1, np.nan, 7])])

    taken = buffer.take(6.0)

    np.testing.assert_array_equal(taken[0].time, [5, 4, 6, 1, np.nan])


@given(
    st.lists(st.lists(st.floats(0, 100), min_size=1, max_size=8), max_size=6), st.lists(st.floats(0, 100), max_size=6)
)
def test_nothing_is_lost_or_reordered(blocks, boundaries):
    buffer = SampleBuffer()
    buffer.add([block(times) for times in blocks])

    taken = []
    for boundary in [*sorted(boundaries), np.inf]:
        taken += [time for part in buffer.take(boundary) for time in part.time]

    assert taken == [time for times in blocks for time in times]
    assert not buffer
