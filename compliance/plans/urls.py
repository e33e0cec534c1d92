"""Addresses of the pages on which plans are written and designs decided on."""

from __future__ import annotations

from django.urls import path

import compliance.addresses  # noqa: F401, registers what stands for a row in an address
from compliance.plans import table_views, views

urlpatterns = [
    path("", views.plans, name="plans"),
    path("new/", views.begin, name="plan_new"),
    path("from/<key:pk>/", table_views.from_table, name="plan_from_table"),
    path("drafts/<key:pk>/", views.draft, name="plan_draft"),
    path("drafts/<key:pk>/check/", views.check, name="plan_check"),
    path("<key:pk>/", views.plan, name="plan"),
    path("<key:pk>/decide/", views.decide, name="plan_decide"),
    path("<key:pk>/again/", views.again, name="plan_again"),
]
