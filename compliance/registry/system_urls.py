"""Addresses of the pages on which systems are listed."""

from __future__ import annotations

from django.urls import path

import compliance.addresses  # noqa: F401, registers what stands for a row in an address
from compliance.registry import system_views

urlpatterns = [
    path("", system_views.systems, name="systems"),
    path("propose/", system_views.propose, name="system_propose"),
    path("<key:pk>/", system_views.system, name="system"),
    path("<key:pk>/approve/", system_views.approve, name="system_approve"),
    path("<key:pk>/key/", system_views.set_key, name="system_key"),
    path("<key:pk>/key/erase/", system_views.erase_key, name="system_key_erase"),
    path("<key:pk>/withdraw/", system_views.withdraw, name="system_withdraw"),
]
