"""NVIDIA's USD validator, run on a pack's stage with all of its default rules."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pxr import Sdr, Tf, Usd, UsdShade, UsdUtils

from .findings import Finding, FindingSeverity

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["OWN_RULE", "define_preview_shaders", "nvidia_rules", "run_nvidia_validator"]

_LOGGER = logging.getLogger(__name__)
OWN_RULE = "CelltwinPackChecker"  # in the validator when it loads our plugin
_SHADERS = ("UsdPreviewSurface", "UsdPrimvarReader_float3")


def define_preview_shaders() -> None:
    """Tell USD's shader registry of UsdPreviewSurface where the installed USD does not: the usd-core wheel."""
    try:
        Sdr.Registry()
    except Tf.ErrorException as error:  # the first call complains of the missing files, and works all the same
        _LOGGER.info("USD without its shader definitions: %s", error)
    known = set(Sdr.Registry().GetShaderNodeNames())
    path = str(Path(__file__).parent / "preview_shaders" / "shaderDefs.usda")
    for name in _SHADERS:
        if name not in known:
            Sdr.Registry().AddDiscoveryResult(
                Sdr.NodeDiscoveryResult(name, Sdr.Version().GetAsDefault(), name, "", "usda", "glslfx", path, path)
            )


def nvidia_rules() -> tuple[str, ...]:
    """Return the names of the validator's rules that are run: its defaults, all of them."""
    return tuple(sorted(rule.__name__ for rule in _engine().initialized_rules if rule.__name__ != OWN_RULE))


def run_nvidia_validator(stage: Usd.Stage) -> list[Finding]:
    """Return what NVIDIA's validator finds, with all rules that it enables by default.

    Every prim is examined by every default rule. What is inside instances is examined once for each USD
    prototype, on a view of the stage with one instance of each: all other instances are the same prims.
    """
    if find_spec("usd_validation_nvidia") is None:  # a full Kit brings Python packages of its own choice
        return [
            Finding(
                severity=FindingSeverity.WARNING,
                rule="nvidia:engine",
                prim="/",
                message="NVIDIA's validator is not installed: none of its rules has run",
                remedy="Install the package usd-validation-nvidia",
            )
        ]
    diagnostics = UsdUtils.CoalescingDiagnosticDelegate()  # usd-core lacks shader files and says so on stderr
    define_preview_shaders()
    issues = [*_engine(instance_prototypes=False).validate(stage)]
    seen = {_key(issue) for issue in issues}
    inside = _engine().validate(_one_of_each_instance(stage))
    issues.extend(issue for issue in inside if _key(issue) not in seen)
    for diagnostic in diagnostics.TakeUncoalescedDiagnostics():
        _LOGGER.info("USD while validating: %s", diagnostic.commentary)
    return list(_findings(issues))


def _engine(**options: bool) -> Any:
    from usd_validation_nvidia import ValidationEngine

    engine = ValidationEngine(**options)
    for rule in engine.initialized_rules:
        if rule.__name__ == OWN_RULE:  # check_structure has run, on the whole stage
            engine.disable_rule(rule)
    return engine


def _one_of_each_instance(stage: Usd.Stage) -> Usd.Stage:
    mask = Usd.StagePopulationMask()
    for prototype in stage.GetPrototypes():
        instances = [prim for prim in prototype.GetInstances() if not prim.IsInPrototype()]
        if instances:
            mask.Add(instances[0].GetPath())
    for prim in stage.Traverse():
        if prim.IsA(UsdShade.Material):  # what the instances are bound to
            mask.Add(prim.GetPath())
    return Usd.Stage.OpenMasked(stage.GetRootLayer(), stage.GetSessionLayer(), mask)


def _key(issue: Any) -> tuple[str, str, str]:
    return issue.rule.__name__ if issue.rule else "", _prim_path(issue), issue.message


def _prim_path(issue: Any) -> str:
    at = issue.at[0] if isinstance(issue.at, list) and issue.at else issue.at
    path = getattr(at, "path", None) or getattr(getattr(at, "prim_id", None), "path", None)
    return str(path) if path else "/"


def _findings(issues: Iterable[Any]) -> Iterable[Finding]:
    from usd_validation_nvidia import IssueSeverity

    severities = {
        IssueSeverity.ERROR: FindingSeverity.FAILURE,
        IssueSeverity.FAILURE: FindingSeverity.FAILURE,
        IssueSeverity.WARNING: FindingSeverity.WARNING,
    }
    for issue in issues:
        if issue.severity in severities:
            suggestion = issue.suggestion
            yield Finding(
                severity=severities[issue.severity],
                rule=f"nvidia:{issue.rule.__name__ if issue.rule else 'engine'}",
                prim=_prim_path(issue),
                message=issue.message,
                remedy=suggestion.message if suggestion else "",
            )
