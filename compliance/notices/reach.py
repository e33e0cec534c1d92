"""Which addresses a webhook may lead to: a team names them, and who runs the installation opens what is not public."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from django.conf import settings

from auditor.exceptions import ModelError
from auditor.systems.addresses import Address, Network, is_here, parse_address

OPENED = "a public address, or its range among PLUMBLINE_WEBHOOK_NETWORKS, which whoever runs the installation sets"


def webhook_address(url: str, *, networks: Sequence[str], where: str) -> Address:
    """The address of a webhook.

    Raises
    ------
    ModelError
        As `parse_address`; or if it, or a range that it names, is not public and not open to webhooks here.
    """
    address = parse_address(url, networks=networks, where=where)
    opened = [ipaddress.ip_network(text) for text in settings.WEBHOOK_NETWORKS]
    if is_here(address.host) and not any(network.is_loopback for network in opened):
        raise ModelError(where, f"{address.host} is this machine, which is not open to webhooks", OPENED)
    for network in address.networks:
        if not any(_within(network, each) for each in opened):
            raise ModelError(where, f"{network} is not open to webhooks", OPENED)
    return address


def _within(network: Network, other: Network) -> bool:
    first, last = network.network_address, network.broadcast_address
    return network.version == other.version and first in other and last in other
