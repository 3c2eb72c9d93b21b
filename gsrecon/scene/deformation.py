"""EGSRAL's dynamics in our form: a field that moves, turns, stretches and fades the Gaussians that move.

Each Gaussian has a state d (0 static .. 1 dynamic). With frequency encodings e, of positions and times scaled
to the extent of what is deformed:

    deformation net  (e(x), d, e(t)) -> dx, dr, ds
    DEM              (e(x), d, e(t)) -> a_p, a_s         scales the deformation, modulates the opacity
    OEM              (x, r, s, o)    -> o_o              the canonical opacity, corrected; free of time
    g = clamp((d - tau) / (1 - tau), 0, 1)
    x' = x + g a_p dx    r' = r + g a_p dr    log s' = log s + g a_p ds    o' = o_o (1 + g (a_s - 1))

The data flow is that of EGSRAL (AAAI 2025), whose exact layers were never published: this is our form of it.
Deformation net and DEM are two heads of one trunk. The OEM's correction is a residual of the log-odds and is
multiplied by g too, so that a static Gaussian needs no network at all. All heads start at zero: the identity.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.resample import Resample
from gsrecon.ops.device import generator_on
from gsrecon.ops.settings import SUPPORT_SIGMAS
from gsrecon.ops.splats import Splats
from gsrecon.scene.changed_rows import add_rows, scale_rows
from gsrecon.scene.deformation_config import DeformationConfig, Extent, config_from_json
from gsrecon.scene.deformation_schedule import Phase
from gsrecon.scene.encoding import encode
from gsrecon.scene.perceptron import new_head, new_hidden, run

Concerned = Callable[[Int64[Tensor, " M"]], Bool[Tensor, " M"]]
"""Which of some rows have to be at the right place."""

_TRUNK, _MOTION, _ENHANCEMENT = "trunk", "deformation", "dem"
_OPACITY_TRUNK, _OPACITY = "oem.trunk", "oem.head"
_CODES, _CODE_SIZE = "codes.table", 8
_STATE_OCTAVES = 1
_LARGEST_STRETCH = 0.7
"""Bound on ds: nothing becomes longer than twice as long, four times with the DEM at its most."""


@dataclass
class Deformed:
    """What the networks did in the latest call, for the loss."""

    state: Float[Tensor, " M"]
    gate: Float[Tensor, " M"]
    motion: Float[Tensor, "M 10"] | None
    """a_p (dx [m], dr, ds)."""


class Deformation:
    """State of each Gaussian and the networks. A part of a node, not a node."""

    def __init__(
        self,
        config: DeformationConfig,
        extent: Extent,
        state: Float[Tensor, " N"],
        networks: dict[str, Tensor],
    ) -> None:
        self.config = config
        self.extent = extent
        self.state = state
        """d of each Gaussian, kept within 0 and 1."""
        self.networks = networks
        """Weights and biases by name."""
        self.phase = Phase()
        """Changes in training only."""
        self.generator: torch.Generator | None = None
        self._baked: tuple[Gaussians, Float[Tensor, " N"]] | None = None
        self.latest: Deformed | None = None
        """Of the latest call with gradients."""
        self.evidence: Float[Tensor, "E 8"] = torch.zeros(0, 8)
        """Place [m], time [s], whether what is at home there was to be seen then (1, 0), and how far it had
        moved [m], NaN where that is unknown: see `evidence_error`. It stays on the CPU."""

    @staticmethod
    def start(
        config: DeformationConfig,
        extent: Extent,
        state: Float[Tensor, " N"],
        generator: torch.Generator,
        objects: int = 0,
    ) -> "Deformation":
        """The identity, ready to be fitted.

        Args:
            config: Networks and limits.
            extent: What positions and times are scaled by.
            state: First states.
            generator: For the first weights.
            objects: How many objects the networks tell apart, by a code each; 0 where there is one world.
        """
        space, time = extent.octaves(config)
        inputs = 3 * (1 + 2 * space) + (1 + 2 * _STATE_OCTAVES) + (1 + 2 * time)
        inputs += _CODE_SIZE if objects else 0
        networks = new_hidden(_TRUNK, inputs, config.layers, config.width, generator)
        if objects:
            networks[_CODES] = 0.1 * torch.randn(objects, _CODE_SIZE, generator=generator)
        if config.motion:
            networks |= new_head(_MOTION, config.width, 10)
        if config.enhancement:
            networks |= new_head(_ENHANCEMENT, config.width, 2)
        if config.opacity_enhancement:
            inputs = 3 * (1 + 2 * space) + 4 + 3 + 1
            networks |= new_hidden(_OPACITY_TRUNK, inputs, 2, config.width // 2, generator)
            networks |= new_head(_OPACITY, config.width // 2, 1)
        return Deformation(config, extent, state, networks)

    def begin_step(self, progress: float, generator: torch.Generator) -> None:
        """Enters the phase of a fraction of the run."""
        self.phase = self.config.schedule.at(progress, self.extent.interval_s)
        self.generator = generator
        # What somebody drew between two steps says nothing about this one.
        self._baked, self.latest = None, None
        if progress >= self.config.schedule.discovery:
            self._limit_share()

    def end_step(self) -> None:
        """Leaves training, and brings the states back between 0 and 1."""
        self.phase, self.generator, self.latest = Phase(), None, None
        with torch.no_grad():
            self.state.clamp_(0.0, 1.0)

    @property
    def dynamic(self) -> Bool[Tensor, " N"]:
        """Gaussians on which the networks run outside training."""
        return self.state.detach() > self.config.threshold

    def apply(
        self,
        gaussians: Gaussians,
        splats: Splats,
        time_s: float | Float[Tensor, " N"],
        concerned: Concerned | None = None,
        objects: Int64[Tensor, " N"] | None = None,
    ) -> Splats:
        """The splats at a time.

        Args:
            gaussians: The canonical Gaussians.
            splats: The same, activated.
            time_s: From the start of the log, or of each Gaussian [s].
            concerned: Tells of rows whether they are; the others stay as they are: nobody sees them, or they
                never move.
            objects: Which object each Gaussian belongs to, where there are objects.
        """
        if not self.phase.active:
            return splats
        rows, threshold = self._rows(concerned)
        if len(rows) == 0:
            return splats
        motion, opacity = self._run(gaussians, splats, rows, threshold, time_s, objects)
        opacities = add_rows(splats.opacities, rows, opacity)
        if motion is None:
            return replace(splats, opacities=opacities)
        return replace(
            splats,
            means=add_rows(splats.means, rows, motion[:, :3]),
            quats=add_rows(splats.quats, rows, motion[:, 3:7]),
            scales=scale_rows(splats.scales, rows, motion[:, 7:].exp()),
            opacities=opacities,
        )

    def evidence_error(self, count: int) -> Float[Tensor, ""] | None:
        """How far the networks are from some of the evidence; None without evidence or outside of a step.

        Mean square by which the DEM shows what was not there and hides what was, plus a fifth of the mean
        distance of what moved from where it went [m].
        """
        if len(self.evidence) == 0 or self.generator is None or not self.phase.active:
            return None
        chosen = self.evidence[torch.randint(len(self.evidence), (count,), generator=self.generator)]
        state = 0.5 + 0.5 * torch.rand(count, generator=self.generator).to(self.state.device)
        known = chosen[:, 5].isfinite().nonzero()[:, 0]
        chosen, known = chosen.to(self.state.device), known.to(self.state.device)
        motion, shown = self._answers(chosen[:, :3], state, chosen[:, 3:4], None)
        error = chosen.new_zeros(())
        if shown is not None:
            error = torch.where(chosen[:, 4] > 0.5, (1 - shown).clamp_min(0), shown).square().mean()
        if motion is not None and len(known) > 0:
            away = (motion[known, :3] - chosen[known, 5:]).norm(dim=1)
            error = error + 0.2 * away.sum() / count
        return error

    def reach(self, scales: Float[Tensor, "N 3"]) -> Float[Tensor, " N"]:
        """No Gaussian of such standard deviations [m] ever shows farther from its canonical centre [m]."""
        most = 2.0 if self.config.enhancement else 1.0
        shown = SUPPORT_SIGMAS * scales.amax(dim=1)
        if not self.config.motion:
            return shown
        return 3**0.5 * most * self.config.largest_motion_m + shown * math.exp(most * _LARGEST_STRETCH)

    def resample(self, change: Resample) -> None:
        """Children inherit the state."""
        self.state = change.parameter("state", self.state).requires_grad_(self.state.requires_grad)

    def code(self, number: int) -> Float[Tensor, " _"]:
        """What tells the networks which object a Gaussian belongs to."""
        return self.networks[_CODES].detach()[number]

    def of_objects(self, state: Float[Tensor, " M"], codes: Float[Tensor, "K _"]) -> "Deformation":
        """The same networks for other Gaussians, of objects with these codes."""
        other = Deformation(self.config, self.extent, state, {**self.networks, _CODES: codes})
        other.evidence = self.evidence
        return other

    def named(self) -> dict[str, Tensor]:
        """State and networks by name."""
        return {"state": self.state, **self.networks}

    def kept(self) -> dict[str, Tensor]:
        """What is stored beside the parameters."""
        return {"evidence": self.evidence} if len(self.evidence) > 0 else {}

    def settings(self) -> dict[str, Any]:
        """Everything else, as JSON values."""
        return {"config": asdict(self.config), "extent": asdict(self.extent)}

    @staticmethod
    def restored(settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "Deformation":
        """From what was stored; tensors of other names are left alone."""
        config = config_from_json(settings["config"])
        extent = Extent(**{**settings["extent"], "centre": tuple(settings["extent"]["centre"])})
        names = (_TRUNK, _MOTION, _ENHANCEMENT, "oem", "codes")
        networks = {name: t for name, t in tensors.items() if name.split(".")[0] in names}
        again = Deformation(config, extent, tensors["state"], networks)
        again.evidence = tensors.get("evidence", again.evidence).cpu()
        return again

    def _limit_share(self) -> None:
        """Makes the weakest dynamic Gaussians static where there are more than the largest share."""
        most = int(self.config.largest_share * len(self.state))
        with torch.no_grad():
            dynamic = self.dynamic
            if int(dynamic.sum()) > most:
                limit = self.state.topk(most + 1).values[-1]
                self.state[dynamic & (self.state <= limit)] = self.config.threshold

    def _rows(self, concerned: Concerned | None) -> tuple[Int64[Tensor, " M"], Float[Tensor, " M"]]:
        """Rows the networks run on, and their thresholds: 0 for the sampled ones, and in the discovery."""
        with torch.no_grad():
            dynamic, share = self.dynamic, self.phase.sampled_share
            running = dynamic
            if share > 0:
                drawn = torch.rand(len(dynamic), generator=self._generator_here(), device=dynamic.device)
                running = dynamic | (drawn < share)
            rows = running.nonzero()[:, 0]
            if concerned is not None:
                rows = rows[concerned(rows)]
            if share > 0:
                rows = self._few(rows, dynamic[rows])
            threshold = 0.0 if self.phase.discovering else self.config.threshold
            return rows, torch.where(dynamic[rows], threshold, 0.0)

    def _few(self, rows: Int64[Tensor, " M"], dynamic: Bool[Tensor, " M"]) -> Int64[Tensor, " K"]:
        """All that are dynamic, and of the others so few that a step does not take much longer."""
        others = (~dynamic).nonzero()[:, 0]
        if len(others) <= self.config.most_sampled:
            return rows
        kept = dynamic.clone()
        chosen = torch.randperm(len(others), generator=self._generator_here(), device=others.device)
        kept[others[chosen[: self.config.most_sampled]]] = True
        return rows[kept]

    def _generator_here(self) -> torch.Generator:
        assert self.generator is not None
        return generator_on(self.state.device, self.generator)

    def _run(
        self,
        gaussians: Gaussians,
        splats: Splats,
        rows: Int64[Tensor, " M"],
        threshold: Float[Tensor, " M"],
        time_s: float | Float[Tensor, " N"],
        objects: Int64[Tensor, " N"] | None,
    ) -> tuple[Float[Tensor, "M 10"] | None, Float[Tensor, " M"]]:
        """The gated motion g a_p (dx, dr, ds) of some rows, and what is added to their opacities."""
        state = self.state[rows]
        gate = gate_of(state, threshold)
        # Networks look a place up; where a Gaussian lies is fitted by its own gradient, not through them.
        means = gaussians.means[rows].detach()
        if isinstance(time_s, Tensor):
            moment = time_s[rows].to(means)[:, None]
        else:
            moment = means.new_tensor([[self._with_noise(time_s)]]).expand(len(rows), 1)
        of_rows = None if objects is None else objects[rows]
        motion, shown = self._answers(means, state.detach(), moment, of_rows)
        still = splats.opacities[rows]
        opacity = still + self._enhanced(gaussians, rows, gate)
        if shown is not None:
            opacity = (opacity * (1 + gate * (shown - 1))).clamp(max=1.0)
        self.latest = Deformed(state, gate, motion)
        return None if motion is None else gate[:, None] * motion, opacity - still

    def _answers(
        self,
        means: Float[Tensor, "M 3"],
        state: Float[Tensor, " M"],
        times_s: Float[Tensor, "M 1"],
        objects: Int64[Tensor, " M"] | None,
    ) -> tuple[Float[Tensor, "M 10"] | None, Float[Tensor, " M"] | None]:
        """The motion a_p (dx [m], dr, ds), and a_s, at places [m], states and times [s]; None: no head."""
        heads = [name for name in (_MOTION, _ENHANCEMENT) if f"{name}.weight" in self.networks]
        if not heads:
            return None, None
        space, time = self.extent.octaves(self.config)
        start, stop = self.extent.start_s, self.extent.stop_s
        told = [
            encode(self._scaled(means), space),
            encode(state[:, None], _STATE_OCTAVES),
            encode(2 * (times_s - start) / (stop - start) - 1, time),
        ]
        if objects is not None:
            told.append(self.networks[_CODES][objects])
        raw = dict(zip(heads, run(_TRUNK, heads, self.networks, torch.cat(told, dim=1)), strict=True))
        motion = shown = None
        if _MOTION in raw:
            dx, turn, stretch = raw[_MOTION].split([3, 4, 3], dim=1)
            dx = _bounded(dx, self.config.largest_motion_m)
            motion = torch.cat([dx, turn, _bounded(stretch, _LARGEST_STRETCH)], dim=1)
        if _ENHANCEMENT in raw:
            scale, shown = (2 * raw[_ENHANCEMENT].sigmoid()).unbind(1)
            motion = None if motion is None else scale[:, None] * motion
        return motion, shown

    def _enhanced(
        self, gaussians: Gaussians, rows: Int64[Tensor, " M"], gate: Float[Tensor, " M"]
    ) -> Float[Tensor, " M"] | float:
        """What the OEM adds to the canonical opacity, o_o - o: exactly zero where it or the gate is."""
        if not self.config.opacity_enhancement:
            return 0.0
        logits = gaussians.logit_opacities[rows]
        return (logits + gate * self._opacity_residual(gaussians, rows)).sigmoid() - logits.sigmoid()

    def _opacity_residual(self, gaussians: Gaussians, rows: Int64[Tensor, " M"]) -> Float[Tensor, " M"]:
        """What the OEM adds to the log-odds; it is free of time, and where nothing learns computed once."""
        learns = torch.is_grad_enabled() and any(t.requires_grad for t in self.networks.values())
        if self.generator is not None or learns:
            return self._oem(gaussians, rows)
        if self._baked is None or self._baked[0] is not gaussians:
            with torch.no_grad():
                dynamic = self.dynamic.nonzero()[:, 0]
                baked = torch.zeros_like(gaussians.logit_opacities)
                self._baked = gaussians, baked.index_copy(0, dynamic, self._oem(gaussians, dynamic))
        return self._baked[1][rows]

    def _oem(self, gaussians: Gaussians, rows: Int64[Tensor, " M"]) -> Float[Tensor, " M"]:
        place = encode(self._scaled(gaussians.means[rows]), self.extent.octaves(self.config)[0])
        logits = gaussians.logit_opacities[rows, None]
        shape = [place, gaussians.quats[rows], gaussians.log_scales[rows], logits]
        (added,) = run(_OPACITY_TRUNK, [_OPACITY], self.networks, torch.cat(shape, dim=1).detach())
        return added[:, 0]

    def _scaled(self, points: Float[Tensor, "M 3"]) -> Float[Tensor, "M 3"]:
        return (points - points.new_tensor(self.extent.centre)) / self.extent.half_size_m

    def _with_noise(self, time_s: float) -> float:
        if self.phase.time_noise_s == 0:
            return time_s
        return time_s + self.phase.time_noise_s * float(torch.randn(1, generator=self.generator))


def _bounded(values: Tensor, limit: float) -> Tensor:
    """The values themselves near zero, never beyond the limit."""
    return limit * (values / limit).tanh()


def gate_of(state: Float[Tensor, " M"], threshold: Float[Tensor, " M"] | float) -> Float[Tensor, " M"]:
    """The gate g = clamp((d - tau) / (1 - tau), 0, 1), without a jump at the threshold."""
    return ((state - threshold) / (1 - threshold)).clamp(0.0, 1.0)
