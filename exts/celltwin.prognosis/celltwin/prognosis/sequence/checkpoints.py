"""PhysicsNeMo's checkpoints of a training, kept quiet."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

__all__ = ["load_training", "save_training"]


def save_training(folder: Path, models: list[Any], optimiser: Any, schedule: Any, step: int) -> None:
    """Write the state of a training after a step."""
    from physicsnemo.utils.checkpoint import save_checkpoint

    _start()
    folder.mkdir(parents=True, exist_ok=True)
    before = set(folder.iterdir())
    save_checkpoint(folder, models=models, optimizer=optimiser, scheduler=schedule, epoch=step)
    if set(folder.iterdir()) - before:
        for old in before:
            old.unlink()


def load_training(folder: Path | None, models: list[Any], optimiser: Any, schedule: Any) -> int:
    """Restore the newest state of a training; return its step, 0 where there is none."""
    if folder is None or not folder.is_dir() or not any(folder.iterdir()):
        return 0
    from physicsnemo.utils.checkpoint import load_checkpoint

    _start()
    return int(load_checkpoint(folder, models=models, optimizer=optimiser, scheduler=schedule))


def _start() -> None:
    from physicsnemo.distributed import DistributedManager

    logging.getLogger("checkpoint").setLevel(logging.ERROR)  # says where each file went
    if not DistributedManager.is_initialized():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that this is a single process
            DistributedManager.initialize()
