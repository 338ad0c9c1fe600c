"""All handlers, built of what they need. At start-up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..state.services.checking import Checks
from ..state.services.choosing import Choosing
from ..state.services.comparison import Comparing
from ..state.services.control import Control
from ..state.services.drafts import Drafts
from ..state.services.editing import Definitions, Editing
from ..state.services.exporting import Exporting
from ..state.services.gate import Gate
from ..state.services.importing import Importing
from ..state.services.incoming import Incoming
from ..state.services.lenses import Lenses
from ..state.services.more_steps import MoreSteps
from ..state.services.numbered_pictures import CHOICE, WIRES, NumberedPictures
from ..state.services.preview_files import PreviewFiles
from ..state.services.reporting import Reporting
from ..state.services.retention import usage
from ..state.services.several import Several
from ..state.services.time_travel import TimeTravel
from ..state.sharing.draining import Draining
from ..state.sharing.shared import Shared
from .breakpoints import BreakpointRoutes
from .bundles import BundleRoutes
from .checks import CheckRoutes
from .choices import ChoiceRoutes
from .compare import CompareRoutes
from .drafts import DraftRoutes
from .edits import EditRoutes
from .jobs import JobRoutes
from .ledger import LedgerRoutes
from .lens import LensRoutes
from .pictures import PictureRoutes
from .ports import KeepsHistory, Latents, Pictures
from .report import ReportRoutes
from .several import SeveralRoutes
from .sharing import SharingRoutes
from .telemetry import TelemetryRoutes
from .time_travel import TravelRoutes
from .wires import WireRoutes


@dataclass(frozen=True)
class Needs:
    """home: the directory of this server"""

    control: Control
    gate: Gate
    incoming: Incoming
    definitions: Definitions
    files: PreviewFiles
    latents: Latents
    pictures: Pictures
    checks: Checks
    bundles: tuple[Exporting, Importing]
    sharing: tuple[Shared, Draining]
    keeps_history: KeepsHistory
    home: Path


class Handlers:
    def __init__(self, needs: Needs) -> None:
        control, pictures, keeps = needs.control, needs.pictures, needs.keeps_history
        registry, editing = control.registry, Editing(control, needs.definitions)
        self.choosing = Choosing(control, editing, needs.gate)
        travel = TimeTravel(control, editing, needs.files)
        comparing = Comparing(registry, travel, needs.definitions, needs.files)
        self.jobs = JobRoutes(control, editing, keeps, partial(usage, needs.home))
        several = Several(control, needs.gate)
        drafts = Drafts(control, needs.incoming, needs.definitions, several)
        self.several = SeveralRoutes(several, needs.gate, keeps)
        self.drafts = DraftRoutes(drafts, keeps)
        self.edits = EditRoutes(editing)
        self.choices = ChoiceRoutes(registry, self.choosing, NumberedPictures(needs.files, CHOICE), keeps)
        self.wires = WireRoutes(registry, NumberedPictures(needs.files, WIRES))
        self.travel = TravelRoutes(control, travel, MoreSteps(registry, travel), keeps)
        self.pictures = PictureRoutes(registry, needs.latents, pictures)
        self.breakpoints = BreakpointRoutes(registry)
        self.compare = CompareRoutes(registry, comparing, pictures)
        self.checks = CheckRoutes(needs.checks)
        self.lens = LensRoutes(Lenses(control, needs.definitions, needs.checks.beside, pictures.picture))
        self.telemetry = TelemetryRoutes(registry)
        self.report = ReportRoutes(Reporting(registry, pictures.picture))
        self.ledger = LedgerRoutes(registry)
        self.bundles = BundleRoutes(*needs.bundles)
        self.sharing = SharingRoutes(*needs.sharing)
