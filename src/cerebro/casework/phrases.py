"""The words of a case's story, by hand, in English and in Russian: templates, numbers, times."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from math import isfinite

from cerebro.spine.quote import unit_named

LANGUAGES = ("en", "ru")
NOBODY_SAID = "–"

EN: Mapping[str, str] = {
    "hurts.finding": "{title}.",
    "hurts.more": "{count} more signals of the case are off.",
    "hurts.quiet": "Nothing hurts any more: the last signal was back to its usual self at {at}.",
    "hurts.impact": "{impact}",
    "since.began": "It began at {began}, {span} before the case was opened.",
    "since.at_once": "It began at {began}, and the case was opened at once.",
    "since.resolved": "It was resolved at {at}, {span} after it began.",
    "since.reopened": "It came back {count} times.",
    "since.reopened_once": "It came back once.",
    "owner.has": "{who} has it.",
    "owner.looks": "{who} looks at it since {at}.",
    "owner.nobody": "Nobody has taken it yet.",
    "cause.first": "The likely cause, {share}: {entity} ({kind}). {explanation}",
    "cause.other": "Less likely, {share}: {entity} ({kind}). {explanation}",
    "cause.evidence": "{sentence}",
    "changed.event": "{at}: {kind} of {entity}{title}.",
    "changed.none": "No change was told between {start} and {end}.",
    "tried.action": "{at}, {who}: {text}",
    "unknown.share": "{share} of the blame is unexplained.",
    "unknown.no_cause": "No cause is named yet.",
    "unknown.unproved": "{count} causes were named without proof and are not told.",
    "unknown.gap": "{text}",
}
RU: Mapping[str, str] = {
    "hurts.finding": "{title}.",
    "hurts.more": "Не в норме и другие сигналы случая: ещё {count}.",
    "hurts.quiet": "Уже ничего не болит: последний сигнал вернулся к обычному в {at}.",
    "hurts.impact": "{impact}",
    "since.began": "Началось в {began}, за {span} до открытия случая.",
    "since.at_once": "Началось в {began}, и случай был открыт сразу.",
    "since.resolved": "Решён в {at}, через {span} после начала.",
    "since.reopened": "Возвращался, раз: {count}.",
    "since.reopened_once": "Возвращался один раз.",
    "owner.has": "Занимается {who}.",
    "owner.looks": "{who} смотрит с {at}.",
    "owner.nobody": "Пока никто не взялся.",
    "cause.first": "Вероятная причина, {share}: {entity} ({kind}). {explanation}",
    "cause.other": "Менее вероятно, {share}: {entity} ({kind}). {explanation}",
    "cause.evidence": "{sentence}",
    "changed.event": "{at}: {kind}, {entity}{title}.",
    "changed.none": "С {start} до {end} об изменениях не сообщалось.",
    "tried.action": "{at}, {who}: {text}",
    "unknown.share": "Не объяснено: {share}.",
    "unknown.no_cause": "Причина пока не названа.",
    "unknown.unproved": "Причин, названных без доказательства и потому не рассказанных: {count}.",
    "unknown.gap": "{text}",
}
TEMPLATES: Mapping[str, Mapping[str, str]] = {"en": EN, "ru": RU}

CAUSE_KINDS: Mapping[str, Mapping[str, str]] = {
    "en": {"external": "something outside", "data": "data", "unknown": "unknown"},
    "ru": {
        "resource": "ресурс",
        "dependency": "зависимость",
        "deploy": "выкладка",
        "config": "настройка",
        "data": "данные",
        "capacity": "нехватка мощности",
        "network": "сеть",
        "code": "код",
        "external": "что-то внешнее",
        "unknown": "неизвестно",
    },
}
CHANGE_KINDS: Mapping[str, Mapping[str, str]] = {
    "en": {"flag": "feature flag", "config": "change of settings", "scale": "change of scale"},
    "ru": {
        "deploy": "выкладка",
        "config": "смена настроек",
        "flag": "переключение флага",
        "restart": "перезапуск",
        "boot": "загрузка",
        "scale": "смена масштаба",
        "migration": "миграция",
        "schedule": "по расписанию",
        "silence": "тишина",
    },
}
ENTITY_KINDS_RU: Mapping[str, str] = {
    "service": "сервис",
    "host": "хост",
    "process": "процесс",
    "database": "база",
    "queue": "очередь",
    "disk": "диск",
    "container": "контейнер",
    "domain": "домен",
}
MOVED_RU: Mapping[str, tuple[str, str]] = {  # of a finding's kind: upwards, downwards
    "silence": ("перестал присылать данные", "перестал присылать данные"),
    "spike": ("всплеск", "провал"),
    "level_shift": ("рост", "падение"),
    "drift": ("медленный рост", "медленное падение"),
    "leak": ("непрерывный рост", "непрерывное падение"),
    "variance": ("разброс стал другим", "разброс стал другим"),
    "flatline": ("застыл на одном значении", "застыл на одном значении"),
    "joint": ("необычное сочетание", "необычное сочетание"),
    "peer": ("отличается от себе подобных", "отличается от себе подобных"),
    "rate": ("рост числа запросов", "падение числа запросов"),
    "errors": ("рост ошибок", "ошибок меньше"),
    "duration": ("рост длительности", "длительность меньше"),
    "exclusive_time": ("рост собственного времени", "собственное время меньше"),
    "new_template": ("новый вид записей в журнале", "новый вид записей в журнале"),
    "rare_template": ("редкий вид записей в журнале", "редкий вид записей в журнале"),
    "exploding_template": ("лавина записей одного вида", "лавина записей одного вида"),
    "vanished_template": ("вид записей пропал из журнала", "вид записей пропал из журнала"),
    "sequence": ("необычный порядок записей", "необычный порядок записей"),
    "parameter": ("необычное значение в записях", "необычное значение в записях"),
    "new_edge": ("новый вызов", "новый вызов"),
    "lost_edge": ("вызов пропал", "вызов пропал"),
}
BINARY = (("ТиБ", "TiB", 2.0**40), ("ГиБ", "GiB", 2.0**30), ("МиБ", "MiB", 2.0**20), ("КиБ", "KiB", 2.0**10))


@dataclass(frozen=True, slots=True)
class Teller:
    """Who tells the story: in which language, at which hour, and how far the listener's clock is from UTC."""

    language: str
    now_ms: int
    offset_min: int = 0

    def words(self, key: str, **values: object) -> str:
        """The template of that name, filled in."""
        return TEMPLATES[self.language][key].format(**values)

    def at(self, at_ms: int) -> str:
        """A moment by the listener's clock; the date only when it is not today.

        >>> Teller("en", 1_700_000_000_000).at(1_700_000_000_000), Teller("ru", 0, 180).at(1_700_000_000_000)
        ('22:13:20 UTC', '15.11.2023 01:13:20')
        """
        zone = timezone(timedelta(minutes=self.offset_min))
        moment, now = (datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone) for ms in (at_ms, self.now_ms))
        day = (
            ""
            if moment.date() == now.date()
            else f"{moment:%d.%m.%Y} "
            if self.language == "ru"
            else f"{moment:%Y-%m-%d} "
        )
        return f"{day}{moment:%H:%M:%S}" + ("" if self.offset_min else " UTC")

    def span(self, length_ms: float) -> str:
        """A stretch of time in its two largest units.

        >>> Teller("en", 0).span(75_000), Teller("ru", 0).span(7_380_000)
        ('1 min 15 s', '2 ч 3 мин')
        """
        second, minute, hour, day = ("с", "мин", "ч", "д") if self.language == "ru" else ("s", "min", "h", "d")
        whole = max(0, round(length_ms / 1000))
        for size, unit, rest, lesser in ((86_400, day, 3600, hour), (3600, hour, 60, minute), (60, minute, 1, second)):
            if whole >= size:
                left = whole % size // rest
                return f"{whole // size} {unit}" + (f" {left} {lesser}" if left else "")
        return f"{whole} {second}"

    def share(self, share: float) -> str:
        """A share of the blame."""
        return f"{share * 100:.0f} %"

    def cause_kind(self, kind: str) -> str:
        """What kind of cause it is."""
        return CAUSE_KINDS[self.language].get(kind, kind)

    def change_kind(self, kind: str) -> str:
        """What kind of change it is."""
        return CHANGE_KINDS[self.language].get(kind, kind)

    def amount(self, value: float, unit: str, metric: str = "", *, rate: bool = False) -> str:
        """A value with its unit.

        >>> Teller("en", 0).amount(0.973, "1", "system.cpu.utilization"), Teller("ru", 0).amount(3 * 2**30, "By")
        ('97.3 %', '3 ГиБ')
        """
        if not isfinite(value):
            return NOBODY_SAID
        per = ("/с" if self.language == "ru" else "/s") if rate else ""
        if unit == "%" or (unit == "1" and "utilization" in metric):
            return f"{_figures(value if unit == '%' else value * 100)} %"
        if unit == "By" or metric.removesuffix("_total").endswith("_bytes"):
            for russian, english, size in BINARY:
                if abs(value) >= size:
                    return f"{_figures(value / size)} {russian if self.language == 'ru' else english}{per}"
            return f"{_figures(value)} {'Б' if self.language == 'ru' else 'B'}{per}"
        if unit == "s" or metric.endswith("_seconds"):
            long = abs(value) >= 1
            second, thousandth = ("с", "мс") if self.language == "ru" else ("s", "ms")
            return f"{_figures(value if long else value * 1000)} {second if long else thousandth}{per}"
        name = "" if unit in ("", "1") else f" {unit_named(unit)}"
        return f"{_figures(value)}{name}{per}"


def _figures(value: float) -> str:
    """Three digits that say something, and no needless zeros."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}".rstrip("0").rstrip(".") if abs(value) >= 1 else f"{value:.2g}"
