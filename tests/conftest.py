"""Fixtures shared by the whole test tree."""

import os
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings beside the checkout, or a skip that says where it is looked for."""
    root = Path(os.environ.get("GSRECON_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not root.is_dir():
        pytest.skip("real recordings are not here: set GSRECON_TEST_DATA to the folder that holds kitti_raw/")
    return root


@pytest.fixture
def generator() -> torch.Generator:
    """A seeded source of randomness."""
    return torch.Generator().manual_seed(20260)
