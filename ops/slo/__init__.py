"""One file of objectives, and everything that follows from it.

Pure: the standard library and yaml. The infrastructure may import it
(docs/adr/0012), so nothing here may need more.
"""

from ops.errors import ObjectivesError
from ops.slo.api import DEFAULT, alerts, load_objectives, slo_objects
from ops.slo.model import Objectives
from ops.slo.outputs import Alert, SloObject

__all__ = [
    "DEFAULT",
    "Alert",
    "Objectives",
    "ObjectivesError",
    "SloObject",
    "alerts",
    "load_objectives",
    "slo_objects",
]
