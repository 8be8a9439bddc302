"""SLOs of other tools in, OpenSLO v1 out, with a list of everything that was not honoured."""

from qobs.slo.importing.convert import Imported, import_documents
from qobs.slo.importing.export import annotated, export

__all__ = ["Imported", "annotated", "export", "import_documents"]
