-- Logs, spans and events, in the words of the spine; `at` where the spine says `at_ns`.

CREATE TABLE IF NOT EXISTS logs (
    tenant LowCardinality(String),
    hour DateTime('UTC') DEFAULT toStartOfHour(at) CODEC(Delta, ZSTD(1)),
    at DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    observed DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    severity UInt8 CODEC(ZSTD(1)),
    severity_text LowCardinality(String),
    body String CODEC(ZSTD(1)),
    service LowCardinality(String),
    entity_kind LowCardinality(String),
    entity_name LowCardinality(String),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    scope LowCardinality(String),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    resource Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    INDEX body_words body TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 4,
    INDEX trace trace_id TYPE bloom_filter(0.01) GRANULARITY 4
) ENGINE = MergeTree
PARTITION BY toDate(hour)
ORDER BY (tenant, hour, service, at)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 10000,
    ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1;

CREATE TABLE IF NOT EXISTS spans (
    tenant LowCardinality(String),
    hour DateTime('UTC') DEFAULT toStartOfHour(at) CODEC(Delta, ZSTD(1)),
    at DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    duration_ns Int64 CODEC(ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    parent_span_id String CODEC(ZSTD(1)),
    name LowCardinality(String),
    kind UInt8 CODEC(ZSTD(1)),
    status UInt8 CODEC(ZSTD(1)),
    status_message String CODEC(ZSTD(1)),
    service LowCardinality(String),
    entity_kind LowCardinality(String),
    entity_name LowCardinality(String),
    scope LowCardinality(String),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    resource Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    events String CODEC(ZSTD(1)),
    links String CODEC(ZSTD(1)),
    INDEX trace trace_id TYPE bloom_filter(0.001) GRANULARITY 1
) ENGINE = MergeTree
PARTITION BY toDate(hour)
ORDER BY (tenant, hour, service, name, at)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 10000,
    ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1;

CREATE TABLE IF NOT EXISTS events (
    tenant LowCardinality(String),
    at DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    id String CODEC(ZSTD(1)),
    kind LowCardinality(String),
    source LowCardinality(String),
    entity_kind LowCardinality(String),
    entity_name LowCardinality(String),
    title String CODEC(ZSTD(1)),
    body String CODEC(ZSTD(1))
) ENGINE = MergeTree
PARTITION BY toStartOfMonth(at)
ORDER BY (tenant, at, id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 10000,
    ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1;
