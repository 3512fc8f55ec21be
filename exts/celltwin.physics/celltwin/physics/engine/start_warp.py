"""Warp, started without a word: nothing prints but the command line."""

from __future__ import annotations

__all__ = ["start_warp"]


def start_warp() -> None:
    """Initialise Warp and let it report warnings and errors of kernels only, unless somebody has asked for more.

    That a machine has no GPU is no warning here: the engine runs on its processor.
    """
    import warp as wp

    if wp.config.log_level != wp.LOG_INFO:  # somebody has chosen
        wp.init()
        return
    wp.config.log_level = wp.LOG_ERROR
    wp.init()
    wp.config.log_level = wp.LOG_WARNING
