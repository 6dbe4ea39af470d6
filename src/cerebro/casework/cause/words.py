"""What lines of trouble speak of, in a closed set of words: the messages that runtimes, drivers and servers have.

The texts are those of Go, Java, Python, Node, gRPC, PostgreSQL (SQLSTATE), Redis and errno; a program passes them on as
they are. A word says what *kind* of trouble a line is of, never what to do about it: text from outside chooses among
these words, and can bring in none of its own.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

# The first that fits: what names a cause outright stands before what anything may lead to.
LEXICON: Sequence[tuple[str, re.Pattern[str]]] = tuple(
    (word, re.compile(pattern, re.IGNORECASE))
    for word, pattern in (
        (
            "untrusted",
            r"x509|certificate.{0,40}(expired|not yet|unknown|invalid|verif|revoked)|CERT_HAS_EXPIRED|PKIX|self.signed"
            r"|tls.{0,20}(handshake|certificate|alert)|ssl.{0,20}(handshake|certificate|alert)|SSLHandshakeException",
        ),
        (
            "unresolved",
            r"no such host|name or service not known|name resolution|NXDOMAIN|ENOTFOUND|EAI_AGAIN|EAI_NONAME|SERVFAIL"
            r"|getaddrinfo|UnknownHost|(can ?not|could not|does not|failed to) resolve|nodename nor servname",
        ),
        (
            "clock",
            r"issued in the future|before issued|not yet valid|clocks? (skew|differ|drift)|time skew|TimeTooSkewed"
            r"|timestamp.{0,30}(future|ahead|too far)|KRB_AP_ERR_SKEW|ImmatureSignature",
        ),
        (
            "denied",
            r"password authentication failed|authentication (failed|required|error)|access denied for user|28P01|28000"
            r"|invalid (credential|password|api.?key|token|access key)|(credential|password|token|secret).{0,20}expired"
            r"|unauthori[sz]ed|\b401\b|NOAUTH|WRONGPASS|UNAUTHENTICATED",
        ),
        (
            "limited",
            r"\b429\b|too many requests|rate.?limit|quota.{0,20}exceeded|throttl|RESOURCE_EXHAUSTED|slow ?down",
        ),
        (
            "garbled",
            r"invalid character .{0,20}looking|unexpected token|JSONDecode|json.{0,30}(decod|pars|syntax|unmarshal)"
            r"|malformed|can ?not be read|unreadable|unexpected end of|invalid (xml|json|utf)|deserializ|checksum",
        ),
        ("no_space", r"no space left|ENOSPC|Errno 28\b|disk.{0,10} full|disk quota|\b53100\b|read-only file system"),
        ("no_files", r"too many open files|EMFILE|ENFILE|Errno 24\b|file descriptors?.{0,20}(exhaust|limit|left)"),
        (
            "no_memory",
            r"out of memory|OutOfMemory|oom.?kill|can ?not allocate memory|ENOMEM|Errno 12\b|MemoryError|heap space",
        ),
        (
            "no_connections",
            r"connection pool|pool.{0,12}(exhaust|timed? ?out|is full)|free connection|too many (connections|clients)"
            r"|no (\w+ )?connections? (in time|available|left)"
            r"|connection slots|\b53300\b|QueuePool|HikariPool|connection is not available",
        ),
        (
            "no_threads",
            r"can'?t start new thread|unable to create.{0,20}thread|RejectedExecution|thread pool.{0,20}full",
        ),
        ("deadlock", r"deadlock|\b40P01\b"),
        ("locked", r"waiting for \w*lock|lock (wait )?timeout|obtain lock|\b55P03\b|due to lock|Lock wait"),
        ("poison", r"redeliver|dead.?letter|poison|max(imum)? deliver"),
        (
            "overlap",
            r"job.{0,60}(still running|earlier run|overlap|already running|under way)|previous run.{0,30}running",
        ),
        (
            "crashed",
            r"terminated and started|back-?off restarting|CrashLoop|segmentation fault|SIGSEGV|panic:|core dumped"
            r"|exited with (code|status)|fatal signal|was killed",
        ),
        (
            "refused",
            r"connection refused|ECONNREFUSED|connection reset|ECONNRESET|broken pipe|EPIPE|no healthy upstream"
            r"|Errno (111|104|32)\b|(server|peer|side) (has )?closed the connection|57P01|57P03"
            r"|no (ready|available) (endpoint|backend)|UNAVAILABLE: |Is the server running|is shutting down"
            r"|terminating connection due to administrator",
        ),
        (
            "unreachable",
            r"dial tcp.{0,60}: i/o timeout|connect(ion|ing)? (has )?timed? ?out|connect timeout|ConnectTimeout"
            r"|ETIMEDOUT|no route to host|EHOSTUNREACH|ENETUNREACH|Errno (110|113|101)\b"
            r"|network is unreachable|host is unreachable",
        ),
        (
            "late",
            r"deadline exceeded|DEADLINE_EXCEEDED|timed? ?out|time-?out|no answer|not (answer|respond)"
            r"|\b504\b|\b57014\b",
        ),
        (
            "busy",
            r"\b503\b|service unavailable|overload|shedding|queue is full|too busy|backpressure|circuit.{0,10}open",
        ),
        ("failing", r"\b50[012]\b|internal (server )?error|bad gateway"),
        ("thrown", r"exception|traceback|(Type|Value|Key|Index|Attribute|Reference|Null\w*)Error|undefined is not"),
    )
)
# What the speaker says of itself, whoever else it names.
OF_SELF = frozenset(
    {
        "clock",
        "no_space",
        "no_files",
        "no_memory",
        "no_connections",
        "no_threads",
        "deadlock",
        "locked",
        "poison",
        "overlap",
        "crashed",
        "thrown",
    }
)
# What a client passes on of its database: these words always, the others where the line speaks of one.
OF_DATABASE = frozenset({"deadlock", "locked"})
OF_DATABASE_TOO = frozenset({"denied", "refused", "unreachable", "late"})
DATABASE = re.compile(r"\b(database|db|postgres\w*|mysql|mariadb|mongo\w*|sql|psycopg|jdbc|pgx|odbc)\b", re.IGNORECASE)
NUMBERS = re.compile(r"(?<![\w.-])(?<!rrno )\d+(?:[.:]\d+)*(?![\w-])")
NAMES = re.compile(r"[A-Za-z][\w.-]*[A-Za-z0-9]")
# Where a request goes within a thing: in "no answer to /api/search" and after a URL's host, nobody is named.
PATHS = re.compile(r"""(://[^\s/"']+)/[^\s"']*|(?<![^\s"'(\[=,<>])/(?!/)[^\s"',)\]]*""")
CHARS_MAX = 640
TEXTS_KEPT = 4096


# What is broken off because nobody waits for it any more is no failure of who was asked, nor of what that one asked.
# As the conventions have it for servers of RPC, and proxies for a client that has closed the connection.
CANCELLED = (
    r"\b(cancell?ed|CancelledError|CancellationException|OperationCancell?edException|AbortError|499)\b"
    r"|\bclient (has )?closed"
)
PATIENCE = 2.0  # times what is usual: who has waited for longer had reason to give up
_CANCELLED = re.compile(CANCELLED, re.IGNORECASE)


def is_cancelled(error: str) -> bool:
    """Whether the type or message of an error says that the caller gave up.

    >>> is_cancelled("context canceled"), is_cancelled("TimeoutError"), is_cancelled("QueryCanceled: statement timeout")
    (True, False, False)
    """
    return _CANCELLED.search(error[:CHARS_MAX]) is not None


def word_of(text: str) -> str:
    """What the text speaks of; empty when it is nothing that is known.

    >>> word_of("dial tcp: lookup payments: no such host"), word_of("GET / 200 in 12 ms")
    ('unresolved', '')
    """
    return _word_of(text[:CHARS_MAX])


@lru_cache(TEXTS_KEPT)
def _word_of(text: str) -> str:
    return next((word for word, pattern in LEXICON if pattern.search(text)), "")


def speaks_of_database(text: str, word: str) -> bool:
    """Whether a line is about the database that its speaker uses.

    >>> speaks_of_database("database error: canceling statement due to lock timeout", "locked")
    True
    >>> speaks_of_database("cart refused", "refused")
    False
    """
    return word in OF_DATABASE or (word in OF_DATABASE_TOO and DATABASE.search(text[:CHARS_MAX]) is not None)


def names_in(text: str) -> list[str]:
    """What may be somebody's name, in order; the parts of a request's path are none.

    >>> names_in("no answer to /api/search from http://cart-2:8080/api/pay")
    ['no', 'answer', 'to', 'from', 'http', 'cart-2']
    """
    return NAMES.findall(PATHS.sub(r"\1", text))


def alike(text: str) -> str:
    """The text with the numbers that stand alone made one, so that names keep theirs, and errors of the system, too.

    >>> alike("call to cart-2 failed after 17 ms: [Errno 111]")
    'call to cart-2 failed after 0 ms: [Errno 111]'
    """
    return NUMBERS.sub("0", text[:CHARS_MAX])
