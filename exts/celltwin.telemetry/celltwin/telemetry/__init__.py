"""Telemetry in: recordings replayed, samples checked and brought to SI, the run recorded."""

from .history_reader import History, ReadingHistory, read_history
from .history_writer import HistoryWriter
from .ingest import Ingest
from .quarantine import Quarantine, QuarantineRow
from .reasons import Reason
from .recordings import open_recording
from .replay import ReplaySource
from .samples import AcceptedBlock, AcceptedSamples, QuarantinedSamples

__all__ = [
    "AcceptedBlock",
    "AcceptedSamples",
    "History",
    "HistoryWriter",
    "Ingest",
    "Quarantine",
    "QuarantineRow",
    "QuarantinedSamples",
    "ReadingHistory",
    "Reason",
    "ReplaySource",
    "open_recording",
    "read_history",
]
