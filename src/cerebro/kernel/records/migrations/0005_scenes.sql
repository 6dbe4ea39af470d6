-- What became of a finding; which cases a scene has; what is to be told outside; which tenants have cases.

-- A trouble may come, go and come back under one key; what may not be there twice is one thing said of it.
ALTER TABLE findings DROP CONSTRAINT findings_tenant_dedup_key_cleared_key;
ALTER TABLE findings
    ADD COLUMN "case" text COLLATE "C" GENERATED ALWAYS AS (body ->> 'case') STORED NOT NULL,
    ADD COLUMN silence text COLLATE "C" GENERATED ALWAYS AS (body ->> 'silence') STORED NOT NULL,
    ADD COLUMN mark text COLLATE "C" GENERATED ALWAYS AS (body ->> 'mark') STORED NOT NULL,
    ADD UNIQUE (tenant, mark);
CREATE INDEX findings_by_case ON findings (tenant, "case", seen_ms, key);
CREATE INDEX findings_by_dedup_key ON findings (tenant, dedup_key);
CREATE INDEX findings_by_silence ON findings (tenant, silence, seen_ms, key) WHERE silence <> '';

ALTER TABLE cases
    ADD COLUMN live boolean GENERATED ALWAYS AS ((body ->> 'live')::boolean) STORED NOT NULL,
    ADD COLUMN settling boolean GENERATED ALWAYS AS ((body ->> 'settling')::boolean) STORED NOT NULL;
CREATE INDEX cases_by_live ON cases (tenant, live, opened_ms, key);
CREATE INDEX cases_by_settling ON cases (tenant, settling) WHERE settling;

ALTER TABLE silences
    DROP COLUMN until_ms,
    ADD COLUMN ends_ms bigint GENERATED ALWAYS AS ((body ->> 'ends_ms')::bigint) STORED NOT NULL,
    ADD COLUMN signal text COLLATE "C" GENERATED ALWAYS AS (body ->> 'signal') STORED NOT NULL,
    ADD COLUMN live boolean GENERATED ALWAYS AS ((body ->> 'live')::boolean) STORED NOT NULL;
CREATE INDEX silences_by_live ON silences (tenant, live, ends_ms, key);

CREATE TABLE scenes (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    body jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, key)
);

CREATE TABLE notices (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    body jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    state text COLLATE "C" GENERATED ALWAYS AS (body ->> 'state') STORED NOT NULL,
    due_ms bigint GENERATED ALWAYS AS ((body ->> 'due_ms')::bigint) STORED NOT NULL,
    "case" text COLLATE "C" GENERATED ALWAYS AS (body ->> 'case') STORED NOT NULL,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX notices_by_due ON notices (tenant, state, due_ms, key);

CREATE TABLE case_tenants (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    body jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, key)
);
