"""What the diagnosis says in English, in Russian: one pattern a sentence form; what fits none stays as it is.

Names, numbers and what came from outside are carried over as they stand.
"""

import re

from cerebro.casework.phrases import ENTITY_KINDS_RU

THING = r"(?P<{0}>[a-z_]+/(?:“[^”]*”|\S+?))"  # `kind/name`, or `kind/“a name”`
WHO, OTHER = THING.format("who"), THING.format("other")
FROM_TO = r"(?P<before>\S+) to (?P<now>\S+?)"
SHARES = r"(?P<before>\S+) % before, (?P<now>\S+) % now"
MOVED = {"rose": "выросло", "fell": "упало"}
LONGER = {"took longer": "занимает дольше", "took less time": "занимает меньше"}
SAID = {"is said more often": "встречается чаще", "is said less often": "встречается реже"}

FORMS: tuple[tuple[str, str], ...] = (
    (rf"(?P<what>.+) of {WHO} towards {OTHER} (?P<moved>rose|fell) from {FROM_TO}\.",
     "{what}, {who} к {other}: {moved} с {before} до {now}."),
    (rf"(?P<what>.+) of {WHO} (?P<moved>rose|fell) from {FROM_TO}\.", "{what}, {who}: {moved} с {before} до {now}."),
    (rf"(?P<what>.+) in {WHO} (?P<longer>took longer|took less time) by itself: (?P<before>\S+) ms before, "
     r"(?P<now>\S+) ms now\.", "{what}, {who}, само по себе {longer}: {before} мс раньше, {now} мс теперь."),
    (rf"(?P<what>.+) in {WHO} (?P<longer>took longer|took less time) asking {OTHER}: (?P<before>\S+) ms before, "
     r"(?P<now>\S+) ms now\.", "{what}, {who}, в запросах к {other} {longer}: {before} мс раньше, {now} мс теперь."),
    (rf"(?P<what>“.*”) (?P<said>is said more often|is said less often) by {WHO}: (?P<before>\S+) % of the time before, "
     r"(?P<now>\S+) % now\.", "{what} — {who}, {said}: {before} % записей раньше, {now} % теперь."),
    (rf"In {WHO}, (?P<what>.+) is taken (?P<now>\S+) % of the time, (?P<before>\S+) % before\.",
     "{who}: путь {what} выбирается в {now} % случаев, раньше — в {before} %."),
    (rf"Calls of {WHO} to {OTHER} fail: {SHARES}\.",
     "Вызовы от {who} к {other} не удаются: {before} % раньше, {now} % теперь."),
    (rf"(?P<what>.+) of {WHO} fails by itself: {SHARES}\.",
     "{what}, {who}: сбои свои собственные, {before} % раньше, {now} % теперь."),
    (rf"{WHO} tells nothing of itself, and all that need it suffer without another reason\.",
     "{who} о себе молчит, а всё, что от него зависит, страдает без другой причины."),
    (r"(?P<what>“[^”]*”) came (?P<now>\d+) min before the first sign\.", "{what}: за {now} мин до первого признака."),
    (r"(?P<what>“[^”]*”) came (?P<now>\d+) s before the first sign\.", "{what}: за {now} с до первого признака."),
    (r"What needs it suffers too\.", "То, что от него зависит, тоже страдает."),
    (rf"{WHO} fits what was noticed, without a clear sign of its own\.",
     "{who} подходит к тому, что замечено, но явного признака у него нет."),
    (rf"{WHO} suffers, but {OTHER}, which it needs, explains (?P<now>\d+) % of it\.",
     "{who} страдает, но на {now} % это объясняет {other}, от чего он зависит."),
    (rf"{WHO} is not its usual self, but nothing that was noticed needs it\.",
     "{who} ведёт себя необычно, но ничто из замеченного от него не зависит."),
    (rf"(?P<what>.+) of {WHO} came before, but nothing else speaks against it\.",
     "{what}, {who}: было раньше, но больше ничто на это не указывает."),
    (r"There are no metrics around this case\.", "Метрик вокруг этого случая нет."),
    (r"There are no traces around this case: whose time it is can only be told from metrics\.",
     "Трасс вокруг этого случая нет: чьё это время, видно только по метрикам."),
    (r"There are no logs around this case\.", "Записей журналов вокруг этого случая нет."),
    (r"Nothing is known of what needs what\.", "Неизвестно, что от чего зависит."),
    (r"Nothing is known around this case\.", "Вокруг этого случая ничего не известно."),
    (r"Something that cannot be seen from here\.", "Что-то, чего отсюда не видно."),
)  # fmt: skip
COMPILED = tuple((re.compile(pattern), form) for pattern, form in FORMS)
BETWEEN = re.compile(r"(?<=[.])\s+(?=[^\s])(?![^“]*”)")  # sentences end with a full stop and a blank, outside marks
WORDS: tuple[tuple[str, dict[str, str]], ...] = (("moved", MOVED), ("longer", LONGER), ("said", SAID))


def in_russian(text: str) -> str:
    """The sentences of a diagnosis in Russian, each that is known.

    >>> in_russian("cpu of service/pay rose from 0.1 to 0.9. What needs it suffers too. A word of ours.")
    'cpu, сервис pay: выросло с 0.1 до 0.9. То, что от него зависит, тоже страдает. A word of ours.'
    """
    whole = _one(text)
    return whole if whole != text else " ".join(_one(part) for part in BETWEEN.split(text))


def _one(sentence: str) -> str:
    for pattern, form in COMPILED:
        if found := pattern.fullmatch(sentence):
            values = {name: value for name, value in found.groupdict().items() if value is not None}
            for name in ("who", "other"):
                if name in values:
                    values[name] = _thing(values[name])
            for name, words in WORDS:
                if name in values:
                    values[name] = words[values[name]]
            return form.format(**values)
    return sentence


def _thing(text: str) -> str:
    kind, _, name = text.partition("/")
    return f"{ENTITY_KINDS_RU.get(kind, kind)} {name}"
