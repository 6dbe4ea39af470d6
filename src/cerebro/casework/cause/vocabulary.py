"""The closed set of words that marks are of: which name a cause outright, and which belong to what."""

from cerebro.spine.cases import Mark

CLEAR = 3.0  # nats, from here on a mark is one
# How directly a mark names what is wrong. The first ones hardly anything else brings about; the next ones are used up
# by the trouble itself or by waiting for another; all the rest is what any trouble looks like.
OUTRIGHT = frozenset(
    {
        "untrusted",
        "unresolved",
        "clock",
        "denied",
        "limited",
        "garbled",
        "no_space",
        "full_disk",
        "no_files",
        "no_memory",
        "deadlock",
        "locked",
        "poison",
        "overlap",
        "unreachable",
        "losing",
        "far",
        "lagging",
        "scanning",
        "long_session",
        "foreign",
        "uneven",
        "stuck",
        "filling",
        "filling_disk",
        "cold",
        "deployed",
        "configured",
        "flagged",
        "migrated",
    }
)
USED_UP = frozenset(
    {
        "busy_cpu",
        "growing",
        "full_memory",
        "collecting",
        "many_files",
        "held_pool",
        "no_connections",
        "no_threads",
        "crashed",
        "slow_disk",
        "piling_up",
        "undrained",
        "retrying",
        "surged",
        "refused",
        "silent",
    }
)
CHANGED = {
    "deploy": "deployed", "rollout": "deployed", "release": "deployed", "config": "configured", "flag": "flagged",
    "feature_flag": "flagged", "migration": "migrated", "schedule": "scheduled",
}  # fmt: skip
# What is held while one waits: where a thing itself says that another is the trouble, that is why.
HELD = frozenset(
    {
        "held_pool",
        "retrying",
        "waiting_pool",
        "no_connections",
        "no_threads",
        "many_files",
        "busy",
        "late",
        "failing",
        "thrown",
        "uneven",
        "starved",
    }
)
AWAY = frozenset({"refused", "crashed", "silent"})
OCCUPIED = HELD | {"stuck"}  # and what its requests look like meanwhile


def worth(mark: Mark) -> int:
    """As `telling`; what is only claimed names nothing.

    >>> worth(Mark("poison", 9.0)), worth(Mark("poison", 9.0, claimed=True))
    (3, 1)
    """
    return 1 if mark.claimed else telling(mark.word)


def telling(word: str) -> int:
    """3 for a mark that names a cause outright, 2 for one of something used up, 1 for any other."""
    return 3 if word in OUTRIGHT else 2 if word in USED_UP else 1
