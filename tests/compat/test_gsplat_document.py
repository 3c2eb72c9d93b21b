"""The examples of docs/gsplat-drop-in.md do what they say."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from gsrecon.compat import gsplat_mcmc

pytest.importorskip("gsplat", reason="gsplat is not installed; the dev extra brings it")
import gsplat.strategy.ops

DOCUMENT = Path(__file__).parents[2] / "docs" / "gsplat-drop-in.md"


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The document's Python, without gsplat's compiled code; what it replaces is put back afterwards."""
    monkeypatch.setitem(sys.modules, "gsplat.cuda._backend", None)
    for name in ("compute_relocation", "quat_scale_to_covar_preci"):
        monkeypatch.setattr(gsplat.strategy.ops, name, getattr(gsplat.strategy.ops, name))
    return re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.M | re.S)


def test_the_example_trains_and_densifies(examples):
    torch.manual_seed(0)
    names: dict[str, Any] = {}
    exec(compile(examples[0], DOCUMENT.name, "exec"), names)
    assert len(names["params"]["means"]) > names["count"]
    assert names["image"].shape == names["target"].shape
    assert names["meta"]["means2d"].absgrad.max() > 0


def test_the_two_functions_are_put_in_gsplats_place(examples):
    exec(compile(examples[1], DOCUMENT.name, "exec"), {})
    assert gsplat.strategy.ops.compute_relocation is gsplat_mcmc.compute_relocation
    assert gsplat.strategy.ops.quat_scale_to_covar_preci is gsplat_mcmc.quat_scale_to_covar_preci
