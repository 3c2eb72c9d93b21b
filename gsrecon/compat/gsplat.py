"""gsplat's `rasterization` on our operations: change the import, keep the code.

The interface is that of gsplat 1.5.3: names, order and defaults of the arguments, and the keys of what comes
back. What is not supported is refused by name, never ignored. gsplat itself is not needed.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.compat.gsplat_arguments import RollingShutterType, check_arguments, refuse_unsupported
from gsrecon.compat.gsplat_stages import colors_seen, composite, pack, project
from gsrecon.ops.settings import RasterizeMode, RasterizeSettings

__all__ = ["RollingShutterType", "rasterization"]


def rasterization(
    means: Float[Tensor, "*batch N 3"],
    quats: Float[Tensor, "*batch N 4"],
    scales: Float[Tensor, "*batch N 3"],
    opacities: Float[Tensor, "*batch N"],
    colors: Float[Tensor, "..."],
    viewmats: Float[Tensor, "*batch C 4 4"],
    Ks: Float[Tensor, "*batch C 3 3"],
    width: int,
    height: int,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    radius_clip: float = 0.0,
    eps2d: float = 0.3,
    sh_degree: int | None = None,
    packed: bool = True,
    tile_size: int = 16,
    backgrounds: Float[Tensor, "..."] | None = None,
    render_mode: str = "RGB",
    sparse_grad: bool = False,
    absgrad: bool = False,
    rasterize_mode: RasterizeMode = "classic",
    channel_chunk: int = 32,
    distributed: bool = False,
    camera_model: str = "pinhole",
    segmented: bool = False,
    covars: Tensor | None = None,
    with_ut: bool = False,
    with_eval3d: bool = False,
    radial_coeffs: Tensor | None = None,
    tangential_coeffs: Tensor | None = None,
    thin_prism_coeffs: Tensor | None = None,
    ftheta_coeffs: Any = None,
    rolling_shutter: Any = RollingShutterType.GLOBAL,
    viewmats_rs: Tensor | None = None,
) -> tuple[Float[Tensor, "C H W X"], Float[Tensor, "C H W 1"], dict[str, Any]]:
    """Draw N Gaussians into C cameras, called like gsplat 1.5.3's function of this name.

    Differentiable in means, quats, scales, opacities, colors, viewmats and backgrounds. float32 runs on the
    compiled CPU kernels; float64 runs on the plain-torch reference, which is slow and meant as an oracle.

    Differences that show:

    - Alpha is clamped at 0.99 (as in gsplat 1.6; 1.5.3 clamps at 0.999), so opacities above 0.99 draw a
      little lighter and get no gradient where they are clamped.
    - Gradients of `viewmats` agree along rigid motions. Off them they do not: gsplat inverts the matrix as it
      stands, here it is taken to be rigid.
    - `meta` has no tile lists (`tiles_per_gauss`, `isect_ids`, `flatten_ids`, `isect_offsets`): ours are laid
      out otherwise. With `packed=False`, rows of culled Gaussians are zero.
    - In modes D and ED, `colors` does not enter, so it gets no gradient (None).

    Args:
        means: Centres in world [m], [N, 3].
        quats: Rotations wxyz, normalised inside, [N, 4].
        scales: Standard deviations [m], [N, 3].
        opacities: In [0, 1], [N].
        colors: With `sh_degree`, harmonics [N, K, 3] or [C, N, K, 3], K at least (sh_degree + 1)^2; without,
            values that are blended as they are, [N, D] or [C, N, D] with any D.
        viewmats: `cam_from_world`, rigid, OpenCV axes, [C, 4, 4].
        Ks: Intrinsics [px], pixel centres at +0.5, [C, 3, 3].
        width: Picture width [px].
        height: Picture height [px].
        near_plane: Gaussians whose centre lies nearer along z are not drawn [m].
        far_plane: Gaussians whose centre lies farther along z are not drawn [m].
        radius_clip: Gaussians whose radii are both at most this are not drawn [px].
        eps2d: Added to the diagonal of the 2D covariance [px^2].
        sh_degree: Highest degree of harmonics used, 0 to 4; None: `colors` holds plain values.
        packed: Give `meta` as rows of the visible pairs of camera and Gaussian instead of [C, N, ...].
        tile_size: Taken and given back in `meta`; the picture does not depend on it, and our tiles are 16.
        backgrounds: Values behind everything, [C, D]; a depth channel has none. None: zero.
        render_mode: "RGB", "D" (sum of w z), "ED" (that over alpha), "RGB+D" or "RGB+ED" (depth comes last).
        sparse_grad: Only False.
        absgrad: After `backward()`, `meta["means2d"].absgrad` is the sum over pixels of |dL/dmeans2d|.
        rasterize_mode: "classic" or "antialiased".
        channel_chunk: Taken; channels are never drawn in chunks here.
        distributed: Only False.
        camera_model: "pinhole" or "fisheye" (equidistant).
        segmented: Taken; it says how gsplat sorts.
        covars: Only None.
        with_ut: Only False.
        with_eval3d: Only False.
        radial_coeffs: Only None.
        tangential_coeffs: Only None.
        thin_prism_coeffs: Only None.
        ftheta_coeffs: Only None.
        rolling_shutter: Only GLOBAL, ours or gsplat's.
        viewmats_rs: Only None.

    Returns:
        Pictures [C, H, W, X] (X is D, 1, or D + 1 by `render_mode`), alphas [C, H, W, 1], and `meta`:

        - `means2d` [px], `radii` (int32, x and y) [px], `depths` [m], `conics` [1/px^2] and `opacities`
          (after the antialiasing factor): [C, N, ...], or [nnz, ...] when packed. They are nodes of the graph
          between projection and blending: `meta["means2d"].retain_grad()` works in both layouts.
        - `camera_ids`, `gaussian_ids`, `batch_ids`: int64 [nnz], by camera, then by Gaussian; None unless
          packed.
        - `width`, `height`, `tile_size`, `tile_width`, `tile_height`, `n_cameras`, `n_batches`.

    Raises:
        NotImplementedError: for an option or layout of gsplat that is not supported (anything listed above as
            "only", `camera_model` "ortho" and "ftheta", batch dimensions); it names the option and its value.
        ValueError: when shapes or types disagree, or a value is none that gsplat knows.
        BackendUnavailableError: when the tensors are on a device that no backend draws, or the kernels do not
            load.

    Sources: Kerbl et al., "3D Gaussian Splatting", 2023; Ye et al., "gsplat", 2024 (interface); Ye et al.,
    "AbsGS", 2024.
    """
    refuse_unsupported(
        sparse_grad=sparse_grad,
        distributed=distributed,
        covars=covars,
        with_ut=with_ut,
        with_eval3d=with_eval3d,
        radial_coeffs=radial_coeffs,
        tangential_coeffs=tangential_coeffs,
        thin_prism_coeffs=thin_prism_coeffs,
        ftheta_coeffs=ftheta_coeffs,
        rolling_shutter=rolling_shutter,
        viewmats_rs=viewmats_rs,
    )
    model = check_arguments(
        means, quats, scales, opacities, colors, viewmats, Ks, backgrounds,
        sh_degree=sh_degree, tile_size=tile_size, render_mode=render_mode, camera_model=camera_model,
    )  # fmt: skip
    settings = RasterizeSettings(rasterize_mode, near_plane, far_plane, radius_clip, eps2d, sh_degree)
    with_colors, with_depth = render_mode.startswith("RGB"), "D" in render_mode

    harmonics = colors if with_colors and sh_degree is not None else None
    seen = project(
        means, quats, scales, opacities, harmonics, viewmats, Ks, width, height, model, settings
    )  # fmt: skip
    layout = pack(seen.radii) if packed else None
    if layout is not None:
        seen = layout.rows_of(seen)
    channels = colors_seen(seen, colors if harmonics is None else None, layout, with_colors)

    probe = None
    if absgrad and torch.is_grad_enabled():
        probe = torch.zeros_like(seen.means2d, requires_grad=True)
        probe.register_hook(lambda gradient: setattr(seen.means2d, "absgrad", gradient))
    image, alpha = composite(seen, channels, probe, layout, width, height, with_depth)

    if backgrounds is not None and with_colors:
        behind = (1 - alpha) * backgrounds[:, None, None]
        image = image + torch.nn.functional.pad(behind, (0, int(with_depth)))
    if "ED" in render_mode:
        depth = image[..., -1:] / alpha.clamp(min=1e-10)
        image = torch.cat([image[..., :-1], depth], dim=-1)
    return image, alpha, {
        "batch_ids": None if layout is None else torch.zeros_like(layout.camera_ids),
        "camera_ids": None if layout is None else layout.camera_ids,
        "gaussian_ids": None if layout is None else layout.gaussian_ids,
        "radii": seen.radii,
        "means2d": seen.means2d,
        "depths": seen.depths,
        "conics": seen.conics,
        "opacities": seen.opacities,
        "width": width,
        "height": height,
        "tile_size": tile_size,
        "tile_width": -(-width // tile_size),
        "tile_height": -(-height // tile_size),
        "n_cameras": len(viewmats),
        "n_batches": 1,
    }  # fmt: skip
