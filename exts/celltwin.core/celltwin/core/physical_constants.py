"""Constants of nature."""

from __future__ import annotations

__all__ = ["FARADAY", "GAS_CONSTANT"]

FARADAY = 96485.33212  # [C/mol]
GAS_CONSTANT = 8.31446261815324  # [J/(mol.K)]
