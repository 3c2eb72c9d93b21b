"""What `gsrecon train` says about a drive before it begins; a finding never stops it."""

import logging

from gsrecon.data.check_motion import motion_findings
from gsrecon.data.check_tracks import track_findings
from gsrecon.data.log import DrivingLog

_SHOWN = 5
_log = logging.getLogger(__name__)


def tell_findings(log: DrivingLog, boxes: bool) -> None:
    """Warns of what times and poses, and boxes where they are used, have wrong.

    Only what needs neither pictures nor sweeps: `gsrecon check` looks at everything.
    """
    findings = [*motion_findings(log), *(track_findings(log) if boxes else [])]
    wrong = [finding for finding in findings if finding.severity != "note"]
    for finding in wrong[:_SHOWN]:
        _log.warning("%s: %s; %s", finding.where, finding.message, finding.remedy)
    if len(wrong) > _SHOWN:
        _log.warning("%d more findings; `gsrecon check` lists them", len(wrong) - _SHOWN)
