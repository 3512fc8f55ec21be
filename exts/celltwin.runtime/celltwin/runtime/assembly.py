"""Build a twin from settings: choose every part and join them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from celltwin.autonomy import Shield, decide
from celltwin.core import (
    Advice,
    BackgroundWorker,
    Mode,
    PackSpec,
    PackState,
    Reading,
    ScenarioPlayer,
    SettingsError,
    TelemetrySource,
    expand_channels,
    load_pack,
    load_scenario,
)
from celltwin.estimation import AlarmMonitor, Assimilator
from celltwin.prescription import advice_readings
from celltwin.prognosis import HISTORY_FILE, PackPrognosis
from celltwin.stage import open_pack_stage, read_pack
from celltwin.telemetry import HistoryWriter, Ingest, open_recording

from .publisher import Publisher
from .run_folder import RunFolder
from .settings import TwinSettings, resolve
from .slow_tier import SlowTier
from .twin import TwinParts, TwinRuntime

if TYPE_CHECKING:
    from celltwin.stage import Stage

    from .recalibration import Recalibration

__all__ = ["assemble", "load_spec"]

# How often the slow tiers are asked, and how long a run without a clock may go on before the answer [s].
PREDICTION_PERIOD, PREDICTION_PATIENCE = 20.0, 10.0
PRESCRIPTION_PERIOD, PRESCRIPTION_PATIENCE = 300.0, 120.0


def load_spec(path: str) -> PackSpec:
    """Read a pack from a TOML file or from a USD stage.

    Raises
    ------
    SpecError, StageError
        If the file is missing or is not a pack.
    """
    found = resolve(path)
    if found.suffix in (".usd", ".usda", ".usdc", ".usdz"):
        return read_pack(open_pack_stage(found))
    return load_pack(found)


def assemble(settings: TwinSettings, spec: PackSpec, folder: RunFolder, *, stage: Stage | None = None) -> TwinRuntime:
    """Return a twin that is ready to advance; workers start at once, in the background.

    Parameters
    ----------
    settings : TwinSettings
        What to run.
    spec : PackSpec
        The pack.
    folder : RunFolder
        Where its results go.
    stage : Stage, optional
        Stage to write to; a new one is built where absent.

    Raises
    ------
    CelltwinError
        If the recording, the duty or a model is missing or wrong.
    """
    source, duty = _source(settings, spec)
    recalibration: Recalibration | None = None
    try:
        ingest = Ingest(spec)
        recalibration = _recalibration(settings, spec, folder, ingest)
        history = HistoryWriter(folder.history, spec)
        prognosis = PackPrognosis(
            spec, past=settings.past, used_like=settings.used_like, keep=folder.path / HISTORY_FILE
        )
        loader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="celltwin-prognosis")
        loaded = loader.submit(prognosis.load)
        prescriber = _Prescriber(spec)

        def predict(answer: Callable[[], tuple[Reading, ...]]) -> tuple[Reading, ...]:
            loaded.result()
            return answer()

        parts = TwinParts(
            source=source,
            ingest=ingest,
            history=history,
            assimilator=Assimilator(spec),
            check_alarms=AlarmMonitor(spec).check,
            observe_cells=prognosis.observe,
            prediction=SlowTier(
                "prediction",
                lambda state: loader.submit(predict, prognosis.ask(state)),
                period=PREDICTION_PERIOD,
                patience=PREDICTION_PATIENCE,
            ),
            prescription=SlowTier(
                "prescription",
                prescriber.ask,
                period=PRESCRIPTION_PERIOD,
                patience=PRESCRIPTION_PATIENCE,
                restart=prescriber.restart,
            ),
            advice_readings=lambda advice: advice_readings(advice, spec),
            decide=lambda mode, asked, advice, state: decide(mode, asked, advice, state, spec),
            shield=Shield(spec),
            publisher=Publisher(spec, folder, (history,), quantity=settings.quantity, stage=stage),
            folder=folder,
            is_loading=lambda: not (loaded.done() and prescriber.answered),
            recalibration=recalibration,
            on_close=(
                prescriber.close,
                *(() if recalibration is None else (recalibration.close,)),
                lambda: loader.shutdown(wait=True, cancel_futures=True),
                prognosis.close,
            ),
        )
    except BaseException:
        source.close()
        if recalibration is not None:
            recalibration.close()
        raise
    return TwinRuntime(
        spec,
        parts,
        duty=duty,
        mode=Mode(settings.mode),
        speed=settings.speed,
        step_period=settings.step_period,
        duration=settings.duration,
    )


def _source(settings: TwinSettings, spec: PackSpec) -> tuple[TelemetrySource, ScenarioPlayer | None]:
    channels = expand_channels(spec)
    if not settings.telemetry:
        from celltwin.physics import SimulatedPlant

        player = ScenarioPlayer(load_scenario(resolve(settings.duty)), spec)
        initial = player.scenario.initial
        plant = SimulatedPlant(
            spec,
            seed=settings.seed,
            fidelity=settings.fidelity,
            initial_soc=initial.soc,
            capacity_spread=initial.capacity_spread,
            resistance_spread=initial.resistance_spread,
            soc_spread=initial.soc_spread,
            ageing=initial.ageing,
            weak_groups=initial.weak_groups,
            scenario=player.scenario,
        )
        return plant, player
    if not channels:
        raise SettingsError(
            f"pack {spec.name} maps no telemetry",
            where=settings.pack,
            remedy="Declare [[sensors]] and [[mappings]] in the pack",
        )
    return open_recording(Path(settings.telemetry), channels, speed=settings.speed), None


def _recalibration(settings: TwinSettings, spec: PackSpec, folder: RunFolder, ingest: Ingest) -> Recalibration | None:
    if not spec.recalibration.interval:
        if settings.recalibrated:
            raise SettingsError(
                f"--recalibrated {settings.recalibrated}: pack {spec.name} asks for no recalibration",
                where=settings.pack,
                remedy='Write [recalibration] and interval = "1 h" into the pack, or leave the option out',
            )
        return None
    from .recalibration import Recalibration, load_recalibration

    earlier = load_recalibration(Path(settings.recalibrated), spec) if settings.recalibrated else None
    return Recalibration(spec, folder, ingest.channels, earlier=earlier)


class _Prescriber:
    """The prescriber's worker, which can be started anew."""

    def __init__(self, spec: PackSpec) -> None:
        self._spec = spec
        self._answered = False
        self._worker = self._start()

    def ask(self, state: PackState) -> Future[Advice]:
        future = self._worker.submit("prescribe", state)
        future.add_done_callback(self._note_answer)
        return future

    def _note_answer(self, _: Future[Advice]) -> None:
        self._answered = True

    @property
    def answered(self) -> bool:
        return self._answered

    def restart(self) -> None:
        self._worker.close()
        self._worker = self._start()

    def close(self) -> None:
        self._worker.close()

    def _start(self) -> BackgroundWorker:
        return BackgroundWorker("celltwin.prescription:CandidatePrescriber", self._spec)
