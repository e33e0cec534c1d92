"""One name for each kind of proxy, wherever a role is named. Translated where it is shown."""

from __future__ import annotations

from django.utils.translation import gettext_noop

PROXY_WORDS = {
    "protected_proxy": gettext_noop("Says nearly who somebody is"),
    "proxy": gettext_noop("Proxy, such as a place"),
}
