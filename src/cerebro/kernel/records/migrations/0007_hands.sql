-- Actions, who works on which entity, what a tenant allows, what became of playbooks, control doors, own playbooks.

CREATE TABLE actions (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    body jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    "case" text COLLATE "C" GENERATED ALWAYS AS (body ->> 'case') STORED NOT NULL,
    playbook text COLLATE "C" GENERATED ALWAYS AS (body ->> 'playbook') STORED NOT NULL,
    target text COLLATE "C"
        GENERATED ALWAYS AS ((body #>> '{target,kind}') || '/' || (body #>> '{target,name}')) STORED NOT NULL,
    state text COLLATE "C" GENERATED ALWAYS AS (body ->> 'state') STORED NOT NULL,
    open boolean GENERATED ALWAYS AS ((body ->> 'open')::boolean) STORED NOT NULL,
    under_way boolean GENERATED ALWAYS AS ((body ->> 'under_way')::boolean) STORED NOT NULL,
    due_ms bigint GENERATED ALWAYS AS ((body ->> 'due_ms')::bigint) STORED NOT NULL,
    made_ms bigint GENERATED ALWAYS AS ((body ->> 'made_ms')::bigint) STORED NOT NULL,
    started_ms bigint GENERATED ALWAYS AS ((body ->> 'started_ms')::bigint) STORED NOT NULL,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX actions_by_case ON actions (tenant, "case", made_ms, key);
CREATE INDEX actions_by_made ON actions (tenant, made_ms, key);
CREATE INDEX actions_by_target ON actions (tenant, target, made_ms, key);
CREATE INDEX actions_by_open ON actions (tenant, open, due_ms, key) WHERE open;

CREATE TABLE action_locks (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    body jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, key)
);

CREATE TABLE action_policies (LIKE action_locks INCLUDING ALL);
CREATE TABLE action_doors (LIKE action_locks INCLUDING ALL);
CREATE TABLE playbooks (LIKE action_locks INCLUDING ALL);

CREATE TABLE action_pasts (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    body jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    playbook text COLLATE "C" GENERATED ALWAYS AS (body ->> 'playbook') STORED NOT NULL,
    PRIMARY KEY (tenant, key)
);
