"""A GPU that is not there: tensors that say they are on `cuda:0` and refuse what CUDA refuses.

A pretend tensor holds a CPU tensor. Every operator runs on what is held, so that results have the CPU's bits,
but tensors of both kinds do not mix: what meets must be on one device, as on a GPU. Of what CUDA allows
nonetheless (numbers, scalar tensors in pointwise operators, indices on the CPU, copies) the same is allowed.

    with pretend_gpu():
        x = torch.zeros(3, device=DEVICE)
        x + torch.ones(3)      # RuntimeError: two devices
        x.numpy()              # TypeError
        x.cpu()                # a plain tensor

The compiled operations of `gsrecon.ops` get what is held, at the functions that the layers above call.
"""

import dataclasses
import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from gsrecon.ops import (
    _native,
    adam,
    alone,
    cube_map,
    depth_loss,
    device,
    exposure,
    knn,
    mean_squares,
    metrics,
    perceptron,
    picture_loss,
    rasterize,
    rig_camera,
    rigid_motions,
    screen_statistics,
)
from gsrecon.scene import rays, render

DEVICE = torch.device("cuda", 0)

_INDEXED = (
    torch.ops.aten.index.Tensor,
    torch.ops.aten.index_put.default,
    torch.ops.aten.index_put_.default,
    torch.ops.aten._index_put_impl_.default,
    torch.ops.aten._unsafe_index.Tensor,
)
_TAKE_SCALARS = (*_INDEXED, torch.ops.aten.fill_.Tensor, torch.ops.aten.masked_fill.Tensor)
_COPIES = (torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default)
_READS = (
    torch.ops.aten._local_scalar_dense.default,
    torch.ops.aten.nonzero.default,
    torch.ops.aten.equal.default,
    torch.ops.aten._unique2.default,
    torch.ops.aten.masked_select.default,
)
"""Operators whose results a processor waits for."""
_JOINS = (torch.ops.aten.stack.default, torch.ops.aten.cat.default)
_ON_DATA = (
    rasterize.rasterize,
    alone.draw_alone,
    metrics.ssim,
    picture_loss.picture_loss,
    depth_loss.log_depth_loss,
    cube_map.over_cube_map,
    exposure.exposed,
    rig_camera.corrected_viewmats,
    rigid_motions.se3_exps,
    mean_squares.weighted_mean_squares,
    perceptron.perceptron,
    knn.mean_neighbour_distance,
)
"""Operations of `gsrecon.ops` whose kernels take pointers."""
_IN_PLACE = (adam.adam_rows, screen_statistics.add_screen_statistics)
"""Those that change what they are given."""
_KEPT = (rays._picture_directions, render._lens_tensors)
"""What keeps tensors by their device."""


class PretendTensor(torch.Tensor):
    """A tensor on the pretend device."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "PretendTensor":
        # To torch itself it is on the CPU, so that autograd asks for no driver; Python sees the device below.
        return torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device="cpu",
        )

    def __init__(self, held: Tensor) -> None:
        assert not isinstance(held, PretendTensor)
        self.held = held

    __torch_function__ = torch._C._disabled_torch_function_impl

    device = property(lambda self: DEVICE)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)

    def __repr__(self) -> str:
        return f"{self.held!r} on {DEVICE}"

    def tolist(self) -> Any:
        _reads.append("tolist")
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        tensors = _tensors(args) + _tensors(kwargs.values())
        _require_one_device(func, args, tensors)
        if func in _READS:
            _reads.append(str(func))
        # What is changed in place, or handed through, is the tensor that came in.
        known = {id(_held(tensor)): tensor for tensor in tensors}

        def wrapped(value: Tensor) -> Tensor:
            return known[id(value)] if id(value) in known else PretendTensor(value)

        held = {name: _changed(value, _held) for name, value in kwargs.items()}
        return _changed(func(*_changed(args, _held), **held), wrapped)


class PretendGenerator(torch.Generator):
    """A generator that may say it is on the pretend device."""

    source: torch.Generator | None = None
    """Another one that draws in its place."""

    def __new__(cls, device: Any = "cpu") -> "PretendGenerator":
        made = super().__new__(cls)
        made.pretends = _is_pretend(device)
        return made

    def __init__(self, device: Any = "cpu") -> None:
        super().__init__()


def same_generator(on: torch.device, generator: torch.Generator) -> torch.Generator:
    """In place of `generator_on`: the numbers on the device are those that the CPU's generator gives."""
    if not _is_pretend(on):
        return generator
    there = PretendGenerator(on)
    there.source = generator
    return there


class _Mode(TorchFunctionMode):
    """What names a device explicitly."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func in (Tensor.to, Tensor.type_as):
            return _to(args[0], args[1:], kwargs)
        if func in (Tensor.cpu, Tensor.cuda):
            _note_leaving(args[0], func is Tensor.cuda)
            return _moved(args[0], func is Tensor.cuda)
        if func in (Tensor.numpy, Tensor.__array__) and isinstance(args[0], PretendTensor):
            raise TypeError(f"can't convert {DEVICE} device type tensor to numpy; use Tensor.cpu() first")
        if func is Tensor.new_tensor and isinstance(args[0], PretendTensor):
            return _moved(args[0].held.new_tensor(*args[1:], **kwargs), True)
        if kwargs.get("generator") is not None:
            _require_generator(kwargs)
            kwargs["generator"] = getattr(kwargs["generator"], "source", None) or kwargs["generator"]
        if kwargs.get("device") is not None:
            return _made(func, args, kwargs)
        return func(*args, **kwargs)


_reads: list[str] = []
"""What waited for the device."""


@contextmanager
def pretend_gpu() -> Iterator[list[str]]:
    """Everything of gsrecon above `ops` takes the pretend device for a GPU; `auto` picks it.

    Yields:
        What was read from the device so far, outside of the operations in `ops`.
    """
    _reads.clear()

    def picked(name: str, backend: str = "auto") -> torch.device:
        return torch.device("cpu") if name == "cpu" or backend == "cpu" else DEVICE

    replacements = {function: _on_data(function) for function in _ON_DATA}
    replacements |= {function: _in_place(function) for function in _IN_PLACE}
    replacements[device.pick_device] = picked
    with ExitStack() as stack:
        for function in _KEPT:
            stack.callback(function.cache_clear)
        for module in _modules_above_ops():
            for name, value in list(vars(module).items()):
                if callable(value) and getattr(value, "__hash__", None) and value in replacements:
                    stack.enter_context(patch.object(module, name, replacements[value]))
        stack.enter_context(patch.object(device, "pick_device", picked))
        # Where there is a real GPU its kernels are not for pretend tensors.
        stack.enter_context(patch.object(_native, "cuda_problem", lambda: "the GPU is pretended"))
        stack.enter_context(patch.object(torch, "Generator", PretendGenerator))
        stack.enter_context(patch.object(torch.Tensor, "pin_memory", lambda tensor: tensor))
        stack.enter_context(_Mode())
        yield _reads


def _modules_above_ops() -> list[Any]:
    below = ("gsrecon.ops", "gsrecon.compat", "gsrecon._C")
    return [
        module
        for name, module in list(sys.modules.items())
        if name.startswith("gsrecon.") and not name.startswith(below)
    ]


def _is_pretend(device: Any) -> bool:
    return device is not None and not isinstance(device, int) and torch.device(device).type == "cuda"


def _note_leaving(tensor: Tensor, stays: bool) -> None:
    if isinstance(tensor, PretendTensor) and not stays:
        _reads.append("cpu")


def _held(value: Any) -> Any:
    return value.held if isinstance(value, PretendTensor) else value


def _tensors(values: Iterable[Any]) -> list[Tensor]:
    """Of an operator's arguments."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += _tensors(value)
    return found


def _changed(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The tensors of an operator's arguments or results changed."""
    if isinstance(value, Tensor):
        return change(value)
    return type(value)(_changed(part, change) for part in value) if isinstance(value, list | tuple) else value


def _require_one_device(func: Any, args: tuple, tensors: list[Tensor]) -> None:
    """As CUDA's operators do."""
    if func in _COPIES or (func in _JOINS and torch._C._current_graph_task_id() >= 0):
        # On their way back, unbind and split join zeros for parts without a gradient; torch makes them.
        return
    if func in _INDEXED and isinstance(args[0], PretendTensor):
        tensors = _tensors((args[0], *args[2:]))  # indices may lie on the CPU
    plain = [tensor for tensor in tensors if not isinstance(tensor, PretendTensor)]
    if not plain:
        return
    changes_plain = func._schema.is_mutable and not isinstance(args[0], PretendTensor)
    takes_scalars = torch.Tag.pointwise in func.tags or func in _TAKE_SCALARS
    if changes_plain or not takes_scalars or any(t.ndim > 0 for t in plain):
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, {DEVICE} and "
            f"cpu! ({func})"
        )


class _Move(torch.autograd.Function):
    """A copy on the other device."""

    @staticmethod
    def forward(ctx, tensor: Tensor) -> Tensor:
        if isinstance(tensor, PretendTensor):
            return tensor.held.clone()
        return PretendTensor(tensor.detach().clone())

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:  # pyright: ignore
        return _Move.apply(gradient)  # pyright: ignore


def _moved(tensor: Tensor, here: bool) -> Tensor:
    return tensor if isinstance(tensor, PretendTensor) == here else _Move.apply(tensor)  # pyright: ignore


def _to(tensor: Tensor, args: tuple, kwargs: dict[str, Any]) -> Tensor:
    """`Tensor.to` and `type_as` in all their forms."""
    device, dtype, copy = kwargs.get("device"), kwargs.get("dtype"), kwargs.get("copy", False)
    for value in (*args, *([kwargs["other"]] if "other" in kwargs else [])):
        if isinstance(value, Tensor):
            device, dtype = value.device, value.dtype
        elif isinstance(value, torch.device | str):
            device = value
        elif isinstance(value, torch.dtype):
            dtype = value
    if device is not None:
        _note_leaving(tensor, _is_pretend(device))
    moved = tensor if device is None else _moved(tensor, _is_pretend(device))
    if moved is not tensor:
        copy = False
    return Tensor.to(moved, dtype or tensor.dtype, copy=copy)


def _made(func: Callable, args: tuple, kwargs: dict[str, Any]) -> Tensor:
    """What a factory makes for a device."""
    learns = kwargs.pop("requires_grad", False)
    here = _is_pretend(kwargs.pop("device"))
    made = _moved(func(*args, **kwargs), here)
    return made.requires_grad_() if learns else made


def _require_generator(kwargs: dict[str, Any]) -> None:
    wanted = _is_pretend(kwargs.get("device"))
    if getattr(kwargs["generator"], "pretends", False) != wanted:
        raise RuntimeError(
            f"Expected a '{'cuda' if wanted else 'cpu'}' device type for generator but found "
            f"'{'cpu' if wanted else 'cuda'}'"
        )


def _mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Tensors in arguments and dataclasses changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, list | tuple):
        return type(value)(_mapped(part, change) for part in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
        return dataclasses.replace(value, **{name: _mapped(part, change) for name, part in fields.items()})
    return value


def _found(value: Any) -> list[Tensor]:
    found: list[Tensor] = []
    _mapped(value, lambda tensor: found.append(tensor) or tensor)
    return found


def _require_all_here(function: Callable, args: Any) -> bool:
    """Whether an operation's tensors are on the pretend device; all of them are, or none."""
    here = [isinstance(tensor, PretendTensor) for tensor in _found(args)]
    if any(here) and not all(here):
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, {DEVICE} and "
            f"cpu! ({function.__name__})"
        )
    return any(here)


def _on_data(function: Callable) -> Callable:
    """An operation on what pretend tensors hold, gradients included."""

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        arguments = (list(args), list(kwargs.values()))
        if not _require_all_here(function, arguments):
            return function(*args, **kwargs)
        values, named = _mapped(arguments, lambda tensor: _moved(tensor, False))
        result = function(*values, **dict(zip(kwargs, named, strict=True)))
        return _mapped(result, _given_out)

    return called


def _given_out(tensor: Tensor) -> Tensor:
    if tensor.is_leaf and tensor.requires_grad:  # the probe, whose gradient is asked for
        probe = PretendTensor(tensor.detach())

        def tell(leaf: Tensor) -> None:
            assert leaf.grad is not None
            probe.grad = PretendTensor(leaf.grad)

        tensor.register_post_accumulate_grad_hook(tell)
        return probe
    return _moved(tensor, True)


def _in_place(function: Callable) -> Callable:
    """An operation that changes what pretend tensors hold."""

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        _require_all_here(function, [*args, *kwargs.values()])
        values, named = _mapped((list(args), list(kwargs.values())), lambda tensor: _held(tensor).detach())
        return function(*values, **dict(zip(kwargs, named, strict=True)))

    return called
