"""From the bytes of a protocol to columns: remote write and OTLP, in numba, with upb beside it as oracle."""
