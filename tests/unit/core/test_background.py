"""One object in a worker process: called without waiting, its failures told, its end clean."""

from __future__ import annotations

import os
from concurrent.futures.process import BrokenProcessPool

import pytest

from celltwin.core import BackgroundWorker


def test_the_object_keeps_its_state_between_calls():
    worker = BackgroundWorker("collections:Counter", "abca")
    try:
        assert worker.submit("total").result(timeout=60) == 4
        worker.submit("update", "aa").result(timeout=60)
        assert worker.submit("most_common", 1).result(timeout=60) == [("a", 4)]
    finally:
        worker.close()


def test_what_the_method_raises_comes_out_of_its_future_and_the_worker_lives_on():
    worker = BackgroundWorker("collections:deque")
    try:
        with pytest.raises(IndexError):
            worker.submit("pop").result(timeout=60)
        worker.submit("append", 1).result(timeout=60)
        assert worker.submit("pop").result(timeout=60) == 1
    finally:
        worker.close()


def test_a_factory_that_fails_is_told_by_its_future():
    worker = BackgroundWorker("fractions:Fraction", 1, 0)
    try:
        with pytest.raises(ZeroDivisionError):
            worker.started.result(timeout=60)
        with pytest.raises(RuntimeError, match="was not built"):
            worker.submit("limit_denominator").result(timeout=60)
    finally:
        worker.close()


def test_a_worker_that_dies_is_told_and_can_be_closed_twice():
    worker = BackgroundWorker("types:SimpleNamespace", exit=os._exit)
    try:
        with pytest.raises(BrokenProcessPool):
            worker.submit("exit", 3).result(timeout=60)
    finally:
        worker.close()
        worker.close()
