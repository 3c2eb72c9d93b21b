"""Adam over named parameters whose number of rows changes in training."""

from collections.abc import Mapping

import torch
from torch import Tensor

from gsrecon.errors import CheckpointError
from gsrecon.gaussians.resample import Resample
from gsrecon.train.config import Rate

_MOMENTS = ("exp_avg", "exp_avg_sq")


class Optimizer:
    """torch's fused Adam with one group for each parameter, addressed by name."""

    def __init__(self, parameters: Mapping[str, Tensor], rates: Mapping[str, Rate]) -> None:
        """Starts with empty moments.

        Args:
            parameters: Leaves by name (`node id/parameter`).
            rates: Learning rate of each.
        """
        self._rates = dict(rates)
        groups = [{"params": [tensor], "name": name, "lr": 0.0} for name, tensor in parameters.items()]
        self._adam = torch.optim.Adam(groups, betas=(0.9, 0.999), eps=1e-15, fused=True)
        self._group = {group["name"]: group for group in self._adam.param_groups}

    def step(self, progress: float) -> None:
        """One step with the learning rates of a fraction of the run; gradients are cleared after it."""
        for name, group in self._group.items():
            group["lr"] = self._rates[name].at(progress)
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)

    def rate(self, name: str, progress: float) -> float:
        """A parameter's learning rate at a fraction of the run."""
        return self._rates[name].at(progress)

    def resample(self, parameters: Mapping[str, Tensor], change: Resample) -> None:
        """Takes new leaves in place of old ones and moves their moments along.

        Args:
            parameters: New leaves by name (`node id/parameter`).
            change: What turned the old ones into them.
        """
        for name, new in parameters.items():
            group = self._group[name]
            old = group["params"][0]
            state = self._adam.state.pop(old, {})
            for moment in _MOMENTS:
                if moment in state:
                    state[moment] = change.moment(name.rpartition("/")[2], old, state[moment])
            group["params"] = [new]
            if state:
                self._adam.state[new] = state

    def state(self) -> dict[str, Tensor]:
        """Moments and step counts, as `node id/parameter:moment`."""
        return {
            f"{name}:{key}": value
            for name, group in self._group.items()
            for key, value in self._adam.state.get(group["params"][0], {}).items()
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Takes up stored moments.

        Raises:
            CheckpointError: They do not fit the parameters.
        """
        for key, value in state.items():
            name, _, moment = key.rpartition(":")
            if name not in self._group:
                raise CheckpointError(
                    f"optimizer.safetensors: {name!r} is no parameter of the scene beside it"
                )
            parameter = self._group[name]["params"][0]
            if moment in _MOMENTS and value.shape != parameter.shape:
                raise CheckpointError(
                    f"optimizer.safetensors: {key!r} is {list(value.shape)}, its parameter is "
                    f"{list(parameter.shape)}; take an earlier checkpoint"
                )
            self._adam.state[parameter][moment] = value.clone()
