"""Who may see what: the viewer behind a request.

Without configured proxies the page serves this machine: everyone who reaches it sees all hospitals, aggregate only. With proxies
(`trusted_proxies`) a request must come from one of them and carry the user header exactly once; `users` says which hospitals that user
may see and whether single stays. A header from any other address is not believed, so nobody gains a right by sending one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from hrrp.settings import Settings


class RefusedError(Exception):
    """The request has no place here; `reason` says why and what to do, for the page."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Viewer:
    """`name` is empty for whoever sits at this machine; `hospitals` None means all."""

    name: str = ""
    hospitals: frozenset[str] | None = None
    patient_level: bool = False

    def may_see(self, ccn: str) -> bool:
        """Whether the hospital is among those that the viewer may see."""
        return self.hospitals is None or ccn in self.hospitals

    @property
    def rights(self) -> tuple[frozenset[str] | None, bool]:
        """What pages depend on: two viewers with the same rights see the same."""
        return self.hospitals, self.patient_level


LOCAL = Viewer()


def viewer_of(peer: str | None, user_headers: Sequence[str], settings: Settings) -> Viewer:
    """The viewer of a request from address `peer` with the given values of the user header.

    Raises RefusedError where proxies are configured and the request is not theirs, or names no known user.
    """
    if not settings.trusted_proxies:
        return LOCAL
    if not _is_trusted(peer, settings.trusted_proxies):
        raise RefusedError("This page is served behind a proxy that says who you are. Open it through that proxy.")
    names = [name.strip() for name in user_headers]
    if len(names) != 1 or not names[0]:
        raise RefusedError(f"The proxy did not say who you are: it must send the header {settings.user_header} once.")
    rights = settings.users.get(names[0])
    if rights is None:
        raise RefusedError(
            "Your user name is not among those that may open this page. Whoever runs it adds it under [users] in hrrp.toml."
        )
    hospitals = None if rights.hospitals == "all" else frozenset(rights.hospitals)
    return Viewer(names[0], hospitals, rights.level == "patient")


def _is_trusted(peer: str | None, proxies: Sequence[str]) -> bool:
    try:
        address = ip_address(peer or "")
    except ValueError:
        return False
    return any(address in ip_network(proxy) for proxy in proxies)
