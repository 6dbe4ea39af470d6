-- Vectors live beside what they describe.

CREATE EXTENSION IF NOT EXISTS vector;
