"""Weights in DNS: SRV records, changed by dynamic update. An entity is `backend/_SERVICE._PROTO.DOMAIN/HOST`.

Sources: A. Gulbrandsen et al., A DNS RR for Specifying the Location of Services, RFC 2782 (2000); P. Vixie et al.,
Dynamic Updates in the Domain Name System, RFC 2136 (1997); F. Dupont et al., Secret Key Transaction Authentication for
DNS, RFC 8945 (2020).
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from socket import SOCK_STREAM

import dns.asyncquery
import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.update
from dns.rdtypes.IN.SRV import SRV

from cerebro.casework.executors.port import Preview
from cerebro.spine.actions import Call, Difference, Level
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid, Unavailable

LOOK_S = 5.0
WEIGHT_MAX = 65_535
LABEL = r"[A-Za-z0-9_-]{1,63}"
PLACE = re.compile(rf"_{LABEL}\._{LABEL}(\.{LABEL})+/{LABEL}(\.{LABEL})*\.?")


@dataclass(frozen=True, slots=True)
class Zone:
    """Where names are changed.

    Args:
        address: `host:port` of the zone's primary server; TCP.
        name: Of the zone, `example.com`.
        key_name: Of the TSIG key that may update it.
        key: Its secret, base64.
        algorithm: Of the key.
    """

    address: str
    name: str
    key_name: str
    key: str = field(repr=False)
    algorithm: str = "hmac-sha256"


class Names:
    """Turns the weight of one host of a service up and down.

    An update is sent with all records of the service as they were read: where anyone changed them in between, the
    server refuses it whole. Clients follow when the time to live of what they hold has passed.
    """

    name, label = "dns", ""

    def __init__(self, zone: Zone, level: Level | None = None) -> None:
        self.level, self._zone = level, zone
        self._host, _, port = zone.address.rpartition(":")
        try:
            self._port = int(port)
            self._keys = {dns.name.from_text(zone.key_name): dns.tsig.Key(zone.key_name, zone.key, zone.algorithm)}
        except (ValueError, dns.exception.DNSException) as error:
            mend = "Write host:port, and the key as the server's configuration has it."
            raise Invalid(f"The settings reach.dns_… cannot be read: {error}.", mend) from error

    def reaches(self, target: EntityKey, operation: str) -> bool:
        """As the port says."""
        known = target.kind == "backend" and operation == "set_weight" and bool(PLACE.fullmatch(target.name))
        return known and dns.name.from_text(_owner(target)).is_subdomain(dns.name.from_text(self._zone.name))

    async def state(self, target: EntityKey) -> Mapping[str, str]:
        """As the port says."""
        records = await self._records(target)
        return {"weight": str(_of(records, target).weight), "ttl_s": str(records.ttl)}

    async def dry_run(self, call: Call) -> Preview:
        """As the port says."""
        records, wanted = await self._records(call.target), _weight(call)
        mine = _of(records, call.target)
        before = {"weight": str(mine.weight), "ttl_s": str(records.ttl)}
        if mine.weight == wanted:
            return Preview((), before)
        every = sum(each.weight for each in records if isinstance(each, SRV) and each.priority == mine.priority)
        away = max(0.0, mine.weight - wanted) / every if every else 0.0
        return Preview((Difference("weight", str(mine.weight), str(wanted)),), before, share=away)

    async def execute(self, call: Call, *, key: str, timeout_s: float) -> str:
        """As the port says: to set it twice is to set it once."""
        records, wanted = await self._records(call.target), _weight(call)
        mine = _of(records, call.target)
        update = dns.update.UpdateMessage(dns.name.from_text(self._zone.name))
        update.present(records.name, *records)
        update.delete(records.name, mine)
        update.add(records.name, records.ttl, mine.replace(weight=wanted))
        answer = await self._ask(update, timeout_s)
        if answer.rcode() == dns.rcode.NXRRSET:
            raise Invalid("Somebody has changed these names just now.", "Look at what they say, and try again.")
        _refused(answer)
        return f"{call.target.name} has a weight of {wanted}; clients follow within {records.ttl} s."

    async def happened(self, call: Call, *, key: str) -> bool | None:
        """As the port says."""
        return bool(_of(await self._records(call.target), call.target).weight == _weight(call))

    async def _records(self, target: EntityKey) -> dns.rrset.RRset:
        owner = dns.name.from_text(_owner(target))
        answer = await self._ask(dns.message.make_query(owner, dns.rdatatype.SRV), LOOK_S)
        found = next((each for each in answer.answer if each.name == owner and each.rdtype == dns.rdatatype.SRV), None)
        if found is None:
            if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                _refused(answer)
            raise Invalid(f"DNS knows no service {_owner(target)}.", "Write _SERVICE._PROTO.DOMAIN/HOST.")
        return found

    async def _ask(self, question: dns.message.Message, timeout_s: float) -> dns.message.Message:
        question.use_tsig(self._keys)
        try:
            places = await asyncio.get_running_loop().getaddrinfo(self._host.strip("[]"), self._port, type=SOCK_STREAM)
            return await dns.asyncquery.tcp(question, str(places[0][4][0]), timeout_s, self._port)
        except (dns.tsig.PeerError, dns.tsig.BadSignature, dns.message.UnknownTSIGKey) as error:
            raise Invalid(f"The DNS server does not take the key: {error}.", "Look at reach.dns_key_name.") from error
        except (OSError, EOFError, dns.exception.DNSException) as error:
            raise Unavailable("The DNS server does not answer.") from error


def _owner(target: EntityKey) -> str:
    """The name of the service that a backend is of.

    Raises:
        Invalid: It is none.
    """
    if not PLACE.fullmatch(target.name):
        raise Invalid(f"{target.name[:60]!r} is no host of a service.", "Write _SERVICE._PROTO.DOMAIN/HOST.")
    return target.name.partition("/")[0]


def _of(records: dns.rrset.RRset, target: EntityKey) -> SRV:
    """The record of the target's host.

    Raises:
        Invalid: There is none.
    """
    host = dns.name.from_text(target.name.partition("/")[2])
    found = [each for each in records if isinstance(each, SRV) and each.target == host]
    if len(found) != 1:
        raise Invalid(f"DNS has {len(found)} records for {target.name}.", "There must be one for each host.")
    return found[0]


def _weight(call: Call) -> int:
    try:
        weight = int(call.arguments["weight"])
    except (KeyError, ValueError) as error:
        raise Invalid("The weight is no whole number.", f"Write weight=0 to {WEIGHT_MAX}.") from error
    if not 0 <= weight <= WEIGHT_MAX:
        raise Invalid(f"A weight of {weight} does not fit.", f"Write weight=0 to {WEIGHT_MAX}.")
    return weight


def _refused(answer: dns.message.Message) -> None:
    if answer.rcode() != dns.rcode.NOERROR:
        said = dns.rcode.to_text(answer.rcode())
        raise Invalid(f"The DNS server refused: {said}.", "May this key update this zone, and is it the primary?")
