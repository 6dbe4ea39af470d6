"""How well the detectors find what people have labelled, on public sets: `make bench-detection`."""
