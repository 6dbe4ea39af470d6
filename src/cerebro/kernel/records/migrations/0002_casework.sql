-- Findings, the cases they make, and silences.

-- The texts of a list, an entity as `kind/name`, so that a column can hold what a list field holds.
CREATE FUNCTION json_texts(list jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(
        CASE jsonb_typeof(item) WHEN 'object' THEN (item ->> 'kind') || '/' || (item ->> 'name') ELSE item #>> '{}' END
        ORDER BY place), '{}')
    FROM jsonb_array_elements(list) WITH ORDINALITY AS items (item, place)
$$;

CREATE TABLE findings (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    body jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    agent text COLLATE "C" GENERATED ALWAYS AS (body ->> 'agent') STORED NOT NULL,
    kind text COLLATE "C" GENERATED ALWAYS AS (body ->> 'kind') STORED NOT NULL,
    entity text COLLATE "C"
        GENERATED ALWAYS AS ((body #>> '{entity,kind}') || '/' || (body #>> '{entity,name}')) STORED NOT NULL,
    at_ms bigint GENERATED ALWAYS AS ((body ->> 'at_ms')::bigint) STORED NOT NULL,
    seen_ms bigint GENERATED ALWAYS AS ((body ->> 'seen_ms')::bigint) STORED NOT NULL,
    severity integer GENERATED ALWAYS AS ((body ->> 'severity')::integer) STORED NOT NULL,
    dedup_key text COLLATE "C" GENERATED ALWAYS AS (body ->> 'dedup_key') STORED NOT NULL,
    cleared boolean GENERATED ALWAYS AS ((body ->> 'cleared')::boolean) STORED NOT NULL,
    PRIMARY KEY (tenant, key),
    UNIQUE (tenant, dedup_key, cleared)
);
CREATE INDEX findings_by_seen ON findings (tenant, seen_ms, key);
CREATE INDEX findings_by_at ON findings (tenant, at_ms, key);
CREATE INDEX findings_by_entity ON findings (tenant, entity, seen_ms, key);

CREATE TABLE cases (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    body jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    state text COLLATE "C" GENERATED ALWAYS AS (body ->> 'state') STORED NOT NULL,
    severity integer GENERATED ALWAYS AS ((body ->> 'severity')::integer) STORED NOT NULL,
    opened_ms bigint GENERATED ALWAYS AS ((body ->> 'opened_ms')::bigint) STORED NOT NULL,
    updated_ms bigint GENERATED ALWAYS AS ((body ->> 'updated_ms')::bigint) STORED NOT NULL,
    resolved_ms bigint GENERATED ALWAYS AS ((body ->> 'resolved_ms')::bigint) STORED NOT NULL,
    cleared_ms bigint GENERATED ALWAYS AS ((body ->> 'cleared_ms')::bigint) STORED NOT NULL,
    assignee text COLLATE "C" GENERATED ALWAYS AS (body ->> 'assignee') STORED NOT NULL,
    entities text[] COLLATE "C" GENERATED ALWAYS AS (json_texts(body -> 'entities')) STORED NOT NULL,
    active_keys text[] COLLATE "C" GENERATED ALWAYS AS (json_texts(body -> 'active_keys')) STORED NOT NULL,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX cases_by_updated ON cases (tenant, updated_ms, key);
CREATE INDEX cases_by_opened ON cases (tenant, opened_ms, key);
CREATE INDEX cases_by_state ON cases (tenant, state, updated_ms, key);
CREATE INDEX cases_by_entity ON cases USING gin (entities);
CREATE INDEX cases_by_active_key ON cases USING gin (active_keys);

CREATE TABLE silences (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    body jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    entity text COLLATE "C" GENERATED ALWAYS AS (
        CASE jsonb_typeof(body -> 'entity')
            WHEN 'object' THEN (body #>> '{entity,kind}') || '/' || (body #>> '{entity,name}')
            ELSE body ->> 'entity'
        END) STORED NOT NULL,
    until_ms bigint GENERATED ALWAYS AS ((body ->> 'until_ms')::bigint) STORED NOT NULL,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX silences_by_until ON silences (tenant, until_ms, key);
CREATE INDEX silences_by_entity ON silences (tenant, entity, until_ms);
