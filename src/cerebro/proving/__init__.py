"""The proving ground: faults, drills, scores."""
