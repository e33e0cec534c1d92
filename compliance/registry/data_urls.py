"""Addresses of the pages of data sets."""

from __future__ import annotations

from django.urls import path

import compliance.addresses  # noqa: F401, registers what stands for a row in an address
from compliance.registry import data_views

urlpatterns = [
    path("", data_views.data_sets, name="data_sets"),
    path("<key:pk>/", data_views.data_set, name="data_set"),
]
