"""Adam over named parameters whose number of rows changes in training."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gsrecon.errors import CheckpointError
from gsrecon.gaussians.resample import Resample
from gsrecon.ops.adam import AdamStep, adam_rows
from gsrecon.train.config import Rate

_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass
class _Slot:
    """A parameter and what Adam remembers of it."""

    parameter: Tensor
    rate: Rate
    exp_avg: Tensor
    exp_avg_sq: Tensor
    step: int = 0

    @staticmethod
    def start(parameter: Tensor, rate: Rate) -> "_Slot":
        zeros = torch.zeros_like(parameter, requires_grad=False)
        return _Slot(parameter, rate, zeros, zeros.clone())


class Optimizer:
    """Adam with one rate for each parameter, addressed by name.

    A row without a gradient is left alone, its moments too: a picture sees a part of the scene, and what it
    does not see costs next to nothing.
    """

    def __init__(self, parameters: Mapping[str, Tensor], rates: Mapping[str, Rate]) -> None:
        """Starts with empty moments.

        Args:
            parameters: Leaves by name (`node id/parameter`).
            rates: Learning rate of each.
        """
        self._slots = {name: _Slot.start(tensor, rates[name]) for name, tensor in parameters.items()}

    def step(self, progress: float) -> None:
        """One step with the learning rates of a fraction of the run; gradients are cleared after it."""
        slots, steps, gradients = [], [], []
        for slot in self._slots.values():
            parameter = slot.parameter
            gradient, parameter.grad = parameter.grad, None
            rate = slot.rate.at(progress)
            if gradient is None or rate == 0.0:
                continue
            slot.step += 1
            slots.append(slot)
            steps.append(AdamStep(slot.step, rate))
            gradients.append(gradient)
        adam_rows(
            steps,
            gradients,
            [slot.parameter for slot in slots],
            [slot.exp_avg for slot in slots],
            [slot.exp_avg_sq for slot in slots],
        )

    def rate(self, name: str, progress: float) -> float:
        """A parameter's learning rate at a fraction of the run."""
        return self._slots[name].rate.at(progress)

    def resample(self, parameters: Mapping[str, Tensor], change: Resample) -> None:
        """Takes new leaves in place of old ones and moves their moments along.

        Args:
            parameters: New leaves by name (`node id/parameter`).
            change: What turned the old ones into them.
        """
        for name, new in parameters.items():
            slot, own_name = self._slots[name], name.rpartition("/")[2]
            for moment in _MOMENTS:
                setattr(slot, moment, change.moment(own_name, slot.parameter, getattr(slot, moment)))
            slot.parameter = new

    def state(self) -> dict[str, Tensor]:
        """Moments and step counts, as `node id/parameter:moment`."""
        state: dict[str, Tensor] = {}
        for name, slot in self._slots.items():
            state |= {f"{name}:{moment}": getattr(slot, moment) for moment in _MOMENTS}
            state[f"{name}:step"] = torch.tensor(slot.step)
        return state

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Takes up stored moments.

        Raises:
            CheckpointError: They do not fit the parameters.
        """
        for key, value in state.items():
            name, _, moment = key.rpartition(":")
            slot = self._slots.get(name)
            if slot is None:
                raise CheckpointError(
                    f"optimizer.safetensors: {name!r} is no parameter of the scene beside it"
                )
            if moment == "step":
                slot.step = int(value)
                continue
            if value.shape != slot.parameter.shape:
                raise CheckpointError(
                    f"optimizer.safetensors: {key!r} is {list(value.shape)}, its parameter is "
                    f"{list(slot.parameter.shape)}; take an earlier checkpoint"
                )
            setattr(slot, moment, value.to(slot.parameter.device, copy=True))
