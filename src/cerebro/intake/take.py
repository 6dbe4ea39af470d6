"""From a decoded body to one message for the bus: what the limits leave of it, and what they refuse and why.

Pure work on columns, done in a thread: nothing here waits.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cerebro.intake.decode.columns import Decoded
from cerebro.intake.decode.known import KnownSeries
from cerebro.intake.entity import entity_of
from cerebro.intake.limits import Catalogue
from cerebro.intake.refusals import LOOKED_AT_MAX, Refusals
from cerebro.kernel.settings import IntakeSettings
from cerebro.spine.telemetry import no_series
from cerebro.spine.wire import Kind, encode_samples, encode_table

NAMES_BYTES_MAX = 3 << 20  # of series in one message: the embedded bus takes 8 MiB
METRICS_LOOKED_AT_MAX = 8  # of one body and reason

# Why a row is refused, and the sentence a sender reads; the limits are filled in.
SENTENCES: Mapping[str, str] = {
    "too_old": "older than {past_s_max:g} s",
    "too_new": "more than {future_s_max:g} s ahead of our clock",
    "too_many_labels": "more than {labels_max} labels",
    "label_too_long": "a label over {label_bytes_max} bytes",
    "cardinality": "new series beyond the {series_max} that the tenant may have",
    "missing_name": "no metric name",
    "empty_label_name": "a label without a name",
    "duplicate_label": "a label given twice",
    "labels_too_large": "labels too large in all",
    "invalid_utf8": "text that is not UTF-8",
    "native_histogram": "native histograms, which remote write 1.0 receivers do not take",
    "exponential_buckets": "exponential buckets, of which only sum and count are kept",
    "bad_buckets": "buckets that do not fit their bounds",
    "missing_value": "no value",
}


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is left of a body, ready for the bus.

    Args:
        messages: None when nothing is left, or nothing was in it. All rows are in the last; those before it only
            name series, where their labels alone would make one message too large.
        taken: Samples, records or spans in the last message.
        refused: The same that are not, by reason.
        stored: To be called once the bus has all of them.
    """

    messages: Sequence[bytes]
    taken: int
    refused: Mapping[str, int]
    stored: Callable[[], None] = lambda: None

    @property
    def refused_count(self) -> int:
        """How many rows were refused, whatever the reason."""
        return sum(self.refused.values())


@dataclass(frozen=True, slots=True)
class Taking:
    """The limits and records of one tenant."""

    settings: IntakeSettings
    catalogue: Catalogue
    refusals: Refusals = field(default_factory=Refusals)

    def metrics(self, decode: Callable[[KnownSeries], Decoded], now_ms: int) -> Parcel:
        """Decode a body of metrics and keep what the limits leave. New series are admitted in the order they stand.

        Raises:
            Invalid: The body is not what `decode` reads.
        """
        named = self.catalogue.named  # a sweep may put another set in its place meanwhile: slots are of this one
        decoded = decode(named)
        refused = Counter(decoded.refused)
        for reason, count in decoded.refused.items():
            self.refusals.add(reason, "", count, now_ms)
        bad = np.zeros(len(decoded), bool)
        for reason, mask in self._faults(decoded, now_ms):
            self._refuse(reason, decoded, mask, refused, now_ms)
            bad |= mask
        if bad.any():
            decoded = decoded.select(~bad)
        new = decoded.new
        admitted = self.catalogue.admit(*decoded.ids(new), now_ms)
        if not admitted.all():
            bad = self._beyond(decoded)
            self._refuse("cardinality", decoded, bad, refused, now_ms)
            decoded, new = decoded.select(~bad), new[admitted]
        return self._parcel(decoded, named, new, refused, now_ms)

    def records(self, kind: Kind, table: pa.Table, now_ms: int) -> Parcel:
        """What the limits leave of logs or spans. A log record without a time gets ours."""
        refused: Counter[str] = Counter()
        signal = kind.name.lower()
        if kind is Kind.LOGS:
            table = _with_times(table, now_ms * 1_000_000)
        at_ms = table.column("at_ns").to_numpy() // 1_000_000
        early, late = self._outside(at_ms, now_ms)
        for reason, bad in (("too_old", early), ("too_new", late)):
            if count := int(bad.sum()):
                refused[reason] = count
                self.refusals.add(reason, signal, count, now_ms)
        if refused:
            table = table.filter(pa.array(~(early | late)))
        messages = (encode_table(kind, table),) if table.num_rows else ()
        return Parcel(messages, table.num_rows, refused)

    def explain(self, refused: Mapping[str, int]) -> str:
        """One sentence of what was refused and why, with the label that explodes when there is one."""
        limits = self.settings.model_dump()
        parts = [f"{count} with {SENTENCES.get(why, why).format(**limits)} ({why})" for why, count in refused.items()]
        text = f"{sum(refused.values())} refused: {'; '.join(parts)}."
        if "cardinality" in refused and (worst := self.refusals.worst("cardinality")):
            text += f" Metric {worst.metric!r} grows most"
            text += f", by its label {worst.label!r}." if worst.label else "."
        return text

    def _faults(self, decoded: Decoded, now_ms: int) -> list[tuple[str, NDArray[np.bool_]]]:
        """Samples that break a limit, each under the first it breaks; only limits that are broken."""
        early, late = self._outside(decoded.at_ms, now_ms)
        many = (decoded.series.label_count > self.settings.labels_max)[decoded.series_index]
        long = (decoded.series.label_bytes_max > self.settings.label_bytes_max)[decoded.series_index]
        found = []
        counted = np.zeros(len(decoded), bool)
        masks = {"too_old": early, "too_new": late, "too_many_labels": many, "label_too_long": long}
        for reason, mask in masks.items():
            bad = mask & ~counted
            if bad.any():
                counted |= bad
                found.append((reason, bad))
        return found

    def _outside(self, at_ms: NDArray[np.int64], now_ms: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which times lie too far behind, and which too far ahead."""
        past_ms, future_ms = round(self.settings.past_s_max * 1000), round(self.settings.future_s_max * 1000)
        return at_ms < now_ms - past_ms, at_ms > now_ms + future_ms

    def _beyond(self, decoded: Decoded) -> NDArray[np.bool_]:
        """Samples of series that were not admitted."""
        series = decoded.series
        bad_rows = np.zeros(len(series), bool)
        unnamed = np.flatnonzero(series.slot < 0)
        bad_rows[unnamed] = ~self.catalogue.has(series.hi[unnamed], series.lo[unnamed])
        return bad_rows[decoded.series_index]

    def _refuse(
        self, reason: str, decoded: Decoded, bad: NDArray[np.bool_], refused: Counter[str], now_ms: int
    ) -> None:
        """Count the samples and note the metrics they belong to, those with most of them first."""
        refused[reason] += int(bad.sum())
        rows = decoded.series_index[bad]
        metrics, first, counts = np.unique(decoded.series.hi[rows], return_index=True, return_counts=True)
        for at in np.argsort(-counts)[:METRICS_LOOKED_AT_MAX]:
            of_metric = rows[decoded.series.hi[rows] == metrics[at]][:LOOKED_AT_MAX]
            unnamed = of_metric[decoded.series.slot[of_metric] < 0]
            name = self.catalogue.metric_names.get(int(metrics[at]), "")
            if len(unnamed):
                name = decoded.metrics(rows[first[at] : first[at] + 1])[0] or name
            labels = tuple(decoded.labels(np.unique(unnamed)))
            self.refusals.add(reason, name, int(counts[at]), now_ms, labels)

    def _parcel(
        self, decoded: Decoded, named: KnownSeries, new: NDArray[np.uint32], refused: Counter[str], now_ms: int
    ) -> Parcel:
        if not len(decoded):
            return Parcel((), 0, refused)
        hi, lo = decoded.ids(new)
        slots = decoded.series.slot
        series = decoded.name(new, entity_of)
        if len(new):
            self.catalogue.remember(hi, series.column("metric").to_pylist())

        def stored() -> None:
            self.catalogue.saw(named, slots, now_ms)
            if len(hi):
                self.catalogue.confirm(hi, lo, now_ms)

        return Parcel(_messages(decoded, series), len(decoded), refused, stored)


def _messages(decoded: Decoded, series: pa.Table) -> list[bytes]:
    """The samples with the series they name in one message; many names go before, in messages of their own."""
    if series.nbytes <= NAMES_BYTES_MAX:
        return [encode_samples(decoded.batch(series))]
    rows = max(1, series.num_rows * NAMES_BYTES_MAX // series.nbytes)
    nothing = decoded.select(np.zeros(len(decoded), bool))
    parts = [series.slice(start, rows) for start in range(0, series.num_rows, rows)]
    return [*(encode_samples(nothing.batch(part)) for part in parts), encode_samples(decoded.batch(no_series()))]


def _with_times(table: pa.Table, now_ns: int) -> pa.Table:
    """The same records, with `now_ns` where a time is 0."""
    for name in ("at_ns", "observed_ns"):
        column = table.column(name)
        if pc.any(pc.equal(column, 0)).as_py():
            filled = pc.if_else(pc.equal(column, 0), pa.scalar(now_ns, pa.int64()), column)
            table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), filled)
    return table
