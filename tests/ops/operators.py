"""Which operators of torch run, and which of those a GPU would be waited for, or not be sure of."""

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

_READING = ("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "equal", "is_nonzero")
_PRODUCTS = ("mm", "bmm", "addmm", "baddbmm", "mv", "dot", "addmv")


class Operators(TorchDispatchMode):
    """Within it, notes the names of the operators that run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    @property
    def reading(self) -> list[str]:
        """Those whose results the processor needs before it can go on."""
        return [name for name in self.names if name in _READING]

    @property
    def matrix_products(self) -> list[str]:
        """Those that a GPU leaves to a library with results of its own in every run."""
        return [name for name in self.names if name in _PRODUCTS]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(func._schema.name.removeprefix("aten::"))
        return func(*args, **(kwargs or {}))
