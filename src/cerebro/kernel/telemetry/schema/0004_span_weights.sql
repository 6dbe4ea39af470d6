-- How many spans a stored span stands for: 1, or more where traces are sampled. Rows from before stand for themselves.

ALTER TABLE spans ADD COLUMN IF NOT EXISTS weight Float32 DEFAULT 1 CODEC(ZSTD(1));
