"""The launcher of the Kit kernel: exit codes, signals, workers, failures, pace, and a quiet terminal."""

from __future__ import annotations

import signal

import psutil
import pytest

QUIT_AT_ONCE = """
def update(self, count):
    if count == 3:
        self.app.post_quit(0)
"""


def test_the_exit_code_is_what_the_app_quits_with(probe_app):
    app = probe_app("def update(self, count):\n    self.app.post_quit(7)")

    assert app.run()[0] == 7


def test_the_terminal_belongs_to_the_extensions(probe_app):
    app = probe_app(QUIT_AT_ONCE + "def start(self):\n    print('one line')\n")

    assert app.run() == (0, "one line\n", "")


def test_errors_of_an_extension_reach_the_terminal(probe_app):
    app = probe_app(QUIT_AT_ONCE + "def start(self):\n    import logging; logging.getLogger('x').error('it broke')\n")

    assert "it broke" in app.run()[2]


def test_a_worker_process_works_inside_kit_and_does_not_start_kit_again(probe_app):
    app = probe_app(
        """
        def start(self):
            from celltwin.core import BackgroundWorker
            self.worker = BackgroundWorker("collections:Counter", "abca")
            self.answer = self.worker.submit("most_common", 1)

        def update(self, count):
            if self.answer.done():
                print(self.answer.result())
                self.app.post_quit(0)

        def stop(self):
            self.worker.close()
            print("stopped")
        """
    )

    assert app.run() == (0, "[('a', 2)]\nstopped\n", "")


def test_a_worker_does_not_outlive_an_app_that_is_killed(probe_app):
    app = probe_app(
        """
        def start(self):
            from celltwin.core import BackgroundWorker
            self.worker = BackgroundWorker("os:getenv", "HOME")
            self.answer = self.worker.submit("upper")

        def update(self, count):
            if self.answer.done() and count > 0:
                print(self.worker.process_id, flush=True)
                self.answer = self.worker.submit("lower")
        """
    )
    with app.start() as process:
        assert process.stdout is not None
        worker = psutil.Process(int(process.stdout.readline()))
        process.kill()

        worker.wait(timeout=30)  # raises where the worker lives on


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_shuts_every_extension_down(probe_app, number):
    app = probe_app(
        """
        def update(self, count):
            if count == 3:
                print("ready", flush=True)

        def stop(self):
            print("stopped")
        """
    )
    with app.start() as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=60)

    assert (process.returncode, out, err) == (128 + number, "stopped\n", "")


def test_a_signal_during_startup_shuts_down_after_it(probe_app):
    app = probe_app(
        """
        def start(self):
            import os, signal
            os.kill(os.getpid(), signal.SIGINT)
            print("started")

        def stop(self):
            print("stopped")
        """
    )

    assert app.run() == (130, "started\nstopped\n", "")


def test_a_second_signal_ends_an_app_that_hangs(probe_app):
    app = probe_app(
        """
        def update(self, count):
            import signal
            print("hanging", flush=True)
            while signal.getsignal(signal.SIGINT).__self__.pending is None:
                time.sleep(0.01)
            print("still hanging", flush=True)
            while True:
                time.sleep(0.01)
        """
    )
    with app.start() as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hanging\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "still hanging\n"
        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=60) == 143


def test_an_extension_that_fails_to_start_is_named_and_ends_the_app(probe_app):
    app = probe_app("def start(self):\n    raise ValueError('no such pack')")

    code, _, err = app.run()

    assert code == 1
    assert "no such pack" in err
    assert "Celltwin could not start: the extensions probe failed" in err


def test_a_dependency_that_is_missing_is_named_and_ends_the_app(probe_app):
    app = probe_app(QUIT_AT_ONCE)
    app.kit_file.write_text(app.kit_file.read_text().replace('"probe" = {}', '"probe" = {}\n"celltwin.nowhere" = {}'))

    code, _, err = app.run()

    assert code != 0
    assert "No versions of celltwin.nowhere" in err
    assert "Celltwin could not start: the dependencies of probe_app could not be resolved" in err


def test_updates_keep_the_pace_that_the_app_sets(probe_app):
    app = probe_app(
        """
        def update(self, count):
            if count == 1:
                self.first = time.monotonic()
            if count == 21:
                print(time.monotonic() - self.first)
                self.app.post_quit(0)
        """
    )

    seconds = float(app.run("--/app/runLoops/main/rateLimitFrequency=50")[1])

    assert seconds >= 20 / 50 * 0.99


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ('--/exts/probe/key="007"', "'007'"),
        ("--/exts/probe/key=7", "7"),
        ("--/exts/probe/key=false", "False"),
        ('--/exts/probe/key="a b/c,d;[e].csv"', "'a b/c,d;[e].csv'"),
        ("--/exts/probe/key='a\"b'", "'a\"b'"),
        ('--/exts/probe/key=""', "''"),
    ],
)
def test_kit_reads_settings_as_the_launch_options_write_them(probe_app, argument, value):
    app = probe_app(
        QUIT_AT_ONCE + "def start(self):\n    import carb.settings\n"
        "    print(repr(carb.settings.get_settings().get('/exts/probe/key')))\n"
    )

    assert app.run(argument)[1] == f"{value}\n"
