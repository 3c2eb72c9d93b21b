"""Existing annotations carried into rendered views: boxes, masks, visibility, lanes."""
