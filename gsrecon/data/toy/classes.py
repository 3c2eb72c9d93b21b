"""The class table of the toy drive's semantic pictures."""

SEMANTIC_CLASSES: dict[int, str] = {
    0: "sky",
    1: "road",
    2: "lane_mark",
    3: "sidewalk",
    4: "terrain",
    5: "building",
    6: "vegetation",
    7: "pole",
    8: "sign",
    9: "street_furniture",
    10: "car",
    11: "pedestrian",
}
"""Number in the semantic picture -> name."""

CLASS_ID: dict[str, int] = {name: number for number, name in SEMANTIC_CLASSES.items()}
"""Name -> number in the semantic picture."""
