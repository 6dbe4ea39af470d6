"""Cerebro: one brain for the operation of a high-load business."""

__version__ = "0.1.0"
