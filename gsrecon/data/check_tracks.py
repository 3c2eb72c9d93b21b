"""Annotated boxes: tracks that are broken, jump, or say nothing about motion."""

import numpy as np
from jaxtyping import Float64

from gsrecon.data.findings import Finding
from gsrecon.data.log import DrivingLog, Track
from gsrecon.geometry.recorded import is_rigid

_JUMP_M = 1.0  # least departure from even motion that counts; boxes are drawn to some decimetres
_LARGEST_ACCELERATION = 20.0  # [m/s2] twice what brakes reach
_LARGEST_SPEED = 70.0  # [m/s]
_LARGEST_TURN_DEG = 60.0  # between neighbouring keys at most a second apart, of what is as long as a car
_TURNING_LENGTH_M = 2.5
_SHOWN = 10


def track_findings(log: DrivingLog) -> list[Finding]:
    """Findings about the log's tracks, a note of how many there are and how many move among them."""
    if not log.tracks:
        return [Finding("note", "tracks", "the drive has no boxes: objects are modelled without any", "")]
    findings = [finding for track in log.tracks for finding in _broken(track)]
    broken = {finding.where for finding in findings}
    whole = [track for track in log.tracks if _name(track) not in broken]
    jumps = [finding for track in whole for finding in _jumps(log, track)]
    findings += jumps[:_SHOWN]
    if len(jumps) > _SHOWN:
        more = len(jumps) - _SHOWN
        findings.append(Finding("warning", "tracks", f"{more} more boxes jump or turn over", "as above"))
    moving = sum(track.moves for track in whole)
    single = sum(len(track.timestamps_us) == 1 for track in whole)
    words = f"{len(log.tracks)} tracks, {moving} of them move"
    if single:
        words += f"; {single} have a single key, so they are there only around it and their motion is unknown"
    return [*findings, Finding("note", "tracks", words, "")]


def _broken(track: Track) -> list[Finding]:
    remedy = "correct the track or leave it out"
    if not len(track.timestamps_us):
        return [Finding("error", _name(track), "the track has no keys", remedy)]
    if not (np.isfinite(track.size_lwh).all() and (track.size_lwh > 0).all()):
        message = f"the size is {track.size_lwh.tolist()} (length, width, height)"
        return [Finding("error", _name(track), message, remedy)]
    if (np.diff(track.timestamps_us) <= 0).any():
        return [Finding("error", _name(track), "two keys have the same time, or times do not ascend", remedy)]
    if not is_rigid(track.world_from_actor).all():
        return [Finding("error", _name(track), "a box's pose is no rigid motion", remedy)]
    return []


def _jumps(log: DrivingLog, track: Track) -> list[Finding]:
    """The worst place where a box jumps, and the first where it turns over."""
    places = track.world_from_actor[:, :3, 3]
    if len(places) < 2:
        return []
    steps_s = np.diff(track.timestamps_us) * 1e-6
    findings = []
    severity = np.zeros(len(places))
    speeds = np.linalg.norm(np.diff(places, axis=0), axis=1) / steps_s
    severity[1:] = np.where(speeds > _LARGEST_SPEED, speeds / _LARGEST_SPEED, 0.0)
    away_m = _off_even_motion(places, steps_s)
    acceleration = 2 * away_m[1:-1] / (steps_s[:-1] * steps_s[1:])
    jumped = (away_m[1:-1] > _JUMP_M) & (acceleration > _LARGEST_ACCELERATION)
    severity[1:-1] = np.maximum(severity[1:-1], np.where(jumped, 1 + away_m[1:-1], 0.0))
    if severity.max() > 0:
        worst = int(severity.argmax())
        message = f"{away_m[worst]:.1f} m off an even motion past it"
        if not 0 < worst < len(places) - 1:
            message = f"{speeds[worst - 1]:.0f} m/s from the key before"
        findings.append(_finding(log, track, worst, f"the box jumps: {message}"))
    turns = _turns_deg(track.world_from_actor)
    over = (turns > _LARGEST_TURN_DEG) & (steps_s <= 1.0)
    if track.size_lwh[0] >= _TURNING_LENGTH_M and over.any():
        at = int(over.argmax())
        message = f"the box turns by {turns[at]:.0f} deg in {steps_s[at]:.1f} s"
        findings.append(_finding(log, track, at + 1, message))
    return findings


def _off_even_motion(
    places: Float64[np.ndarray, "T 3"], steps_s: Float64[np.ndarray, " gaps"]
) -> Float64[np.ndarray, " T"]:
    """Distance of each key from where its neighbours put it [m]; 0 at both ends."""
    away = np.zeros(len(places))
    if len(places) > 2:
        share = (steps_s[:-1] / (steps_s[:-1] + steps_s[1:]))[:, None]
        expected = places[:-2] + share * (places[2:] - places[:-2])
        away[1:-1] = np.linalg.norm(places[1:-1] - expected, axis=1)
    return away


def _turns_deg(poses: Float64[np.ndarray, "T 4 4"]) -> Float64[np.ndarray, " gaps"]:
    relative = poses[:-1, :3, :3].transpose(0, 2, 1) @ poses[1:, :3, :3]
    cosine = (np.trace(relative, axis1=1, axis2=2) - 1) / 2
    return np.rad2deg(np.arccos(np.clip(cosine, -1.0, 1.0)))


def _finding(log: DrivingLog, track: Track, key: int, message: str) -> Finding:
    time_s = log.time_s(int(track.timestamps_us[key]))
    remedy = "correct or remove that key; the object is drawn where its box is"
    return Finding("warning", _name(track), f"at {time_s:.2f} s {message}", remedy)


def _name(track: Track) -> str:
    return f"track {track.id} ({track.category})"
