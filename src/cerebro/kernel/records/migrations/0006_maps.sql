-- The map of what needs what: sheets of rows, which of them are new, and what people drew.

CREATE TABLE map_sheets (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    body jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, key)
);
CREATE TABLE map_heads (LIKE map_sheets INCLUDING ALL);
CREATE TABLE map_drawings (LIKE map_sheets INCLUDING ALL);
