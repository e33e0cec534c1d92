"""Addresses of the pages of policy packs."""

from __future__ import annotations

from django.urls import path

import compliance.addresses  # noqa: F401, registers what stands for a row in an address
from compliance.registry import pack_views

urlpatterns = [
    path("", pack_views.packs, name="packs"),
    path("<key:pk>/", pack_views.pack, name="pack"),
    path("<key:pk>/review/", pack_views.review, name="pack_review"),
]
