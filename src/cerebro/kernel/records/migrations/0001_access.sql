-- Who may come in: users, API keys, refresh tokens, settings.
-- Texts compare by code point (COLLATE "C"), so that pages come in the same order on every server.

CREATE TABLE users (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    body jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    login text COLLATE "C" GENERATED ALWAYS AS (body ->> 'login') STORED NOT NULL,
    role text COLLATE "C" GENERATED ALWAYS AS (body ->> 'role') STORED NOT NULL,
    disabled boolean GENERATED ALWAYS AS ((body ->> 'disabled')::boolean) STORED NOT NULL,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX users_by_role ON users (tenant, role) WHERE NOT disabled;

CREATE TABLE api_keys (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    body jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    name text COLLATE "C" GENERATED ALWAYS AS (body ->> 'name') STORED NOT NULL,
    prefix text COLLATE "C" GENERATED ALWAYS AS (body ->> 'prefix') STORED NOT NULL,
    digest text COLLATE "C" GENERATED ALWAYS AS (body ->> 'digest') STORED NOT NULL,
    PRIMARY KEY (tenant, key),
    UNIQUE (tenant, name)
);

-- A key says who it is, not whose: its rows lie under one tenant of their own and name the owner.
CREATE TABLE key_owners (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    body jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, key)
);

CREATE TABLE refresh_tokens (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    body jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    login text COLLATE "C" GENERATED ALWAYS AS (body ->> 'login') STORED NOT NULL,
    family text COLLATE "C" GENERATED ALWAYS AS (body ->> 'family') STORED NOT NULL,
    expires_ms bigint GENERATED ALWAYS AS ((body ->> 'expires_ms')::bigint) STORED NOT NULL,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX refresh_tokens_by_login ON refresh_tokens (tenant, login);
CREATE INDEX refresh_tokens_by_family ON refresh_tokens (tenant, family);
CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (tenant, expires_ms, key);

CREATE TABLE settings (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    body jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, key)
);
