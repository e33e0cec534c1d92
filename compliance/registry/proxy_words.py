"""What pages call the two kinds of proxy. Apart from what reads tables, whose process has no settings."""

from __future__ import annotations

from django.utils.translation import gettext_noop

#: One name for each kind of proxy, wherever a role is named.
PROXY_WORDS = {
    "protected_proxy": gettext_noop("Says nearly who somebody is"),
    "proxy": gettext_noop("Proxy, such as a place"),
}
