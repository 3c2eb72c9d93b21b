"""Rays against triangles, by embree. The only importer of embreex."""

import numpy as np
from jaxtyping import Bool, Float32, Int32

from gsrecon.errors import BackendUnavailableError


class TriangleTracer:
    """Nearest hits of rays on one triangle soup; safe to use from several threads (embree frees the GIL)."""

    def __init__(self, triangles: Float32[np.ndarray, "T 3 3"]) -> None:
        """Builds the search tree.

        Raises:
            BackendUnavailableError: embreex is not installed.
        """
        try:
            from embreex.mesh_construction import TriangleMesh
            from embreex.rtcore_scene import EmbreeScene
        except ImportError as error:
            raise BackendUnavailableError(
                "the toy drive casts rays with embreex, which is not installed: pip install 'gsrecon[toy]'"
            ) from error
        self._scene = EmbreeScene()
        if len(triangles) == 0:
            triangles = np.full((1, 3, 3), 1e6, dtype=np.float32)
        self._mesh = TriangleMesh(self._scene, np.ascontiguousarray(triangles, dtype=np.float32))
        # The first query commits the scene; it must not happen in two threads at once.
        self.first_hit(np.zeros((1, 3), np.float32), np.array([[0, 0, 1]], np.float32))

    def first_hit(
        self, origins: Float32[np.ndarray, "N 3"], directions: Float32[np.ndarray, "N 3"]
    ) -> tuple[Int32[np.ndarray, " N"], Float32[np.ndarray, " N"]]:
        """Triangle hit first (-1 none) and the distance in lengths of the direction (inf none)."""
        if len(origins) == 0:
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        hits = self._scene.run(
            np.ascontiguousarray(origins, dtype=np.float32),
            np.ascontiguousarray(directions, dtype=np.float32),
            output=True,
        )
        triangle = hits["primID"]
        return triangle, np.where(triangle >= 0, hits["tfar"], np.float32(np.inf))

    def blocked(
        self, origins: Float32[np.ndarray, "N 3"], directions: Float32[np.ndarray, "N 3"]
    ) -> Bool[np.ndarray, " N"]:
        """Whether anything lies along each ray."""
        if len(origins) == 0:
            return np.zeros(0, bool)
        hits = self._scene.run(
            np.ascontiguousarray(origins, dtype=np.float32),
            np.ascontiguousarray(directions, dtype=np.float32),
            query="OCCLUDED",
        )
        return hits >= 0
