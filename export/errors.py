"""Why an export fails. The artifacts that were there before stay as they are."""

from fmnist_edge.errors import FmnistEdgeError


class ExportError(FmnistEdgeError):
    """The model can't be exported."""


class ParityError(ExportError):
    """An artifact does not say what the Keras model says."""

    exit_status = 3


class RoundingError(ParityError):
    """Only int8 files don't, and they might if their numbers were rounded otherwise."""


class BundleError(ExportError):
    """A file of the bundle is missing, or is not what the manifest says."""

    exit_status = 3
