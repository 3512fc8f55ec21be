"""Windows of the twin: models in plain Python here, thin omni.ui views in modules of their own.

The views import ``omni.ui`` and are therefore not imported with the package: ``pack_view.PackView``,
``pack_panel.PackPanel``, ``control_panel.ControlPanel`` and ``desk.Desk``.
"""

from .alarm_rows import AlarmRow, alarm_rows
from .cell_card import CardRow, cell_card
from .channels import PACK_CHANNELS, DisplayChannel, Shown
from .control_rows import ControlView, Decision, SetPointRow, control_view
from .omni_ui_boot import DeskError, prepare_omni_ui
from .orbit_camera import OrbitCamera, frame_pack
from .pack_map import PackMap, map_pack
from .pack_mesh import PackMesh, pick_cell
from .twin_handle import TwinHandle

__all__ = [
    "PACK_CHANNELS",
    "AlarmRow",
    "CardRow",
    "ControlView",
    "Decision",
    "DeskError",
    "DisplayChannel",
    "OrbitCamera",
    "PackMap",
    "PackMesh",
    "SetPointRow",
    "Shown",
    "TwinHandle",
    "alarm_rows",
    "cell_card",
    "control_view",
    "frame_pack",
    "map_pack",
    "pick_cell",
    "prepare_omni_ui",
]
