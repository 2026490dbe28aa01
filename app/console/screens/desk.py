"""The desk: what it shows (`desk_frame`), and by theme what the operator does on it."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from app.console.actions import Scope, bindings_for
from app.console.screens.desk_agents import TellingAgents
from app.console.screens.desk_moving import Moving
from app.console.screens.desk_opening import Opening
from app.console.screens.desk_positions import HoldingPositions
from app.console.screens.desk_reading import Reading


class DeskScreen(Moving, TellingAgents, HoldingPositions, Opening, Reading, inherit_bindings=False):
    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.DESK)
