"""The picture that a browser shows, to be kept."""

import numpy as np

from gsrecon_viewer.client_view import ClientView
from gsrecon_viewer.painter import RGB

_PATIENCE_S = 20.0


def seen_by(view: ClientView, with_overlays: bool) -> RGB:
    """What a browser shows now, sharp.

    The server paints it again, exactly; what only the browser has, such as boxes and the splats that it draws
    itself, is asked of it.

    Args:
        view: The browser.
        with_overlays: With boxes and whatever else is drawn over the scene.

    Raises:
        ValueError: The browser has gone, or sends no picture.
    """
    eye = view.eye()
    if eye is None:
        raise ValueError("the browser has not told yet where its camera is")
    by_browser = view.wishes.drawn == "splats"
    if not by_browser and (not with_overlays or view.compared() is not None):
        return view.painted(eye).picture
    view.cover_overlays(not with_overlays)
    try:
        camera = view.client.camera
        picture = view.client.get_render(
            camera.image_height, camera.image_width, transport_format="png", timeout=_PATIENCE_S
        )
    except (RuntimeError, TimeoutError) as error:
        raise ValueError(f"the browser sent no picture: {error}") from error
    finally:
        view.cover_overlays()
    share = picture[..., 3:].astype(float) / 255  # where nothing is drawn, it is black
    return np.round(picture[..., :3] * share).astype(np.uint8)
