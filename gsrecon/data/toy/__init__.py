"""A procedural street and a drive through it, ray-traced, with exact depth, masks, boxes, lanes and lidar."""

from gsrecon.data.toy.classes import SEMANTIC_CLASSES
from gsrecon.data.toy.config import ToyConfig
from gsrecon.data.toy.drive import ToyDrive, make_toy
from gsrecon.data.toy.picture import ToyTruth

__all__ = ["SEMANTIC_CLASSES", "ToyConfig", "ToyDrive", "ToyTruth", "make_toy"]
