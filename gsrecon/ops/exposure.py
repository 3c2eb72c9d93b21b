"""Exposure of a picture: a gain and a bias per channel."""

from jaxtyping import Float
from torch import Tensor

from gsrecon.ops import _native_corrections
from gsrecon.ops._native import is_compiled
from gsrecon.ops.between import Between, between


def exposed(
    image: Float[Tensor, "*C H W 3"],
    camera_values: Float[Tensor, "K 6"],
    picture_values: Float[Tensor, "P 6"],
    camera: int,
    pictures: Between | None,
) -> Float[Tensor, "*C H W 3"]:
    """Color exp(log gain) + bias, differentiable in image and tables.

    float32 goes through one compiled pass for values and two for gradients, everything else through plain
    torch, the reference. Gradients of the tables are sums over the picture in a fixed order.

    Args:
        image: Pictures of one camera.
        camera_values: Log gain and bias (RGB each) of each camera.
        picture_values: Of each picture, on top of its camera's.
        camera: Row of the camera.
        pictures: Rows of the pictures around this one; None takes the camera's own values alone.
    """
    if not is_compiled(image, camera_values, picture_values):
        return exposed_reference(image, camera_values, picture_values, camera, pictures)
    shown = _native_corrections.exposure(
        image.reshape(-1, 3), camera_values, picture_values, camera, pictures
    )
    return shown.reshape(image.shape)


def exposed_reference(
    image: Float[Tensor, "*C H W 3"],
    camera_values: Float[Tensor, "K 6"],
    picture_values: Float[Tensor, "P 6"],
    camera: int,
    pictures: Between | None,
) -> Float[Tensor, "*C H W 3"]:
    """The same in plain torch, any float precision and device."""
    values = exposure_values(camera_values, picture_values, camera, pictures)
    return image * values[:3].exp() + values[3:]


def exposure_values(
    camera_values: Float[Tensor, "K 6"],
    picture_values: Float[Tensor, "P 6"],
    camera: int,
    pictures: Between | None,
) -> Float[Tensor, " 6"]:
    """Log gain and bias (RGB each) of one picture."""
    own = camera_values[camera]
    return own if pictures is None else own + between(picture_values, pictures)
