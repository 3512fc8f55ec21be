"""Make ``omni.ui`` importable outside the editor, with or without a display and an NVIDIA driver.

The wheel ``ovui`` links against the CUDA driver's library. Where no driver is installed, a library of that name
whose functions all answer "no device" takes its place; a real driver is never replaced.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from celltwin.core import CelltwinError

__all__ = ["DeskError", "prepare_omni_ui"]

_logger = logging.getLogger(__name__)

DRIVER_LIBRARY = "libcuda.so.1"

# The driver functions that omni.ui links against; 100 is CUDA_ERROR_NO_DEVICE.
_STAND_IN_SOURCE = "\n".join(
    f"int {name}(void) {{ return 100; }}"
    for name in (
        "cuInit",
        "cuDeviceGet",
        "cuCtxCreate_v2",
        "cuCtxDestroy_v2",
        "cuImportExternalMemory",
        "cuExternalMemoryGetMappedBuffer",
        "cuDestroyExternalMemory",
        "cuMemcpyDtoH_v2",
    )
)


class DeskError(CelltwinError):
    """The desk's windows cannot be drawn on this machine."""


def prepare_omni_ui() -> None:
    """Make ``import omni.ui`` work in this process; call it before anything makes ``carb`` importable.

    Without a display, drawing goes to memory by Vulkan on whatever device there is.

    Raises
    ------
    DeskError
        If a library that ``omni.ui`` links against is missing, or no C compiler is there to build the stand-in
        for the NVIDIA driver.
    """
    if "omni.ui" in sys.modules:
        return
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        os.environ.setdefault("OMNIUI_HEADLESS", "1")
        os.environ.setdefault("OMNIUI_BACKEND", "vulkan")
    if not _load_driver():
        library = build_stand_in(_cache_folder())
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
        _logger.info("no NVIDIA driver: %s stands in for it", library)
    try:
        import omni.ui  # noqa: F401
    except ImportError as error:
        raise DeskError(
            f"omni.ui cannot be loaded: {error}",
            remedy="Install ovui and its libraries: apt-get install libvulkan1 libgl1 mesa-vulkan-drivers",
        ) from error


def build_stand_in(folder: Path) -> Path:
    """Return a library that stands in for the NVIDIA driver, compiled into ``folder`` on first use.

    Raises
    ------
    DeskError
        If there is no C compiler, it fails, or the folder cannot be written.
    """
    version = hashlib.sha256(_STAND_IN_SOURCE.encode()).hexdigest()[:12]
    library = folder / f"no-driver-{version}" / DRIVER_LIBRARY
    if library.exists():
        return library
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    if compiler is None:
        raise DeskError("no C compiler was found", remedy="Install one: apt-get install gcc libc6-dev")
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as scratch:
            source, built = Path(scratch) / "no_driver.c", Path(scratch) / DRIVER_LIBRARY
            source.write_text(_STAND_IN_SOURCE, encoding="ascii")
            command = [compiler, "-shared", "-fPIC", f"-Wl,-soname,{DRIVER_LIBRARY}", "-o", str(built), str(source)]
            subprocess.run(command, check=True, capture_output=True, text=True)
            built.replace(library)  # atomic: another process may be doing the same
    except subprocess.CalledProcessError as error:
        raise DeskError(
            f"{compiler} could not build a library: {error.stderr.strip()}",
            remedy="Install the C library's headers: apt-get install libc6-dev",
        ) from None
    except OSError as error:
        raise DeskError(
            f"cannot write ({error.strerror})",
            where=str(library),
            remedy="Point XDG_CACHE_HOME at a folder that can be written",
        ) from None
    return library


def _load_driver() -> bool:
    try:
        ctypes.CDLL(DRIVER_LIBRARY, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return False
    return True


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "celltwin"
