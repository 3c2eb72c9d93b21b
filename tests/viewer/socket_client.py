"""A browser without a screen: speaks viser's wire format over the socket, and keeps what it is told."""

import io
import socket
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

import msgspec.msgpack
import numpy as np
import viser
import zstandard
from PIL import Image
from websockets.sync.client import connect

PATIENCE_S = 30.0
Found = TypeVar("Found")


class SocketClient:
    """Connects to a viewer like a browser does; reads only when it is asked to."""

    def __init__(self, address: str, width: int = 160, height: int = 90, reads: bool = True) -> None:
        """Connects.

        Args:
            address: The viewer's, with `http://`.
            width: Of the window [px].
            height: Of the window [px].
            reads: Whether the socket is read ahead at all; a slow client leaves it to fill up.
        """
        self.size = (width, height)
        self.pictures = 0
        self.picture_bytes = 0
        self.picture: np.ndarray | None = None
        """The last picture; None where there is none, or it was taken away."""
        self.depth: np.ndarray | None = None
        """How far away that picture's pixels are said to be [m]; None where that was not said."""
        self.decodes = True
        """Whether pictures are decoded; counting needs no decoding."""
        self.controls: dict[str, dict[str, Any]] = {}
        """Properties of the panel's controls by uuid."""
        self.nodes: dict[str, dict[str, Any]] = {}
        """Scene nodes that all browsers have, by name."""
        self.own: dict[str, dict[str, Any]] = {}
        """Those that this browser alone has: they take the places of the others of their names."""
        self.notifications: list[tuple[str, str]] = []
        self.camera_told: dict[str, tuple[float, ...]] = {}
        """Where the server moved the camera."""
        self.counts: dict[str, int] = {}
        """Messages by type."""
        self._socket = connect(
            address.replace("http://", "ws://"),
            subprotocols=[f"viser-v{viser.__version__}"],  # type: ignore[list-item]
            compression=None,
            max_size=None,
            max_queue=16 if reads else 1,
            close_timeout=2,
        )

    def __enter__(self) -> "SocketClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leaves like a browser whose tab is closed."""
        self._socket.close()

    def vanish(self) -> None:
        """Leaves like a browser whose machine is gone: without a word."""
        self._socket.socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def look(
        self, world_from_cam: np.ndarray, fov_y: float = 0.8, size: tuple[int, int] | None = None
    ) -> None:
        """Moves the camera; OpenCV axes."""
        self.size = self.size if size is None else size
        rotation, position = world_from_cam[:3, :3], world_from_cam[:3, 3]
        self.send(
            "ViewerCameraMessage",
            wxyz=viser.transforms.SO3.from_matrix(rotation).wxyz.tolist(),
            position=position.tolist(),
            fov=fov_y,
            near=0.01,
            far=1000.0,
            image_height=self.size[1],
            image_width=self.size[0],
            look_at=(position + 10 * rotation[:, 2]).tolist(),
            up_direction=[0.0, 0.0, 1.0],
        )

    def send(self, type: str, **fields: object) -> None:
        """Sends a message of viser's."""
        self._socket.send(msgspec.msgpack.encode({"type": type, **fields}))

    def choose(self, label: str, value: object) -> None:
        """Gives the control of this label a value."""
        self.send("GuiUpdateMessage", uuid=self.control(label), updates={"value": value})

    def click(self, x: float, y: float) -> None:
        """Clicks in the picture, 0 to 1 from its upper left corner; the ray is the vertical one."""
        self.send(
            "ScenePointerMessage",
            event_type="click",
            ray_origin=[0.0, 0.0, 10.0],
            ray_direction=[0.0, 0.0, -1.0],
            screen_pos=[[x, y]],
            modifier=None,
        )

    def press(self, label: str) -> None:
        """Presses the button of this label."""
        self.choose(label, True)

    def control(self, label: str, order: int = 0) -> str:
        """The uuid of a control, waited for; `order` tells controls of one label apart."""

        def found() -> str | None:
            those = [
                uuid
                for uuid, told in sorted(self.controls.items(), key=lambda item: item[1].get("order") or 0)
                if told.get("label") == label
            ]
            return those[order] if len(those) > order else None

        return self.until(found, f"a control that is called {label!r}")

    def next_picture(self, timeout_s: float = PATIENCE_S) -> np.ndarray:
        """The next picture that arrives."""
        before = self.pictures
        self.until(lambda: self.pictures > before, "a picture", timeout_s)
        assert self.picture is not None
        return self.picture

    def picture_where(
        self, condition: Callable[[np.ndarray], bool], what: str, timeout_s: float = PATIENCE_S
    ) -> np.ndarray:
        """The first picture that fulfils a condition, the one that is there already included."""

        self.until(lambda: self.picture is not None and condition(self.picture), what, timeout_s)
        assert self.picture is not None
        return self.picture

    def until(self, found: Callable[[], Found], what: str = "it", timeout_s: float = PATIENCE_S) -> Found:
        """Reads until a function gives something true.

        Raises:
            TimeoutError: It does not.
        """
        end = time.monotonic() + timeout_s
        while True:
            result = found()
            if result:
                return result
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{what} did not come within {timeout_s:g} s; {self._heard()}")
            self._read(min(left, 0.1))

    def read_for(self, seconds: float) -> None:
        """Reads whatever comes in a span of time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._read(left)

    def _read(self, timeout_s: float) -> None:
        try:
            frame = self._socket.recv(timeout=timeout_s)
        except TimeoutError:
            return
        assert isinstance(frame, bytes)
        for message in decoded(frame):
            self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if kind == "BackgroundImageMessage":
            self._take_picture(message["rgb_data"], message["depth_data"])
        elif kind in ("GuiUpdateMessage", "SceneNodeUpdateMessage"):
            kept = self.controls if kind == "GuiUpdateMessage" else self._nodes_of(message)
            kept.setdefault(message.get("uuid") or message["name"], {}).update(message["updates"])
        elif kind in ("GuiRemoveMessage", "RemoveSceneNodeMessage"):
            self.controls.pop(message.get("uuid", ""), None)
            self._nodes_of(message).pop(message.get("name", ""), None)
        elif kind.startswith("Gui") and "uuid" in message:
            self.controls[message["uuid"]] = {**message.get("props", {}), "value": message.get("value")}
        elif kind.startswith("Notification"):
            told = message.get("props", message)
            self.notifications.append((told.get("title", ""), told.get("body", "")))
        elif kind in ("SetCameraPositionMessage", "SetCameraLookAtMessage", "SetCameraUpDirectionMessage"):
            name = kind.removeprefix("SetCamera").removesuffix("Message")
            self.camera_told[name] = tuple(message.get("position") or message.get("look_at") or ())
        elif "name" in message:
            known = self._nodes_of(message).setdefault(message["name"], {})
            known.update(message.get("props", {}))
            known.update({k: message[k] for k in ("position", "wxyz", "visible") if k in message})

    def _nodes_of(self, message: dict[str, Any]) -> dict[str, dict[str, Any]]:
        return self.own if message.get("owner") else self.nodes

    def _take_picture(self, content: bytes | None, depth: bytes | None) -> None:
        self.depth = None
        if content is None:
            self.picture = None
            return
        self.pictures += 1
        self.picture_bytes += len(content)
        if self.decodes:
            self.picture = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
            if depth is not None:
                self.depth = told_depth(np.asarray(Image.open(io.BytesIO(depth))))

    def _heard(self) -> str:
        said = "; ".join(": ".join(told) for told in self.notifications) or "nothing was said"
        return f"{self.pictures} pictures, {sum(self.counts.values())} messages, {said}"


def told_depth(picture: np.ndarray) -> np.ndarray:
    """Depths [m] as viser's shader reads them: hundred-thousandths of a metre, highest byte first."""
    red, green, blue = (picture[..., k].astype(float) for k in range(3))
    return (red * 65536 + green * 256 + blue) / 1e5


def decoded(frame: bytes) -> list[dict[str, Any]]:
    """The messages of a frame, arrays in their places.

    Layout (viser's `_message_producer`): size of the msgpack, size of its zstd form (uint64 each), that form,
    then arrays that begin at multiples of 8 bytes.
    """
    size, packed = (int.from_bytes(frame[k : k + 8], "little") for k in (0, 8))
    content = zstandard.ZstdDecompressor().decompress(frame[16 : 16 + packed], max_output_size=size)
    told = msgspec.msgpack.decode(content)
    arrays, place = [], 16 + packed
    for length in told["binaryBufferLengths"]:
        place += -place % 8
        arrays.append(frame[place : place + length])
        place += length

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            if "__binary_index" in value and "dtype" in value:
                return np.frombuffer(arrays[value["__binary_index"]], dtype=value["dtype"])
            return {key: filled(inner) for key, inner in value.items()}
        return [filled(inner) for inner in value] if isinstance(value, list) else value

    return [filled(message) for message in told["messages"]]
