-- The hash-chained log of every change. What is written stays: the database refuses anything but INSERT.

CREATE TABLE audit (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    body jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    seq bigint GENERATED ALWAYS AS ((body ->> 'seq')::bigint) STORED NOT NULL,
    actor text COLLATE "C" GENERATED ALWAYS AS (body ->> 'actor') STORED NOT NULL,
    action text COLLATE "C" GENERATED ALWAYS AS (body ->> 'action') STORED NOT NULL,
    object text COLLATE "C" GENERATED ALWAYS AS (body ->> 'object') STORED NOT NULL,
    PRIMARY KEY (tenant, key),
    UNIQUE (tenant, seq)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only ever added to';
END $$;

CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_is_not_emptied BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The last entry of each chain: locked by whoever adds the next.
CREATE TABLE audit_heads (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    body jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, key)
);
