"""The measured cells that benches of calibration fit, described as their data sheets do."""

from __future__ import annotations

from celltwin.physics.measurements import CellDescription

__all__ = ["LGM50", "RATES", "SAMSUNG", "XJTU"]

SAMSUNG = CellDescription(name="Samsung 30Q", chemistry="NCA-graphite-SiOx", format="18650", capacity=3.0)
XJTU = CellDescription(name="XJTU 18650", chemistry="NMC-graphite", format="18650", capacity=2.0)
LGM50 = CellDescription(name="LG M50", chemistry="NMC-graphite-SiOx", format="21700", capacity=5.0)
RATES = ("1C", "2C", "3C")
"""Discharges that Samsung's and XJTU's cells are fitted on."""
