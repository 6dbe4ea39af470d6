"""SQL that a person wrote, kept to its tenant: what may be asked is judged by the engine's own reading of it.

Four fences, each of which would do for most attempts: the engine's syntax tree names only what is
allowed here; its resolved query tree reads only the product's tables; every one of these tables has a
row filter on the tenant; and the statement runs read-only, so that it can lift none of the above.
The trees come as text with one node a line. A name with a line break can add lines, never hide one,
and every line can only forbid.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise, takewhile

from cerebro.spine.errors import Forbidden, Invalid
from cerebro.spine.identity import TenantId

TABLES = ("samples", "series", "samples_5m", "samples_1h", "logs", "spans", "events")
SQL_CHARS_MAX = 64 * 1024
TABLE_FUNCTIONS = frozenset({"numbers", "numbers_mt", "zeros", "generate_series", "generateseries", "values"})

# Functions that look past the rows at hand, at the server, its files or another service; or that idle.
FUNCTIONS = re.compile(
    r"dict\w+|joinget\w*|file|filesystem\w+|hascolumnintable|getsetting\w*|getmacro|getserver\w+|getmergetreesetting"
    r"|hostname|fqdn|fullhostname|tcpport|serveruuid|displayname|uptime|buildid|getoskernelversion|showcertificate"
    r"|user|current\w*user|currentroles|enabledroles|defaultroles|currentprofiles|authenticateduser|getclienthttpheader"
    r"|database|schema|current_?database|current_?schemas|connection_?id|zookeeper\w+|reversednsquery|addressto\w+"
    r"|catboostevaluate|naivebayes\w*|ai[a-z]+|generate\w*embedding|sleep\w*|initializeaggregation|evalmlmethod|executable"
)
SETS = frozenset({"in", "notin", "nullin", "notnullin", "globalin", "globalnotin", "globalnullin", "globalnotnullin"})
ELSEWHERE = re.compile(r"(?:system|information_schema)\s*\.|schema_versions\b|samples_to_", re.IGNORECASE)

# The whole is one SELECT and the format that our own client adds; INTO OUTFILE would be a third child.
ROOT = "SelectWithUnionQuery (children 2)"
LAST = " Identifier ArrowStream"
NODE = re.compile(r"(?P<depth> *)(?P<kind>\w+)(?: (?P<name>.*))?")
SUFFIX = re.compile(r" ?\((?:alias|children) .*")
STATEMENTS = re.compile(r"Set|Explain|ParallelWithQuery|(?!Select|TablesIn)\w+Query")
RECURSION = "_temporary_and_external_tables._tmp_"  # what WITH RECURSIVE reads; the syntax admits no such name
TREE_TABLE = re.compile(r"\s*TABLE id: .*?table_name: (?P<name>[^,]*).*")
TREE_FUNCTION = re.compile(r"\s*TABLE_FUNCTION id: .*?table_function_name: (?P<name>\w+).*")


@dataclass(frozen=True, slots=True)
class Node:
    """One line of the syntax tree."""

    depth: int
    kind: str
    name: str


FAILED_ON_A_VALUE = re.compile(r"while executing|Cannot parse|Cannot convert", re.IGNORECASE)
ERROR_NAME = re.compile(r"\(([A-Z][A-Z_]+)\)\W*$")


def one_statement(sql: str) -> str:
    """The SQL without what may follow its end.

    Raises:
        Invalid: It is empty or too long.
        Forbidden: It has a `;` before its end. A literal can say `char(59)`.
    """
    trimmed = sql.strip().rstrip(";").strip()
    if not trimmed or len(trimmed) > SQL_CHARS_MAX:
        raise Invalid(f"The SQL is empty or over {SQL_CHARS_MAX} characters.")
    if ";" in trimmed:
        raise Forbidden("Only one statement at a time.", "Write a `;` in a text as char(59).")
    return trimmed


def settings_of(tenant: TenantId, database: str) -> dict[str, object]:
    """The settings that show each table as if it held the tenant's rows alone."""
    only = f"tenant = {_quoted(tenant)}"
    filters = ", ".join(f"{_quoted(f'{database}.{table}')}: {_quoted(only)}" for table in TABLES)
    return {
        "additional_table_filters": f"{{{filters}}}",
        "allow_introspection_functions": 0,
        "allow_ddl": 0,
        "use_query_cache": 0,
        "optimize_trivial_count_query": 0,
    }


def judge_syntax(lines: Sequence[str], database: str) -> None:
    """Judge the lines of `EXPLAIN AST`.

    Raises:
        Forbidden: It is more than a SELECT, or names what is out of bounds.
    """
    if not lines or lines[0] != ROOT or lines[-1] != LAST:
        raise Forbidden("Only a SELECT can be asked here, without INTO OUTFILE, FORMAT or EXPLAIN.")
    nodes = [_node(found) for line in lines if (found := NODE.fullmatch(line))]
    for parent, node in pairwise(nodes):
        if STATEMENTS.fullmatch(node.kind):
            raise Forbidden("SETTINGS and statements other than SELECT are not allowed here.")
        if node.kind == "TableIdentifier":
            _judge_table(node.name, database)
        elif node.kind == "Identifier" and ELSEWHERE.match(node.name):
            raise _out_of_bounds(node.name)
        elif node.kind == "Function":
            _judge_function(node.name.lower(), reads=parent.kind == "TableExpression")
    for name in _sets(nodes):
        _judge_table(name, database)


def judge_tree(lines: Iterable[str], database: str) -> None:
    """Judge the lines of `EXPLAIN QUERY TREE`: what is read once every name is resolved.

    Raises:
        Forbidden: Something besides the product's tables is read.
    """
    allowed = {f"{database}.{table}" for table in TABLES} | {"system.one"}  # which stands where there is no FROM
    for line in lines:
        table = TREE_TABLE.fullmatch(line)
        if table and table["name"] not in allowed and not table["name"].startswith(RECURSION):
            raise _out_of_bounds(table["name"])
        if function := TREE_FUNCTION.fullmatch(line):
            _judge_function(function["name"].lower(), reads=True)


def without_values(error: Invalid) -> Invalid:
    """The refusal without the value that it failed on, which may be another tenant's.

    The engine works a function out on the dictionary of a column, and a dictionary is shared by all rows of a part.
    """
    if not FAILED_ON_A_VALUE.search(error.detail):
        return error
    name = ERROR_NAME.search(error.detail)
    return Invalid(
        f"The store could not work out a function on some value ({name[1] if name else 'no name'}).",
        "Use the form of the function that ends in OrNull.",
    )


def _node(found: re.Match[str]) -> Node:
    return Node(len(found["depth"]), found["kind"], SUFFIX.sub("", found["name"] or ""))


def _judge_table(name: str, database: str) -> None:
    """A name with a dot must be one of ours; one without is ours or the query's own, as the tree will tell."""
    place, dot, table = name.rpartition(".")
    if ELSEWHERE.match(name) or (dot and (place != database or table not in TABLES)):
        raise _out_of_bounds(name)


def _judge_function(name: str, *, reads: bool) -> None:
    if reads and name not in TABLE_FUNCTIONS:
        raise Forbidden(f"The table function {name} is not allowed here.")
    if not reads and FUNCTIONS.fullmatch(name):
        raise Forbidden(f"The function {name} is not allowed here.")


def _sets(nodes: Sequence[Node]) -> Iterator[str]:
    """The names on the right of an IN that may be tables: those with a dot."""
    for place, node in enumerate(nodes):
        if node.kind == "Function" and node.name.lower() in SETS:
            arguments = [each for each in _below(nodes, place) if each.depth == node.depth + 2]
            yield from (each.name for each in arguments[1:] if each.kind == "Identifier" and "." in each.name)


def _below(nodes: Sequence[Node], place: int) -> Iterator[Node]:
    return takewhile(lambda each: each.depth > nodes[place].depth, islice(nodes, place + 1, None))


def _out_of_bounds(name: str) -> Forbidden:
    return Forbidden(f"{name} is out of bounds here.", f"The tables are {', '.join(TABLES)}.")


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
