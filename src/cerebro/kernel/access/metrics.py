"""What the doors count."""

from prometheus_client import Counter, Histogram

LOGINS = Counter("cerebro_access_logins_total", "Logins by how they ended.", ["outcome"])
REFRESHES = Counter("cerebro_access_refreshes_total", "Exchanges of a refresh token by how they ended.", ["outcome"])
REFUSED = Counter("cerebro_access_refused_total", "Credentials that were not accepted, by reason.", ["reason"])
LIMITED = Counter("cerebro_access_limited_total", "Requests refused because a limit was reached.", ["limit"])
STALE = Counter("cerebro_access_stale_answers_total", "Credentials accepted from memory while the database was away.")
HASH_SECONDS = Histogram(
    "cerebro_access_password_hash_seconds",
    "Time to check one password.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 1),
)
