# mypy: ignore-errors
# ruff: noqa: PLR0911, PLR0912, PLR0915, PLR0917, PLR1714, SIM102, SIM109, SIM110
# A kernel: numba types it by what it is given, it is long where a call would cost, and it compares one by one.
"""Cut log lines into tokens and name each line's skeleton: one pass over Arrow's bytes, no object per line.

A skeleton is the line with everything that is a variable by its form taken out: numbers, times, addresses, paths,
identifiers, the values of `key=value` and of JSON. What stays are words and punctuation. Two lines of one skeleton have
one 64-bit name, so that a line whose skeleton is known costs one look-up.

The forms are those of typed tokens, the same for every system; there is no expression for any one of them.

Source: the idea of typed tokens before any clustering is in P. He et al., Drain: An Online Log Parsing Approach with
Fixed Depth Tree, ICWS 2017, and S. Yu et al., Brain: Log Parsing with Bidirectional Parallel Tree, IEEE TSC 16 (2023);
what people hold for a variable is told by Z. A. Khan et al., Guidelines for Assessing the Accuracy of Log Message
Template Identification Techniques, ICSE 2022.
"""

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cerebro.algorithms.native import native

LINE_BYTES_MAX = 4096  # what lies behind is not looked at: a template is told by its beginning
TOKENS_MAX = 256
FOLDED_LINES_MAX = 4  # lines of a stack trace that say what failed
QUOTED_BYTES_MAX = 1024
CHOICE_BYTES_MAX = 32  # of a value that may be one of a few


class Form(IntEnum):
    """What a token is. From `NUMBER` on it is a variable."""

    WORD = 0
    MARK = 1  # punctuation
    MIXED = 2  # letters and a few digits: a name (`ssh2`) until a second value is seen (`eth0`, `eth1`)
    DOTTED = 3  # org.example.Thing: a name until a second value is seen
    NUMBER = 4
    HEX = 5
    ADDRESS = 6  # IP, MAC, host:port
    PATH = 7  # path or URL
    UUID = 8
    QUANTITY = 9  # a number with its unit: size, duration
    TIME = 10  # time of day or date
    EMAIL = 11
    TRUTH = 12
    NAME = 13  # an identifier with many digits
    VALUE = 14  # of a key


FIRST_VARIABLE = int(Form.NUMBER)
START, END, FORM, SPACE = range(4)  # columns of a token

_WORD, _MARK, _MIXED, _DOTTED, _NUMBER, _HEX, _ADDRESS, _PATH = range(8)
_UUID, _QUANTITY, _TIME, _EMAIL, _TRUTH, _NAME, _VALUE = range(8, 15)

# Classes of bytes.
_BLANK, _HARD, _DIGIT, _HEXLETTER, _LETTER, _SOFT = range(6)


def _classes() -> NDArray[np.uint8]:
    table = np.full(256, _SOFT, np.uint8)
    table[:33] = _BLANK
    table[127] = _BLANK
    for mark in b"=()[]{}<>,;\"'|*!?":
        table[mark] = _HARD
    for letter in range(ord("a"), ord("z") + 1):
        table[letter] = table[letter - 32] = _HEXLETTER if letter <= ord("f") else _LETTER
    table[ord("0") : ord("9") + 1] = _DIGIT
    table[128:] = _LETTER
    return table


CLASSES = _classes()
_MONTHS = np.array([int.from_bytes(m, "big") for m in b"jan feb mar apr may jun jul aug sep oct nov dec".split()])
_WEEKDAYS = np.array([int.from_bytes(d, "big") for d in b"mon tue wed thu fri sat sun".split()])
_PRIME = np.uint64(0x100000001B3)
_BASIS = np.uint64(0xCBF29CE484222325)
_VARIABLE = np.uint64(0x9E3779B97F4A7C15)
_DOTS = np.uint64(0xC2B2AE3D27D4EB4F)
_SPREAD = np.uint64(0xFF51AFD7ED558CCD)
_DOT, _COLON, _SLASH, _DASH, _UNDER, _AT, _PLUS, _BACK = (ord(c) for c in ".:/-_@+\\")
_EQUAL, _QUOTE, _NEWLINE, _ESCAPE = ord("="), ord('"'), 10, 27


@native
def _hash(b: Any, start: int, end: int, seed: np.uint64) -> np.uint64:
    h = seed
    for i in range(start, end):
        h = (h ^ np.uint64(b[i])) * _PRIME
    return h


@native
def _shape(b: Any, start: int, end: int, seed: np.uint64) -> np.uint64:
    """The hash with each run of digits as one mark."""
    h = seed
    digit = False
    for i in range(start, end):
        is_digit = 48 <= b[i] <= 57
        if not is_digit:
            h = (h ^ np.uint64(b[i])) * _PRIME
        elif not digit:
            h = (h ^ np.uint64(35)) * _PRIME
        digit = is_digit
    return h


@native
def _truth(b: Any, start: int, end: int) -> bool:
    """true, false, null, none, nil, whatever their case."""
    n = end - start
    if n < 3 or n > 5:
        return False
    v = np.uint64(0)
    for i in range(start, end):
        v = (v << np.uint64(8)) | np.uint64(b[i] | 32)
    return bool(
        v == np.uint64(0x74727565)
        or v == np.uint64(0x66616C7365)
        or v == np.uint64(0x6E756C6C)
        or v == np.uint64(0x6E6F6E65)
        or v == np.uint64(0x6E696C)
    )


@native
def _domain(b: Any, start: int, end: int) -> bool:
    """Whether the last label is a top-level domain that addresses of machines commonly end with."""
    at = end
    while at > start and b[at - 1] != _DOT:
        at -= 1
    n = end - at
    if at == start or n < 2 or n > 5:
        return False
    v = np.uint64(0)
    for i in range(at, end):
        v = (v << np.uint64(8)) | np.uint64(b[i])
    for known in _DOMAINS:
        if v == known:
            return True
    return False


_DOMAINS = np.array(
    [
        int.from_bytes(each, "big")
        for each in b"com net org edu gov ru cn hk uk de fr jp eu in br tw it nl pl us ca au local lan host".split()
    ],
    np.uint64,
)


@native
def _form(b: Any, classes: Any, s: int, e: int) -> int:
    """What the run of bytes is by its form; `_WORD` when nothing makes it a variable, `_MIXED` when little does."""
    digits = hexes = letters = dots = dashes = unders = colons = slashes = ats = backs = soft = 0
    for i in range(s, e):
        c = b[i]
        k = classes[c]
        if k == _DIGIT:
            digits += 1
        elif k == _HEXLETTER:
            hexes += 1
        elif k == _LETTER:
            letters += 1
        elif c == _DOT:
            dots += 1
        elif c == _DASH:
            dashes += 1
        elif c == _UNDER:
            unders += 1
        elif c == _COLON:
            colons += 1
        elif c == _SLASH:
            slashes += 1
        elif c == _AT:
            ats += 1
        elif c == _BACK:
            backs += 1
        else:
            soft += 1
    n = e - s
    alphas = hexes + letters
    first = b[s]
    if colons >= 1 and dashes >= 2 and digits >= 10 and alphas <= 2 and slashes == 0 and classes[first] == _DIGIT:
        return _TIME  # 2024-05-01T10:00:00Z
    if slashes >= 1 and colons >= 1:
        for i in range(s, e):
            if b[i] == _COLON:
                if i + 2 < e and b[i + 1] == _SLASH and b[i + 2] == _SLASH:
                    return _PATH
                return _WORD  # key:/a/path, address/address:port
            if b[i] == _SLASH:
                if alphas == 0 and i > s:
                    return _WORD
                break
    if first == _SLASH and n > 1 and (alphas + digits > 0):
        return _PATH if alphas else _ADDRESS
    if (backs >= 2 and alphas) or (n > 2 and colons >= 1 and b[s + 1] == _COLON and b[s + 2] == _BACK):
        return _PATH
    if alphas == 0:
        if digits == 0:
            return _MARK
        if slashes == 1 or _doubled(b, s, e):
            return _WORD
        if dots == 3 and digits >= 4 and dashes == 0:
            return _ADDRESS
        if colons >= 1 or dashes >= 2 or slashes == 2:
            return _TIME
        return _NUMBER
    if digits == 0:
        if letters == 0 and n == alphas and n >= 8:
            return _HEX
        if _truth(b, s, e):
            return _TRUTH
        if slashes >= 1 and (dots >= 1 or slashes >= 3):
            return _PATH
        if n == 3 and slashes == 1 and (first | 32) == 110 and (b[e - 1] | 32) == 97:
            return _TRUTH  # n/a
        if ats == 1 and dots >= 1 and slashes == 0 and colons == 0 and first != _AT and b[e - 1] != _AT:
            return _EMAIL
        if dots >= 1 and colons == 0 and slashes == 0 and _domain(b, s, e) and soft == 0:
            return _ADDRESS
        if dots >= 2 and n == alphas + dots + unders + dashes and first != _DOT:
            return _DOTTED
        return _WORD
    if n > 2 and first == 48 and (b[s + 1] | 32) == 120:
        hexed = True
        for i in range(s + 2, e):
            k = classes[b[i]]
            hexed = hexed and (k == _DIGIT or k == _HEXLETTER)
        if hexed:
            return _HEX
    if letters == 0:
        if dashes == 4 and n == 36:
            return _UUID
        if colons >= 2 and soft == 0:
            return _ADDRESS
        if n == digits + hexes and n >= 5:
            return _HEX
    if slashes == 0 and unders == 0 and ats == 0 and colons == 0 and _quantity(b, classes, s, e):
        return _QUANTITY
    if (first | 32) == 118 and dots >= 1 and alphas == 1 and slashes == 0 and colons == 0:
        return _NUMBER  # a version
    if ats == 1 and slashes == 0 and colons == 0:
        return _EMAIL if dots else _NAME
    if colons == 1 and slashes == 0 and not _humped(b, s, e):
        i = e - 1
        while i > s and classes[b[i]] == _DIGIT:
            i -= 1
        if i < e - 1 and b[i] == _COLON and (dots >= 1 or digits > e - 1 - i):
            return _ADDRESS
    if slashes == 1 and _protocol(b, classes, s, e):
        return _WORD
    if colons == 0 and (slashes >= 2 or (slashes == 1 and alphas > 1)):
        return _PATH
    if colons == 0 and digits >= 8 and n >= 12:
        return _NAME
    if dots >= 1 and colons == 0 and slashes == 0 and soft == 0:
        if _domain(b, s, e):
            return _ADDRESS
        if classes[b[e - 1]] != _DIGIT and not _humped(b, s, e):
            return _NAME  # a file, a host
    if dots or colons or slashes or soft:
        return _WORD  # to be cut further
    if digits >= 4 or _numbered(b, classes, s, e):
        return _NAME
    return _MIXED


@native
def _doubled(b: Any, s: int, e: int) -> bool:
    """Whether a soft mark that joins no number stands twice in a row, as in 7007##548."""
    for i in range(s, e - 1):
        if b[i] == b[i + 1] and not 48 <= b[i] <= 57 and b[i] != _DOT and b[i] != _DASH and b[i] != _COLON:
            return True
    return False


@native
def _humped(b: Any, s: int, e: int) -> bool:
    """Whether a capital follows a small letter, as in the names that programmers give."""
    for i in range(s, e - 1):
        if 97 <= b[i] <= 122 and 65 <= b[i + 1] <= 90:
            return True
    return False


@native
def _protocol(b: Any, classes: Any, s: int, e: int) -> bool:
    """Letters, a slash, a number: HTTP/1.1."""
    i = s
    while i < e and (classes[b[i]] == _LETTER or classes[b[i]] == _HEXLETTER):
        i += 1
    if i == s or i == e or b[i] != _SLASH:
        return False
    i += 1
    while i < e and (classes[b[i]] == _DIGIT or b[i] == _DOT):
        i += 1
    return bool(i == e)


@native
def _quantity(b: Any, classes: Any, s: int, e: int) -> bool:
    """Numbers, each with at most three letters behind it: 300ms, 5.2KB, +1s0ms."""
    i = s
    if b[i] == _PLUS or b[i] == _DASH:
        i += 1
    if i >= e or classes[b[i]] != _DIGIT:
        return False
    while i < e:
        seen = i
        while i < e and (classes[b[i]] == _DIGIT or b[i] == _DOT):
            i += 1
        if i == seen:
            return False
        seen = i
        while i < e and (classes[b[i]] == _LETTER or classes[b[i]] == _HEXLETTER):
            i += 1
        if i - seen > 3:
            return False
        if i < e and i == seen:
            return False
    return True


@native
def _numbered(b: Any, classes: Any, s: int, e: int) -> bool:
    """Whether it ends in a number behind a dash or an underscore: node-7, rdd_2_1."""
    i = e - 1
    while i > s and classes[b[i]] == _DIGIT:
        i -= 1
    return bool(i < e - 1 and (b[i] == _DASH or b[i] == _UNDER))


@native
def _emit(tokens: Any, count: int, start: int, end: int, form: int, space: bool) -> int:
    if count < len(tokens):
        tokens[count, 0] = start
        tokens[count, 1] = end
        tokens[count, 2] = form
        tokens[count, 3] = space
        return count + 1
    return count


@native
def _emit_word(b: Any, classes: Any, s: int, e: int, tokens: Any, count: int, space: bool) -> int:
    """The tokens of a run without blanks and hard marks."""
    tail = e
    while tail > s and (b[tail - 1] == _DOT or b[tail - 1] == _COLON or b[tail - 1] == _DASH):
        tail -= 1
    if tail > s:
        form = _form(b, classes, s, tail)
        if form != _WORD:
            count = _emit(tokens, count, s, tail, form, space)
            space = False
        else:
            count = _emit_parts(b, classes, s, tail, tokens, count, space)
            space = False
    if tail < e:
        count = _emit(tokens, count, tail, e, _MARK, space)
    return count


@native
def _emit_parts(b: Any, classes: Any, s: int, e: int, tokens: Any, count: int, space: bool) -> int:
    """Cut at colons and at runs of dots; what still holds digits also at the softer marks."""
    i = s
    while i < e:
        stop = i
        while (
            stop < e
            and b[stop] != _COLON
            and b[stop] != _SLASH
            and not (b[stop] == _DOT and stop + 1 < e and b[stop + 1] == _DOT)
        ):
            stop += 1
        if stop > i:
            whole = i == s and stop == e
            form = _WORD if whole else _form(b, classes, i, stop)
            if form != _WORD:
                count = _emit(tokens, count, i, stop, form, space)
            else:
                count = _emit_pieces(b, classes, i, stop, tokens, count, space)
            space = False
        i = stop
        while i < e and (
            b[i] == _COLON or b[i] == _SLASH or (b[i] == _DOT and (i > stop or (i + 1 < e and b[i + 1] == _DOT)))
        ):
            i += 1
        if i > stop:
            count = _emit(tokens, count, stop, i, _MARK, space)
            space = False
    return count


@native
def _emit_pieces(b: Any, classes: Any, s: int, e: int, tokens: Any, count: int, space: bool) -> int:
    digits = 0
    for i in range(s, e):
        digits += classes[b[i]] == _DIGIT
    if digits == 0:
        return _emit(tokens, count, s, e, _WORD, space)
    i = s
    while i < e:
        stop = i
        while stop < e and (classes[b[stop]] != _SOFT or b[stop] == _UNDER or b[stop] == _DASH):
            stop += 1
        if stop > i:
            count = _emit(tokens, count, i, stop, _form(b, classes, i, stop), space)
            space = False
        i = stop
        while i < e and classes[b[i]] == _SOFT and b[i] != _UNDER and b[i] != _DASH:
            i += 1
        if i > stop:
            count = _emit(tokens, count, stop, i, _MARK, space)
            space = False
    return count


@native
def _says(b: Any, start: int, end: int) -> bool:
    """Whether the JSON key before the quote at `end` holds the message itself: `msg`, `message`, `event`, `error`."""
    n = end - start
    if n < 3:
        return False
    v = (
        (np.uint64(b[end - 3] | 32) << np.uint64(16))
        | (np.uint64(b[end - 2] | 32) << np.uint64(8))
        | np.uint64(b[end - 1] | 32)
    )
    return bool(
        v == np.uint64(0x6D7367) or v == np.uint64(0x616765) or v == np.uint64(0x656E74) or v == np.uint64(0x726F72)
    )


@native
def _closing(b: Any, start: int, stop: int) -> int:
    """Where the quoted text that begins here ends; -1 when it does not."""
    i = start
    limit = min(stop, start + QUOTED_BYTES_MAX)
    while i < limit and b[i] != _QUOTE and b[i] != _NEWLINE:
        i += 2 if b[i] == _BACK else 1
    return i if i < limit and b[i] == _QUOTE else -1


@native
def cut(b: Any, classes: Any, start: int, stop: int, tokens: Any) -> int:
    """The tokens of one line, `int32, (n, 4)` of start, end, form, blank before; answers their count."""
    end = min(stop, start + LINE_BYTES_MAX)
    count, i, space, folded, key = 0, start, False, 0, -1
    while i < end and count < len(tokens):
        c = b[i]
        k = classes[c]
        if k == _BLANK:
            if c == _ESCAPE and i + 1 < end and b[i + 1] == 91:  # colours of a terminal
                i += 2
                while i < end and not (64 <= b[i] <= 126):
                    i += 1
                i += 1
                continue
            if c == _NEWLINE:
                i = _fold(b, classes, i + 1, end)
                folded += 1
                if folded > FOLDED_LINES_MAX:
                    break
                space = count > 0
                continue
            space = count > 0
            i += 1
            continue
        if k == _HARD:
            count = _emit(tokens, count, i, i + 1, _MARK, space)
            space = False
            i += 1
            if c == 41 and count >= 5 and tokens[count - 2, 2] == _QUANTITY and b[tokens[count - 3, 0]] == 40:
                if tokens[count - 5, 2] == _NUMBER and _is_bytes(b, tokens[count - 4]):
                    count -= 3  # 5210 bytes (5.08 KB): one size, told twice
            if c == _QUOTE:
                if key >= 0 and i < end and b[i] == _COLON:  # "key": of JSON
                    j = i + 1
                    while j < end and b[j] == 32:
                        j += 1
                    if j < end and b[j] == _QUOTE and not _says(b, key, i - 1):
                        shut = _closing(b, j + 1, end)
                        if shut >= 0:
                            count = _emit(tokens, count, i, i + 1, _MARK, False)
                            count = _emit(tokens, count, j, j + 1, _MARK, j > i + 1)
                            count = _emit(tokens, count, j + 1, shut, _VALUE, False)
                            count = _emit(tokens, count, shut, shut + 1, _MARK, False)
                            i = shut + 1
                            key = -1
                            continue
                key = i if key < 0 else -1
            elif c == _EQUAL and i < end and i - 2 >= start and classes[b[i - 2]] >= _DIGIT:
                if b[i] == _QUOTE:
                    shut = _closing(b, i + 1, end)
                    if shut > i + 1:
                        count = _emit(tokens, count, i, i + 1, _MARK, False)
                        count = _emit(tokens, count, i + 1, shut, _VALUE, False)
                        count = _emit(tokens, count, shut, shut + 1, _MARK, False)
                        i = shut + 1
                elif classes[b[i]] >= _DIGIT:
                    j = i
                    while j < end and classes[b[j]] >= _DIGIT:
                        j += 1
                    if j == end or (b[j] != 40 and b[j] != 91 and b[j] != 123):
                        tail = j
                        while tail > i and (b[tail - 1] == _DOT or b[tail - 1] == _COLON):
                            tail -= 1
                        if tail > i:
                            form = _form(b, classes, i, tail)
                            count = _emit(tokens, count, i, tail, form if form >= _NUMBER else _VALUE, False)
                        if j > tail:
                            count = _emit(tokens, count, tail, j, _MARK, False)
                        i = j
            continue
        j = i + 1
        while j < end:
            if classes[b[j]] < _DIGIT:
                if not (
                    b[j] == 39 and j + 1 < end and classes[b[j + 1]] >= _HEXLETTER and classes[b[j - 1]] >= _HEXLETTER
                ):
                    # The apostrophe of "can't" belongs to the word, a query to its address.
                    if not ((b[j] == 63 or b[j] == _EQUAL or b[j] == 42) and _located(b, i, j)):
                        break
            j += 1
        count = _joined(b, i, j, tokens, _emit_word(b, classes, i, j, tokens, count, space), count)
        space = False
        i = j
    return count


@native
def _joined(b: Any, s: int, e: int, tokens: Any, count: int, before: int) -> int:
    """The count once a unit of size has joined its number (5.2 KB) and a year or a time its date."""
    if count != before + 1 or before == 0:
        return count
    last = tokens[before - 1]
    if last[2] == _NUMBER and tokens[before, 3] and _is_size(b, s, e):
        last[1], last[2] = e, _QUANTITY
        return before
    form = tokens[before, 2]
    if last[2] == _NUMBER and before >= 2 and b[last[0] - 1] == 60 and tokens[before, 3] and _is_second(b, s, e):
        tokens[before - 2, 1], tokens[before - 2, 2] = e, _QUANTITY  # <1 sec
        return before - 1
    if last[2] == _WORD and last[1] - last[0] == 3 and form <= _NUMBER:
        if _month(b, last[0]) and form == _NUMBER and e - s <= 2:
            last[1], last[2] = e, _TIME
            if before >= 2 and tokens[before - 2, 2] == _WORD and _weekday(b, tokens[before - 2]):
                tokens[before - 2, 1], tokens[before - 2, 2] = e, _TIME
                return before - 1
            return before
    elif last[2] == _TIME and _spelled(b, last[0]):
        if (
            form == _TIME
            or (form == _NUMBER and e - s == 4)
            or (form == _WORD and 3 <= e - s <= 4 and _capitals(b, s, e))
        ):
            last[1] = e
            return before
    return count


@native
def _spelled(b: Any, s: int) -> bool:
    """Whether a time begins with a word: it is a date spelled out, which may go on."""
    return bool(b[s] >= 65)


@native
def _capitals(b: Any, s: int, e: int) -> bool:
    for i in range(s, e):
        if not 65 <= b[i] <= 90:
            return False
    return True


@native
def _three(b: Any, s: int) -> int:
    return int((b[s] | 32) << 16 | (b[s + 1] | 32) << 8 | (b[s + 2] | 32))


@native
def _month(b: Any, s: int) -> bool:
    v = _three(b, s)
    for known in _MONTHS:
        if v == known:
            return True
    return False


@native
def _weekday(b: Any, token: Any) -> bool:
    if token[1] - token[0] != 3:
        return False
    v = _three(b, token[0])
    for known in _WEEKDAYS:
        if v == known:
            return True
    return False


@native
def _is_second(b: Any, s: int, e: int) -> bool:
    """s, ms, sec, second, seconds, min."""
    n = e - s
    if n == 1:
        return bool(b[s] == 115)
    if n == 2:
        return bool(b[s] == 109 and b[s + 1] == 115)
    if n != 3 and n != 6 and n != 7:
        return False
    v = _three(b, s)
    return bool(v == 0x736563 or (n == 3 and v == 0x6D696E))


@native
def _is_bytes(b: Any, token: Any) -> bool:
    s = token[0]
    return bool(token[1] - s == 5 and b[s] == 98 and b[s + 1] == 121 and b[s + 2] == 116 and b[s + 4] == 115)


@native
def _is_size(b: Any, s: int, e: int) -> bool:
    """B, KB, MiB …"""
    n = e - s
    if n > 3 or b[e - 1] != 66:
        return False
    if n == 1:
        return True
    lead = b[s] & 0xDF
    scaled = lead == 75 or lead == 77 or lead == 71 or lead == 84 or lead == 80
    return bool(scaled and (n == 2 or b[s + 1] == 105))


@native
def _located(b: Any, s: int, e: int) -> bool:
    """Whether the run is a path or a URL so far."""
    if b[s] == _SLASH and e - s > 1:
        return True
    for i in range(s, e - 2):
        if b[i] == _COLON:
            return bool(b[i + 1] == _SLASH and b[i + 2] == _SLASH)
    return False


@native
def _fold(b: Any, classes: Any, i: int, end: int) -> int:
    """Past the frames of a stack trace: the next line that is not indented and no frame, or the end."""
    while i < end:
        if (
            classes[b[i]] == _BLANK
            or (b[i] == 97 and i + 2 < end and b[i + 1] == 116 and b[i + 2] == 32)
            or b[i] == _DOT
        ):
            while i < end and b[i] != _NEWLINE:
                i += 1
            i += 1
        else:
            return i
    return end


@native
def name_lines(
    b: Any, offsets: Any, classes: Any, tokens: Any, names: Any, slots: Any, skeleton_row: Any, mixed: Any, varied: Any,
    rows: Any, slot_mask: np.uint64,
) -> int:  # fmt: skip
    """Name the skeleton of every line that has no row yet and find its row; answers how many have none still.

    A `MIXED` token counts as its shape; its first value is kept with the skeleton, and a second one marks it as varied.
    """
    unknown = 0
    firsts = np.empty(64, np.uint64)
    for k in range(len(offsets) - 1):
        if rows[k] >= 0:
            continue
        count = cut(b, classes, offsets[k], offsets[k + 1], tokens)
        name, mixes = name_of(b, tokens, count, firsts)
        names[k] = name
        at = name & slot_mask
        while skeleton_row[at] >= 0 and slots[at] != name:
            at = (at + np.uint64(1)) & slot_mask
        row = skeleton_row[at]
        rows[k] = row
        if row < 0:
            unknown += 1
            continue
        for m in range(min(mixes, 64)):
            bit = np.uint64(1) << np.uint64(m)
            if varied[row] & bit == 0 and mixed[row, m % 16] != 0 and mixed[row, m % 16] != firsts[m]:
                varied[row] |= bit
    return unknown


@native
def name_of(b: Any, tokens: Any, count: int, firsts: Any) -> Any:
    """The 64-bit name of the skeleton, and the hashes of its mixed tokens' values."""
    h = _BASIS
    mixes = 0
    for t in range(count):
        s, e, form = tokens[t, 0], tokens[t, 1], tokens[t, 2]
        if tokens[t, 3]:
            h = (h ^ np.uint64(32)) * _PRIME
        if form >= _NUMBER:
            h = (h ^ _VARIABLE) * _PRIME
        elif form == _MIXED or form == _DOTTED:
            h = _shape(b, s, e, h ^ np.uint64(1)) if form == _MIXED else (h ^ _DOTS) * _PRIME
            if mixes < 64:
                firsts[mixes] = _hash(b, s, e, _BASIS) | np.uint64(1)
            mixes += 1
        else:
            h = _hash(b, s, e, h)
        h ^= h >> np.uint64(32)
    h = (h ^ (h >> np.uint64(33))) * _SPREAD
    return h ^ (h >> np.uint64(33)), mixes


@native
def numbers_of(b: Any, offsets: Any, classes: Any, tokens: Any, values: Any, chosen: Any) -> None:
    """The first plain numbers of each line, `float64, (n, k)`; NaN where it has fewer. The units are the line's own.

    Into `chosen`, `uint64, (n, k)`, go hashes of the first values of keys that are words; 0 where it has fewer.
    """
    for k in range(len(offsets) - 1):
        count = cut(b, classes, offsets[k], offsets[k + 1], tokens)
        found, words = 0, 0
        for t in range(count):
            form, s, e = tokens[t, 2], tokens[t, 0], tokens[t, 1]
            if (form == _NUMBER or form == _QUANTITY) and found < values.shape[1]:
                values[k, found] = _number(b, classes, s, e)
                found += 1
            elif form == _VALUE and words < chosen.shape[1] and e - s <= CHOICE_BYTES_MAX:
                kind = classes[b[s]]
                if kind == _LETTER or kind == _HEXLETTER:
                    chosen[k, words] = _hash(b, s, e, np.uint64(words + 1)) | np.uint64(1)
                words += 1


@native
def _number(b: Any, classes: Any, s: int, e: int) -> float:
    """A decimal number at the beginning of the run; NaN when there is none."""
    i, sign = s, 1.0
    if i < e and (b[i] == _DASH or b[i] == _PLUS):
        sign = -1.0 if b[i] == _DASH else 1.0
        i += 1
    if i >= e or classes[b[i]] != _DIGIT:
        return np.nan
    value, scale, behind = 0.0, 1.0, False
    while i < e and (classes[b[i]] == _DIGIT or (b[i] == _DOT and not behind)):
        if b[i] == _DOT:
            behind = True
        else:
            value = value * 10.0 + (b[i] - 48)
            scale *= 10.0 if behind else 1.0
        i += 1
    return sign * value / scale
