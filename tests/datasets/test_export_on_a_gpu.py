"""Exports that are rendered on a GPU that is pretended."""

from dataclasses import replace

from gsrecon.datasets.rendering import RenderJob
from gsrecon.scene.edits import Move
from tests.datasets.exports import contents, export, job_of
from tests.pretend_device import pretend_gpu


def small_job(scene, device: str) -> RenderJob:
    job = job_of(scene)
    return replace(job, views=job.views[:4], edits=(Move("far", by=(1.0, 0.0, 0.0)),), device=device)


def test_an_export_from_a_gpu_is_that_from_the_cpu(scene, tmp_path):
    """With pictures, sweeps and labels; which device it was is no part of the job."""
    export(scene, "nuscenes", tmp_path / "cpu", small_job(scene, "cpu"))
    with pretend_gpu():
        export(scene, "nuscenes", tmp_path / "gpu", small_job(scene, "cuda"))
    assert contents(tmp_path / "gpu") == contents(tmp_path / "cpu")
