"""Celltwin in NVIDIA's validator: what ``nvidia_usd_validate`` loads through the entry point of our package.

It brings the battery schemas, the shader definitions that the usd-core wheel lacks, and our own rules.
"""

from __future__ import annotations

from typing import Any

__all__ = ["PLUGIN", "ValidationPlugin"]

_CATEGORY = "Celltwin"


class ValidationPlugin:
    """Start and stop our part of the validator."""

    def __init__(self) -> None:
        self._rule: Any = None

    def on_startup(self) -> None:
        """Register schemas, shader definitions and rules."""
        from usd_validation_nvidia import register_rule

        from celltwin.schema import register_schemas

        from .nvidia_validation import define_preview_shaders

        register_schemas()
        define_preview_shaders()
        self._rule = register_rule(_CATEGORY)(_rule())

    def on_shutdown(self) -> None:
        """Take the rules back; USD keeps schemas and shader definitions."""
        from usd_validation_nvidia import unregister_rule

        if self._rule is not None:
            unregister_rule(self._rule)
            self._rule = None


def _rule() -> type[Any]:
    from pxr import Usd
    from usd_validation_nvidia import BaseRuleChecker

    from .check import check_structure
    from .findings import FindingSeverity
    from .read import has_pack

    class CelltwinPackChecker(BaseRuleChecker):  # type: ignore[misc]  # the validator has no type hints
        """A battery pack's prims agree with its specification: units, topology, ids, places, sensors, mappings."""

        def CheckStage(self, stage: Usd.Stage) -> None:  # noqa: N802 the validator's name
            if not has_pack(stage):
                return
            for finding in check_structure(stage):
                report = self._AddFailedCheck if finding.severity is FindingSeverity.FAILURE else self._AddWarning
                prim = stage.GetPrimAtPath(finding.prim) if finding.prim.startswith("/") else None
                report(message=f"{finding.rule}: {finding.message}. {finding.remedy}", at=prim or stage)

    return CelltwinPackChecker


PLUGIN = ValidationPlugin()
