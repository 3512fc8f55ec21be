"""Options of ./repo.sh launch: what is typed, and what Kit gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.launch_options import LaunchOption, OptionsError, describe_options, read_options, translate_options

OPTIONS = (
    LaunchOption("pack", "data/packs/reference.toml", "Pack file."),
    LaunchOption("speed", 0.0, "Multiple of real time."),
    LaunchOption("step_period", 10.0, "Time between two steps [s]."),
    LaunchOption("seed", 1, "Seed."),
    LaunchOption("report", True, "Whether to write a report."),
)


def translate(*words: str) -> list[str]:
    return translate_options(list(words), OPTIONS, "x")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--pack", "a b/c.toml"], ['--/exts/x/pack="a b/c.toml"']),
        (["--pack=p=q.toml"], ['--/exts/x/pack="p=q.toml"']),
        (["--pack", "007"], ['--/exts/x/pack="007"']),  # Kit would read a bare 007 as the number 7
        (["--pack", 'a"b'], ["--/exts/x/pack='a\"b'"]),
        (["--pack", "--odd-name"], ['--/exts/x/pack="--odd-name"']),
        (["--seed", "7"], ["--/exts/x/seed=7"]),
        (["--speed", "1e2"], ["--/exts/x/speed=100.0"]),
        (["--step-period", "5"], ["--/exts/x/step_period=5.0"]),
        (["--step_period=5"], ["--/exts/x/step_period=5.0"]),
        (["--report", "no", "--seed", "2"], ["--/exts/x/report=false", "--/exts/x/seed=2"]),
        (["--report", "--seed", "2"], ["--/exts/x/report=true", "--/exts/x/seed=2"]),
        (["--/app/quitAfter=3"], ["--/app/quitAfter=3"]),
        ([], []),
    ],
)
def test_words_become_settings_of_kit(words, expected):
    assert translate(*words) == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--packs", "a"], r"unknown option --packs; the options are\n(.|\n)*--step-period"),
        (["stray"], "unknown option stray"),
        (["--seed"], "--seed needs a value: Seed"),
        (["--seed", "1.5"], "--seed 1.5: must be a whole number. Seed"),
        (["--speed", "fast"], "--speed fast: must be a number"),
        (["--report", "maybe"], "--report maybe: must be true or false"),
        (["--pack", "a\"b'c"], "both kinds of quotation marks"),
    ],
)
def test_wrong_words_are_named_with_the_remedy(words, message):
    with pytest.raises(OptionsError, match=message):
        translate(*words)


def test_options_are_read_from_the_settings_with_the_comments_above_them(tmp_path: Path):
    path = tmp_path / "extension.toml"
    path.write_text('[settings]\n# Intro.\n\n# Pack file.\nexts."x.y".pack = "p"\nexts."x.y".seed = 3\n')

    assert read_options(path, "x.y") == (LaunchOption("pack", "p", "Pack file."), LaunchOption("seed", 3, ""))


def test_the_description_shows_each_option_with_its_default():
    text = describe_options(OPTIONS)

    assert "--step-period" in text
    assert "[10.0]" in text
    assert "[true]" in text
    assert "--/path=value" in text


def test_every_option_of_the_apps_has_a_summary(repo_root: Path):
    options = read_options(repo_root / "exts/celltwin.runtime/config/extension.toml", "celltwin.runtime")

    assert [option.key for option in options if not option.summary] == []
    assert {"pack", "telemetry", "out", "mode", "speed", "seed"} <= {option.key for option in options}
