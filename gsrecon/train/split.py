"""Which frames are fitted and which are held out to judge the result."""

from dataclasses import dataclass, replace

import numpy as np

from gsrecon.data.log import CameraFrame, DrivingLog, LidarSweep
from gsrecon.data.spec import SceneSpec
from gsrecon.errors import DatasetError
from gsrecon.scene.recording import RecordedCamera, RecordedFrame, Recording


@dataclass(frozen=True)
class Split:
    """A drive cut into fitted and held-out frames."""

    log: DrivingLog
    """The drive; its sweeps are those that may be used."""
    fitted: tuple[CameraFrame, ...]
    held_out: tuple[CameraFrame, ...]

    @staticmethod
    def of(log: DrivingLog, spec: SceneSpec) -> "Split":
        """Cuts a drive as its spec says; sweeps whose nearest picture in time is held out are left out.

        Raises:
            DatasetError: No frame is left to fit.
        """
        fitted, held_out = spec.train_frames(log), spec.test_frames(log)
        if not fitted:
            raise DatasetError(
                f"{log.name}: no frame is left to fit ({len(log.frames)} frames, all held out); change the "
                "scene spec's test split or its frame range"
            )
        if held_out:
            log = replace(log, sweeps=_sweeps_of(log, {id(frame) for frame in held_out}))
        return Split(log, fitted, held_out)

    def recording(self) -> Recording:
        """What the scene will remember of the drive."""
        log = self.log
        cameras = {
            name: RecordedCamera(
                name=name,
                K=camera.K,
                width=camera.width,
                height=camera.height,
                ego_from_cam=camera.ego_from_cam,
                model=camera.model,
                distortion=camera.distortion,
            )
            for name, camera in log.cameras.items()
        }
        hidden = {id(frame) for frame in self.held_out}
        frames = tuple(
            RecordedFrame(
                camera=frame.camera,
                index=frame.index,
                timestamp_us=frame.timestamp_us,
                world_from_cam=frame.world_from_cam,
                held_out=id(frame) in hidden,
            )
            for frame in log.frames
        )
        return Recording(log.name, log.source, log.start_us, log.source_from_world, cameras, frames)


def recorded(recording: Recording, frame: CameraFrame) -> RecordedFrame:
    """A frame's place in the recording."""
    return next(
        known for known in recording.frames if (known.camera, known.index) == (frame.camera, frame.index)
    )


def _sweeps_of(log: DrivingLog, held_out: set[int]) -> tuple[LidarSweep, ...]:
    """Sweeps whose nearest picture in time, the first camera's of several, is not one of those held out."""
    frame_times = np.array([frame.timestamp_us for frame in log.frames], dtype=np.int64)
    times = np.array([sweep.timestamp_us for sweep in log.sweeps], dtype=np.int64)
    after = np.searchsorted(frame_times, times).clip(max=len(frame_times) - 1)
    earlier, later = frame_times[(after - 1).clip(min=0)], frame_times[after]
    nearest_times = np.where(np.abs(times - earlier) <= np.abs(later - times), earlier, later)
    nearest = np.searchsorted(frame_times, nearest_times)
    return tuple(
        sweep
        for sweep, number in zip(log.sweeps, nearest.tolist(), strict=True)
        if id(log.frames[number]) not in held_out
    )
