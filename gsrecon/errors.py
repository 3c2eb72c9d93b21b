"""Errors a user can cause, each one sentence that names the place and the remedy."""


class GsreconError(Exception):
    """Base of every error that is the user's to mend; the command line prints it as one line."""


class DatasetError(GsreconError):
    """A recorded drive that is missing, truncated or contradicts itself."""


class SpecError(GsreconError):
    """A scene spec, config or camera path file with an unknown key or a value out of range."""


class CheckpointError(GsreconError):
    """A run folder or scene bundle that is incomplete, damaged or of an unknown format version."""


class TrainingError(GsreconError):
    """Training that cannot go on: a loss that is not finite, a disk that is full."""


class BackendUnavailableError(GsreconError):
    """A rasterizer backend or optional package that is not installed or does not run here."""


class DeviceMemoryError(GsreconError):
    """A GPU whose memory is not enough for what was asked."""


class DeviceFailedError(GsreconError):
    """A GPU that failed under a kernel, or is lost to this process."""
