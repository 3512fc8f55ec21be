"""Where networks train: on a GPU when there is one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from celltwin.core import SettingsError

if TYPE_CHECKING:
    import torch

__all__ = ["VARIABLE", "training_device"]

VARIABLE = "CELLTWIN_TRAIN_ON"


def training_device() -> torch.device:
    """Return the device that networks train on: the GPU where torch finds one, else the CPU.

    The environment variable ``CELLTWIN_TRAIN_ON`` (``cpu``, ``cuda``, ``cuda:1``) chooses another. Everything random is
    drawn on the CPU, except dropout, so that a run sees the same batches on either; trained networks come back to the
    CPU, where all are judged, exported and served.

    Raises
    ------
    SettingsError
        If the variable names no device that is there.
    """
    import torch

    present = torch.cuda.is_available()
    asked = os.environ.get(VARIABLE, "")
    if not asked:
        return torch.device("cuda" if present else "cpu")
    try:
        device = torch.device(asked)
    except RuntimeError:
        device = None
    known = ["cpu", *(["cuda", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))] if present else [])]
    if device is None or str(device) not in known:
        raise SettingsError(
            f"{VARIABLE} = {asked!r} is no device of this machine", remedy=f"Set it to one of {', '.join(known)}"
        )
    return device
