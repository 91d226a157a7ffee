"""Why an export fails. Existing artifacts stay as they are."""

from fmnist_edge.errors import FmnistEdgeError


class ExportError(FmnistEdgeError):
    """The model can't be exported."""


class ParityError(ExportError):
    """An artifact disagrees with the Keras model."""

    exit_status = 3


class RoundingError(ParityError):
    """Only int8 files disagree, and another rounding of their numbers might mend it."""


class BundleError(ExportError):
    """A file of the bundle is missing, or is not what the manifest says."""

    exit_status = 3
