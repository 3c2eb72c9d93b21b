"""Splats that the browser draws itself: background and sky once, every object in a frame that moves."""

import threading

import numpy as np
import torch
import viser

from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.geometry.rigid import quat_to_rotmat
from gsrecon.scene.actors import RigidActors
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.groups_scene import Scene, parts
from gsrecon.scene.sky import Sky
from gsrecon_viewer.lens import wxyz_of
from gsrecon_viewer.shown import Shown
from gsrecon_viewer.sky_splats import FOLLOWS_AFTER_M, sky_splats

FAINTEST = 0.02
"""Gaussians with less opacity are left out: they cost as much as the others and show next to nothing."""
_Y0 = 0.28209479177387814


class BrowserSplats:
    """The scene as splats in one browser."""

    def __init__(self, client: viser.ClientHandle, shown: Shown) -> None:
        self._client = client
        self._shown = shown
        self._sent: tuple[Scene, frozenset[str]] | None = None
        self._one = threading.RLock()
        self._handles: list[viser.SceneNodeHandle] = []
        self._frames: dict[tuple[str, int], viser.FrameHandle] = {}
        self._moving: dict[str, RigidActors] = {}
        self._sky: viser.FrameHandle | None = None

    def show(self) -> None:
        """Sends what has changed: everything for another scene, else only where things are."""
        with self._one:
            scene, hidden = self._shown.scene, self._shown.hidden_nodes
            if self._sent is None or self._sent[0] is not scene or self._sent[1] != hidden:
                self._send()
                self._sent = scene, hidden
            self._move()

    def clear(self) -> None:
        """Takes the splats away."""
        with self._one:
            for handle in [*self._handles, *self._frames.values()]:
                handle.remove()
            if self._sky is not None:
                self._sky.remove()
            self._handles, self._frames, self._moving, self._sent, self._sky = [], {}, {}, None, None

    def follow_camera(self) -> None:
        """Keeps the sky around the camera."""
        sky = self._sky
        if sky is None:
            return
        here = self._client.camera.position
        if np.linalg.norm(here - np.array(sky.position)) > FOLLOWS_AFTER_M:
            sky.position = tuple(here.tolist())

    def _send(self) -> None:
        self.clear()
        with self._shown.lock:
            for number, graph in enumerate(parts(self._shown.scene)):
                self._send_graph(graph, f"/splats/{number}")
            self._send_sky(self._shown.sky())
        self.follow_camera()

    def _send_sky(self, sky: Sky | None) -> None:
        if sky is None or sky.id in self._shown.hidden_nodes:
            return
        self._sky = self._client.scene.add_frame("/sky", show_axes=False)
        made = sky_splats(sky)
        self._client.scene.add_gaussian_splats(
            "/sky/splats",
            centers=made.centers,
            covariances=made.covariances,
            rgbs=made.rgbs,
            opacities=made.opacities,
        )

    def _send_graph(self, graph: SceneGraph, place: str) -> None:
        for node in graph.gaussian_nodes:
            if node.id in self._shown.hidden_nodes:
                continue
            name = f"{place}/{node.id}"
            if not isinstance(node, RigidActors):
                self._add(name, node.gaussians)
                continue
            self._moving[name] = node  # nodes of different groups have one id
            for k in range(len(node.object_ids)):
                frame = f"{name}/{k}"
                self._frames[name, k] = self._client.scene.add_frame(frame, show_axes=False)
                rows = (node.object_of_row == k).nonzero()[:, 0]
                self._add(f"{frame}/splats", node.gaussians, rows)

    def _move(self) -> None:
        moment = torch.tensor([self._shown.time_s])
        with self._shown.lock, self._client.atomic(), torch.no_grad():
            for name, node in self._moving.items():
                poses = node.trajectories.at(moment)[0].cpu().numpy()
                present = node.trajectories.present(moment)[0].tolist()
                for k, (pose, there) in enumerate(zip(poses, present, strict=True)):
                    frame = self._frames[name, k]
                    frame.visible = there
                    if there:
                        frame.wxyz, frame.position = wxyz_of(pose), tuple(pose[:3, 3].tolist())

    def _add(self, name: str, gaussians: Gaussians, rows: torch.Tensor | None = None) -> None:
        with torch.no_grad():
            opacities = gaussians.opacities if rows is None else gaussians.opacities[rows]
            kept = (opacities > FAINTEST).nonzero()[:, 0]
            kept = kept if rows is None else rows[kept]
            if len(kept) == 0:
                return
            axes = quat_to_rotmat(gaussians.quats[kept]) * gaussians.scales[kept][:, None, :]
            covariances = axes @ axes.transpose(1, 2)
            colours = (0.5 + _Y0 * gaussians.sh0[kept]).clamp(0, 1)
            tensors = (gaussians.means[kept], covariances, colours, gaussians.opacities[kept][:, None])
            centres, spread, rgb, opacity = (np.ascontiguousarray(t.cpu().float().numpy()) for t in tensors)
        self._handles.append(
            self._client.scene.add_gaussian_splats(
                name, centers=centres, covariances=spread, rgbs=rgb, opacities=opacity
            )
        )
