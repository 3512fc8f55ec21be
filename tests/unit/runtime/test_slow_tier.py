import logging
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

from celltwin.core import ModelError, PackState
from celltwin.runtime.slow_tier import SlowTier


def at(time):
    return PackState(time=time, step=0)


class Questions:
    def __init__(self):
        self.futures = []

    def __call__(self, state):
        self.futures.append(Future())
        return self.futures[-1]


def test_asks_once_a_period_and_only_one_question_at_a_time():
    questions = Questions()
    tier = SlowTier("test", questions, period=60.0, patience=20.0)

    for time in range(0, 100, 10):
        tier.offer(at(float(time)))
    assert len(questions.futures) == 1

    questions.futures[0].set_result("first")
    assert tier.take(100.0, clocked=True) == "first"
    tier.offer(at(110.0))

    assert len(questions.futures) == 2


def test_an_answer_is_given_once():
    questions = Questions()
    tier = SlowTier("test", questions, period=60.0, patience=20.0)
    tier.offer(at(0.0))
    questions.futures[0].set_result("answer")

    assert tier.take(10.0, clocked=True) == "answer"
    assert tier.take(20.0, clocked=True) is None


def test_without_a_clock_the_answer_takes_effect_at_the_same_step_however_fast_it_came():
    for finished_early in (True, False):
        questions = Questions()
        tier = SlowTier("test", questions, period=60.0, patience=20.0)
        tier.offer(at(0.0))
        if finished_early:
            questions.futures[0].set_result("answer")

        assert tier.take(10.0, clocked=False) is None
        assert tier.may_pass(10.0)
        assert tier.may_pass(20.0) is finished_early
        if not finished_early:
            questions.futures[0].set_result("answer")
        assert tier.take(20.0, clocked=False) == "answer"


def test_a_failure_is_kept_and_the_tier_asks_again(caplog):
    questions = Questions()
    tier = SlowTier("test", questions, period=60.0, patience=20.0)
    tier.offer(at(0.0))
    questions.futures[0].set_exception(ModelError("no such model", remedy="Train one"))

    with caplog.at_level(logging.WARNING):
        assert tier.take(30.0, clocked=True) is None
    tier.offer(at(60.0))

    assert tier.problems == ["no such model. Train one"]
    assert "no such model" in caplog.text
    assert len(questions.futures) == 2


def test_a_dead_worker_is_started_again_and_given_up_when_it_keeps_dying(caplog):
    questions, restarted = Questions(), []
    tier = SlowTier("test", questions, period=60.0, patience=20.0, restart=lambda: restarted.append(1), restarts=2)

    for round_number in range(3):
        tier.offer(at(round_number * 60.0))
        questions.futures[-1].set_exception(BrokenProcessPool("killed"))
        tier.take(round_number * 60.0 + 30.0, clocked=True)

    assert len(restarted) == 2
    assert not tier.working
    assert "given up" in caplog.text
    tier.offer(at(1000.0))
    assert len(questions.futures) == 3
    assert tier.may_pass(2000.0)


def test_an_error_that_somebody_keeps_does_not_keep_the_twin_alive():
    questions, error = Questions(), ModelError("no model")
    tier = SlowTier("test", questions, period=10.0, patience=0.0)
    for time in (0.0, 10.0):  # the same instance, as a model that could not be loaded raises it every time
        tier.offer(at(time))
        questions.futures[-1].set_exception(error)
        assert tier.take(time + 1.0, clocked=True) is None

    assert error.__traceback__ is None
    assert len(tier.problems) == 2
